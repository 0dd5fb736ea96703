//! A client that does not keep the rules, for scenarios in which hub and members have to bear with one. It speaks to its
//! provider by itself; no library of the workspace helps it to do what it must not.

use anyhow::{Context, Result, anyhow, bail, ensure};
use mimi_abuse::franking::commit;
use mimi_client::{SystemClock, SystemEntropy};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_credential::{CertificateChain, TrustStore};
use mimi_link::RoomLink;
use mimi_mls::{
    CommitBundle, HpkeKeyPair, Identity, Opened, Room, RoomPreview, SealError, UnverifiedRoom, Wanted, open_with_label,
};
use mimi_pseudonym::{CipherSuite, Clock as _, DisclosureFormat, RoomUri, Signer as _, SigningKey, UserUri};
use mimi_room::How;
use mimi_wire::{
    CommitReportTbs, Credential, FanoutEvent, GROUP_INFO_ENCRYPTION_LABEL, GroupInfo, GroupInfoOption,
    GroupInfoRatchetTreeTbe, GroupInfoRequest, GroupInfoRequestTbs, GroupInfoResponse, MEDIA_TYPE, MlsMessage,
    ProblemDocument, RatchetTreeOption, ReportReason, SubmitMessageRequest, SubmitMessageResponse,
    UnverifiedCommitReport, UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse, UpdateOutcome, UpdateRequest,
    UpdateRoomResponse, Wire, Writer,
    directory::percent_encode,
    label::sign_with_label,
    local::{
        self, AckRequest, CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse, InboxBody,
        InboxResponse, PseudonymsRequest, PseudonymsResponse, RegisterAccountRequest, RegisterResponse,
    },
};

use crate::{fixture::Fixture, people::trust};

/// Such a client, with one pseudonym, and the room it is in.
pub struct Faulty {
    http: reqwest::Client,
    base: String,
    token: String,
    trust: TrustStore,
    entropy: SystemEntropy,
    identity: Identity,
    room: Option<Room>,
    read: u64,
    /// The newest commit of somebody else's that it has gone along with, and the epoch that this was for.
    last: Option<(MlsMessage, u64)>,
}

/// Whether a commit is one that members can go along with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// As it should be.
    Good,
    /// Its confirmation tag is not the one that the commit leads to, and the GroupInfo, signed anew, has the same. To a hub,
    /// which knows no secret of the group, they fit each other.
    Bad,
}

