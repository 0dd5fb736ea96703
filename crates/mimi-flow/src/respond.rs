//! The side that is asked to connect (draft-mahy-mimi-pseudonyms-00, section 3.1, third diagram).

use mimi_credential::TrustStore;
use mimi_disclosure::{Bundle, DisclosurePolicy, UnverifiedPresentation};
use mimi_mls::{Room, Wanted};
use mimi_pseudonym::{Content, MessageContext, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::RoomState;
use mimi_wire::{KeyMaterialResponse, KeyPackage, local::Accepted};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Consent, Context, Device, Event, FailureReason, FlowId, Request, Verified,
    device::Flow,
    ending::Remains,
    say::{Submitted, sealed, submitted},
    steps::{Committed, add_participant},
};

/// How many requests to connect wait for a decision at most.
const MAX_WAITING: usize = 256;

#[derive(Serialize, Deserialize)]
pub(crate) struct Respond {
    step: Step,
    /// The pseudonym to answer to.
    reply_to: UserUri,
    /// KeyPackages for it.
    offered: Vec<Vec<u8>>,
    from: Verified,
    /// What was chosen when the request was accepted.
    answer: Option<Chosen>,
    /// KeyPackages of the account's own other devices.
    own: Vec<Vec<u8>>,
    blocked: bool,
    /// When an answer to a request for consent is waited for no longer.
    consent_until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Chosen {
    pseudonym: UserUri,
    room: RoomUri,
    media_type: String,
    greeting: Vec<u8>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum Step {
    Asked,
    /// The KeyPackages that were given have ended: fresh ones are asked for.
    AskConsent,
    CreateRoom,
    ClaimClients,
    /// Consent came without KeyPackages.
    Fetch,
    AddEveryone,
    Greet,
}

impl Respond {
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let ours = self.answer.as_ref().is_some_and(|chosen| chosen.room == *room);
        let unblocked = self.blocked && ours;
        self.blocked &= !unblocked;
        unblocked
    }

    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.step {
            Step::Asked => false,
            Step::AskConsent => matches!(call, Call::Consent),
            Step::Fetch => matches!(call, Call::KeyMaterial),
            Step::CreateRoom => matches!(call, Call::CreateRoom),
            Step::ClaimClients => matches!(call, Call::ClaimOwn),
            Step::AddEveryone => matches!(call, Call::Update(_)),
            Step::Greet => matches!(call, Call::SubmitMessage(_)),
        }
    }

    /// Whether the flow's step is one that time ends.
    pub(crate) fn is_timed(&self) -> bool {
        self.step == Step::AskConsent
    }

    /// What it waits for the other side to consent to.
    pub(crate) fn needs_consent(&self) -> Option<Consent> {
        let chosen = self.answer.as_ref().filter(|_| self.step == Step::AskConsent)?;
        let (requester, target) = (chosen.pseudonym.clone(), self.reply_to.clone());
        Some(Consent { requester, target, room: Some(chosen.room.clone()) })
    }

    /// Consent is here, perhaps with KeyPackages.
    pub(crate) fn has_consent(&mut self, key_packages: &[KeyPackage]) {
        self.offered = key_packages.iter().map(Wire::encode).collect();
        self.step = Step::CreateRoom;
        self.consent_until = None;
    }

    /// The room of the answer.
    pub(crate) fn room(&self) -> Option<&RoomUri> {
        self.answer.as_ref().map(|chosen| &chosen.room)
    }

    /// The verified other side, if this is the pseudonym to answer to.
    pub(crate) fn asked_by(&self, pseudonym: &UserUri) -> Option<&Verified> {
        (self.reply_to == *pseudonym).then_some(&self.from)
    }

    /// Whether nobody but this device and its provider knows of the answer yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.step, Step::Asked | Step::AskConsent | Step::CreateRoom | Step::ClaimClients | Step::Fetch)
    }
}

