//! The side that connects (draft-mahy-mimi-pseudonyms-00, section 3.1, second and third diagram).

use mimi_mls::{Room, VerifiedKeyPackage, Wanted};
use mimi_pseudonym::{ClaimName, Domain, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::RoomState;
use mimi_wire::{
    IdentifierRequest, IdentifierResponse, KeyMaterialResponse, KeyMaterialUserCode, KeyPackage, QueryElement,
    SearchField,
    local::{Accepted, LocalIdentifierQuery},
};
use serde::{Deserialize, Serialize};

use crate::{
    Call, Consent, Context, Device, Event, FailureReason, FlowId, Request,
    device::Flow,
    say::{Submitted, submitted},
    steps::{Committed, add_participant},
};

mod requests;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Connect {
    step: Step,
    /// The pseudonym of the temporary room.
    first: UserUri,
    /// The pseudonym to answer to.
    second: UserUri,
    room: RoomUri,
    handle: String,
    domain: Domain,
    disclose: Vec<ClaimName>,
    note: String,
    target: Option<UserUri>,
    /// KeyPackages for the step at hand.
    key_packages: Vec<Vec<u8>>,
    destroy_at: Option<Timestamp>,
    /// When the last of the KeyPackages that were given expires: nobody can answer after that.
    expires_at: Option<Timestamp>,
    /// The application has been told that the flow has ended: what follows is putting things away.
    ended: bool,
    /// Waits for the room to reach another epoch.
    blocked: bool,
    /// The KeyPackages that were given have ended, and the temporary room goes; an answer may still come, by way of consent.
    late: bool,
    /// When an answer to a request for consent is waited for no longer.
    consent_until: Option<Timestamp>,
    /// Consent has been asked for once.
    asked: bool,
    /// How often fresh KeyPackages were given.
    given: u8,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum Step {
    CreateRoom,
    ClaimClients,
    AddClients,
    Search,
    FetchKeyPackages,
    AskConsent,
    AddTarget,
    ClaimOffer,
    Disclose,
    Waiting,
    Lingering,
    Removing,
    Destroying,
    Late,
}

/// How often fresh KeyPackages are given in one flow.
const GIVEN_MAX: u8 = 4;

impl Connect {
    pub(crate) fn new(
        first: UserUri,
        second: UserUri,
        room: RoomUri,
        (handle, domain): (String, Domain),
        disclose: Vec<ClaimName>,
        note: String,
    ) -> Self {
        Self {
            step: Step::CreateRoom,
            first,
            second,
            room,
            handle,
            domain,
            disclose,
            note,
            target: None,
            key_packages: Vec::new(),
            destroy_at: None,
            expires_at: None,
            ended: false,
            blocked: false,
            late: false,
            consent_until: None,
            asked: false,
            given: 0,
        }
    }

    /// Whether the flow waits for someone to answer to this pseudonym. They may do so before the hub's answer to the
    /// disclosure is here.
    pub(crate) fn awaits(&self, pseudonym: &UserUri) -> bool {
        let waits = matches!(self.step, Step::Disclose | Step::Waiting) || self.late;
        waits && self.second == *pseudonym
    }

    /// Whether it is about a user of this provider.
    pub(crate) fn is_to(&self, domain: &Domain) -> bool {
        self.domain == *domain
    }

    /// Whether fresh KeyPackages may be given once more. Bob asks once, and again if something of his ended early; whoever asks
    /// more often is up to something else.
    pub(crate) fn gives(&mut self) -> bool {
        self.given = self.given.saturating_add(1);
        self.given <= GIVEN_MAX
    }

    pub(crate) fn is_late(&self) -> bool {
        self.late
    }

    /// What it waits for someone to consent to.
    pub(crate) fn needs_consent(&self) -> Option<Consent> {
        let target = self.target.clone().filter(|_| self.step == Step::AskConsent)?;
        Some(Consent { requester: self.first.clone(), target, room: Some(self.room.clone()) })
    }

    pub(crate) fn has_consent(&mut self) {
        self.step = Step::FetchKeyPackages;
        self.consent_until = None;
    }

    /// Whether someone may still answer to this pseudonym.
    pub(crate) fn offers(&self, pseudonym: &UserUri) -> bool {
        (!self.is_leaving() || self.late) && self.second == *pseudonym
    }

    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.step {
            Step::CreateRoom => matches!(call, Call::CreateRoom),
            Step::ClaimClients | Step::ClaimOffer => matches!(call, Call::ClaimOwn),
            Step::AddClients | Step::AddTarget | Step::Removing => matches!(call, Call::Update(_)),
            Step::Search => matches!(call, Call::IdentifierQuery),
            Step::FetchKeyPackages => matches!(call, Call::KeyMaterial),
            Step::Disclose => matches!(call, Call::SubmitMessage(_)),
            Step::Destroying => matches!(call, Call::DestroyRoom(_)),
            Step::AskConsent => matches!(call, Call::Consent),
            Step::Waiting | Step::Lingering | Step::Late => false,
        }
    }

    pub(crate) fn is_timed(&self) -> bool {
        matches!(self.step, Step::Waiting | Step::Lingering | Step::AskConsent | Step::Late)
    }

    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the flow needs the temporary room to reach its aim.
    pub(crate) fn needs_room(&self) -> bool {
        !matches!(self.step, Step::Waiting | Step::Lingering | Step::Removing | Step::Destroying | Step::Late)
    }

    /// Whether it has nothing left to do but to end the temporary room.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.step, Step::Lingering | Step::Removing | Step::Destroying)
    }

    /// What remains to be done when the flow has failed: to remove everyone from the temporary room. `None` where that
    /// is what failed.
    pub(crate) fn ending(&self) -> Option<Self> {
        let retry = matches!(self.step, Step::Removing | Step::Destroying);
        (!retry).then(|| Self { step: Step::Removing, ended: true, blocked: false, ..self.clone() })
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let unblocked = self.blocked && self.room == *room;
        self.blocked &= !unblocked;
        unblocked
    }
}

