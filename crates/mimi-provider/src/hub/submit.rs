use std::sync::Arc;

use mimi_mls::HubRoom;
use mimi_pseudonym::{RoomUri, Wire};
use mimi_wire::{FanoutEvent, FanoutMessage, Problem, SubmitMessageRequest, SubmitMessageResponse};

use super::{
    Requester,
    audience::{domains, receivers},
    for_inbox, for_peers, rooms,
};
use crate::{
    abuse,
    fail::Fail,
    franking::Stamp,
    hash,
    provider::Inner,
    store::{Hash, MessageRecord, Remedy},
};

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
        let Some(stamp) = Stamp::new(hub, &request) else { return Ok(SubmitMessageResponse::NotAllowed) };
        let message = request.message.message();
        let hash = hash(&[b"message", request.sending_user.as_str().as_bytes(), &message.encode()]);
        if let Some(accepted) = inner.store.accepted_at(&room, &hash)? {
            return Ok(SubmitMessageResponse::Accepted { accepted, frank: stamp.at(inner, accepted)? });
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
        let sender = &request.sending_user;
        if !present || hub.state().may_send(sender).is_err() || hub.is_user_leaving(sender) {
            return Ok(SubmitMessageResponse::NotAllowed);
        }
        for remedy in [Remedy::Mute, Remedy::Ban] {
            if inner.store.holds(&room, sender.as_str(), remedy, inner.now())? {
                return Ok(SubmitMessageResponse::NotAllowed);
            }
        }
        let limit = hub.state().message_limit(sender);
        if let (Some(limit), Some(sent)) = (limit, inner.store.sent_by_guest(&room, sender)?)
            && sent >= u64::from(limit)
        {
            return Ok(SubmitMessageResponse::NotAllowed);
        }
        let accepted = inner.now();
        let frank = stamp.at(inner, accepted)?;
        abuse::sent(inner, &room, &request.sending_user, accepted)?;
        let event = FanoutEvent::Application { message: request.message, frank: frank.clone() };
        let fanout = FanoutMessage { timestamp: accepted, event };
        let receivers = receivers(hub);
        let outbox = for_peers(inner, &domains(hub), &fanout);
        let record = MessageRecord {
            room: &room,
            hash,
            accepted,
            epoch: current,
            outbox: &outbox,
            body: &for_inbox(&room, fanout),
            receivers: receivers.as_deref(),
            limited: limit.map(|limit| (sender, limit)),
        };
        match inner.store.accept_message(&record) {
            Ok(wake) => inner.wake(&wake),
            Err(error) if error.is_stale() => return overtaken(inner, &room, &hash, &stamp, slot),
            Err(error) => return Err(error.into()),
        }
        Ok(SubmitMessageResponse::Accepted { accepted, frank })
    })
    .await
}

/// Another process was faster: it has accepted the same message, or taken the room to its next epoch.
fn overtaken(
    inner: &Inner,
    room: &RoomUri,
    hash: &Hash,
    stamp: &Stamp,
    slot: &mut Option<HubRoom>,
) -> Result<SubmitMessageResponse, Fail> {
    *slot = None;
    if let Some(accepted) = inner.store.accepted_at(room, hash)? {
        return Ok(SubmitMessageResponse::Accepted { accepted, frank: stamp.at(inner, accepted)? });
    }
    let current_epoch = inner.store.room_epoch(room)?.ok_or(Problem::UnknownRoom)?;
    Ok(SubmitMessageResponse::EpochTooOld { current_epoch })
}
