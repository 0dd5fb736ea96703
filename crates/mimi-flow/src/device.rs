use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use mimi_credential::TrustStore;
use mimi_mls::Room;
use mimi_pseudonym::{CipherSuite, ClientUri, DisclosureFormat, Entropy, RoomUri, Timestamp, UserUri};
use mimi_room::RoomState;
use mimi_wire::{ExternalSender, FrankingAgentData, Problem};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Call, Command, CommandError, Delays, Effect, Event, EventId, FailureReason, FlowId, PseudonymState,
    Request, RequestId,
    change::Change,
    connect::Connect,
    consent::{self, Consents},
    disclose::{Disclose, Disclosures},
    franking::Agent,
    keep::Keep,
    knocks::Knocked,
    leave::Leave,
    links::Links,
    lost::Lost,
    moderate::Destroy,
    moderators::Volunteer,
    open_rooms::Rooms,
    prepare::Prepare,
    respond::Respond,
    say::Say,
    visit::Visit,
    wallet::Wallet,
};

/// What a device is to its provider, learned when it was registered.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The account.
    pub user: UserUri,
    /// The device, as the account's client.
    pub client: ClientUri,
    /// The cipher suite it makes rooms and KeyPackages in.
    pub suite: CipherSuite,
    /// The external sender of its own provider as a hub, for this suite.
    pub hub: ExternalSender,
    /// Its franking agent, for this suite; none if it stamps no messages. The device learns of another one by itself.
    pub franking_agent: Option<FrankingAgentData>,
    /// How long things are made to wait.
    pub delays: Delays,
}

/// What every step needs from outside: the time, randomness, and whom to trust for which domain.
pub struct Context<'a> {
    /// The present.
    pub now: Timestamp,
    /// Where random octets come from.
    pub entropy: &'a mut dyn Entropy,
    /// The issuers that are trusted, each for its domains.
    pub trust: &'a TrustStore,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Flow {
    Prepare(Prepare),
    Connect(Box<Connect>),
    Respond(Box<Respond>),
    Say(Say),
    Disclose(Disclose),
    Change(Box<Change>),
    Destroy(Destroy),
    Knocked(Box<Knocked>),
    Volunteer(Volunteer),
    Keep(Keep),
    Consent(consent::Say),
    Visit(Box<Visit>),
    Leave(Leave),
    Links(Links),
    Lost(Lost),
}

pub(crate) struct Outstanding {
    pub(crate) request: Request,
    pub(crate) flow: Option<FlowId>,
}

/// One device of one account: its wallet, its rooms, its running flows. It does no I/O: facts go in through its
/// methods, effects come out of [`Device::poll`], and between any two calls it can be saved and restored.
pub struct Device {
    pub(crate) profile: Profile,
    pub(crate) agent: Agent,
    /// The format of the identity credentials that it asks for.
    pub(crate) format: DisclosureFormat,
    pub(crate) wallet: Wallet,
    pub(crate) rooms: Rooms,
    pub(crate) flows: BTreeMap<FlowId, Flow>,
    pub(crate) outstanding: BTreeMap<RequestId, Outstanding>,
    pub(crate) events: BTreeMap<EventId, Event>,
    pub(crate) timers: BTreeSet<(Timestamp, FlowId)>,
    /// The temporary rooms in which someone has asked to connect: nobody asks twice in one.
    pub(crate) asked_in: BTreeSet<RoomUri>,
    /// Those in knock rooms who have said what they had to say.
    pub(crate) knocked: BTreeMap<RoomUri, BTreeSet<UserUri>>,
    /// Knock rooms that others have made, each for a room that this device keeps order in.
    pub(crate) offered: BTreeMap<RoomUri, RoomUri>,
    pub(crate) consents: Consents,
    /// Commits that this device does not go along with, until the hub has gone back behind them.
    pub(crate) refused: BTreeMap<RoomUri, [u8; 32]>,
    pub(crate) disclosures: Disclosures,
    pub(crate) next: u64,
    /// What [`Device::poll`] has not handed out since the device was made or restored.
    pub(crate) queue: VecDeque<Queued>,
}

pub(crate) enum Queued {
    Send(RequestId),
    Tell(EventId),
    Wake(Timestamp),
}