impl Device {
    /// A bundle came in a connection room. The application is told if, and only if, everything in it verifies.
    pub(crate) fn asked(&mut self, content: &Content, context: &MessageContext, cx: &mut Context<'_>) -> Option<()> {
        let bundle = Bundle::try_from(content).ok()?;
        let reply_to = bundle.reply_to()?.clone();
        // A second pseudonym is worth nothing if it is the first, or another provider's.
        if reply_to == *context.sender()
            || reply_to.domain() != context.sender().domain()
            || self.wallet.holds(&reply_to)
            || self.asked_in.contains(context.room())
            || self.rooms.meets(&reply_to)
        {
            return None;
        }
        let from = verify_all(bundle.presentations(), context, cx)?;
        let known = |flow: &Flow| matches!(flow, Flow::Respond(flow) if flow.reply_to == reply_to);
        if self.flows.values().any(known) {
            return None;
        }
        let note = bundle.note().to_owned();
        let flow = Respond {
            step: Step::Asked,
            reply_to,
            offered: bundle.key_packages().to_vec(),
            from: from.clone(),
            answer: None,
            own: Vec::new(),
            blocked: false,
            consent_until: None,
        };
        self.asked_in.insert(context.room().clone());
        self.forget_oldest_request();
        let id = self.begin(Flow::Respond(Box::new(flow)), cx);
        self.tell(Event::ConnectionRequested { request: id, from, note });
        Some(())
    }

    /// Strangers cannot fill the device: where too many requests wait, the oldest one goes.
    fn forget_oldest_request(&mut self) {
        let waits = |flow: &Flow| matches!(flow, Flow::Respond(flow) if flow.step == Step::Asked);
        let waiting: Vec<_> = self.flows.iter().filter(|(_, flow)| waits(flow)).map(|(id, _)| *id).collect();
        if waiting.len() >= MAX_WAITING {
            let oldest = waiting.first().copied();
            self.flows.retain(|id, _| Some(*id) != oldest);
            let of =
                |event: &Event| matches!(event, Event::ConnectionRequested { request, .. } if Some(*request) == oldest);
            self.events.retain(|_, event| !of(event));
        }
    }

