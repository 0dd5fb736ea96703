use std::sync::Arc;

use mimi_pseudonym::{RoomUri, Wire};
use mimi_wire::{FanoutEvent, FanoutMessage, Problem, SubmitMessageRequest, SubmitMessageResponse};

use super::{Requester, for_inbox, for_peers, rooms};
use crate::{abuse, fail::Fail, franking, hash, provider::Inner, store::MessageRecord};

/// Takes a message for a room (draft-ietf-mimi-protocol-06, section 5.4) and fans it out, to the sender's provider too.
/// The same message once more gets the same answer and is not fanned out again.
pub(crate) async fn submit(
    inner: &Arc<Inner>,
    requester: Requester,
    room: RoomUri,
    request: SubmitMessageRequest,
) -> Result<SubmitMessageResponse, Fail> {
    if request.sending_user.domain() != requester.domain(inner) {
        return Err(Problem::ForeignUser.into());
    }
    rooms::with(inner, room.clone(), move |inner, slot| {
        let hub = slot.as_ref().ok_or(Problem::UnknownRoom)?;
        if !hub.domains().contains(requester.domain(inner)) {
            return Err(Problem::UnknownRoom.into());
        }
        let message = request.message.message();
        let hash = hash(&[b"message", request.sending_user.as_str().as_bytes(), &message.encode()]);
        if let Some(accepted) = inner.store.accepted_at(&room, &hash)? {
            let frank = franking::frank(inner, hub, &request, accepted)?.unwrap_or_default();
            return Ok(SubmitMessageResponse::Accepted { accepted, frank });
        }
        let current = hub.epoch();
        match message.epoch() {
            _ if message.group_id() != Some(room.group().as_str().as_bytes()) => {
                return Ok(SubmitMessageResponse::NotAllowed);
            }
            Some(epoch) if epoch < current => {
                return Ok(SubmitMessageResponse::EpochTooOld { current_epoch: current });
            }
            Some(epoch) if epoch == current => {}
            _ => return Ok(SubmitMessageResponse::NotAllowed),
        }
        let present = hub.clients().iter().any(|(user, _)| *user == request.sending_user);
        if !present || hub.state().may_send(&request.sending_user).is_err() {
            return Ok(SubmitMessageResponse::NotAllowed);
        }
        let accepted = inner.now();
        let Some(frank) = franking::frank(inner, hub, &request, accepted)? else {
            return Ok(SubmitMessageResponse::NotAllowed);
        };
        abuse::sent(inner, &room, &request.sending_user, accepted)?;
        let event = FanoutEvent::Application { message: request.message, frank: frank.clone() };
        let fanout = FanoutMessage { timestamp: accepted, event };
        let outbox = for_peers(inner, &hub.domains(), &fanout);
        let body = for_inbox(&room, fanout);
        let record = MessageRecord { room: &room, hash, accepted, outbox: &outbox, body: &body };
        inner.wake(&inner.store.accept_message(&record)?);
        Ok(SubmitMessageResponse::Accepted { accepted, frank })
    })
    .await
}
