//! Who takes part: accounts with a device each, and pseudonyms that are accounts of their own.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use mimi_client::{Client, ClientError, SystemEntropy, TransportError};
use mimi_flow::{Command, Delays, Event, Evidence, FailureReason, FlowId, Report};
use mimi_link::RoomLink;
use mimi_pseudonym::{CipherSuite, Content, RoomUri, UserUri, Wire};
use mimi_tie::blind::{IssuerKey, TokenChallenge, TokenRequest, TokenResponse};
use mimi_wire::{
    MEDIA_TYPE, Problem, ProblemDocument,
    local::{
        DETACH_PATH, DetachRequest, DetachResponse, DeviceToken, REDEEM_PATH, REGISTER_PATH, RedeemRequest,
        RegisterAccountRequest, RegisterResponse, TOKEN_KEY_PATH, TOKENS_PATH, TokenKey, TokensRequest, TokensResponse,
    },
};
use tokio::time::Instant;

use crate::{
    fixture::Fixture,
    people::{MovedClock, surroundings},
};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a device looks for news at a time, and how long nothing may come until all are quiet.
const WAIT: Duration = Duration::from_millis(120);

/// A device with its client.
pub(super) struct Player {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) told: Vec<Event>,
    /// Whether its provider does not know it any more.
    gone: bool,
    /// The pseudonyms under which it is in rooms.
    pub(super) names: Vec<(RoomUri, UserUri)>,
}

/// An account whose device does nothing but draw pseudonyms for devices of their own.
pub(super) struct Owner {
    pub(super) registered: RegisterResponse,
    /// By what the owner recognises that its pseudonym was opened.
    pub(super) marks: Vec<Vec<u8>>,
    /// By what it recognises that the list of its pseudonyms was.
    pub(super) account_mark: Vec<u8>,
}

/// What everybody needs.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) suite: CipherSuite,
    pub(super) clock: Arc<MovedClock>,
    pub(super) http: reqwest::Client,
}

fn delays() -> Delays {
    Delays { commit_spread: Duration::from_millis(400), ..Delays::default() }
}