impl Device {
    /// A device that has just been registered.
    pub fn new(profile: Profile) -> Self {
        Self {
            agent: Agent::new(profile.franking_agent.clone()),
            profile,
            format: DisclosureFormat::default(),
            wallet: Wallet::default(),
            rooms: Rooms::default(),
            flows: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            events: BTreeMap::new(),
            timers: BTreeSet::new(),
            asked_in: BTreeSet::new(),
            knocked: BTreeMap::new(),
            offered: BTreeMap::new(),
            consents: Consents::default(),
            refused: BTreeMap::new(),
            disclosures: Disclosures::default(),
            next: 1,
            queue: VecDeque::new(),
        }
    }

    /// What the device is to its provider.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The format of the identity credentials that it asks for.
    pub fn format(&self) -> DisclosureFormat {
        self.format
    }

    /// How many pseudonyms are fresh and this device's to choose.
    pub fn fresh_pseudonyms(&self) -> usize {
        self.wallet.fresh()
    }

    /// Where one of the account's pseudonyms stands; `None` if this device does not have it.
    pub fn pseudonym_state(&self, pseudonym: &UserUri) -> Option<PseudonymState> {
        self.wallet.state(pseudonym).filter(|_| pseudonym.is_pseudonym())
    }

    /// The rooms it is in, with their state. Reads all of them that have not been read.
    pub fn rooms(&self) -> impl Iterator<Item = (&RoomUri, &RoomState)> {
        self.rooms.iter().map(|(uri, room)| (uri, room.state()))
    }

    /// The users and clients in one of its rooms; empty if it is in no such room.
    pub fn clients(&self, room: &RoomUri) -> Vec<(UserUri, ClientUri)> {
        self.rooms.get(room).map(Room::clients).unwrap_or_default()
    }

    /// Under which name this device is in one of its rooms; none if it is in no such room.
    pub fn user_in(&self, room: &RoomUri) -> Option<&UserUri> {
        self.rooms.get(room).map(|room| room.identity().user())
    }

    /// Carries out a command. Returns the flow it begins, if it begins one.
    ///
    /// # Errors
    /// [`CommandError`]
    pub fn command(&mut self, command: Command, cx: &mut Context<'_>) -> Result<Option<FlowId>, CommandError> {
        let begun = self.carry_out(command, cx)?;
        self.restock(cx);
        self.renew_agent(cx);
        Ok(begun)
    }

    fn carry_out(&mut self, command: Command, cx: &mut Context<'_>) -> Result<Option<FlowId>, CommandError> {
        match command {
            Command::Publish { key_packages: count @ (0 | 1001..) }
            | Command::Prepare { pseudonyms: count @ (0 | 1001..) } => Err(CommandError::Count(count)),
            // A pseudonym that is nobody else is found by nobody.
            Command::Publish { .. } if self.profile.user.is_pseudonym() => Err(CommandError::NotAllowed),
            Command::Publish { key_packages } => Ok(Some(self.publish(key_packages, cx))),
            Command::Prepare { pseudonyms } => Ok(Some(self.prepare(pseudonyms, cx))),
            Command::Prefer { format } => {
                self.format = format;
                Ok(None)
            }
            Command::Connect { handle, domain, disclose, note } => {
                if note.len() > mimi_disclosure::Bundle::MAX_NOTE {
                    return Err(CommandError::NoteTooLong(note.len()));
                }
                let fresh = self.wallet.fresh();
                if fresh >= 2 && !self.wallet.discloses(&disclose, cx) {
                    return Err(CommandError::Disclosure);
                }
                match (fresh >= 2).then(|| (self.wallet.choose(), self.wallet.choose())) {
                    Some((Some(first), Some(second))) => {
                        let room = RoomUri::pseudonym(self.profile.user.domain(), cx.entropy.bits128());
                        let connect = Connect::new(first, second, room, (handle, domain), disclose, note);
                        Ok(Some(self.begin(Flow::Connect(Box::new(connect)), cx)))
                    }
                    _ => Err(CommandError::TooFewPseudonyms { wanted: 2, fresh }),
                }
            }
            Command::Accept { request, greeting } => self.accept(request, &greeting, cx).map(|()| Some(request)),
            Command::Decline { request } => self.decline(request).map(|()| None),
            Command::Disclose { room, claims } => {
                let flow = self.disclose(room.clone(), claims, cx)?;
                self.hasten(&room, cx);
                Ok(Some(flow))
            }
            Command::Send { room, content } => {
                let flow = self.say(room.clone(), content, cx)?;
                self.hasten(&room, cx);
                Ok(Some(flow))
            }
            Command::CreateRoom { room } => self.create_room(room, cx).map(Some),
            Command::CreateKnockRoom { target, disclosure } => self.create_knock_room(target, disclosure, cx).map(Some),
            Command::AdmitKnock { knock } => self.admit_knock(knock, cx).map(Some),
            Command::DeclineKnock { knock } => self.decline_knock(knock, cx).map(|()| None),
            Command::ModerateKnocks { room } => self.volunteer(room, cx).map(Some),
            Command::Moderate { room, user, action } => self.moderate(room, user, action, cx).map(Some),
            Command::RemoveClient { room, client } => self.remove_client(room, client, cx).map(Some),
            Command::TakeIdentity { pseudonym, identity } => {
                self.take_identity(&pseudonym, identity, cx).map(|()| None)
            }
            Command::RemoveDevice { client } => self.remove_device(client, cx).map(Some),
            Command::AddOwnClients { room } => self.add_own_clients(room, cx).map(Some),
            Command::DestroyRoom { room } => self.destroy(room, cx).map(Some),
            Command::CreateRoomAs { room, pseudonym } => self.create_room_as(room, &pseudonym, cx).map(Some),
            Command::RequestConsent { consent } => self.request_consent(consent).map(Some),
            Command::CancelConsent { consent } => self.cancel_consent(consent).map(Some),
            Command::GrantConsent { consent } => self.grant_consent(consent, cx).map(Some),
            Command::RevokeConsent { consent } => self.revoke_consent(consent).map(Some),
            Command::ConsentToConnections { allowed } => Ok(Some(self.consent_to_connections(allowed))),
            Command::CreateLink { room, role, uses, lifetime } => {
                self.create_link(room, role, uses, lifetime, cx).map(Some)
            }
            Command::ListLinks { room } => self.list_links(room).map(Some),
            Command::RevokeLink { room, code_hash } => self.revoke_link(room, code_hash).map(Some),
            Command::Look { link, as_account } => self.visit(&link, as_account, cx).map(Some),
            Command::JoinSeen { visit } => self.join_seen(visit, cx).map(|()| Some(visit)),
            Command::Knock { visit, disclose, note } => {
                self.knock_seen(visit, disclose, note, cx).map(|()| Some(visit))
            }
            Command::TurnAway { visit } => self.turn_away(visit).map(|()| None),
            Command::Leave { room } => self.leave(room, cx).map(Some),
            Command::ComeBack { room } => self.return_to(&room, cx).map(|()| None),
            Command::Report(report) => self.report_abuse(report).map(Some),
        }
    }

