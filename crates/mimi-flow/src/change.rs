//! A change of a room: one commit, made again until it is accepted or there is nothing left to do.

use mimi_mls::{Room, Wanted};
use mimi_pseudonym::{ClientUri, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::{Actor, ClientRef, How, KeyPackagePurpose, RoomState};
use mimi_wire::{KeyMaterialResponse, KeyPackage, local::Accepted};
use serde::{Deserialize, Serialize};

use crate::{
    Action, Call, CommandError, Context, Device, Event, FailureReason, FlowId,
    device::Flow,
    knocks::Decision,
    lost::Expulsion,
    moderate::{client_of, moderation},
    steps::{Committed, add_participant},
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Change {
    step: Step,
    room: RoomUri,
    what: What,
    /// KeyPackages to add, as they came.
    key_packages: Vec<Vec<u8>>,
    then: Then,
    /// Waits for the room to reach another epoch, or for a commit of another flow.
    blocked: bool,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The room is about to be made.
    Create,
    /// KeyPackages of the account's other devices are asked for.
    Claim,
    /// Others may do the same: whoever is first has done it.
    Pause(Timestamp),
    Commit,
}

/// What is to be changed. The commit is made of the room as it is then.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum What {
    /// The account's other devices come in.
    AddOwn,
    /// A user comes in with all its clients.
    Add { user: UserUri, role: u32 },
    /// A participant's rights change.
    Moderate { user: UserUri, action: Action },
    /// A client goes.
    Remove { client: ClientUri },
    /// What others have proposed.
    Proposed,
    /// Nothing, where the room has gone back to this epoch and nobody has taken it further yet.
    Afresh { epoch: u64 },
    /// Everybody goes but this client: the hub tells nobody else that a room is no more.
    Empty,
}

/// What follows when it is done.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum Then {
    Nothing,
    Tell(Event),
    /// The room is made: a knock room is offered to those who keep order in its target.
    Offer(RoomUri),
    /// Nobody else is in the room: the hub may forget it.
    Destroy,
    /// Someone who has knocked is in: the other moderators are told.
    Decide(Decision),
    /// A lost device is not in this room any more.
    Expelled(Expulsion),
}

impl Change {
    /// A change that begins with its commit.
    pub(crate) fn new(room: RoomUri, what: What, then: Then) -> Self {
        Self { step: Step::Commit, room, what, key_packages: Vec::new(), then, blocked: false }
    }

    /// Adds a user with these KeyPackages.
    pub(crate) fn add(room: RoomUri, (user, role): (UserUri, u32), key_packages: Vec<Vec<u8>>, then: Then) -> Self {
        Self { key_packages, ..Self::new(room, What::Add { user, role }, then) }
    }

    /// Brings the account's other devices in.
    pub(crate) fn own_clients(room: RoomUri, then: Then) -> Self {
        Self { step: Step::Claim, ..Self::new(room, What::AddOwn, then) }
    }

    /// The same in a room that is about to be made.
    pub(crate) fn found(room: RoomUri, then: Then) -> Self {
        Self { step: Step::Create, ..Self::new(room, What::AddOwn, then) }
    }

    /// The same change at a later time, if nobody else has made it by then.
    pub(crate) fn after(self, until: Timestamp) -> Self {
        Self { step: Step::Pause(until), ..self }
    }

    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.step {
            Step::Create => matches!(call, Call::CreateRoom),
            Step::Claim => matches!(call, Call::ClaimOwn),
            Step::Pause(_) => false,
            Step::Commit => matches!(call, Call::Update(_)),
        }
    }

    pub(crate) fn is_timed(&self) -> bool {
        matches!(self.step, Step::Pause(_))
    }

    /// Whether it commits what others have proposed.
    pub(crate) fn is_for_others(&self) -> bool {
        matches!(self.what, What::Proposed)
    }

    /// Whether it makes a room that nobody else is in yet.
    pub(crate) fn is_founding(&self) -> bool {
        self.step == Step::Create
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    /// The lost device that it removes.
    pub(crate) fn expels(&self) -> Option<Expulsion> {
        match &self.then {
            Then::Expelled(expulsion) => Some(expulsion.clone()),
            _ => None,
        }
    }

    /// The user who is to be added.
    pub(crate) fn adds(&self) -> Option<&UserUri> {
        match &self.what {
            What::Add { user, .. } => Some(user),
            _ => None,
        }
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let unblocked = self.blocked && self.room == *room;
        self.blocked &= !unblocked;
        unblocked
    }
}

impl Device {
    /// Does what the step wants done.
    pub(crate) fn change_step(
        &mut self,
        id: FlowId,
        mut flow: Box<Change>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match flow.step {
            Step::Create => {}
            Step::Claim => {
                let own = self.rooms.get(&flow.room).ok_or(FailureReason::RoomClosed)?.identity();
                let (user, client) = (own.user().clone(), own.client().clone());
                self.send_claim_own(id, &user, Some(client));
            }
            Step::Pause(until) if until <= cx.now => {
                flow.step = Step::Commit;
                return self.change_step(id, flow, cx);
            }
            Step::Pause(until) => self.wake(until, id),
            Step::Commit => match self.wanted(&flow, cx)? {
                None => return self.change_done(id, *flow, cx),
                Some(_) if self.is_committing(&flow.room) => flow.blocked = true,
                Some(wanted) => self.send_commit(id, &flow.room, wanted)?,
            },
        }
        self.flows.insert(id, Flow::Change(flow));
        Ok(())
    }

