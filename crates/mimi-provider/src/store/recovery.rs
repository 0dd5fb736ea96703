//! Going back to an earlier epoch of a room of this hub, and whom this hub keeps out of its rooms.

use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp, UserUri};
use mimi_wire::{Wire, local::InboxBody};

use super::{
    Hash, Store, StoreError, Wake,
    accounts::device_of,
    database::Db,
    delivery::put_in_outbox,
    mail::{devices_in_room, join, part_all, put_in_inbox},
    parsed,
    rooms::{advance, append},
};

/// How a remedy without an end is stored.
const FOR_EVER: i64 = 1 << 62;

/// What the hub does to a user or client by itself (draft-mahy-mimi-pseudonyms-00, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It sends nothing.
    Mute,
    /// It does not come in.
    Ban,
}

impl Remedy {
    const fn code(self) -> u8 {
        match self {
            Self::Mute => 1,
            Self::Ban => 2,
        }
    }
}

/// What is there of a room from the older of its snapshots on.
pub(crate) struct PastStored {
    pub(crate) snapshot: Vec<u8>,
    /// Each entry with its number.
    pub(crate) log: Vec<(i64, Vec<u8>)>,
    /// The number of the last entry that the snapshot goes up to.
    pub(crate) base: i64,
}

/// What has to be stored before a hub says that it has gone back.
pub(crate) struct RollbackRecord<'a> {
    pub(crate) room: &'a RoomUri,
    pub(crate) now: Timestamp,
    /// The epoch in which the room is, and the one in which it is again.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The number of the last log entry that is still good.
    pub(crate) last: i64,
    /// How many times proposals were added in the epoch, the new ones among them.
    pub(crate) waiting: u64,
    /// The log entry of the hub's proposals.
    pub(crate) proposals: Option<&'a [u8]>,
    /// The client that is kept out from now on.
    pub(crate) out: Option<&'a ClientUri>,
    /// Whether the GroupInfo of the epoch is not to be given to anybody.
    pub(crate) closed: bool,
    /// The clients that are in the room again.
    pub(crate) clients: &'a [ClientUri],
    pub(crate) outbox: &'a [(Domain, Vec<u8>)],
    /// What our clients are told.
    pub(crate) bodies: &'a [InboxBody],
}

impl Store {
    /// A room from the older of its snapshots on.
    pub(crate) fn past_of(&self, room: &RoomUri) -> Result<Option<PastStored>, StoreError> {
        self.read(|db| {
            let past = db.row("SELECT snapshot, seq FROM hub_past WHERE room = ?1", [room.as_str()])?;
            let row = match past {
                Some(row) => Some(row),
                None => db.row("SELECT snapshot, seq FROM hub_snapshots WHERE room = ?1", [room.as_str()])?,
            };
            let Some(row) = row else { return Ok(None) };
            let base: i64 = row.get(1)?;
            let log = "SELECT seq, entry FROM hub_log WHERE room = ?1 AND seq > ?2 ORDER BY seq";
            let log = db.rows(log, (room.as_str(), base))?;
            let log = log.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, StoreError>>()?;
            Ok(Some(PastStored { snapshot: row.get(0)?, log, base }))
        })
    }

    /// Remembers that a user has reported a commit, and returns all who have.
    pub(crate) fn add_report(
        &self,
        room: &RoomUri,
        commit: &Hash,
        user: &UserUri,
    ) -> Result<BTreeSet<UserUri>, StoreError> {
        self.write(|db| {
            let insert = "INSERT INTO hub_reports (room, commit_hash, reporter) VALUES (?1, ?2, ?3) \
                          ON CONFLICT (room, commit_hash, reporter) DO NOTHING";
            db.execute(insert, (room.as_str(), commit, user.as_str()))?;
            let question = "SELECT reporter FROM hub_reports WHERE room = ?1 AND commit_hash = ?2";
            let users: Vec<String> = db.column(question, (room.as_str(), commit))?;
            users.iter().map(|user| parsed(user, "reporter")).collect()
        })
    }

