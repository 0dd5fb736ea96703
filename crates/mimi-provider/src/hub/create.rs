use std::sync::Arc;

use mimi_mls::{HubCreateError, HubRoom};
use mimi_pseudonym::{CipherSuite, RoomUri, Wire};
use mimi_room::Capability;
use mimi_wire::{
    Problem,
    local::{Accepted, CreateRoomRequest},
};

use super::rooms;
use crate::{
    fail::Fail,
    hash,
    provider::Inner,
    server::Reply,
    store::{Device, NewRoom},
};

/// Opens a room with one of the device's clients in it. The same request once more gets the same answer.
pub(crate) async fn create(inner: &Arc<Inner>, device: Device, request: CreateRoomRequest) -> Result<Reply, Fail> {
    let hash = hash(&[&request.encode()]);
    let (room, maker) = (request.room.clone(), device.clone());
    let created = rooms::with(inner, request.room.clone(), move |inner, slot| {
        let CreateRoomRequest { room, group_info, ratchet_tree } = request;
        if slot.is_some() {
            let accepted = inner.store.accepted_at(&room, &hash)?.ok_or(Problem::Forbidden)?;
            return Ok((Reply::message(&Accepted { accepted }), None));
        }
        let suite = CipherSuite::from_code(group_info.cipher_suite_code()).ok_or(Problem::Malformed)?;
        let sender = inner.senders.iter().find(|hub| hub.suite == suite).map(|hub| &hub.sender);
        let sender = sender.ok_or(Problem::Malformed)?;
        let now = inner.now();
        let created = HubRoom::create(&room, &group_info, &ratchet_tree, sender, &inner.trust, now);
        let (hub, snapshot) = created.map_err(problem)?;
        if hub.franking_agent().is_some_and(|agent| !inner.franking.is_own(hub.suite(), &agent, inner.domain())) {
            return Err(Problem::Malformed.into());
        }
        let [(_, creator)] = hub.clients().try_into().map_err(|_| Problem::Malformed)?;
        if !inner.store.is_client_of(&device, &creator)? {
            return Err(Problem::Forbidden.into());
        }
        let new = NewRoom {
            room: &room,
            snapshot: snapshot.as_bytes(),
            hash,
            accepted: now,
            creator: &creator,
            device: &device,
        };
        if !inner.store.create_room(&new)? {
            // Another process was faster: with the same request, or with another room of this name.
            let accepted = inner.store.accepted_at(&room, &hash)?.ok_or(Problem::Forbidden)?;
            let target = slot.as_ref().and_then(|hub| hub.state().knock_target().cloned());
            return Ok((Reply::message(&Accepted { accepted }), target));
        }
        let target = hub.state().knock_target().cloned();
        *slot = Some(hub);
        Ok((Reply::message(&Accepted { accepted: now }), target))
    });
    let (reply, target) = created.await?;
    if let Some(target) = target {
        show_knock_room(inner, maker, room, target).await?;
    }
    Ok(reply)
}

/// A room's page shows its knock room, if that was made by somebody who keeps order in the room.
async fn show_knock_room(inner: &Arc<Inner>, maker: Device, room: RoomUri, target: RoomUri) -> Result<(), Fail> {
    if target.domain() != inner.domain() {
        return Ok(());
    }
    rooms::with(inner, target.clone(), move |inner, slot| {
        let Some(hub) = slot.as_ref() else { return Ok(()) };
        for (user, client) in hub.members().iter() {
            let keeps_order = hub.state().may(user, Capability::Kick).is_ok();
            if keeps_order && inner.store.is_client_of(&maker, client)? {
                return Ok(inner.store.add_knock_room(&room, &target)?);
            }
        }
        Ok(())
    })
    .await
}

fn problem(error: HubCreateError) -> Problem {
    match error {
        HubCreateError::Credential(_) => Problem::SignatureInvalid,
        HubCreateError::NotParticipant => Problem::Forbidden,
        _ => Problem::Malformed,
    }
}

/// Destroys a room of this hub, if one of the device's users in it may. Of a room of another hub, the device gets no
/// more messages.
pub(crate) async fn destroy(inner: &Arc<Inner>, device: Device, room: RoomUri) -> Result<Reply, Fail> {
    if room.domain() != inner.domain() {
        let left = inner.blocking(move |inner| Ok(inner.store.leave_room(&device, &room)?)).await?;
        return if left { Ok(Reply::Nothing) } else { Err(Problem::UnknownRoom.into()) };
    }
    let name = room.clone();
    rooms::with(inner, name, move |inner, slot| {
        let hub = slot.as_ref().ok_or(Problem::UnknownRoom)?;
        if !inner.store.is_in_room(&device, &room)? {
            return Err(Problem::UnknownRoom.into());
        }
        let mut allowed = false;
        for (user, client) in hub.members().iter() {
            let may = hub.state().may_destroy(user).is_ok();
            allowed |= may && inner.store.is_client_of(&device, client)?;
        }
        if !allowed {
            return Err(Problem::Forbidden.into());
        }
        *slot = None;
        inner.wake(&inner.store.destroy_room(&room, inner.now())?);
        Ok(Reply::Nothing)
    })
    .await
}
