//! Whoever came into a room to ask for something and does not leave is removed after a while.

use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_mls::HubRoom;
use tokio::time::sleep;

use super::{propose::by_hub, rooms};
use crate::{
    fail::Fail,
    log::{During, Fault},
    provider::Inner,
    store::Guest,
};

/// How often guests are looked after.
const PERIOD: Duration = Duration::from_secs(5);
/// The most guests at one time.
const COUNT: u16 = 256;

/// Whether a room that limits what guests may send has as many of them as it may.
pub(super) fn is_full(inner: &Inner, hub: &HubRoom) -> bool {
    if hub.state().messages_per_joiner().is_none() {
        return false;
    }
    let users = hub.state().participants().iter().map(|(user, _)| user);
    let guests = users.filter(|user| hub.state().message_limit(user).is_some()).count();
    u32::try_from(guests).map_or(true, |guests| guests >= inner.config.rooms.guests)
}

/// Looks after guests as long as the provider runs.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    loop {
        sleep(PERIOD).await;
        // What fails is tried again at the next turn.
        if let Err(error) = look(&inner).await {
            inner.log.fault(Fault::Work(During::Guests, &error));
        }
    }
}

async fn look(inner: &Arc<Inner>) -> Result<(), Fail> {
    let limit = Duration::from_secs(inner.config.rooms.guest_seconds);
    let found = inner.blocking(move |inner| Ok(inner.store.guests_before(inner.now().before(limit), COUNT)?));
    for guest in found.await? {
        let room = guest.room.clone();
        rooms::with(inner, room, move |inner, slot| {
            let done = remove(inner, slot, &guest);
            if done.is_err() {
                *slot = None;
            }
            done
        })
        .await?;
    }
    Ok(())
}

/// Proposes to remove the clients of a guest. It is gone when somebody commits that; until then, it is not looked at
/// again before a while has passed.
fn remove(inner: &Inner, slot: &mut Option<HubRoom>, guest: &Guest) -> Result<(), Fail> {
    let Some(hub) = slot.as_mut() else { return Ok(inner.store.forget_guest(guest)?) };
    let clients: Vec<_> = hub.members().of(&guest.user).cloned().collect();
    if clients.is_empty() || hub.state().message_limit(&guest.user).is_none() {
        return Ok(inner.store.forget_guest(guest)?);
    }
    by_hub(inner, hub, &clients)?;
    Ok(inner.store.defer_guest(guest, inner.now())?)
}