    pub(crate) fn change_answered(
        &mut self,
        id: FlowId,
        mut flow: Box<Change>,
        call: &Call,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: call.name().to_owned() };
        match flow.step {
            Step::Create => {
                Accepted::decode(body).map_err(|_| answer())?;
                flow.step = Step::Claim;
            }
            Step::Claim => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let user = self.rooms.get(&flow.room).ok_or(FailureReason::RoomClosed)?.identity().user().clone();
                // No other device may have anything to offer.
                let usable = self.usable(response, &user, cx).unwrap_or_default();
                flow.key_packages = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                flow.step = Step::Commit;
            }
            Step::Pause(_) => return Err(FailureReason::Internal),
            Step::Commit => match self.committed(&flow.room, body, cx)? {
                Committed::Accepted => return self.change_done(id, *flow, cx),
                Committed::Again => {}
                Committed::Wait => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Change(flow));
                    return Ok(());
                }
            },
        }
        self.change_step(id, flow, cx)
    }

    fn change_done(&mut self, id: FlowId, flow: Change, cx: &mut Context<'_>) -> Result<(), FailureReason> {
        self.forget_timers(id);
        match flow.then {
            Then::Nothing => {}
            Then::Tell(event) => self.tell(event),
            Then::Offer(target) => {
                self.tell(Event::RoomCreated { flow: id, room: flow.room.clone() });
                self.offer_knock_room(&flow.room, target, cx);
            }
            Then::Destroy => self.destroy_emptied(id, flow.room),
            Then::Decide(decision) => self.decide(id, decision, cx),
            Then::Expelled(expulsion) => self.expelled(&expulsion),
        }
        Ok(())
    }

    /// What the commit is to do to the room as it is now; `None` if nothing is left to do.
    fn wanted(&self, flow: &Change, cx: &Context<'_>) -> Result<Option<Wanted>, FailureReason> {
        let room = self.rooms.get(&flow.room).ok_or(FailureReason::RoomClosed)?;
        let key_packages = || flow.key_packages.iter().filter_map(|octets| KeyPackage::decode(octets).ok());
        let wanted = match &flow.what {
            What::AddOwn => {
                let offered = self.verified(key_packages(), room.identity().user(), cx).unwrap_or_default();
                let absent = |client: &ClientUri| room.members().user_of(client).is_none();
                let add: Vec<_> = offered.into_iter().filter(|kp| absent(kp.client())).collect();
                (!add.is_empty()).then(|| Wanted { add, ..Wanted::default() })
            }
            What::Add { user, .. } if room.state().participants().role_of(user).is_some() => None,
            What::Add { user, role } => {
                let add = self.verified(key_packages(), user, cx)?;
                Some(Wanted { updates: vec![add_participant(user, *role)], add, remove: Vec::new() })
            }
            What::Empty => {
                self.everyone_else(&flow.room).filter(|all| !all.remove.is_empty() || !all.updates.is_empty())
            }
            What::Proposed => room.has_pending_proposals().then(Wanted::default),
            What::Afresh { epoch } => (room.epoch() == *epoch).then(Wanted::default),
            What::Moderate { user, action } => moderation(room, user, *action),
            What::Remove { client } => {
                client_of(room, client).map(|_| Wanted { remove: vec![client.clone()], ..Wanted::default() })
            }
        };
        Ok(wanted)
    }

    /// Whether the room allows the change now.
    pub(crate) fn check(&self, change: &Change, cx: &Context<'_>) -> Result<(), CommandError> {
        let room = self.rooms.get(&change.room).ok_or(CommandError::NoSuchRoom)?;
        match self.wanted(change, cx) {
            Ok(Some(wanted)) if !is_allowed(room, &wanted) => Err(CommandError::NotAllowed),
            Ok(_) => Ok(()),
            Err(_) => Err(CommandError::KeyPackages),
        }
    }

    /// Begins a change that the room allows.
    pub(crate) fn change(&mut self, change: Change, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        self.check(&change, cx)?;
        Ok(self.begin(Flow::Change(Box::new(change)), cx))
    }

    /// Whether a commit of this device waits for the hub's answer. One that another commit has overtaken waits too: its
    /// answer must not be taken for that to a later one.
    pub(crate) fn is_committing(&self, room: &RoomUri) -> bool {
        let asked = |call: &Call| matches!(call, Call::Update(of) if of == room);
        self.rooms.get(room).is_some_and(Room::has_pending_commit)
            || self.outstanding.values().any(|outstanding| asked(&outstanding.request.call))
    }
}

/// Whether the room lets this member do it now.
pub(crate) fn is_allowed(room: &Room, wanted: &Wanted) -> bool {
    let removed: Option<Vec<_>> = wanted.remove.iter().map(|client| client_of(room, client)).collect();
    let Some(removed) = removed else { return false };
    let added = wanted.add.iter().map(|key_package| ClientRef {
        user: key_package.user().clone(),
        client: key_package.client().clone(),
        initial_only: key_package.purpose() == KeyPackagePurpose::InitialOnly,
    });
    let members = room.members();
    let change = mimi_room::Change { updates: wanted.updates.clone(), added: added.collect(), removed, members };
    let own = room.identity();
    let actor = Actor::client(own.user().clone(), own.client().clone());
    RoomState::apply(room.state(), &actor, How::Commit, &change).is_ok()
}