impl Device {
    /// Does what the step wants done.
    pub(crate) fn connect_step(
        &mut self,
        id: FlowId,
        mut flow: Box<Connect>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        if flow.is_leaving() && !self.rooms.contains_key(&flow.room) {
            self.connect_over(id, flow, cx);
            return Ok(());
        }
        match flow.step {
            Step::CreateRoom => {
                let identity = self.wallet.identity(&flow.first).ok_or(FailureReason::Internal)?;
                let state = RoomState::connection(flow.room.clone(), flow.first.clone());
                let state = state.map_err(|_| FailureReason::Internal)?;
                let (room, first) =
                    Room::create(identity, state, &self.profile.hub, cx.now).map_err(|_| FailureReason::Internal)?;
                self.rooms.insert(flow.room.clone(), room);
                self.send_create_room(id, &flow.room, first);
            }
            Step::ClaimClients => {
                let own = self.wallet.identity(&flow.first).map(|identity| identity.client().clone());
                self.send_claim_own(id, &flow.first, own);
            }
            Step::AddClients => {
                let add = self.verified(read(&flow.key_packages), &flow.first, cx)?;
                self.send_commit(id, &flow.room, Wanted { add, ..Wanted::default() })?;
            }
            Step::Search => {
                let element = QueryElement { field: SearchField::Handle, value: flow.handle.clone() };
                let request = IdentifierRequest { elements: vec![element], extensions: Default::default() };
                let body = LocalIdentifierQuery { domain: flow.domain.clone(), request }.encode();
                self.request(Request { call: Call::IdentifierQuery, body }, Some(id));
            }
            Step::FetchKeyPackages => {
                let body = self.key_material(&flow)?.encode();
                self.request(Request { call: Call::KeyMaterial, body }, Some(id));
            }
            Step::AskConsent => match flow.consent_until {
                Some(until) if until <= cx.now => return Err(FailureReason::NoConsent),
                Some(until) => self.wake(until, id),
                None => {
                    let until = cx.now.after(self.profile.delays.consent_wait);
                    flow.consent_until = Some(until);
                    let consent = flow.needs_consent().ok_or(FailureReason::Internal)?;
                    self.ask_consent(id, &consent);
                    self.wake(until, id);
                }
            },
            Step::AddTarget => {
                let target = flow.target.clone().ok_or(FailureReason::Internal)?;
                let add = self.verified(read(&flow.key_packages), &target, cx)?;
                let updates = vec![add_participant(&target, RoomState::RECIPIENT)];
                self.send_commit(id, &flow.room, Wanted { updates, add, ..Wanted::default() })?;
            }
            Step::ClaimOffer => self.send_claim_own(id, &flow.second, None),
            Step::Disclose => {
                let request = self.disclosure(&flow, cx)?;
                self.request(request, Some(id));
            }
            Step::Lingering => match flow.destroy_at {
                Some(at) if at <= cx.now => {
                    flow.step = Step::Removing;
                    return self.connect_step(id, flow, cx);
                }
                Some(at) => self.wake(at, id),
                None => return Err(FailureReason::Internal),
            },
            Step::Removing => {
                let wanted = self.everyone_else(&flow.room).ok_or(FailureReason::Internal)?;
                if wanted.remove.is_empty() && wanted.updates.is_empty() {
                    flow.step = Step::Destroying;
                    return self.connect_step(id, flow, cx);
                }
                self.send_commit(id, &flow.room, wanted)?;
            }
            Step::Destroying => {
                self.request(Request { call: Call::DestroyRoom(flow.room.clone()), body: Vec::new() }, Some(id));
            }
            Step::Waiting => match flow.expires_at {
                Some(at) if at <= cx.now => {
                    flow.step = Step::Removing;
                    flow.late = true;
                    return self.connect_step(id, flow, cx);
                }
                Some(at) => self.wake(at, id),
                None => {}
            },
            Step::Late => {
                let until = flow.expires_at.unwrap_or(cx.now).after(self.profile.delays.late_answer);
                if until <= cx.now {
                    self.forget_timers(id);
                    self.wallet.retire(&flow.second);
                    self.tell(Event::Failed { flow: id, reason: FailureReason::KeyPackageExpired });
                    return Ok(());
                }
                self.wake(until, id);
            }
        }
        self.flows.insert(id, Flow::Connect(flow));
        Ok(())
    }