impl Faulty {
    /// Opens an account at a provider and gets a pseudonym with a credential.
    ///
    /// # Errors
    /// If the provider refuses.
    pub async fn register(fixture: &Fixture, domain: &str, handle: &str, suite: CipherSuite) -> Result<Self> {
        let (http, base) = (fixture.anonymous()?, fixture.site(domain)?.url(""));
        let request = RegisterAccountRequest {
            handle: handle.to_owned(),
            display_name: handle.to_owned(),
            email: format!("{handle}@mail.example"),
            device_name: "only".to_owned(),
        };
        let registered: RegisterResponse =
            post(&http, &format!("{base}{}", local::REGISTER_PATH), "", &request).await?;
        let token = registered.device_token.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let (token, trust) = (format!("Bearer {token}"), trust(fixture)?);
        let ask = PseudonymsRequest { count: 1 };
        let given: PseudonymsResponse = post(&http, &format!("{base}{}", local::PSEUDONYMS_PATH), &token, &ask).await?;
        let subject = given.pseudonyms.into_iter().next().context("a pseudonym")?;
        let mut entropy = SystemEntropy::default();
        let key = SigningKey::generate(suite.signature_scheme(), &mut entropy)?;
        let tbs = CredentialItemTbs {
            subject,
            cipher_suite: suite,
            public_key: key.public_key().clone(),
            disclose: Vec::new(),
            format: DisclosureFormat::X509,
        };
        let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key)?.into()] };
        let issued: CredentialsResponse =
            post(&http, &format!("{base}{}", local::CREDENTIALS_PATH), &token, &request).await?;
        let leaf = issued.items.into_iter().next().context("a credential")?.leaf;
        let identity = Identity::new(suite, key, CertificateChain::try_from(leaf)?, &trust, SystemClock.now())?;
        Ok(Self { http, base, token, trust, entropy, identity, room: None, read: 0, last: None })
    }

    /// Its pseudonym.
    pub fn user(&self) -> &UserUri {
        self.identity.user()
    }

    /// The room it is in.
    ///
    /// # Errors
    /// If it is in none.
    pub fn room(&self) -> Result<&Room> {
        self.room.as_ref().context("it is in no room")
    }

    /// Asks a hub for what it needs to join, with the code of a link or without.
    ///
    /// # Errors
    /// If the answer is neither yes nor no.
    pub async fn ask(&mut self, room: &RoomUri, code: Option<&[u8]>) -> Result<Option<RoomPreview>> {
        let keys = HpkeKeyPair::generate(self.identity.suite(), &mut self.entropy)?;
        let tbs = GroupInfoRequestTbs {
            cipher_suite: self.identity.suite(),
            requesting_signature_key: self.identity.signer().public_key().clone(),
            requesting_credential: Credential::x509(self.identity.certificates().certificates().to_vec()),
            group_info_public_key: keys.public_key().to_vec(),
            joining_code: code.map(<[u8]>::to_vec),
        };
        let request: UnverifiedGroupInfoRequest = GroupInfoRequest::sign(tbs, self.identity.signer())?.into();
        let answer: UnverifiedGroupInfoResponse = self.post(local::GROUP_INFO_PATH, Some(room), &request).await?;
        let given = match answer.verify(room)? {
            GroupInfoResponse::Success(given) => given,
            GroupInfoResponse::NotAuthorized { .. } => return Ok(None),
            other => bail!("{other:?}"),
        };
        let context = room.as_str().as_bytes();
        let sealed = &given.encrypted_group_info_and_tree;
        let opened =
            GroupInfoRatchetTreeTbe::decode(&open_with_label(&keys, GROUP_INFO_ENCRYPTION_LABEL, context, sealed)?)?;
        let RatchetTreeOption::Full(tree) = opened.ratchet_tree else { bail!("there is no tree") };
        let unverified = UnverifiedRoom::new(opened.group_info, tree);
        let identity = self.identity.clone();
        Ok(Some(unverified.verify(room, &given.hub_sender, identity, &self.trust, SystemClock.now())?))
    }

    /// Joins the room that a link leads to, by a commit of this quality.
    ///
    /// # Errors
    /// If the hub does not let it in.
    pub async fn join(&mut self, link: &str, quality: Quality) -> Result<()> {
        let RoomLink::Join(link) = link.parse()? else { bail!("it is no join link") };
        let preview = self.ask(&link.room, Some(link.code.as_bytes())).await?.context("it is not let in")?;
        self.enter(&preview, How::JoinCode, quality).await
    }

    /// Comes into the room again, as the participant it is.
    ///
    /// # Errors
    /// If the hub does not let it in.
    pub async fn come_back(&mut self, quality: Quality) -> Result<()> {
        let room = self.room()?.uri().clone();
        let preview = self.ask(&room, None).await?.context("it is not let in again")?;
        self.enter(&preview, How::ExternalCommit, quality).await
    }

    async fn enter(&mut self, preview: &RoomPreview, how: How, quality: Quality) -> Result<()> {
        let (room, bundle) = preview.join(how, &self.trust, SystemClock.now())?;
        let uri = room.uri().clone();
        self.room = Some(room);
        self.send(&uri, bundle, quality).await?;
        Ok(())
    }

    /// Commits, and the hub accepts. Returns the commit.
    ///
    /// # Errors
    /// If the hub does not accept it.
    pub async fn commit(&mut self, quality: Quality) -> Result<MlsMessage> {
        let room = self.room.as_mut().context("it is in no room")?;
        let (uri, bundle) = (room.uri().clone(), room.commit(Wanted::default())?);
        let sent = self.send(&uri, bundle, quality).await;
        let room = self.room.as_mut().context("it is in no room")?;
        match (&sent, quality) {
            (Ok(_), Quality::Good) => room.commit_accepted(&self.trust, SystemClock.now())?,
            // It stays where the others are.
            _ => room.commit_refused(),
        }
        sent
    }

    async fn send(&self, room: &RoomUri, bundle: CommitBundle, quality: Quality) -> Result<MlsMessage> {
        let bundle = match quality {
            Quality::Good => bundle,
            Quality::Bad => spoilt(bundle, &self.identity)?,
        };
        let request = UpdateRequest::Commit {
            commit: bundle.commit.clone().try_into().map_err(|_| anyhow!("it is no commit"))?,
            welcome: bundle.welcome,
            group_info: GroupInfoOption::Full(bundle.group_info),
            ratchet_tree: RatchetTreeOption::DistributionService,
        };
        let answer: UpdateRoomResponse = self.post(local::UPDATE_PATH, Some(room), &request).await?;
        let accepted = matches!(answer.outcome, UpdateOutcome::Accepted { .. });
        ensure!(accepted, "the hub does not accept the commit: {:?} {}", answer.outcome, answer.description);
        Ok(bundle.commit)
    }

    /// Says something in its room; whether the hub takes it.
    ///
    /// # Errors
    /// If the hub does not answer.
    pub async fn say(&mut self, text: &str) -> Result<bool> {
        let (salt, body) = (Salt::generate(&mut self.entropy), Part::single(Disposition::Render, "text/plain", text));
        let room = self.room.as_mut().context("it is in no room")?;
        let content = MimiContent::new(salt, room.identity().user().clone(), room.uri().clone(), body)?;
        let message = room.seal_franked(|_| Ok::<_, SealError>(commit(&content)))?;
        let message = message.try_into().map_err(|_| anyhow!("it is no message"))?;
        let (uri, request) = (room.uri().clone(), SubmitMessageRequest { message, sending_user: self.user().clone() });
        let answer: SubmitMessageResponse = self.post(local::SUBMIT_MESSAGE_PATH, Some(&uri), &request).await?;
        Ok(matches!(answer, SubmitMessageResponse::Accepted { .. }))
    }

    /// Says of the newest commit that it has gone along with that it could not.
    ///
    /// # Errors
    /// If there is none, or the hub does not take it.
    pub async fn lie(&mut self) -> Result<()> {
        let (commit, epoch) = self.last.take().context("it has gone along with no commit")?;
        let room = self.room()?.uri().clone();
        let mut commit_hash = [0; 32];
        commit_hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, commit.as_bytes()).as_ref());
        let client = self.identity.client().clone();
        let tbs = CommitReportTbs { room: room.clone(), epoch, commit_hash, reason: ReportReason::Mls, client };
        let report = UnverifiedCommitReport::sign(tbs, self.identity.signer())?;
        self.send_body(local::REPORT_COMMIT_PATH, Some(&room), report.encode()).await.map(drop)
    }

    /// Goes along with what has come; it does not wait for anything. Returns what was said meanwhile.
    ///
    /// # Errors
    /// If the provider cannot be asked.
    pub async fn follow(&mut self) -> Result<Vec<String>> {
        let url = format!("{}{}?after={}&wait=0", self.base, local::INBOX_PATH, self.read);
        let answer = self.http.get(url).header("authorization", &self.token).send().await?.error_for_status()?;
        let events = InboxResponse::decode(&answer.bytes().await?)?.events;
        let Some(last) = events.last().map(|event| event.sequence) else { return Ok(Vec::new()) };
        self.read = last;
        self.send_body(local::ACK_PATH, None, AckRequest { up_to: last }.encode()).await?;
        let mut said = Vec::new();
        for event in events {
            let InboxBody::Fanout { message, .. } = event.body else { continue };
            let Some(room) = &mut self.room else { continue };
            let before = room.epoch();
            let messages = match message.event {
                FanoutEvent::Application { message, .. } => vec![message.into_message()],
                FanoutEvent::Commit { commit, external_proposals } => {
                    let proposals = external_proposals.into_iter().map(|proposal| proposal.into_message());
                    std::iter::once(commit.into_message()).chain(proposals).collect()
                }
                FanoutEvent::Proposal { proposal, more } => {
                    std::iter::once(proposal).chain(more).map(|proposal| proposal.into_message()).collect()
                }
                _ => continue,
            };
            for message in messages {
                match room.open(&message, &self.trust, SystemClock.now()) {
                    Ok(Opened::Content { content, .. }) => {
                        said.push(String::from_utf8_lossy(&content.body).into_owned())
                    }
                    Ok(Opened::Commit { .. }) => self.last = Some((message, before)),
                    _ => {}
                }
            }
        }
        Ok(said)
    }

    async fn post<R: Wire>(&self, path: &str, room: Option<&RoomUri>, message: &impl Wire) -> Result<R> {
        Ok(R::decode(&self.send_body(path, room, message.encode()).await?)?)
    }

    async fn send_body(&self, path: &str, room: Option<&RoomUri>, body: Vec<u8>) -> Result<Vec<u8>> {
        let room = room.map(|room| format!("/{}", percent_encode(room.as_str()))).unwrap_or_default();
        send(&self.http, &format!("{}{path}{room}", self.base), &self.token, body).await
    }
}

