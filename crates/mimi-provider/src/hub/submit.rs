use std::sync::Arc;

use mimi_pseudonym::{RoomUri, UserUri, Wire};
use mimi_wire::{FanoutEvent, FanoutMessage, MlsMessage, Problem, SubmitMessageRequest, SubmitMessageResponse};

use super::{Requester, for_inbox, for_peers, rooms};
use crate::{
    abuse,
    fail::Fail,
    franking::{Stamp, Unfit},
    hash,
    provider::Inner,
    store::{Device, Hash, MessageRecord, Submitted},
};

/// Takes a message for a room (draft-ietf-mimi-protocol-06, section 5.4) and fans it out, to the sender's provider too.
/// The same message once more gets the same answer and is not fanned out again. `device` is the one that sends it, if it is
/// one of ours.
///
/// The room is held until the message has its place, and not until it is on disk: so the messages of a room share flushes
/// of the disk, as those of different rooms do. Where other processes write as well, it is held until then.
pub(crate) async fn submit(
    inner: &Arc<Inner>,
    requester: Requester,
    device: Option<Device>,
    room: RoomUri,
    request: SubmitMessageRequest,
) -> Result<SubmitMessageResponse, Fail> {
    if request.sending_user.domain() != requester.domain(inner) {
        return Err(Problem::ForeignUser.into());
    }
    if inner.store.is_shared() {
        // Mostly the room is as it is in memory. If it is not, the database says so, and it is looked up.
        let first = attempt(inner, &requester, device.clone(), room.clone(), request.clone(), false);
        if let Some(response) = first.await? {
            return Ok(response);
        }
    }
    let answer = attempt(inner, &requester, device, room, request, true).await?;
    answer.ok_or(Fail::Fault("a message was not judged"))
}

/// None if what is in memory of the room may be out of date, and whether the message is taken hangs on that.
async fn attempt(
    inner: &Arc<Inner>,
    requester: &Requester,
    device: Option<Device>,
    room: RoomUri,
    request: SubmitMessageRequest,
    now: bool,
) -> Result<Option<SubmitMessageResponse>, Fail> {
    let sender = request.sending_user.clone();
    let (mut held, sure) = rooms::hold(inner, &room, now).await?;
    let (hub, known) = held.known().ok_or(Problem::UnknownRoom)?;
    if !known.domains.contains(requester.domain(inner)) {
        return if sure { Err(Problem::UnknownRoom.into()) } else { Ok(None) };
    }
    let stamp = Stamp::new(hub, &request);
    let message = request.message.message();
    let hash = hash(&[b"message", sender.as_str().as_bytes(), message.as_bytes()]);
    let epoch = hub.epoch();
    let fits = in_group(message, &room) && message.epoch() == Some(epoch);
    let may =
        hub.members().count(&sender) > 0 && hub.state().may_send(&sender).is_ok() && !hub.is_user_leaving(&sender);
    let stamp = match stamp {
        Ok(stamp) if fits && may => stamp,
        _ if !sure => return Ok(None),
        stamp => {
            let old = message.epoch().is_some_and(|of| of < epoch) && in_group(message, &room);
            drop(held);
            let unfranked = fits && may && stamp.as_ref().err() == Some(&Unfit::Uncommitted);
            let (stamp, current) = (stamp.ok(), old.then_some(epoch));
            let refused = Refused { room, sender, device, hash, stamp, current, unfranked };
            return inner.blocking(move |inner| refused.answer(inner)).await.map(Some);
        }
    };
    let accepted = inner.now();
    let frank = stamp.at(inner, accepted)?;
    let limit = hub.state().message_limit(&sender);
    let version = rooms::version(inner, hub);
    let event = FanoutEvent::Application { message: request.message, frank: frank.clone() };
    let fanout = FanoutMessage { timestamp: accepted, event };
    let outbox = for_peers(inner, &known.hearing, &fanout);
    let receivers = known.receivers.clone();
    let body = for_inbox(&room, fanout).encode();
    let of = (room.clone(), sender.clone());
    let account = device.as_ref().map(|device| device.account);
    let too_often = abuse::sends(inner, &room, &sender, account, accepted);
    let known = too_often.clone();
    let record = MessageRecord {
        room,
        sender,
        device,
        hash,
        accepted,
        epoch,
        outbox,
        body,
        receivers,
        limit,
        too_often,
        version,
    };
    let stored = inner.store.submit(record, abuse::judge(inner, accepted));
    let held = if inner.store.is_shared() { Some(held) } else { None };
    let stored = stored.await;
    let (room, sender) = of;
    abuse::sent(inner, &sender, account, matches!(stored, Ok(Submitted::Accepted(..))).then_some(&known));
    match stored {
        Ok(Submitted::Accepted(wake, decided)) => {
            inner.wake(&wake);
            abuse::told(inner, decided);
        }
        Ok(Submitted::Before(accepted)) => {
            return Ok(Some(SubmitMessageResponse::Accepted { accepted, frank: stamp.at(inner, accepted)? }));
        }
        Ok(Submitted::NotAllowed) => return Ok(Some(SubmitMessageResponse::NotAllowed)),
        Ok(refused) => return Err(problem(&refused).into()),
        Err(error) if error.is_stale() => {
            drop(held);
            rooms::forget(inner, &room).await;
            return if sure { overtaken(inner, room, hash, stamp).await.map(Some) } else { Ok(None) };
        }
        Err(error) => return Err(error.into()),
    }
    drop(held);
    Ok(Some(SubmitMessageResponse::Accepted { accepted, frank }))
}

