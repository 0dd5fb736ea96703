//! Leaving a room, and letting go those who leave: proposals that the next commit holds, whoever makes it
//! (draft-ietf-mimi-protocol-06, section 5.3).

use mimi_mls::LeaveError;
use mimi_pseudonym::{RoomUri, Timestamp, Wire};
use mimi_wire::{ProposalMessage, UpdateOutcome, UpdateRequest, UpdateRoomResponse};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request,
    change::{Change, Then, What},
    device::Flow,
};

/// The end of this user's part in a room. It lasts until a commit has let the user go: a commit that does not, such as that of
/// somebody who joins, makes the proposals void.
#[derive(Serialize, Deserialize)]
pub(crate) struct Leave {
    room: RoomUri,
    /// The hub has taken proposals, and the application has been told.
    told: bool,
    /// A request is on its way.
    asking: bool,
}

/// What came of proposals to leave.
pub(crate) enum Left {
    /// The hub demands them in the next commit.
    Accepted,
    /// A commit came first, and is here already: make them again.
    Again,
    /// A commit came first, and is still on its way.
    Wait,
}

impl Leave {
    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn expects(&self, call: &Call) -> bool {
        self.asking && matches!(call, Call::Update(_))
    }

    /// Every new epoch is one to look at: whoever is still in the room then has not gone.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.asking
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        !self.asking && self.room == *room
    }
}

impl Device {
    pub(crate) fn leave(&mut self, room: RoomUri, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        let here = |flow: &Flow| matches!(flow, Flow::Leave(leave) if leave.room == room);
        if open.is_leaving() || self.flows.values().any(here) {
            return Err(CommandError::NotAllowed);
        }
        // Asked before anything is sent; where a commit is on its way, the proposals wait for its end.
        if !open.has_pending_commit() && !open.may_leave() {
            return Err(CommandError::NotAllowed);
        }
        Ok(self.begin(Flow::Leave(Leave { room, told: false, asking: false }), cx))
    }

    pub(crate) fn leave_step(&mut self, id: FlowId, mut flow: Leave) -> Result<(), FailureReason> {
        let open = self.rooms.get(&flow.room).ok_or(FailureReason::RoomClosed)?;
        if !open.is_leaving() && !open.has_pending_commit() {
            self.send_leave(id, &flow.room)?;
            flow.asking = true;
        }
        self.flows.insert(id, Flow::Leave(flow));
        Ok(())
    }

    pub(crate) fn leave_answered(&mut self, id: FlowId, mut flow: Leave, body: &[u8]) -> Result<(), FailureReason> {
        flow.asking = false;
        match self.left(&flow.room, body)? {
            Left::Accepted => {
                if !flow.told {
                    flow.told = true;
                    self.tell(Event::Done { flow: id });
                }
                self.flows.insert(id, Flow::Leave(flow));
                Ok(())
            }
            Left::Again => self.leave_step(id, flow),
            Left::Wait => {
                self.flows.insert(id, Flow::Leave(flow));
                Ok(())
            }
        }
    }

    /// Proposes to leave a room.
    pub(crate) fn send_leave(&mut self, id: FlowId, room: &RoomUri) -> Result<(), FailureReason> {
        let open = self.rooms.get_mut(room).ok_or(FailureReason::RoomClosed)?;
        let proposals = open.leave().map_err(|error| match error {
            LeaveError::NotAllowed(_) => FailureReason::NotAllowed,
            _ => FailureReason::Internal,
        })?;
        let proposals: Result<Vec<_>, _> = proposals.into_iter().map(ProposalMessage::try_from).collect();
        let mut proposals = proposals.map_err(|_| FailureReason::Internal)?.into_iter();
        let proposal = proposals.next().ok_or(FailureReason::Internal)?;
        let body = UpdateRequest::Proposal { proposal, more: proposals.collect() }.encode();
        self.request(Request { call: Call::Update(room.clone()), body }, Some(id));
        Ok(())
    }

    /// Commits what others have proposed at once: this device has something to say, and cannot before.
    pub(crate) fn hasten(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        let Some(room) = self.rooms.get(uri) else { return };
        if room.is_leaving() || !room.has_pending_proposals() {
            return;
        }
        let same = |flow: &Flow| matches!(flow, Flow::Change(change) if change.is_for_others() && change.room() == uri);
        match self.flows.iter().find(|(_, flow)| same(flow)).map(|(id, flow)| (*id, flow.is_timed())) {
            Some((_, false)) => return,
            Some((waiting, true)) => {
                self.flows.remove(&waiting);
                self.forget_timers(waiting);
            }
            None => {}
        }
        let change = Change::new(uri.clone(), What::Proposed, Then::Nothing);
        self.begin(Flow::Change(Box::new(change)), cx);
    }

    /// Tells the application, unless it is about to be told that already.
    fn tell_once(&mut self, event: Event) {
        if self.events.values().all(|waiting| *waiting != event) {
            self.tell(event);
        }
    }

    /// Takes the hub's answer to proposals to leave.
    pub(crate) fn left(&mut self, room: &RoomUri, body: &[u8]) -> Result<Left, FailureReason> {
        let answer = UpdateRoomResponse::decode(body).map_err(|_| FailureReason::Answer { call: "update".into() })?;
        let open = self.rooms.get_mut(room).ok_or(FailureReason::RoomClosed)?;
        match answer.outcome {
            UpdateOutcome::Accepted { .. } => Ok(Left::Accepted),
            UpdateOutcome::WrongEpoch { current_epoch } => {
                open.leave_refused();
                Ok(if open.epoch() >= current_epoch { Left::Again } else { Left::Wait })
            }
            _ => {
                open.leave_refused();
                Err(FailureReason::NotAllowed)
            }
        }
    }

    /// Others may have proposed something: one of those who stay commits it, after a random time.
    pub(crate) fn look_at_proposals(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        let Some(room) = self.rooms.get(uri) else { return };
        if room.check_proposals().is_err() {
            self.tell_once(Event::ChangeRefused { room: uri.clone() });
            return;
        }
        let same = |flow: &Flow| matches!(flow, Flow::Change(change) if change.is_for_others() && change.room() == uri);
        // Whoever only knocks is gone soon, and those who stay do it.
        let stays = room.state().may_receive(room.identity().user()).is_ok() && !room.is_leaving();
        if !stays || !room.has_pending_proposals() || self.flows.values().any(same) {
            return;
        }
        let until: Timestamp = cx.now.after(self.profile.delays.commit(cx.entropy));
        let change = Change::new(uri.clone(), What::Proposed, Then::Nothing).after(until);
        self.begin(Flow::Change(Box::new(change)), cx);
    }
}