    /// Takes a room back to an earlier epoch.
    ///
    /// # Errors
    /// [`StoreError::is_stale`] if the room is not in that epoch, or there is no snapshot that is old enough: nothing is
    /// stored then.
    pub(crate) fn roll_back(&self, record: &RollbackRecord<'_>) -> Result<Wake, StoreError> {
        let epoch = |epoch: u64| i64::try_from(epoch).map_err(|_| StoreError::damaged("epoch"));
        let (from, to) = (epoch(record.from)?, epoch(record.to)?);
        let waiting = i64::try_from(record.waiting).map_err(|_| StoreError::damaged("waiting"))?;
        let room = record.room;
        self.write(|db| {
            let position = advance(db, room, from, to, record.outbox.len())?;
            let name = room.as_str();
            let set = "UPDATE hub_rooms SET waiting = ?2, branch = branch + 1, closed_epoch = ?3 WHERE room = ?1";
            db.execute(set, (name, waiting, if record.closed { to } else { -1 }))?;
            // What was accepted and is void may be sent again, and is refused then.
            let void = "DELETE FROM hub_seen WHERE room = ?1 AND hash IN \
                        (SELECT hash FROM hub_log WHERE room = ?1 AND seq > ?2 AND hash IS NOT NULL)";
            db.execute(void, (name, record.last))?;
            db.execute("DELETE FROM hub_log WHERE room = ?1 AND seq > ?2", (name, record.last))?;
            let seq: Option<i64> = db.value("SELECT seq FROM hub_snapshots WHERE room = ?1", [name])?;
            if seq.is_none_or(|seq| seq > record.last) {
                let back = "UPDATE hub_snapshots SET snapshot = (SELECT snapshot FROM hub_past WHERE room = ?1), \
                            seq = (SELECT seq FROM hub_past WHERE room = ?1) \
                            WHERE room = ?1 AND (SELECT seq FROM hub_past WHERE room = ?1) <= ?2";
                if db.execute(back, (name, record.last))? == 0 {
                    return Err(StoreError::stale());
                }
                db.execute("DELETE FROM hub_past WHERE room = ?1", [name])?;
            }
            if let Some(entry) = record.proposals {
                append(db, room, entry, None)?;
            }
            for table in ["hub_reports", "visitors"] {
                db.execute(&format!("DELETE FROM {table} WHERE room = ?1"), [name])?;
            }
            if let Some(out) = record.out {
                keep_out(db, room, out.as_str(), Remedy::Ban, FOR_EVER)?;
            }
            let peers = put_in_outbox(db, room, position, record.outbox, record.now)?;
            let mut devices = devices_in_room(db, room)?;
            part_all(db, room)?;
            for client in record.clients {
                if let Some(device) = device_of(db, client)? {
                    join(db, room, client, device)?;
                    devices.insert(device);
                }
            }
            for body in record.bodies.iter().map(Wire::encode) {
                for device in &devices {
                    put_in_inbox(db, *device, Some(room), &body)?;
                }
            }
            Ok(Wake { devices, peers })
        })
    }

    /// Whether the GroupInfo of the room's present epoch is not to be given to anybody.
    pub(crate) fn is_closed(&self, room: &RoomUri) -> Result<bool, StoreError> {
        let question = "SELECT room FROM hub_rooms WHERE room = ?1 AND closed_epoch = epoch";
        self.look(|db| Ok(db.row(question, [room.as_str()])?.is_some()))
    }

    /// Applies a remedy to a user in a room, until a time or for ever.
    pub(crate) fn apply(
        &self,
        room: &RoomUri,
        user: &UserUri,
        remedy: Remedy,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let until = until.map_or(FOR_EVER, super::millis);
        self.write(|db| keep_out(db, room, user.as_str(), remedy, until))
    }

    /// Lifts a remedy; `false` if there is none.
    pub(crate) fn lift(&self, room: &RoomUri, user: &UserUri, remedy: Remedy) -> Result<bool, StoreError> {
        let delete = "DELETE FROM hub_remedies WHERE room = ?1 AND name = ?2 AND remedy = ?3";
        self.write(|db| Ok(db.execute(delete, (room.as_str(), user.as_str(), remedy.code()))? > 0))
    }

    /// Whether a remedy holds for a user or client in a room.
    pub(crate) fn holds(&self, room: &RoomUri, name: &str, remedy: Remedy, now: Timestamp) -> Result<bool, StoreError> {
        let question = "SELECT name FROM hub_remedies WHERE room = ?1 AND name = ?2 AND remedy = ?3 AND until_at > ?4";
        self.look(|db| Ok(db.row(question, (room.as_str(), name, remedy.code(), now))?.is_some()))
    }
}

fn keep_out(db: Db<'_>, room: &RoomUri, name: &str, remedy: Remedy, until: i64) -> Result<(), StoreError> {
    let insert = "INSERT INTO hub_remedies (room, name, remedy, until_at) VALUES (?1, ?2, ?3, ?4) \
                  ON CONFLICT (room, name, remedy) DO UPDATE SET until_at = excluded.until_at";
    db.execute(insert, (room.as_str(), name, remedy.code(), until)).map(|_| ())
}
