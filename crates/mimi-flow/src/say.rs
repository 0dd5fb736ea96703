//! A message of the application's, sealed again if the room has moved on meanwhile.

use mimi_mls::{Room, SealError};
use mimi_pseudonym::{Content, Entropy, RoomUri, Wire};
use mimi_wire::{ApplicationMessage, SubmitMessageRequest, SubmitMessageResponse};
use serde::{Deserialize, Serialize};

use crate::{Call, CommandError, Context, Device, FailureReason, FlowId, Request, device::Flow, franking};

#[derive(Serialize, Deserialize)]
pub(crate) struct Say {
    room: RoomUri,
    media_type: String,
    body: Vec<u8>,
    /// Waits for the room to reach another epoch.
    blocked: bool,
}

impl Say {
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let unblocked = self.blocked && self.room == *room;
        self.blocked &= !unblocked;
        unblocked
    }
}

impl Device {
    /// Sends a message; where a commit of this device is on its way, as soon as the hub has answered, and where others have
    /// proposed something, as soon as that is committed: MLS wants it so.
    pub(crate) fn say(
        &mut self,
        room: RoomUri,
        content: Content,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let open = self.rooms.get_mut(&room).ok_or(CommandError::NoSuchRoom)?;
        open.state().may_send(open.identity().user()).map_err(|_| CommandError::NotAllowed)?;
        let blocked = open.has_pending_commit() || open.has_pending_proposals();
        if open.is_leaving() {
            return Err(CommandError::NotAllowed);
        }
        if !Self::is_fit(open, &content, cx) {
            return Err(CommandError::Content);
        }
        let request = match blocked {
            true => None,
            false => Some(sealed(open, &content, cx.entropy).ok_or(CommandError::NotAllowed)?),
        };
        let id = FlowId(self.number());
        let Content { media_type, body } = content;
        self.flows.insert(id, Flow::Say(Say { room, media_type, body, blocked }));
        if let Some(request) = request {
            self.request(request, Some(id));
        }
        Ok(id)
    }

    /// Seals the message once more, in the room's present epoch.
    pub(crate) fn say_step(&mut self, id: FlowId, mut flow: Say, cx: &mut Context<'_>) -> Result<(), FailureReason> {
        if self.must_wait(&flow.room) {
            flow.blocked = true;
            self.flows.insert(id, Flow::Say(flow));
            return Ok(());
        }
        let open = self.rooms.get_mut(&flow.room).ok_or(FailureReason::RoomClosed)?;
        let content = Content { media_type: flow.media_type.clone(), body: flow.body.clone() };
        let request = sealed(open, &content, cx.entropy).ok_or(FailureReason::NotAllowed)?;
        self.request(request, Some(id));
        self.flows.insert(id, Flow::Say(flow));
        Ok(())
    }

    pub(crate) fn say_answered(
        &mut self,
        id: FlowId,
        mut flow: Say,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match submitted(body)? {
            Submitted::Accepted => Ok(()),
            Submitted::Late { current } if self.is_behind(&flow.room, current) => {
                flow.blocked = true;
                self.flows.insert(id, Flow::Say(flow));
                Ok(())
            }
            Submitted::Late { .. } => self.say_step(id, flow, cx),
        }
    }

    /// Whether nothing can be sealed before something has been committed.
    pub(crate) fn must_wait(&self, room: &RoomUri) -> bool {
        self.rooms.get(room).is_some_and(|room| room.has_pending_commit() || room.has_pending_proposals())
    }

    /// Whether the room has not reached this epoch yet.
    pub(crate) fn is_behind(&self, room: &RoomUri, epoch: u64) -> bool {
        self.rooms.get(room).is_some_and(|room| room.epoch() < epoch)
    }
}

/// What came of a message.
pub(crate) enum Submitted {
    /// It was accepted.
    Accepted,
    /// It was sealed in an epoch that is gone.
    Late {
        /// The hub's epoch.
        current: u64,
    },
}

pub(crate) fn submitted(body: &[u8]) -> Result<Submitted, FailureReason> {
    match SubmitMessageResponse::decode(body) {
        Ok(SubmitMessageResponse::Accepted { .. }) => Ok(Submitted::Accepted),
        Ok(SubmitMessageResponse::NotAllowed) => Err(FailureReason::NotAllowed),
        Ok(SubmitMessageResponse::EpochTooOld { current_epoch }) => Ok(Submitted::Late { current: current_epoch }),
        Err(_) => Err(FailureReason::Answer { call: "submitMessage".to_owned() }),
    }
}

/// The request that sends this content to the room; `None` if the room does not let it.
pub(crate) fn sealed(room: &mut Room, content: &Content, entropy: &mut dyn Entropy) -> Option<Request> {
    let sealed = franking::seal(room, entropy, || SealError::TooLong, |_| Ok(content.clone()));
    let message = ApplicationMessage::try_from(sealed.ok()?).ok()?;
    let sending_user = room.identity().user().clone();
    let body = SubmitMessageRequest { message, sending_user }.encode();
    Some(Request { call: Call::SubmitMessage(room.uri().clone()), body })
}