    pub(crate) fn connect_answered(
        &mut self,
        id: FlowId,
        mut flow: Box<Connect>,
        call: &Call,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: call.name().to_owned() };
        flow.step = match flow.step {
            Step::CreateRoom => {
                Accepted::decode(body).map_err(|_| answer())?;
                Step::ClaimClients
            }
            Step::ClaimClients => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                match self.usable(response, &flow.first, cx) {
                    Ok(usable) => {
                        flow.key_packages = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                        Step::AddClients
                    }
                    // No other device has anything to offer: the room begins with this one.
                    Err(_) => Step::Search,
                }
            }
            step @ (Step::AddClients | Step::AddTarget | Step::Removing) => {
                match self.committed(&flow.room, body, cx)? {
                    Committed::Accepted => match step {
                        Step::AddClients => Step::Search,
                        Step::AddTarget => Step::ClaimOffer,
                        _ => Step::Destroying,
                    },
                    Committed::Again => step,
                    Committed::Wait => {
                        flow.blocked = true;
                        self.flows.insert(id, Flow::Connect(flow));
                        return Ok(());
                    }
                }
            }
            Step::Search => {
                let response = IdentifierResponse::decode(body).map_err(|_| answer())?;
                let found = response.uris.iter().chain(response.profiles.iter().map(|profile| &profile.stable_uri));
                let mut found: Vec<_> = found.filter(|user| *user.domain() == flow.domain).cloned().collect();
                found.sort();
                found.dedup();
                let [target] = <[UserUri; 1]>::try_from(found).map_err(|_| FailureReason::NotFound)?;
                // Nobody connects with themselves.
                if target == self.profile.user {
                    return Err(FailureReason::NotFound);
                }
                flow.target = Some(target);
                Step::FetchKeyPackages
            }
            Step::FetchKeyPackages => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let target = flow.target.clone().ok_or(FailureReason::Internal)?;
                let refused = matches!(
                    response.status(),
                    KeyMaterialUserCode::NoConsent | KeyMaterialUserCode::NoConsentForThisRoom
                );
                if refused && !flow.asked {
                    (flow.step, flow.asked) = (Step::AskConsent, true);
                    return self.connect_step(id, flow, cx);
                }
                if refused {
                    return Err(FailureReason::NoConsent);
                }
                let usable = self.usable(response, &target, cx)?;
                flow.key_packages = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                Step::AddTarget
            }
            Step::ClaimOffer => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let usable = self.usable(response, &flow.second, cx)?;
                flow.expires_at = usable.iter().map(VerifiedKeyPackage::not_after).max();
                flow.key_packages = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                Step::Disclose
            }
            Step::Disclose => match submitted(body)? {
                Submitted::Accepted => Step::Waiting,
                Submitted::Late { current } if self.is_behind(&flow.room, current) => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Connect(flow));
                    return Ok(());
                }
                Submitted::Late { .. } => Step::Disclose,
            },
            Step::Destroying => {
                if let Some(room) = self.rooms.remove(&flow.room) {
                    self.retire(&room);
                }
                self.connect_over(id, flow, cx);
                return Ok(());
            }
            // The request is on its way; what comes of it comes into the inbox.
            Step::AskConsent => Step::AskConsent,
            Step::Waiting | Step::Lingering | Step::Late => return Err(FailureReason::Internal),
        };
        if flow.step == Step::Waiting {
            flow.key_packages.clear();
        }
        self.connect_step(id, flow, cx)
    }

    /// Someone has answered to the second pseudonym: the temporary room has done its work, and goes later.
    pub(crate) fn connect_answered_by_peer(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let Some(Flow::Connect(flow)) = self.flows.get_mut(&id) else { return };
        if flow.late {
            // The temporary room is gone, or is about to go.
            flow.late = false;
            if flow.step == Step::Late {
                self.flows.remove(&id);
                self.forget_timers(id);
            }
            return;
        }
        flow.step = Step::Lingering;
        flow.blocked = false;
        flow.key_packages.clear();
        flow.destroy_at = Some(cx.now.after(self.profile.delays.destroy(cx.entropy)));
        self.forget_timers(id);
        self.advance(id, cx);
    }

    /// The temporary room is no more.
    pub(crate) fn connect_over(&mut self, id: FlowId, mut flow: Box<Connect>, cx: &mut Context<'_>) {
        self.forget_timers(id);
        if flow.late && !flow.ended {
            flow.step = Step::Late;
            self.flows.insert(id, Flow::Connect(flow));
            self.advance(id, cx);
        } else if !flow.ended {
            self.tell(Event::Closed { room: flow.room.clone() });
        }
    }
}

/// KeyPackages as they were kept.
fn read(key_packages: &[Vec<u8>]) -> impl Iterator<Item = KeyPackage> {
    key_packages.iter().filter_map(|octets| KeyPackage::decode(octets).ok())
}