fn in_group(message: &MlsMessage, room: &RoomUri) -> bool {
    message.group_id() == Some(room.group().as_str().as_bytes())
}

/// A message that does not fit the room as it is. It may have been accepted before, and the answer was lost.
struct Refused {
    room: RoomUri,
    sender: UserUri,
    device: Option<Device>,
    hash: Hash,
    stamp: Option<Stamp>,
    /// The room's epoch, if the message is of an earlier one.
    current: Option<u64>,
    /// Nothing else stands against it than that the room wants a commitment.
    unfranked: bool,
}

impl Refused {
    fn answer(self, inner: &Inner) -> Result<SubmitMessageResponse, Fail> {
        let Self { room, sender, device, hash, stamp, current, unfranked } = self;
        if let Some(device) = device
            && let Some(stands_against_it) = inner.store.may_speak(&device, &room, &sender, inner.now())?
        {
            return Err(problem(&stands_against_it).into());
        }
        if let Some(stamp) = stamp
            && let Some(accepted) = inner.store.accepted_at(&room, &hash)?
        {
            return Ok(SubmitMessageResponse::Accepted { accepted, frank: stamp.at(inner, accepted)? });
        }
        if unfranked {
            return Err(Problem::Unfranked.into());
        }
        Ok(match current {
            Some(current_epoch) => SubmitMessageResponse::EpochTooOld { current_epoch },
            None => SubmitMessageResponse::NotAllowed,
        })
    }
}

/// What a device is told whose message goes nowhere.
pub(crate) fn problem(refused: &Submitted) -> Problem {
    match refused {
        Submitted::ForeignUser => Problem::ForeignUser,
        Submitted::Silenced => Problem::Forbidden,
        _ => Problem::UnknownRoom,
    }
}

/// Another process was faster: it has accepted the same message, or taken the room to its next epoch.
async fn overtaken(inner: &Arc<Inner>, room: RoomUri, hash: Hash, stamp: Stamp) -> Result<SubmitMessageResponse, Fail> {
    inner
        .blocking(move |inner| {
            if let Some(accepted) = inner.store.accepted_at(&room, &hash)? {
                return Ok(SubmitMessageResponse::Accepted { accepted, frank: stamp.at(inner, accepted)? });
            }
            let current_epoch = inner.store.room_epoch(&room)?.ok_or(Problem::UnknownRoom)?;
            Ok(SubmitMessageResponse::EpochTooOld { current_epoch })
        })
        .await
}
