use std::{collections::BTreeSet, time::Duration};

use mimi_abuse::signal::{Fact, Remedy as StepRemedy};
use mimi_mls::MAX_LIFETIME_SECS;
use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp, UserUri, Wire};
use mimi_wire::{KeyPackageRef, local::InboxBody};

use super::{
    AccountId, Device, DeviceId, Hash, Store, StoreError, Wake,
    abuse::{Judge, note_and_decide},
    accounts::device_of,
    database::Db,
    delivery::put_in_outbox,
    links::arrived,
    mail::{devices_in_room, devices_with_mail, is_in_room, join, part, part_device, put_in_inbox, put_in_inboxes},
    millis, parsed, timestamp,
    waiting::{add_guest, forget_guest, waiting},
};

/// How long whoever repeats a request, because its answer was lost, is told that it was accepted, if the room has gone on to
/// another epoch meanwhile. What is of the present epoch is remembered as long as that lasts.
const REPEATS: Duration = Duration::from_secs(30 * 86_400);

/// The tables in which something of a room of this hub stands.
const TABLES: [&str; 14] = [
    "hub_rooms",
    "hub_snapshots",
    "hub_past",
    "hub_log",
    "hub_seen",
    "join_links",
    "visitors",
    "guests",
    "hub_reports",
    "hub_remedies",
    "knock_rooms",
    "room_clients",
    "events",
    "mail_rooms",
];

/// A room that is about to be stored.
pub(crate) struct NewRoom<'a> {
    pub(crate) room: &'a RoomUri,
    pub(crate) snapshot: &'a [u8],
    /// Of the request that made it.
    pub(crate) hash: Hash,
    pub(crate) accepted: Timestamp,
    pub(crate) creator: &'a ClientUri,
    pub(crate) device: &'a Device,
}

/// How many clients of an account are in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientsInRoom {
    pub(crate) clients: u64,
    /// Those of them that are there under names whose moment has come.
    pub(crate) silenced: u64,
}

/// A room as it is stored.
pub(crate) struct StoredRoom {
    pub(crate) snapshot: Vec<u8>,
    pub(crate) log: Vec<Vec<u8>>,
}

/// What has to be stored before a commit is acknowledged.
pub(crate) struct CommitRecord<'a> {
    pub(crate) room: &'a RoomUri,
    /// Of the commit.
    pub(crate) hash: Hash,
    pub(crate) accepted: Timestamp,
    /// The epoch it leads to.
    pub(crate) epoch: u64,
    pub(crate) log_entry: &'a [u8],
    pub(crate) snapshot: Option<&'a [u8]>,
    /// Fan-out messages for other providers, in order.
    pub(crate) outbox: &'a [(Domain, Vec<u8>)],
    /// For our clients that were in the room before.
    pub(crate) commit: &'a InboxBody,
    /// For our clients that come in.
    pub(crate) welcome: Option<&'a InboxBody>,
    pub(crate) added: &'a [(KeyPackageRef, ClientUri)],
    /// Those of their KeyPackages that may be used again.
    pub(crate) reusable: &'a [KeyPackageRef],
    pub(crate) removed: &'a [ClientUri],
    /// How many times proposals were added in the epoch before.
    pub(crate) waiting: u64,
    /// The log entry of proposals of the hub's own for the new epoch.
    pub(crate) again: Option<&'a [u8]>,
    /// Who has joined by itself.
    pub(crate) joined: Option<JoinRecord<'a>>,
    /// Users who are in the room no longer.
    pub(crate) gone: &'a [UserUri],
    /// What it says about users.
    pub(crate) facts: &'a [(UserUri, Fact)],
    /// Decides from that.
    pub(crate) judge: &'a Judge<'a>,
}

/// What has to be stored when a client has joined by an external commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JoinRecord<'a> {
    pub(crate) user: &'a UserUri,
    pub(crate) client: &'a ClientUri,
    /// Of its signature key.
    pub(crate) key_hash: &'a Hash,
    /// Of the join code of which one use is gone.
    pub(crate) code_hash: Option<&'a Hash>,
    /// Whether the room limits how many messages it may send.
    pub(crate) is_guest: bool,
}