impl Stage {
    /// What a provider answers: the body, or the problem.
    pub(super) async fn post(
        &self,
        fixture: &Fixture,
        domain: &str,
        path: &str,
        token: Option<&DeviceToken>,
        body: Vec<u8>,
    ) -> Result<Result<Vec<u8>, Problem>> {
        let mut request = self.http.post(fixture.site(domain)?.url(path)).header("content-type", MEDIA_TYPE).body(body);
        if let Some(token) = token {
            let token: String = token.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send().await?;
        let (good, body) = (response.status().is_success(), response.bytes().await?);
        Ok(if good { Ok(body.to_vec()) } else { Err(ProblemDocument::from_json(&body)?.problem) })
    }

    /// Opens an account.
    pub(super) async fn register(&self, fixture: &Fixture, domain: &str, handle: &str) -> Result<RegisterResponse> {
        let request = RegisterAccountRequest {
            handle: handle.to_owned(),
            display_name: String::new(),
            email: String::new(),
            device_name: "first".to_owned(),
        };
        let answer = self.post(fixture, domain, REGISTER_PATH, None, request.encode()).await?;
        let answer = answer.map_err(|problem| anyhow::anyhow!("{handle}: {}", problem.code()))?;
        Ok(RegisterResponse::decode(&answer)?)
    }

    /// A client for a device that is enrolled, with so many pseudonyms.
    pub(super) async fn enter(
        &self,
        fixture: &Fixture,
        name: &str,
        registered: RegisterResponse,
        pseudonyms: u16,
    ) -> Result<Player> {
        let domain = registered.user.domain().clone();
        let around = surroundings(fixture, domain.as_str(), &self.clock)?;
        let path = fixture.root().join(format!("{name}.sqlite"));
        let client = Client::adopt(&path, registered, self.suite, delays(), around).await?;
        let mut player = Player { name: name.to_owned(), client, told: Vec::new(), gone: false, names: Vec::new() };
        player.client.command(Command::Prepare { pseudonyms })?;
        player.until(|event| matches!(event, Event::Ready { .. })).await?;
        Ok(player)
    }

    /// An account with its device.
    pub(super) async fn join_in(&self, fixture: &Fixture, domain: &str, name: &str, count: u16) -> Result<Player> {
        let registered = self.register(fixture, domain, name).await?;
        self.enter(fixture, name, registered, count).await
    }

    /// A pseudonym with a device of its own, drawn by the account's device, or, if the provider gives tokens, by nobody.
    pub(super) async fn detach(
        &self,
        fixture: &Fixture,
        owner: &mut Owner,
        blind: bool,
    ) -> Result<Result<RegisterResponse, Problem>> {
        let token = owner.registered.device_token.clone();
        let domain = owner.registered.user.domain().clone();
        let device_name = "second".to_owned();
        if !blind {
            let request = DetachRequest { device_name };
            let answer = self.post(fixture, domain.as_str(), DETACH_PATH, Some(&token), request.encode()).await?;
            return Ok(match answer {
                Ok(body) => {
                    let DetachResponse { registered, mark, account_mark } = DetachResponse::decode(&body)?;
                    owner.marks.push(mark);
                    owner.account_mark = account_mark;
                    Ok(registered)
                }
                Err(problem) => Err(problem),
            });
        }
        let key = self.http.get(fixture.site(domain.as_str())?.url(TOKEN_KEY_PATH)).send().await?.bytes().await?;
        let key = TokenKey::decode(&key)?.key.try_into().map_err(|_| anyhow::anyhow!("a key of 49 octets"))?;
        let key = IssuerKey::from_octets(&key)?;
        let challenge = TokenChallenge::for_pseudonyms(&domain);
        let (request, pending) = TokenRequest::new(&key, &challenge, &mut SystemEntropy::default())?;
        let request = TokensRequest { requests: vec![request.encode()] };
        let answer = self.post(fixture, domain.as_str(), TOKENS_PATH, Some(&token), request.encode()).await?;
        let answer = match answer {
            Ok(body) => TokensResponse::decode(&body)?,
            Err(problem) => return Ok(Err(problem)),
        };
        let response = answer.responses.first().context("a token")?;
        let token = pending.finish(&TokenResponse::decode(response)?)?.encode();
        let request = RedeemRequest { token, device_name };
        let answer = self.post(fixture, domain.as_str(), REDEEM_PATH, None, request.encode()).await?;
        Ok(match answer {
            Ok(body) => Ok(RegisterResponse::decode(&body)?),
            Err(problem) => Err(problem),
        })
    }
}

impl Player {
    /// What it is told next, if that is soon.
    async fn next(&mut self) -> Result<Option<Event>> {
        if self.gone {
            tokio::time::sleep(WAIT).await;
            return Ok(None);
        }
        match self.client.next_event(WAIT).await {
            Err(ClientError::Transport(TransportError::Refused(Problem::Unauthorized))) => {
                self.gone = true;
                Ok(None)
            }
            told => Ok(told?),
        }
    }