    /// Takes the provider's answer to a request. An answer to a request that is answered already, or whose flow no
    /// longer waits for it, does nothing.
    pub fn answer(&mut self, id: RequestId, answer: Answer, cx: &mut Context<'_>) {
        let Some(outstanding) = self.outstanding.remove(&id) else { return };
        let (call, flow) = (outstanding.request.call, outstanding.flow);
        let Some(answer) = self.franking_answered(&call, flow, answer, cx) else { return };
        let Some(flow) = flow else { return };
        if !self.flows.get(&flow).is_some_and(|flow| flow.expects(&call)) {
            return;
        }
        let remains = self.remains(flow);
        let outcome = match answer {
            Answer::Done(body) => self.answered(flow, &call, &body, cx),
            // What was to be destroyed is no more: an earlier request did it, and its answer was lost.
            Answer::Refused(Problem::UnknownRoom) if matches!(call, Call::DestroyRoom(_)) => {
                self.answered(flow, &call, &[], cx)
            }
            // What was to be ended is no more, likewise.
            Answer::Refused(Problem::ForeignUser) if call == Call::RemoveDevice => self.answered(flow, &call, &[], cx),
            Answer::Refused(Problem::OverQuota) => Err(FailureReason::OverQuota),
            Answer::Refused(problem) => {
                let problem = problem.code().to_owned();
                Err(FailureReason::Refused { call: call.name().to_owned(), problem })
            }
        };
        self.settle(flow, remains, outcome, cx);
        // Whoever waited for this device's own commit goes on, unless that has to be made again.
        if let Call::Update(room) = &call
            && !self.is_committing(room)
            && !self.flows.get(&flow).is_some_and(Flow::is_blocked)
        {
            self.moved(room, cx);
        }
    }

