//! What is left behind when a flow ends before its aim, and how it is put away.

use mimi_pseudonym::{RoomUri, UserUri};

use crate::{
    Call, Context, Device, Event, FailureReason, FlowId, Request,
    connect::Connect,
    device::Flow,
    links::Links,
    lost::Expulsion,
    moderators::Volunteer,
    prepare::{Prepare, Purpose},
};

/// What a flow leaves behind if its next step fails.
pub(crate) enum Remains {
    Nothing,
    /// Subjects whose keys wait for a credential.
    Subjects(Vec<UserUri>),
    /// Users whose credentials and KeyPackages end.
    Renewal(Vec<UserUri>, u16, Purpose),
    /// A lost device in a room.
    Expulsion(Expulsion),
    /// Nothing, not even the news.
    Silence,
    /// A temporary room, perhaps with others in it.
    Connect(Box<Connect>),
    /// A room that was to be for others too.
    Room(RoomUri),
    /// A commit, perhaps.
    Commit(RoomUri),
    /// A room that the hub has not let this device into.
    Entry(RoomUri),
    /// A room that this device was in, and the user it was there.
    Return(RoomUri, UserUri),
}

impl Flow {
    /// Whether an answer to this call is what the flow waits for.
    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self {
            Self::Prepare(_) => Prepare::expects(call),
            Self::Connect(flow) => flow.expects(call),
            Self::Respond(flow) => flow.expects(call),
            Self::Say(_) | Self::Disclose(_) => matches!(call, Call::SubmitMessage(_)),
            Self::Change(flow) => flow.expects(call),
            Self::Destroy(_) => matches!(call, Call::DestroyRoom(_)),
            Self::Volunteer(_) => Volunteer::expects(call),
            Self::Consent(flow) => flow.expects(call),
            Self::Knocked(_) | Self::Keep(_) => false,
            Self::Visit(flow) => flow.expects(call),
            Self::Leave(flow) => flow.expects(call),
            Self::Links(_) => Links::expects(call),
            Self::Lost(flow) => flow.expects(call),
        }
    }

    /// Whether the flow's step is one that time ends.
    pub(crate) fn is_timed(&self) -> bool {
        match self {
            Self::Connect(flow) => flow.is_timed(),
            Self::Respond(flow) => flow.is_timed(),
            Self::Change(flow) => flow.is_timed(),
            Self::Knocked(_) | Self::Keep(_) => true,
            Self::Visit(flow) => flow.is_timed(),
            _ => false,
        }
    }

    /// Whether it waits for its room to move.
    pub(crate) fn is_blocked(&self) -> bool {
        match self {
            Self::Prepare(_)
            | Self::Destroy(_)
            | Self::Knocked(_)
            | Self::Volunteer(_)
            | Self::Links(_)
            | Self::Lost(_)
            | Self::Keep(_)
            | Self::Consent(_) => false,
            Self::Visit(flow) => flow.is_blocked(),
            Self::Leave(flow) => flow.is_blocked(),
            Self::Connect(flow) => flow.is_blocked(),
            Self::Respond(flow) => flow.is_blocked(),
            Self::Say(flow) => flow.is_blocked(),
            Self::Disclose(flow) => flow.is_blocked(),
            Self::Change(flow) => flow.is_blocked(),
        }
    }

    /// The room that the flow works in.
    pub(crate) fn room(&self) -> Option<&RoomUri> {
        match self {
            Self::Prepare(_) | Self::Keep(_) | Self::Consent(_) | Self::Lost(_) => None,
            Self::Connect(flow) => Some(flow.room()),
            Self::Respond(flow) => flow.room(),
            Self::Say(flow) => Some(flow.room()),
            Self::Disclose(flow) => Some(flow.room()),
            Self::Change(flow) => Some(flow.room()),
            Self::Destroy(flow) => Some(&flow.room),
            Self::Knocked(flow) => Some(flow.room()),
            Self::Volunteer(flow) => Some(flow.room()),
            Self::Visit(flow) => Some(flow.room()),
            Self::Leave(flow) => Some(flow.room()),
            Self::Links(flow) => Some(flow.room()),
        }
    }

    /// Whether the flow was waiting for the room to move, and does so no longer.
    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        match self {
            Self::Prepare(_)
            | Self::Destroy(_)
            | Self::Knocked(_)
            | Self::Volunteer(_)
            | Self::Links(_)
            | Self::Lost(_)
            | Self::Keep(_)
            | Self::Consent(_) => false,
            Self::Visit(flow) => flow.unblock(room),
            Self::Leave(flow) => flow.unblock(room),
            Self::Connect(flow) => flow.unblock(room),
            Self::Respond(flow) => flow.unblock(room),
            Self::Say(flow) => flow.unblock(room),
            Self::Disclose(flow) => flow.unblock(room),
            Self::Change(flow) => flow.unblock(room),
        }
    }

    fn remains(&self) -> Remains {
        match self {
            Self::Prepare(flow) if flow.is_renewal() => {
                Remains::Renewal(flow.subjects().to_vec(), flow.key_packages(), flow.purpose())
            }
            Self::Prepare(flow) if flow.is_refill() => Remains::Silence,
            Self::Prepare(flow) => Remains::Subjects(flow.subjects().to_vec()),
            Self::Connect(flow) => Remains::Connect(flow.clone()),
            Self::Respond(flow) => flow.room().map_or(Remains::Nothing, |room| Remains::Room(room.clone())),
            Self::Change(flow) if flow.expels().is_some() => flow.expels().map_or(Remains::Nothing, Remains::Expulsion),
            Self::Change(flow) if flow.is_founding() => Remains::Room(flow.room().clone()),
            Self::Change(flow) if flow.expects(&Call::Update(flow.room().clone())) => {
                Remains::Commit(flow.room().clone())
            }
            Self::Visit(flow) if flow.is_return() => Remains::Return(flow.room().clone(), flow.user().clone()),
            Self::Visit(flow) if flow.is_entering() => Remains::Entry(flow.room().clone()),
            Self::Say(_)
            | Self::Disclose(_)
            | Self::Change(_)
            | Self::Destroy(_)
            | Self::Knocked(_)
            | Self::Volunteer(_)
            | Self::Visit(_)
            | Self::Leave(_)
            | Self::Links(_)
            | Self::Lost(_)
            | Self::Keep(_)
            | Self::Consent(_) => Remains::Nothing,
        }
    }
}