impl Store {
    /// Stores a new room; `false` if there is one of this name.
    pub(crate) fn create_room(&self, new: &NewRoom<'_>) -> Result<bool, StoreError> {
        self.write(|db| {
            let room = new.room.as_str();
            // What a room of the same name has left in the outbox, before it was destroyed, comes before what this one
            // will put there.
            let insert = "INSERT INTO hub_rooms (room, epoch, position) \
                          SELECT ?1, 0, COALESCE((SELECT MAX(position) FROM outbox WHERE room = ?1), 0) \
                          ON CONFLICT (room) DO NOTHING";
            if db.execute(insert, [room])? == 0 {
                return Ok(false);
            }
            db.execute("INSERT INTO hub_snapshots (room, snapshot) VALUES (?1, ?2)", (room, new.snapshot))?;
            see(db, new.room, &new.hash, new.accepted, 0)?;
            join(db, new.room, new.creator, new.device.id)?;
            Ok(true)
        })
    }

    /// A room's snapshot and log.
    pub(crate) fn room(&self, room: &RoomUri) -> Result<Option<StoredRoom>, StoreError> {
        self.read(|db| {
            let row = db.row("SELECT snapshot, seq FROM hub_snapshots WHERE room = ?1", [room.as_str()])?;
            let Some(row) = row else { return Ok(None) };
            let log = "SELECT entry FROM hub_log WHERE room = ?1 AND seq > ?2 ORDER BY seq";
            let log = db.column(log, (room.as_str(), row.get::<i64>(1)?))?;
            Ok(Some(StoredRoom { snapshot: row.get(0)?, log }))
        })
    }

    /// The epoch of a room.
    pub(crate) fn room_epoch(&self, room: &RoomUri) -> Result<Option<u64>, StoreError> {
        self.look(|db| db.value("SELECT epoch FROM hub_rooms WHERE room = ?1", [room.as_str()]))
    }

    /// The room with the longest snapshot.
    pub(crate) fn largest_room(&self) -> Result<Option<RoomUri>, StoreError> {
        let question = "SELECT room FROM hub_snapshots ORDER BY LENGTH(snapshot) DESC LIMIT 1";
        let room: Option<String> = self.look(|db| db.value(question, [0_i64; 0]))?;
        room.map(|room| parsed(&room, "room")).transpose()
    }