    pub(crate) fn accept(&mut self, id: FlowId, greeting: &Content, cx: &mut Context<'_>) -> Result<(), CommandError> {
        let Some(Flow::Respond(flow)) = self.flows.get(&id) else { return Err(CommandError::NoSuchRequest) };
        if flow.step != Step::Asked {
            return Err(CommandError::NoSuchRequest);
        }
        if self.wallet.fresh() == 0 {
            return Err(CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 });
        }
        // Looked at before anything is chosen or made: where KeyPackages have ended meanwhile, fresh ones are asked for.
        let step = match self.verified(read(&flow.offered), &flow.reply_to, cx) {
            Ok(_) => Step::CreateRoom,
            Err(FailureReason::KeyPackageExpired) => Step::AskConsent,
            Err(reason) => {
                self.settle(id, Remains::Nothing, Err(reason), cx);
                return Ok(());
            }
        };
        let pseudonym = self.wallet.choose().ok_or(CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 })?;
        let room = RoomUri::pseudonym(self.profile.user.domain(), cx.entropy.bits128());
        if let Some(Flow::Respond(flow)) = self.flows.get_mut(&id) {
            let Content { media_type, body } = greeting.clone();
            flow.answer = Some(Chosen { pseudonym, room, media_type, greeting: body });
            flow.step = step;
        }
        self.advance(id, cx);
        Ok(())
    }

    pub(crate) fn decline(&mut self, id: FlowId) -> Result<(), CommandError> {
        match self.flows.get(&id) {
            Some(Flow::Respond(flow)) if flow.step == Step::Asked => {
                self.flows.remove(&id);
                Ok(())
            }
            _ => Err(CommandError::NoSuchRequest),
        }
    }

    pub(crate) fn respond_step(
        &mut self,
        id: FlowId,
        mut flow: Box<Respond>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let needed = flow.needs_consent();
        let chosen = match (&flow.answer, flow.step) {
            (_, Step::Asked) => {
                self.flows.insert(id, Flow::Respond(flow));
                return Ok(());
            }
            (Some(chosen), _) => chosen,
            (None, _) => return Err(FailureReason::Internal),
        };
        match flow.step {
            Step::Asked => {}
            Step::AskConsent => {
                let until = flow.consent_until.unwrap_or_else(|| cx.now.after(self.profile.delays.consent_wait));
                if until <= cx.now {
                    return Err(FailureReason::NoConsent);
                }
                if flow.consent_until.replace(until).is_none() {
                    self.ask_consent(id, &needed.ok_or(FailureReason::Internal)?);
                }
                self.wake(until, id);
            }
            // Consent was asked for in the middle of it.
            Step::CreateRoom if self.rooms.contains_key(&chosen.room) => {
                flow.step = if flow.offered.is_empty() { Step::Fetch } else { Step::AddEveryone };
                return self.respond_step(id, flow, cx);
            }
            Step::Fetch => {
                let request = self.key_material_for(&chosen.pseudonym, &flow.reply_to, &chosen.room)?;
                self.request(Request { call: Call::KeyMaterial, body: request.encode() }, Some(id));
            }
            Step::CreateRoom => {
                let identity = self.wallet.identity(&chosen.pseudonym).ok_or(FailureReason::Internal)?;
                let state = RoomState::private(chosen.room.clone(), chosen.pseudonym.clone());
                let state = self.with_agent(state.map_err(|_| FailureReason::Internal)?)?;
                let (room, first) =
                    Room::create(identity, state, &self.profile.hub, cx.now).map_err(|_| FailureReason::Internal)?;
                self.rooms.insert(chosen.room.clone(), room);
                self.send_create_room(id, &chosen.room, first);
            }
            Step::ClaimClients => {
                let own = self.wallet.identity(&chosen.pseudonym).map(|identity| identity.client().clone());
                self.send_claim_own(id, &chosen.pseudonym, own);
            }
            Step::AddEveryone => {
                let add = self.verified(read(&flow.offered), &flow.reply_to, cx);
                if matches!(add, Err(FailureReason::KeyPackageExpired)) {
                    flow.step = Step::AskConsent;
                    return self.respond_step(id, flow, cx);
                }
                let mut add = add?;
                add.extend(self.verified(read(&flow.own), &chosen.pseudonym, cx).unwrap_or_default());
                let updates = vec![add_participant(&flow.reply_to, RoomState::PARTICIPANT)];
                self.send_commit(id, &chosen.room, Wanted { updates, add, ..Wanted::default() })?;
            }
            Step::Greet => {
                let content = Content { media_type: chosen.media_type.clone(), body: chosen.greeting.clone() };
                let room = self.rooms.get_mut(&chosen.room).ok_or(FailureReason::Internal)?;
                let request = sealed(room, &content, cx.entropy).ok_or(FailureReason::NotAllowed)?;
                self.request(request, Some(id));
            }
        }
        self.flows.insert(id, Flow::Respond(flow));
        Ok(())
    }

    pub(crate) fn respond_answered(
        &mut self,
        id: FlowId,
        mut flow: Box<Respond>,
        call: &Call,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: call.name().to_owned() };
        let chosen = flow.answer.as_ref().ok_or(FailureReason::Internal)?;
        flow.step = match flow.step {
            Step::Asked => return Err(FailureReason::Internal),
            // The request is on its way; what comes of it comes into the inbox.
            Step::AskConsent => Step::AskConsent,
            Step::Fetch => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let usable = self.usable(response, &flow.reply_to, cx)?;
                flow.offered = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                Step::AddEveryone
            }
            Step::CreateRoom => {
                Accepted::decode(body).map_err(|_| answer())?;
                Step::ClaimClients
            }
            Step::ClaimClients => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let usable = self.usable(response, &chosen.pseudonym, cx).unwrap_or_default();
                flow.own = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                if flow.offered.is_empty() { Step::Fetch } else { Step::AddEveryone }
            }
            Step::AddEveryone => match self.committed(&chosen.room, body, cx)? {
                Committed::Accepted => {
                    let (room, peer) = (chosen.room.clone(), flow.reply_to.clone());
                    self.tell(Event::Connected { room, peer, known_as: Some(flow.from.clone()) });
                    Step::Greet
                }
                Committed::Again => Step::AddEveryone,
                Committed::Wait => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Respond(flow));
                    return Ok(());
                }
            },
            Step::Greet => match submitted(body)? {
                Submitted::Accepted => return Ok(()),
                Submitted::Late { current } if self.is_behind(&chosen.room, current) => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Respond(flow));
                    return Ok(());
                }
                Submitted::Late { .. } => Step::Greet,
            },
        };
        self.respond_step(id, flow, cx)
    }
}

