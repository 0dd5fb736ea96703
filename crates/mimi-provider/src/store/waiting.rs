//! Proposals that wait for the next commit of a room of this hub, and guests in rooms that limit what they may send.

use mimi_pseudonym::{Domain, RoomUri, Timestamp, UserUri};
use mimi_wire::{Wire, local::InboxBody};

use super::{
    Hash, Store, StoreError, Wake,
    database::Db,
    delivery::put_in_outbox,
    mail::put_in_inboxes,
    parsed,
    rooms::{advance, append, see},
};

/// What has to be stored before proposals are acknowledged.
pub(crate) struct ProposalsRecord<'a> {
    pub(crate) room: &'a RoomUri,
    /// Of the proposals.
    pub(crate) hash: Hash,
    pub(crate) accepted: Timestamp,
    /// The room's epoch.
    pub(crate) epoch: u64,
    /// How many times proposals were added in this epoch before.
    pub(crate) waiting: u64,
    pub(crate) log_entry: &'a [u8],
    pub(crate) outbox: &'a [(Domain, Vec<u8>)],
    pub(crate) body: &'a InboxBody,
}

/// A participant who came by itself into a room that limits what it may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) room: RoomUri,
    pub(crate) user: UserUri,
}

impl Store {
    /// Stores proposals that the hub accepts.
    ///
    /// # Errors
    /// [`StoreError::is_stale`] if the room has gone on meanwhile, or has accepted these proposals already: nothing is
    /// stored then.
    pub(crate) fn accept_proposals(&self, record: &ProposalsRecord<'_>) -> Result<Wake, StoreError> {
        let room = record.room;
        let epoch = i64::try_from(record.epoch).map_err(|_| StoreError::damaged("epoch"))?;
        let body = record.body.encode();
        self.write(|db| {
            let position = advance(db, room, epoch, epoch, record.outbox.len())?;
            waiting(db, room, record.waiting, record.waiting + 1)?;
            see(db, room, &record.hash, record.accepted, epoch)?;
            append(db, room, record.log_entry, None)?;
            let peers = put_in_outbox(db, room, position, record.outbox, record.accepted)?;
            let devices = put_in_inboxes(db, room, &body)?;
            Ok(Wake { devices, peers })
        })
    }

    /// Guests who came before a time, of rooms of this hub: at most so many, those who came first.
    pub(crate) fn guests_before(&self, time: Timestamp, count: u16) -> Result<Vec<Guest>, StoreError> {
        let question = "SELECT room, guest FROM guests WHERE came_at < ?1 ORDER BY came_at LIMIT ?2";
        let rows = self.look(|db| db.rows(question, (time, count)))?;
        let guest = |row: &super::database::Row| {
            Ok(Guest { room: parsed(&row.get::<String>(0)?, "room")?, user: parsed(&row.get::<String>(1)?, "guest")? })
        };
        rows.iter().map(guest).collect()
    }

    /// A guest that was looked after is looked at again later.
    pub(crate) fn defer_guest(&self, guest: &Guest, until: Timestamp) -> Result<(), StoreError> {
        let update = "UPDATE guests SET came_at = ?3 WHERE room = ?1 AND guest = ?2";
        self.write_holding(|db| db.execute(update, (guest.room.as_str(), guest.user.as_str(), until)).map(|_| ()))
    }

    /// A guest that is gone.
    pub(crate) fn forget_guest(&self, guest: &Guest) -> Result<(), StoreError> {
        self.write_holding(|db| forget_guest(db, &guest.room, &guest.user))
    }
}

/// Takes the count of proposals that wait from one number to another. Stale if it is another.
pub(super) fn waiting(db: Db<'_>, room: &RoomUri, from: u64, to: u64) -> Result<(), StoreError> {
    let number = |count: u64| i64::try_from(count).map_err(|_| StoreError::damaged("waiting"));
    let update = "UPDATE hub_rooms SET waiting = ?3 WHERE room = ?1 AND waiting = ?2";
    let changed = db.execute(update, (room.as_str(), number(from)?, number(to)?))?;
    if changed > 0 { Ok(()) } else { Err(StoreError::stale()) }
}

/// How many messages a guest has sent; none if the user is no guest.
pub(super) fn sent_by_guest(db: Db<'_>, room: &RoomUri, user: &UserUri) -> Result<Option<u64>, StoreError> {
    db.value("SELECT sent FROM guests WHERE room = ?1 AND guest = ?2", (room.as_str(), user.as_str()))
}

/// A user has come by itself into a room that limits what it may send.
pub(super) fn add_guest(db: Db<'_>, room: &RoomUri, user: &UserUri, now: Timestamp) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO guests (room, guest, came_at, sent) VALUES (?1, ?2, ?3, 0) ON CONFLICT (room, guest) DO NOTHING";
    db.execute(insert, (room.as_str(), user.as_str(), now)).map(|_| ())
}

pub(super) fn forget_guest(db: Db<'_>, room: &RoomUri, user: &UserUri) -> Result<(), StoreError> {
    db.execute("DELETE FROM guests WHERE room = ?1 AND guest = ?2", (room.as_str(), user.as_str())).map(|_| ())
}

/// Counts a message of a guest. Stale if it has sent as many as it may.
pub(super) fn count_message(db: Db<'_>, room: &RoomUri, user: &UserUri, limit: u32) -> Result<(), StoreError> {
    let count = "UPDATE guests SET sent = sent + 1 WHERE room = ?1 AND guest = ?2 AND sent < ?3";
    if db.execute(count, (room.as_str(), user.as_str(), limit))? > 0 { Ok(()) } else { Err(StoreError::stale()) }
}
