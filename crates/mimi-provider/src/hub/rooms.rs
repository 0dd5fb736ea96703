use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mimi_mls::HubRoom;
use mimi_pseudonym::RoomUri;
use mimi_wire::Problem;
use tokio::sync::Mutex as AsyncMutex;

use crate::{fail::Fail, provider::Inner};

type Slot = Arc<AsyncMutex<Option<HubRoom>>>;

/// The rooms in memory, each behind a lock of its own: whoever holds it decides what comes next in the room.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<HashMap<RoomUri, Slot>>, Mutex<HashMap<RoomUri, u64>>);

impl Rooms {
    fn slot(&self, room: &RoomUri) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(room.clone()).or_default())
    }

    /// Whether a room that is in memory is on this branch; from now on it is.
    fn is_on(&self, room: &RoomUri, branch: u64) -> bool {
        let mut branches = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if branch == 0 {
            return branches.remove(room).is_none();
        }
        branches.insert(room.clone(), branch) == Some(branch)
    }

    /// Forgets a slot without a room that nobody else has a hand on, so that asking for rooms costs no memory.
    fn tidy(&self, room: &RoomUri) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = slots
            .get(room)
            .is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.try_lock().is_ok_and(|room| room.is_none()));
        if unused {
            slots.remove(room);
        }
    }
}

/// Does something with a room of this hub while nobody else does. The room is read from the store if it is not in memory;
/// the slot is empty if there is no such room. Work that leaves the slot empty makes the room be read again next time.
pub(super) async fn with<T, F>(inner: &Arc<Inner>, room: RoomUri, work: F) -> Result<T, Fail>
where
    T: Send + 'static,
    F: FnOnce(&Inner, &mut Option<HubRoom>) -> Result<T, Fail> + Send + 'static,
{
    if room.domain() != inner.domain() {
        return Err(Problem::NotHub.into());
    }
    let mut slot = inner.rooms.slot(&room).lock_owned().await;
    let name = room.clone();
    let result = inner
        .blocking(move |inner| {
            if inner.store.is_shared() {
                // Another process may have taken the room further, or destroyed it.
                let (newest, branch) = (inner.store.room_version(&room)?, inner.store.room_branch(&room)?);
                let same = inner.rooms.is_on(&room, branch);
                slot.take_if(|hub| newest != Some((hub.epoch(), hub.additions())) || !same);
            }
            if slot.is_none() {
                *slot = load(inner, &room)?;
            }
            work(inner, &mut slot)
        })
        .await;
    inner.rooms.tidy(&name);
    result
}

fn load(inner: &Inner, room: &RoomUri) -> Result<Option<HubRoom>, Fail> {
    let Some(stored) = inner.store.room(room)? else { return Ok(None) };
    let restored = HubRoom::restore(&stored.snapshot, stored.log.iter().map(Vec::as_slice));
    restored.map(Some).map_err(|_| Fail::Fault("a room cannot be read from the store"))
}