    /// Goes on until it is told this.
    pub(super) async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<Event> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(event) = self.next().await? else { continue };
            self.told.push(event.clone());
            if is_it(&event) {
                return Ok(event);
            }
            if let Event::Failed { reason, .. } = &event {
                bail!("{}: {reason}", self.name);
            }
        }
        bail!("{} waits in vain", self.name)
    }

    /// What comes of a flow.
    pub(super) async fn outcome(&mut self, flow: FlowId) -> Result<Result<(), FailureReason>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(event) = self.next().await? else { continue };
            self.told.push(event.clone());
            match event {
                Event::Done { flow: of } if of == flow => return Ok(Ok(())),
                Event::Failed { flow: of, reason } if of == flow => return Ok(Err(reason)),
                _ => {}
            }
        }
        bail!("{} waits in vain", self.name)
    }

    /// Comes into a room by a link, from a fresh pseudonym.
    pub(super) async fn join(&mut self, link: &RoomLink) -> Result<UserUri> {
        let room = link.room().clone();
        let visit = self.client.command(Command::Look { link: link.clone(), as_account: false })?.context("a visit")?;
        self.until(|event| matches!(event, Event::RoomSeen { visit: of, .. } if *of == visit)).await?;
        self.client.command(Command::JoinSeen { visit })?;
        self.until(|event| matches!(event, Event::Joined { room: of } if *of == room)).await?;
        self.note_name(&room)
    }

    /// Remembers under which name it is in a room.
    pub(super) fn note_name(&mut self, room: &RoomUri) -> Result<UserUri> {
        let own = self.client.device().user_in(room).context("it is in the room")?.clone();
        self.names.push((room.clone(), own.clone()));
        Ok(own)
    }

    /// The domain of its provider.
    pub(super) fn domain(&self) -> &str {
        self.client.device().profile().user.domain().as_str()
    }

    /// Its account.
    pub(super) fn account(&self) -> String {
        self.client.device().profile().user.to_string()
    }

    /// Whether a user has a client in a room, as this device sees it.
    pub(super) fn sees(&self, room: &RoomUri, user: &UserUri) -> bool {
        self.client.device().clients(room).iter().any(|(other, _)| other == user)
    }

    /// Asks for one more pseudonym.
    pub(super) async fn draw(&mut self) -> Result<Result<(), FailureReason>> {
        if self.gone {
            let (call, problem) = ("pseudonyms".to_owned(), Problem::Unauthorized.code().to_owned());
            return Ok(Err(FailureReason::Refused { call, problem }));
        }
        let flow = self.client.command(Command::Prepare { pseudonyms: 1 })?.context("a flow")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(event) = self.next().await? else { continue };
            self.told.push(event.clone());
            match event {
                Event::Ready { .. } => return Ok(Ok(())),
                Event::Failed { flow: of, reason } if of == flow => return Ok(Err(reason)),
                _ => {}
            }
        }
        bail!("{} waits in vain", self.name)
    }

    /// Its name in a room.
    pub(super) fn name_in(&self, room: &RoomUri) -> Result<UserUri> {
        let found = self.names.iter().find(|(of, _)| of == room);
        found.map(|(_, name)| name.clone()).with_context(|| format!("{} was never in the room", self.name))
    }

    /// Whether it is in a room.
    pub(super) fn is_in(&self, room: &RoomUri) -> bool {
        self.client.device().rooms().any(|(uri, _)| uri == room)
    }

    /// Begins to send a message; what comes of it tells [`heard`].
    pub(super) fn send(&mut self, room: &RoomUri, text: &str) -> Result<Option<FlowId>> {
        let content = Content { media_type: "text/plain".to_owned(), body: text.as_bytes().to_vec() };
        Ok(self.client.command(Command::Send { room: room.clone(), content })?)
    }

    /// Whether the device sends, and the hub takes, a message now. Nobody is told of one that was taken.
    pub(super) async fn is_heard(&mut self, room: &RoomUri, text: &str) -> Result<bool> {
        if self.gone || !self.is_in(room) {
            return Ok(false);
        }
        let Some(flow) = self.send(room, text)? else { bail!("a flow") };
        let deadline = Instant::now() + WAIT * 4;
        while Instant::now() < deadline {
            let Some(event) = self.next().await? else { continue };
            self.told.push(event.clone());
            if matches!(&event, Event::Failed { flow: of, .. } if *of == flow) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What shows that somebody has said something in a room.
    pub(super) fn evidence(&self, room: &RoomUri, by: &UserUri) -> Result<Evidence> {
        let found = self.told.iter().find_map(|event| match event {
            Event::Message { room: of, from, evidence: Some(evidence), .. } if of == room && from == by => {
                Some(evidence.clone())
            }
            _ => None,
        });
        found.with_context(|| format!("{} has no evidence against {by}", self.name))
    }

    /// Reports what somebody has said.
    pub(super) async fn report(&mut self, room: &RoomUri, user: &UserUri, note: &str) -> Result<()> {
        let evidence = vec![self.evidence(room, user)?];
        let (room, user, note) = (room.clone(), user.clone(), note.to_owned());
        let report = Report { room, user, evidence, reason: 0, note, named: false };
        let flow = self.client.command(Command::Report(report))?.context("a flow")?;
        self.outcome(flow).await?.with_context(|| format!("{}: the report", self.name))
    }
}

/// Lets all go on until each has had no news for a while.
pub(super) async fn settle(players: &mut [&mut Player]) -> Result<()> {
    let each = players.iter_mut().map(|player| async {
        let mut quiet = 0;
        while quiet < 3 {
            match player.next().await? {
                Some(event) => {
                    player.told.push(event);
                    quiet = 0;
                }
                None => quiet += 1,
            }
        }
        Ok::<_, anyhow::Error>(())
    });
    try_join_all(each).await.map(drop)
}