async fn post<R: Wire>(http: &reqwest::Client, url: &str, token: &str, message: &impl Wire) -> Result<R> {
    Ok(R::decode(&send(http, url, token, message.encode()).await?)?)
}

async fn send(http: &reqwest::Client, url: &str, token: &str, body: Vec<u8>) -> Result<Vec<u8>> {
    let mut request = http.post(url).header("content-type", MEDIA_TYPE).body(body);
    if !token.is_empty() {
        request = request.header("authorization", token);
    }
    let answer = request.send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?.to_vec());
    if status.is_success() {
        return Ok(body);
    }
    match ProblemDocument::from_json(&body) {
        Ok(document) => bail!("{url}: {}", document.problem.code()),
        Err(_) => bail!("{url}: {status}"),
    }
}

/// The bundle with another confirmation tag, in the commit and in the GroupInfo, which is signed anew.
fn spoilt(bundle: CommitBundle, identity: &Identity) -> Result<CommitBundle> {
    let tag = bundle.commit.confirmation_tag().context("a commit")?.to_vec();
    let flip = |octets: &[u8]| -> Result<(Vec<u8>, usize)> {
        let at = octets.windows(tag.len()).rposition(|window| window == tag).context("the tag")?;
        let mut octets = octets.to_vec();
        *octets.get_mut(at).context("the tag")? ^= 1;
        Ok((octets, at + tag.len()))
    };
    let commit = MlsMessage::decode(&flip(bundle.commit.as_bytes())?.0)?;
    // Behind the tag stand the signer's leaf index and the signature.
    let (mut info, end) = flip(bundle.group_info.as_bytes())?;
    info.truncate(end + 4);
    let mut signature = Writer::default();
    signature.vector(&sign_with_label(identity.signer(), "GroupInfoTBS", &info)?);
    info.extend(signature.into_octets());
    Ok(CommitBundle { commit, group_info: GroupInfo::decode(&info)?, ..bundle })
}