    fn answered(&mut self, id: FlowId, call: &Call, body: &[u8], cx: &mut Context<'_>) -> Result<(), FailureReason> {
        match self.flows.remove(&id) {
            Some(Flow::Prepare(flow)) => self.prepare_answered(id, flow, call, body, cx),
            Some(Flow::Connect(flow)) => self.connect_answered(id, flow, call, body, cx),
            Some(Flow::Respond(flow)) => self.respond_answered(id, flow, call, body, cx),
            Some(Flow::Say(flow)) => self.say_answered(id, flow, body, cx),
            Some(Flow::Disclose(flow)) => self.disclose_answered(id, flow, body, cx),
            Some(Flow::Change(flow)) => self.change_answered(id, flow, call, body, cx),
            Some(Flow::Destroy(flow)) => self.destroy_answered(&flow, cx),
            Some(Flow::Volunteer(flow)) => self.volunteer_answered(&flow, body, cx),
            Some(Flow::Consent(flow)) => self.consent_answered(id, flow, call, body, cx),
            Some(Flow::Visit(flow)) => self.visit_answered(id, flow, body, cx),
            Some(Flow::Leave(flow)) => self.leave_answered(id, flow, body),
            Some(Flow::Links(flow)) => self.links_answered(id, flow, body),
            Some(Flow::Lost(flow)) => self.lost_answered(id, flow, body, cx),
            Some(Flow::Knocked(_) | Flow::Keep(_)) => Err(FailureReason::Internal),
            None => Ok(()),
        }
    }

    /// Moves time on: carries out what has become due.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        self.wallet.forget_expired(cx.now);
        while let Some((due, flow)) = self.timers.first().copied() {
            if due > cx.now {
                self.queue.push_back(Queued::Wake(due));
                return;
            }
            self.timers.remove(&(due, flow));
            if self.flows.get(&flow).is_some_and(Flow::is_timed) {
                self.advance(flow, cx);
            }
        }
    }

    /// The application has been told of an event.
    pub fn told(&mut self, id: EventId) {
        self.events.remove(&id);
    }

    /// The next thing the device wants; `None` if there is nothing for now.
    pub fn poll(&mut self) -> Option<Effect> {
        loop {
            match self.queue.pop_front()? {
                Queued::Send(id) => {
                    if let Some(outstanding) = self.outstanding.get(&id) {
                        return Some(Effect::Send { id, request: outstanding.request.clone() });
                    }
                }
                Queued::Tell(id) => {
                    if let Some(event) = self.events.get(&id) {
                        return Some(Effect::Tell { id, event: event.clone() });
                    }
                }
                Queued::Wake(at) => return Some(Effect::WakeAt(at)),
            }
        }
    }

    pub(crate) fn begin(&mut self, flow: Flow, cx: &mut Context<'_>) -> FlowId {
        let id = FlowId(self.number());
        self.flows.insert(id, flow);
        self.advance(id, cx);
        id
    }

    /// Does what the flow's step wants done next.
    pub(crate) fn advance(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let remains = self.remains(id);
        let outcome = match self.flows.remove(&id) {
            Some(Flow::Connect(flow)) => self.connect_step(id, flow, cx),
            Some(Flow::Respond(flow)) => self.respond_step(id, flow, cx),
            Some(Flow::Say(flow)) => self.say_step(id, flow, cx),
            Some(Flow::Disclose(flow)) => self.disclose_step(id, flow, cx),
            Some(Flow::Change(flow)) => self.change_step(id, flow, cx),
            Some(Flow::Knocked(flow)) => self.knocked_step(id, flow, cx),
            Some(Flow::Volunteer(flow)) => self.volunteer_step(id, flow),
            Some(Flow::Keep(flow)) => self.keep_step(id, flow, cx),
            Some(Flow::Visit(flow)) => self.visit_step(id, flow, cx),
            Some(Flow::Leave(flow)) => self.leave_step(id, flow),
            Some(flow @ (Flow::Prepare(_) | Flow::Destroy(_) | Flow::Consent(_) | Flow::Links(_) | Flow::Lost(_))) => {
                self.flows.insert(id, flow);
                Ok(())
            }
            None => Ok(()),
        };
        self.settle(id, remains, outcome, cx);
    }

    pub(crate) fn request(&mut self, request: Request, flow: Option<FlowId>) {
        let id = RequestId(self.number());
        self.outstanding.insert(id, Outstanding { request, flow });
        self.queue.push_back(Queued::Send(id));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let id = EventId(self.number());
        self.events.insert(id, event);
        self.queue.push_back(Queued::Tell(id));
    }

    pub(crate) fn wake(&mut self, at: Timestamp, flow: FlowId) {
        self.timers.insert((at, flow));
        self.queue.push_back(Queued::Wake(at));
    }

    /// The number of the flow that begins next.
    pub(crate) fn upcoming(&self) -> FlowId {
        FlowId(self.next)
    }

    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("wallet", &self.wallet)
            .field("rooms", &self.rooms.len())
            .field("flows", &self.flows.len())
            .finish_non_exhaustive()
    }
}