/// Verifies every presentation by what the room wants to know, and by the issuers that it names.
pub(crate) fn verify_in(
    room: &RoomState,
    presentations: &[Content],
    context: &MessageContext,
    cx: &Context<'_>,
) -> Option<Verified> {
    let policy = room.identity_policy().disclosure;
    match room.trust_anchors() {
        Some(anchors) => verify(presentations, context, &policy, &cx.trust.for_room(anchors), cx.now),
        None => verify(presentations, context, &policy, cx.trust, cx.now),
    }
}

/// Verifies every presentation by what a connection needs.
pub(crate) fn verify_all(presentations: &[Content], context: &MessageContext, cx: &Context<'_>) -> Option<Verified> {
    verify(presentations, context, &DisclosurePolicy::connection(), cx.trust, cx.now)
}

/// There has to be a presentation, and if there are several, they have to be about one user.
fn verify(
    presentations: &[Content],
    context: &MessageContext,
    policy: &DisclosurePolicy,
    trust: &TrustStore,
    now: Timestamp,
) -> Option<Verified> {
    let mut verified: Option<Verified> = None;
    for presentation in presentations {
        let presentation = UnverifiedPresentation::try_from(presentation).ok()?;
        let disclosure = presentation.verify(context, policy, trust, now).ok()?;
        let next = Verified { claims: disclosure.claims().clone(), issuer: disclosure.issuer_domain().clone() };
        match &verified {
            Some(first) if *first != next => return None,
            _ => verified = Some(next),
        }
    }
    verified
}

fn read(key_packages: &[Vec<u8>]) -> impl Iterator<Item = KeyPackage> {
    key_packages.iter().filter_map(|octets| KeyPackage::decode(octets).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delays, Profile};
    use mimi_pseudonym::{CipherSuite, Claims};
    use mimi_wire::{Credential, ExternalSender};

    #[test]
    fn the_oldest_of_too_many_requests_goes() {
        let domain: mimi_pseudonym::Domain = "a.example".parse().unwrap();
        let mut device = Device::new(Profile {
            user: "mimi://b.example/u/bob".parse().unwrap(),
            client: "mimi://b.example/d/1".parse().unwrap(),
            suite: CipherSuite::X25519Aes128Ed25519,
            hub: ExternalSender { signature_key: vec![7; 32], credential: Credential::basic(b"b.example") },
            franking_agent: None,
            delays: Delays::default(),
        });
        for number in 0..300_u16 {
            let [high, low] = number.to_be_bytes();
            let mut bits = [0; 16];
            (bits[0], bits[1]) = (high, low);
            let from = Verified { claims: Claims::default(), issuer: domain.clone() };
            let flow = Respond {
                step: Step::Asked,
                reply_to: UserUri::pseudonym(&domain, bits),
                offered: Vec::new(),
                from: from.clone(),
                answer: None,
                own: Vec::new(),
                blocked: false,
                consent_until: None,
            };
            device.forget_oldest_request();
            let request = FlowId(u64::from(number) + 1);
            device.flows.insert(request, Flow::Respond(Box::new(flow)));
            device.tell(Event::ConnectionRequested { request, from, note: String::new() });
        }
        assert_eq!(device.flows.len(), MAX_WAITING);
        assert_eq!(device.flows.keys().next(), Some(&FlowId(45)));
        assert_eq!(device.events.len(), MAX_WAITING);
        assert_eq!(device.decline(FlowId(44)), Err(CommandError::NoSuchRequest));
        assert_eq!(device.decline(FlowId(45)), Ok(()));
    }
}