    /// The epoch of a room, how many times proposals were added in it, and how often the room has gone back to an earlier one.
    /// Where other processes write to the database, what this one has of a room is worth something only if it is the same
    /// there.
    pub(crate) fn room_version(&self, room: &RoomUri) -> Result<Option<(u64, u64, u64)>, StoreError> {
        let question = "SELECT epoch, waiting, branch FROM hub_rooms WHERE room = ?1";
        let row = self.look(|db| db.row(question, [room.as_str()]))?;
        row.map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).transpose()
    }

    /// Remembers which knock room belongs to a room. The newest takes the place of one before it.
    pub(crate) fn add_knock_room(&self, room: &RoomUri, target: &RoomUri) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("DELETE FROM knock_rooms WHERE target = ?1", [target.as_str()])?;
            let insert = "INSERT INTO knock_rooms (room, target) VALUES (?1, ?2) ON CONFLICT (room) DO NOTHING";
            db.execute(insert, (room.as_str(), target.as_str())).map(|_| ())
        })
    }

    /// The knock room of a room.
    pub(crate) fn knock_room_of(&self, target: &RoomUri) -> Result<Option<RoomUri>, StoreError> {
        let question = "SELECT room FROM knock_rooms WHERE target = ?1";
        let room: Option<String> = self.look(|db| db.value(question, [target.as_str()]))?;
        room.map(|room| parsed(&room, "room")).transpose()
    }

    /// When a message was accepted, if it was.
    pub(crate) fn accepted_at(&self, room: &RoomUri, hash: &Hash) -> Result<Option<Timestamp>, StoreError> {
        self.look(|db| accepted_at(db, room, hash))
    }

    /// Whether a client came into a room of this hub with one of these KeyPackages before. Forgets those that nobody
    /// would accept any more, for their age alone.
    pub(crate) fn were_used(&self, references: &[KeyPackageRef], now: Timestamp) -> Result<bool, StoreError> {
        let ended = millis(now.before(Duration::from_secs(2 * MAX_LIFETIME_SECS)));
        self.write(|db| {
            db.execute("DELETE FROM used_key_packages WHERE used_at < ?1", [ended])?;
            for reference in references {
                if db.row("SELECT used_at FROM used_key_packages WHERE ref = ?1", [reference.as_bytes()])?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// The clients of an account in a room.
    pub(crate) fn clients_in_room(
        &self,
        account: AccountId,
        room: &RoomUri,
        now: Timestamp,
    ) -> Result<ClientsInRoom, StoreError> {
        let question = "SELECT COUNT(*), COUNT(s.subject) FROM room_clients r JOIN devices d ON d.id = r.device \
                        JOIN accounts a ON a.id = d.account LEFT JOIN client_pseudonyms c ON c.client = r.client \
                        LEFT JOIN silenced_users s ON s.subject = COALESCE(c.user_uri, a.user_uri) AND s.due_at <= ?3 \
                        WHERE r.room = ?1 AND d.account = ?2";
        let row = self.look(|db| db.one(question, (room.as_str(), account.number(), now)))?;
        Ok(ClientsInRoom { clients: row.get(0)?, silenced: row.get(1)? })
    }

    /// Whether a device has a client in a room.
    pub(crate) fn is_in_room(&self, device: &Device, room: &RoomUri) -> Result<bool, StoreError> {
        self.look(|db| is_in_room(db, room, device.id))
    }

    /// Stores a commit that the hub accepts, with everything that follows from it, and gives what was decided about users.
    ///
    /// # Errors
    /// [`StoreError::is_stale`] if the room is no longer in the epoch before, has accepted this commit already, or one of
    /// the KeyPackages was used meanwhile: nothing is stored then.
    pub(crate) fn accept_commit(&self, record: &CommitRecord<'_>) -> Result<(Wake, Vec<StepRemedy>), StoreError> {
        let room = record.room;
        let epoch = i64::try_from(record.epoch).map_err(|_| StoreError::damaged("epoch"))?;
        let body = record.commit.encode();
        self.write(|db| {
            let position = advance(db, room, epoch - 1, epoch, record.outbox.len())?;
            see(db, room, &record.hash, record.accepted, epoch - 1)?;
            waiting(db, room, record.waiting, u64::from(record.again.is_some()))?;
            let seq = append(db, room, record.log_entry, Some(&record.hash))?;
            if let Some(snapshot) = record.snapshot {
                take_snapshot(db, room, seq, snapshot)?;
            }
            if let Some(again) = record.again {
                append(db, room, again, None)?;
            }
            forget_seen(db, room, epoch, record.accepted)?;
            if let Some(joined) = &record.joined {
                arrived(db, room, joined.key_hash, joined.code_hash, record.accepted)?;
                if joined.is_guest {
                    add_guest(db, room, joined.user, record.accepted)?;
                }
                if joined.client.domain() == room.domain()
                    && let Some(device) = device_of(db, joined.client)?
                {
                    join(db, room, joined.client, device)?;
                }
            }
            for user in record.gone {
                forget_guest(db, room, user)?;
            }
            let mut decided = Vec::new();
            for (user, fact) in record.facts {
                decided.extend(note_and_decide(db, user, room, fact, record.judge)?);
            }
            for (reference, _) in record.added.iter().filter(|(reference, _)| !record.reusable.contains(reference)) {
                let insert =
                    "INSERT INTO used_key_packages (ref, used_at) VALUES (?1, ?2) ON CONFLICT (ref) DO NOTHING";
                if db.execute(insert, (reference.as_bytes(), record.accepted))? == 0 {
                    return Err(StoreError::stale());
                }
            }
            let peers = put_in_outbox(db, room, position, record.outbox, record.accepted)?;
            let mut devices = put_in_inboxes(db, room, &body)?;
            // Whoever comes in again takes its own earlier leaf away, and is there.
            let here = record.joined.as_ref().map(|joined| joined.client);
            for client in record.removed.iter().filter(|client| here != Some(*client)) {
                part(db, room, client)?;
            }
            devices.extend(welcome(db, record)?);
            Ok((Wake { devices, peers }, decided))
        })
    }

    /// Deletes a room, all but what still waits to be taken by other providers, and tells our clients that were in it.
    /// [`Store::forget_destroyed`] does the rest.
    pub(crate) fn destroy_room(&self, room: &RoomUri, now: Timestamp) -> Result<Wake, StoreError> {
        self.write(|db| {
            // Those who were removed shortly before, and have not read of it, are told as well.
            let mut devices = devices_in_room(db, room)?;
            devices.extend(devices_with_mail(db, room)?);
            for table in TABLES {
                db.execute(&format!("DELETE FROM {table} WHERE room = ?1"), [room.as_str()])?;
            }
            let body = InboxBody::RoomDestroyed { room: room.clone() }.encode();
            for device in &devices {
                put_in_inbox(db, *device, Some(room), &body)?;
            }
            let insert = "INSERT INTO destroyed_rooms (room, destroyed_at) VALUES (?1, ?2) \
                          ON CONFLICT (room) DO UPDATE SET destroyed_at = excluded.destroyed_at";
            db.execute(insert, (room.as_str(), now))?;
            Ok(Wake { devices, peers: BTreeSet::new() })
        })
    }

    /// Lets destroyed rooms leave the files, once nothing about them waits to be taken any more; a device that takes
    /// nothing for an hour is not waited for. SQLite overwrites what is deleted, but not the copies that it leaves
    /// behind in a page when rows move to another one: the file is written anew. Returns whether it was.
    pub(crate) fn forget_destroyed(&self, now: Timestamp) -> Result<bool, StoreError> {
        let hour_ago = millis(now.before(Duration::from_secs(3600)));
        if self.look(|db| db.row("SELECT room FROM destroyed_rooms LIMIT 1", [0_i64; 0]))?.is_none() {
            return Ok(false);
        }
        let forgotten = self.write(|db| {
            db.execute(
                "DELETE FROM destroyed_rooms
                 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.room = destroyed_rooms.room)
                   AND (destroyed_at < ?1
                        OR NOT EXISTS (SELECT 1 FROM events WHERE events.room = destroyed_rooms.room))",
                [hour_ago],
            )
        })?;
        if forgotten > 0 {
            self.database.shed(true)?;
        }
        Ok(forgotten > 0)
    }

    /// A client of a device is about to come into a room; `false` if it is in there already.
    pub(crate) fn expect_in_room(
        &self,
        device: &Device,
        room: &RoomUri,
        client: &ClientUri,
    ) -> Result<bool, StoreError> {
        self.write(|db| join(db, room, client, device.id))
    }

    /// A client did not come into a room.
    pub(crate) fn not_in_room(&self, room: &RoomUri, client: &ClientUri) -> Result<(), StoreError> {
        self.write(|db| part(db, room, client).map(|_| ()))?;
        self.is_room_dirty(room);
        Ok(())
    }

    /// A device no longer wants the messages of a room.
    pub(crate) fn leave_room(&self, device: &Device, room: &RoomUri) -> Result<bool, StoreError> {
        let was_in = self.write(|db| part_device(db, room, device.id))?;
        self.is_room_dirty(room);
        Ok(was_in)
    }
}

/// When an event was accepted, if it was.
pub(super) fn accepted_at(db: Db<'_>, room: &RoomUri, hash: &Hash) -> Result<Option<Timestamp>, StoreError> {
    let question = "SELECT accepted_at FROM hub_seen WHERE room = ?1 AND hash = ?2";
    Ok(db.value(question, (room.as_str(), hash))?.map(timestamp))
}

/// Takes a room from one epoch to another, which may be the same, and returns the position of the first of so many
/// events. Whoever has done so decides alone what comes next in the room until the end of the transaction.
pub(super) fn advance(db: Db<'_>, room: &RoomUri, from: i64, to: i64, events: usize) -> Result<i64, StoreError> {
    let events = i64::try_from(events).map_err(|_| StoreError::damaged("position"))?;
    let update =
        "UPDATE hub_rooms SET epoch = ?3, position = position + ?4 WHERE room = ?1 AND epoch = ?2 RETURNING position";
    let last: Option<i64> = db.value(update, (room.as_str(), from, to, events))?;
    Ok(last.ok_or_else(StoreError::stale)? - events + 1)
}

/// Appends an entry to a room's log, with the hash of the commit if it is one, and returns its number.
pub(super) fn append(db: Db<'_>, room: &RoomUri, entry: &[u8], hash: Option<&Hash>) -> Result<i64, StoreError> {
    let newest = "SELECT MAX(seq) FROM (SELECT seq FROM hub_log WHERE room = ?1 \
                  UNION ALL SELECT seq FROM hub_snapshots WHERE room = ?1) AS entries";
    let newest: Option<i64> = db.one(newest, [room.as_str()])?.get(0)?;
    let seq = newest.unwrap_or_default() + 1;
    let insert = "INSERT INTO hub_log (room, seq, entry, hash) VALUES (?1, ?2, ?3, ?4)";
    db.execute(insert, (room.as_str(), seq, entry, hash.map(|hash| hash.as_slice())))?;
    Ok(seq)
}

/// Stores a snapshot of a room that goes up to a log entry. The one before it is kept, and the log from there on.
fn take_snapshot(db: Db<'_>, room: &RoomUri, seq: i64, snapshot: &[u8]) -> Result<(), StoreError> {
    let room = room.as_str();
    db.execute("DELETE FROM hub_past WHERE room = ?1", [room])?;
    let keep =
        "INSERT INTO hub_past (room, seq, snapshot) SELECT room, seq, snapshot FROM hub_snapshots WHERE room = ?1";
    db.execute(keep, [room])?;
    db.execute("UPDATE hub_snapshots SET snapshot = ?2, seq = ?3 WHERE room = ?1", (room, snapshot, seq))?;
    let forget = "DELETE FROM hub_log WHERE room = ?1 AND seq <= (SELECT seq FROM hub_past WHERE room = ?1)";
    db.execute(forget, [room])?;
    Ok(())
}

/// Remembers that something of an epoch was accepted. Stale if it was before.
pub(super) fn see(db: Db<'_>, room: &RoomUri, hash: &Hash, accepted: Timestamp, epoch: i64) -> Result<(), StoreError> {
    let insert = "INSERT INTO hub_seen (room, hash, accepted_at, epoch) VALUES (?1, ?2, ?3, ?4) \
                  ON CONFLICT (room, hash) DO NOTHING";
    let new = db.execute(insert, (room.as_str(), hash, accepted, epoch))? > 0;
    if new { Ok(()) } else { Err(StoreError::stale()) }
}

/// Forgets what was accepted long ago, in epochs that the room cannot go back to: it leads to this epoch now. What is of the
/// present epoch, or one that the log still leads back to, would be accepted once more if it were forgotten.
fn forget_seen(db: Db<'_>, room: &RoomUri, epoch: i64, now: Timestamp) -> Result<(), StoreError> {
    let forget = "DELETE FROM hub_seen WHERE room = ?1 AND accepted_at < ?2 \
                  AND epoch < ?3 - (SELECT COUNT(*) FROM hub_log WHERE room = ?1)";
    db.execute(forget, (room.as_str(), now.before(REPEATS), epoch)).map(|_| ())
}

/// Lets our clients in that a commit adds. KeyPackages that were used are used up, whatever way they were handed out.
fn welcome(db: Db<'_>, record: &CommitRecord<'_>) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    for (reference, client) in record.added {
        db.execute("UPDATE key_packages SET claimed = 1, claimed_by = NULL WHERE ref = ?1", [reference.as_bytes()])?;
        db.execute("DELETE FROM hub_kp_routes WHERE ref = ?1", [reference.as_bytes()])?;
        if client.domain() == record.room.domain()
            && let Some(device) = device_of(db, client)?
        {
            join(db, record.room, client, device)?;
            devices.insert(device);
        }
    }
    if let Some(body) = record.welcome.map(Wire::encode) {
        for device in &devices {
            put_in_inbox(db, *device, Some(record.room), &body)?;
        }
    }
    Ok(devices)
}
