//! The rooms of a device. How many there are costs next to nothing: one is read when it is needed for the first time, and
//! written when it has changed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mimi_mls::Room;
use mimi_pseudonym::{RoomUri, UserUri};
use mimi_room::RoomPurpose;
use zeroize::Zeroizing;

use crate::{
    Entry,
    records::{Records, Vault},
};

/// What is known of a room without reading it, and the room if it has been read.
struct Slot {
    /// Who the device is in it.
    user: UserUri,
    /// Who else is, as it is written down.
    met: Mutex<Vec<UserUri>>,
    /// `None` if it could not be read.
    room: OnceLock<Option<Box<Room>>>,
    changed: bool,
}

/// All rooms by their URIs.
#[derive(Default)]
pub(crate) struct Rooms {
    slots: BTreeMap<RoomUri, Slot>,
    records: Records,
    damaged: AtomicBool,
    /// Which there are, as it is written down; empty if that has changed.
    index: Mutex<Option<Vec<u8>>>,
}

/// A room of at most so many participants is written down with their names. In a larger one those stay that were there before.
const MET_MAX: usize = 16;

/// Whom the device meets in an ordinary room. Connection rooms are for meeting nobody.
fn met(room: &Room, before: &[UserUri]) -> Vec<UserUri> {
    let (state, own) = (room.state(), room.identity().user());
    let participants = state.participants();
    if state.purpose() != RoomPurpose::Ordinary {
        return Vec::new();
    }
    if participants.len() <= MET_MAX {
        return participants.iter().map(|(user, _)| user.clone()).filter(|user| user != own).collect();
    }
    before.iter().filter(|user| participants.role_of(user).is_some()).cloned().collect()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(uri: &RoomUri) -> String {
    format!("room/{uri}")
}

/// Whether a record is a room.
pub(crate) fn is_room(record: &[u8]) -> bool {
    Room::restore(record).is_ok()
}

impl Rooms {
    /// Rooms that stand in records, with who the device is in each, and who else is.
    pub(crate) fn of(known: impl IntoIterator<Item = (RoomUri, UserUri, Vec<UserUri>)>, records: Records) -> Self {
        let slot = |(uri, user, met)| (uri, Slot { user, met: Mutex::new(met), room: OnceLock::new(), changed: false });
        Self { slots: known.into_iter().map(slot).collect(), records, ..Self::default() }
    }

    /// From now on, rooms that have not been read are in a vault. All those that have been are new to it.
    pub(crate) fn move_to(&mut self, vault: Arc<dyn Vault>) {
        self.records.move_to(vault);
        self.slots.values_mut().for_each(|slot| slot.changed = true);
    }

    fn open<'a>(&'a self, uri: &RoomUri, slot: &'a Slot) -> Option<&'a Room> {
        let read = || {
            let room = self.records.get(&key(uri)).and_then(|record| Room::restore(&record).ok());
            if room.is_none() {
                self.damaged.store(true, Ordering::Relaxed);
            }
            room.map(Box::new)
        };
        slot.room.get_or_init(read).as_deref()
    }

    /// Whether a room could not be read: what the device made of that may be wrong.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, uri: &RoomUri) -> Option<&Room> {
        self.open(uri, self.slots.get(uri)?)
    }

    pub(crate) fn get_mut(&mut self, uri: &RoomUri) -> Option<&mut Room> {
        self.get(uri)?;
        let slot = self.slots.get_mut(uri)?;
        slot.changed = true;
        slot.room.get_mut()?.as_deref_mut()
    }

    pub(crate) fn insert(&mut self, uri: RoomUri, room: Room) {
        let (user, met) = (room.identity().user().clone(), Mutex::new(met(&room, &[])));
        self.forget_index();
        self.slots.insert(uri, Slot { user, met, room: OnceLock::from(Some(Box::new(room))), changed: true });
    }

    pub(crate) fn remove(&mut self, uri: &RoomUri) -> Option<Room> {
        self.get(uri)?;
        let slot = self.slots.remove(uri)?;
        self.forget_index();
        self.records.remove(&key(uri));
        slot.room.into_inner()?.map(|room| *room)
    }

    fn forget_index(&mut self) {
        *self.index.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn contains_key(&self, uri: &RoomUri) -> bool {
        self.slots.contains_key(uri)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the device has this name in one of them. Reads none.
    pub(crate) fn has(&self, user: &UserUri) -> bool {
        self.slots.values().any(|slot| slot.user == *user)
    }

    /// Whether somebody is in one of the ordinary rooms. Reads none.
    pub(crate) fn meets(&self, user: &UserUri) -> bool {
        self.slots.values().any(|slot| match slot.room.get() {
            Some(Some(room)) => {
                room.state().purpose() == RoomPurpose::Ordinary && room.state().participants().role_of(user).is_some()
            }
            _ => lock(&slot.met).contains(user),
        })
    }

    /// Those in which the device has this name. Reads none.
    pub(crate) fn of_user(&self, user: &UserUri) -> Vec<RoomUri> {
        self.slots.iter().filter(|(_, slot)| slot.user == *user).map(|(uri, _)| uri.clone()).collect()
    }

    /// All of them. Reads those that have not been read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RoomUri, &Room)> {
        self.slots.iter().filter_map(|(uri, slot)| Some((uri, self.open(uri, slot)?)))
    }

    /// Which there are, who the device is in each, and who else is, as JSON of what [`Rooms::of`] takes.
    pub(crate) fn index(&self) -> Vec<u8> {
        let mut index = lock(&self.index);
        for slot in self.slots.values().filter(|slot| slot.changed) {
            let Some(Some(room)) = slot.room.get() else { continue };
            let mut before = lock(&slot.met);
            let now = met(room, &before);
            if *before != now {
                *before = now;
                *index = None;
            }
        }
        let known =
            || -> Vec<_> { self.slots.iter().map(|(uri, slot)| (uri, &slot.user, lock(&slot.met).clone())).collect() };
        // Names alone: writing them as JSON cannot fail.
        index.get_or_insert_with(|| serde_json::to_vec(&known()).unwrap_or_default()).clone()
    }

    /// What is not in the vault as it is now: the room, or that it is gone.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (String, Option<Zeroizing<Vec<u8>>>)> {
        let changed = self.slots.iter().filter(|(_, slot)| slot.changed);
        let rooms = changed.filter_map(|(uri, slot)| {
            let saved = Zeroizing::new(slot.room.get()?.as_ref()?.save());
            // What came a second time has changed nothing: writing it again would be a step for nothing.
            let same = self.records.get(&key(uri)).is_some_and(|before| before == saved);
            (!same).then(|| (key(uri), Some(saved)))
        });
        let others = self.records.changes().filter(|(key, _)| !self.is_open(key));
        others.map(|(key, value)| (key.to_owned(), value.map(|value| Zeroizing::new(value.to_vec())))).chain(rooms)
    }

    /// Whether the room of a record has been read or made: what stands in the record may be old.
    fn is_open(&self, key: &str) -> bool {
        let uri = key.strip_prefix("room/").and_then(|uri| uri.parse::<RoomUri>().ok());
        uri.and_then(|uri| self.slots.get(&uri)).is_some_and(|slot| slot.room.get().is_some())
    }

    /// Everything has been written to the vault.
    pub(crate) fn kept(&mut self) {
        self.records.kept();
        self.slots.values_mut().for_each(|slot| slot.changed = false);
    }

    /// All rooms, of a device without a vault.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().filter_map(|(uri, slot)| {
            let value = match slot.room.get() {
                Some(room) => room.as_ref()?.save(),
                None => self.records.get(&key(uri))?.to_vec(),
            };
            Some(Entry { key: key(uri), value })
        })
    }
}