impl Device {
    pub(crate) fn remains(&self, flow: FlowId) -> Remains {
        self.flows.get(&flow).map_or(Remains::Nothing, Flow::remains)
    }

    /// Ends a flow that has failed, and puts away what it leaves.
    pub(crate) fn settle(
        &mut self,
        id: FlowId,
        remains: Remains,
        outcome: Result<(), FailureReason>,
        cx: &mut Context<'_>,
    ) {
        let Err(reason) = outcome else { return };
        self.flows.remove(&id);
        self.forget_timers(id);
        match remains {
            Remains::Nothing => {}
            Remains::Silence => return,
            Remains::Expulsion(expulsion) => return self.expel_again(expulsion, cx),
            Remains::Renewal(users, key_packages, purpose) => {
                self.renew_again(&users, key_packages, purpose, cx);
                return;
            }
            Remains::Subjects(subjects) => {
                self.wallet.forget_acquiring(id.0);
                for subject in subjects {
                    self.wallet.forget_asked(&subject);
                }
            }
            // Where the other side is in the room already, the room has its use.
            Remains::Room(room) => {
                if self.rooms.get(&room).is_some_and(|room| room.members().len() < 2) {
                    self.give_up(&room);
                }
            }
            // The application was in that room, and is not any more.
            Remains::Return(room, user) => {
                self.rooms.remove(&room);
                self.retire_user(&user);
                self.over(&room, cx);
                return;
            }
            Remains::Entry(room) => drop(self.rooms.remove(&room)),
            Remains::Commit(room) => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.commit_refused();
                }
            }
            Remains::Connect(flow) => {
                if flow.has_ended() {
                    self.give_up(flow.room());
                    return;
                }
                // The room was to go; someone may answer all the same.
                if flow.is_late() && flow.is_leaving() {
                    self.give_up(flow.room());
                    self.connect_over(id, flow, cx);
                    return;
                }
                let room = flow.room().clone();
                self.tell(Event::Failed { flow: id, reason });
                if let Some(ending) = flow.ending() {
                    let others = self.rooms.get_mut(&room).is_some_and(|room| {
                        room.commit_refused();
                        room.members().len() > 1
                    });
                    if others && self.connect_step(id, Box::new(ending), cx).is_ok() {
                        return;
                    }
                }
                self.flows.remove(&id);
                self.give_up(&room);
                return;
            }
        }
        self.tell(Event::Failed { flow: id, reason });
    }

    pub(crate) fn forget_timers(&mut self, flow: FlowId) {
        self.timers.retain(|(_, timed)| *timed != flow);
    }

    /// Forgets a room, and has the hub forget it.
    pub(crate) fn give_up(&mut self, room: &RoomUri) {
        if let Some(gone) = self.rooms.remove(room) {
            self.retire(&gone);
            self.request(Request { call: Call::DestroyRoom(room.clone()), body: Vec::new() }, None);
        }
    }
}
