use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mimi_mls::HubRoom;
use mimi_pseudonym::{ClientUri, Domain, RoomUri};
use mimi_wire::Problem;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::audience::{domains, receivers};
use crate::{fail::Fail, provider::Inner};

type Slot = Arc<AsyncMutex<Held>>;

/// A room, and what was worked out from it.
#[derive(Default)]
pub(super) struct Held {
    room: Option<HubRoom>,
    known: Option<Known>,
}

/// What is asked about a room for each message, worked out once for as long as the room stays as it is.
pub(super) struct Known {
    /// The room's epoch, and how many times proposals were added in it.
    version: (u64, u64),
    /// The providers that have a client in the room.
    pub(super) domains: BTreeSet<Domain>,
    /// Those that get application messages.
    pub(super) hearing: BTreeSet<Domain>,
    /// The clients that get application messages, if not all in the room do.
    pub(super) receivers: Option<Vec<ClientUri>>,
}

impl Held {
    /// The room, if there is one, and what is known of it.
    pub(super) fn known(&mut self) -> Option<(&HubRoom, &Known)> {
        let room = self.room.as_ref()?;
        let version = (room.epoch(), room.additions());
        let known = self.known.take_if(|known| known.version == version);
        let known = known.unwrap_or_else(|| Known {
            version,
            domains: room.domains(),
            hearing: domains(room),
            receivers: receivers(room),
        });
        Some((room, self.known.insert(known)))
    }
}

/// The rooms in memory, each behind a lock of its own: whoever holds it decides what comes next in the room.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<HashMap<RoomUri, (Slot, Instant)>>, Mutex<HashMap<RoomUri, u64>>);

/// How long a room that nobody uses stays in memory.
const IDLE: Duration = Duration::from_secs(300);
/// How many rooms stay there that nobody uses at the moment.
const KEPT: usize = 2_000;

impl Rooms {
    fn slot(&self, room: &RoomUri) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (slot, used) = slots.entry(room.clone()).or_insert_with(|| (Slot::default(), Instant::now()));
        *used = Instant::now();
        Arc::clone(slot)
    }

    /// Lets rooms leave the memory that were not used for a while, or that are too many: they are read from the store when
    /// somebody comes back to them.
    pub(crate) fn rest(&self) {
        self.keep(IDLE, KEPT);
    }

    fn keep(&self, idle: Duration, kept: usize) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<_> = slots.values().map(|(_, used)| *used).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        let oldest = times.get(kept).copied();
        slots.retain(|_, (slot, used)| {
            let is_old = used.elapsed() >= idle || oldest.is_some_and(|oldest| *used <= oldest);
            !is_old || Arc::strong_count(slot) > 1
        });
        if slots.len() * 4 < slots.capacity() {
            slots.shrink_to_fit();
        }
    }

    /// Whether a room that is in memory is on this branch; from now on it is.
    fn is_on(&self, room: &RoomUri, branch: u64) -> bool {
        let mut branches = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if branch == 0 {
            return branches.remove(room).is_none();
        }
        branches.insert(room.clone(), branch) == Some(branch)
    }

    /// On which branch a room in memory is.
    fn branch(&self, room: &RoomUri) -> u64 {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).get(room).copied().unwrap_or_default()
    }

    /// Forgets a slot without a room that nobody else has a hand on, so that asking for rooms costs no memory.
    fn tidy(&self, room: &RoomUri) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = slots.get(room).is_some_and(|(slot, _)| {
            Arc::strong_count(slot) == 1 && slot.try_lock().is_ok_and(|held| held.room.is_none())
        });
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
            fill(inner, &room, &mut slot)?;
            let result = work(inner, &mut slot.room);
            if slot.room.is_none() {
                slot.known = None;
            }
            result
        })
        .await;
    inner.rooms.tidy(&name);
    result
}

/// Holds a room of this hub: as long as that is so, nobody else in this process does anything with it. Says as well whether it
/// is surely the room as it is in the database: where other processes write, too, that has to be looked up, which is done if
/// the room is not in memory, or if `now` says so.
pub(super) async fn hold(inner: &Arc<Inner>, room: &RoomUri, now: bool) -> Result<(OwnedMutexGuard<Held>, bool), Fail> {
    if room.domain() != inner.domain() {
        return Err(Problem::NotHub.into());
    }
    let mut slot = inner.rooms.slot(room).lock_owned().await;
    if slot.room.is_none() || (now && inner.store.is_shared()) {
        let name = room.clone();
        slot = inner
            .blocking(move |inner| {
                fill(inner, &name, &mut slot)?;
                Ok(slot)
            })
            .await?;
        if slot.room.is_none() {
            drop(slot);
            inner.rooms.tidy(room);
            return Err(Problem::UnknownRoom.into());
        }
        return Ok((slot, true));
    }
    Ok((slot, !inner.store.is_shared()))
}

/// In which state a room is in memory, for the database to compare: how many times proposals were added in its epoch, and how
/// often it has gone back. None where nobody else writes.
pub(super) fn version(inner: &Inner, hub: &HubRoom) -> Option<(i64, i64)> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let branch = || inner.rooms.branch(hub.uri());
    inner.store.is_shared().then(|| (number(hub.additions()), number(branch())))
}

/// Makes a room be read again next time.
pub(super) async fn forget(inner: &Arc<Inner>, room: &RoomUri) {
    *inner.rooms.slot(room).lock_owned().await = Held::default();
    inner.rooms.tidy(room);
}

/// Reads a room from the store, if it is not in memory or is another one there by now.
fn fill(inner: &Inner, room: &RoomUri, slot: &mut Held) -> Result<(), Fail> {
    if inner.store.is_shared() {
        // Another process may have taken the room further, or destroyed it.
        let newest = inner.store.room_version(room)?;
        let same = inner.rooms.is_on(room, newest.map_or(0, |(_, _, branch)| branch));
        let newest = newest.map(|(epoch, waiting, _)| (epoch, waiting));
        slot.room.take_if(|hub| newest != Some((hub.epoch(), hub.additions())) || !same);
    }
    if slot.room.is_none() {
        *slot = Held { room: load(inner, room)?, known: None };
    }
    Ok(())
}

fn load(inner: &Inner, room: &RoomUri) -> Result<Option<HubRoom>, Fail> {
    let Some(stored) = inner.store.room(room)? else { return Ok(None) };
    let restored = HubRoom::restore(&stored.snapshot, stored.log.iter().map(Vec::as_slice));
    restored.map(Some).map_err(|_| Fail::Fault("a room cannot be read from the store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_that_nobody_uses_leave_the_memory() {
        let rooms = Rooms::default();
        let count = || rooms.0.lock().unwrap().len();
        let uri = |name: &str| -> RoomUri { format!("mimi://a.example/r/{name}").parse().unwrap() };
        let used = rooms.slot(&uri("used"));
        for name in ["one", "two", "three"] {
            drop(rooms.slot(&uri(name)));
        }
        rooms.keep(Duration::from_secs(60), 10);
        assert_eq!(count(), 4);
        rooms.keep(Duration::from_secs(60), 2);
        assert_eq!(count(), 3, "the two that were used last, and the one that is used");
        rooms.keep(Duration::ZERO, 10);
        assert_eq!(count(), 1);
        assert!(Arc::ptr_eq(&used, &rooms.slot(&uri("used"))), "nobody else gets another one meanwhile");
    }
}
