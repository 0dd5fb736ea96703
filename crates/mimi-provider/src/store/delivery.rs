use std::collections::BTreeSet;

use mimi_pseudonym::{Domain, RoomUri};
use mimi_wire::KeyPackageRef;
use rusqlite::{Connection, Transaction};

use super::{DeviceId, Hash, MaybeRow, Store, StoreError, Wake, parsed, rooms::join};

/// A fan-out message that waits for another provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) id: i64,
    pub(crate) room: RoomUri,
    pub(crate) message: Vec<u8>,
}

/// One fan-out message of another hub.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    /// Of the room and the message.
    pub(crate) hash: Hash,
    /// What our clients get.
    pub(crate) body: Vec<u8>,
    /// For a Welcome: whom it lets in.
    pub(crate) welcome: Option<Vec<KeyPackageRef>>,
}

/// What became of fan-out messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotifyOutcome {
    /// They are in the inboxes.
    Taken(Wake),
    /// A Welcome is for none of our KeyPackages; nothing was taken.
    UnknownKeyPackageRef,
    /// None of our clients is in the room; nothing was taken.
    UnknownRoom,
}

/// Ends a transaction without a change.
enum Stop {
    Outcome(NotifyOutcome),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// The events of a device behind a sequence number, oldest first: at most `count`, and no more than `octets` unless the
    /// first alone is longer.
    pub(crate) fn inbox(
        &self,
        device: DeviceId,
        after: u64,
        count: usize,
        octets: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT sequence, body FROM inbox WHERE device = ?1 AND sequence > ?2 ORDER BY sequence",
            )?;
            let mut rows = query.query((device.0, i64::try_from(after).unwrap_or(i64::MAX)))?;
            let mut events: Vec<(u64, Vec<u8>)> = Vec::new();
            let mut total = 0_usize;
            while let Some(row) = rows.next()? {
                let sequence: i64 = row.get(0)?;
                let body: Vec<u8> = row.get(1)?;
                total = total.saturating_add(body.len());
                if events.len() == count || (total > octets && !events.is_empty()) {
                    break;
                }
                events.push((u64::try_from(sequence).map_err(|_| StoreError::damaged("sequence"))?, body));
            }
            Ok(events)
        })
    }

    /// Deletes the events of a device up to and with a sequence number.
    pub(crate) fn ack(&self, device: DeviceId, up_to: u64) -> Result<(), StoreError> {
        self.write(|db| {
            let delete = "DELETE FROM inbox WHERE device = ?1 AND sequence <= ?2";
            db.execute(delete, (device.0, i64::try_from(up_to).unwrap_or(i64::MAX)))?;
            Ok(())
        })
    }

    /// The oldest rows for a peer, all of one room: at most `count`, and no more than `octets` unless the first alone
    /// is longer.
    pub(crate) fn outbox(&self, peer: &Domain, count: usize, octets: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, room, message FROM outbox WHERE peer = ?1 \
                 AND room = (SELECT room FROM outbox WHERE peer = ?1 ORDER BY id LIMIT 1) ORDER BY id",
            )?;
            let mut found = query.query([peer.as_str()])?;
            let mut rows: Vec<OutboxRow> = Vec::new();
            let mut total = 0_usize;
            while let Some(row) = found.next()? {
                let (id, room, message): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                total = total.saturating_add(message.len());
                if rows.len() == count || (total > octets && !rows.is_empty()) {
                    break;
                }
                rows.push(OutboxRow { id, room: parsed(&room, "room")?, message });
            }
            Ok(rows)
        })
    }

    /// Forgets rows that the peer has taken, or never will.
    pub(crate) fn outbox_done(&self, rows: &[OutboxRow]) -> Result<(), StoreError> {
        self.write(|db| {
            let mut delete = db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
            for row in rows {
                delete.execute([row.id])?;
            }
            Ok(())
        })
    }

    /// Takes fan-out messages of a room of another hub: all of them or none. One that was taken before is passed over.
    pub(crate) fn notify(&self, room: &RoomUri, messages: &[Notification]) -> Result<NotifyOutcome, StoreError> {
        let taken = self.write(|db| {
            let mut wake = Wake::default();
            for message in messages {
                let insert = "INSERT OR IGNORE INTO notify_seen (hub, hash) VALUES (?1, ?2)";
                if db.execute(insert, (room.domain().as_str(), &message.hash))? == 0 {
                    continue;
                }
                let devices = match &message.welcome {
                    Some(references) => welcomed(db, room, references)?,
                    None => devices_in_room(db, room)?,
                };
                if devices.is_empty() {
                    return Err(Stop::Outcome(match message.welcome {
                        Some(_) => NotifyOutcome::UnknownKeyPackageRef,
                        None => NotifyOutcome::UnknownRoom,
                    }));
                }
                for device in devices {
                    put_in_inbox(db, device, Some(room), &message.body)?;
                    wake.devices.insert(device);
                }
            }
            Ok(wake)
        });
        match taken {
            Ok(wake) => Ok(NotifyOutcome::Taken(wake)),
            Err(Stop::Outcome(outcome)) => Ok(outcome),
            Err(Stop::Store(error)) => Err(error),
        }
    }
}

/// Lets our clients into a room whose KeyPackages a Welcome names. A KeyPackage that was used before lets nobody in.
fn welcomed(
    db: &Transaction<'_>,
    room: &RoomUri,
    references: &[KeyPackageRef],
) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    let mut query = db.prepare_cached(
        "UPDATE key_packages SET claimed = 2, claimed_by = NULL WHERE ref = ?1 AND claimed < 2 RETURNING client, device",
    )?;
    for reference in references {
        let row = query.query_row([reference.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).maybe()?;
        if let Some((client, device)) = row {
            let device = DeviceId(device);
            join(db, room, &parsed(&client, "client")?, device)?;
            devices.insert(device);
        }
    }
    Ok(devices)
}

/// The devices that have a client in a room.
pub(super) fn devices_in_room(db: &Connection, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut query = db.prepare_cached("SELECT device FROM room_clients WHERE room = ?1")?;
    let devices = query.query_map([room.as_str()], |row| row.get(0).map(DeviceId))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// The devices that have not acknowledged everything that came from a room.
pub(super) fn devices_with_mail(db: &Transaction<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut query = db.prepare_cached("SELECT DISTINCT device FROM inbox WHERE room = ?1")?;
    let devices = query.query_map([room.as_str()], |row| row.get(0).map(DeviceId))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Appends an event to a device's inbox, under its next number.
pub(super) fn put_in_inbox(
    db: &Transaction<'_>,
    device: DeviceId,
    room: Option<&RoomUri>,
    body: &[u8],
) -> Result<(), StoreError> {
    let mut next = db
        .prepare_cached("UPDATE devices SET last_sequence = last_sequence + 1 WHERE id = ?1 RETURNING last_sequence")?;
    let sequence: i64 = next.query_row([device.0], |row| row.get(0))?;
    let mut insert = db.prepare_cached("INSERT INTO inbox (device, sequence, room, body) VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute((device.0, sequence, room.map(RoomUri::as_str), body))?;
    Ok(())
}

pub(super) fn put_in_outbox(
    db: &Transaction<'_>,
    room: &RoomUri,
    messages: &[(Domain, Vec<u8>)],
) -> Result<BTreeSet<Domain>, StoreError> {
    let mut insert = db.prepare_cached("INSERT INTO outbox (peer, room, message) VALUES (?1, ?2, ?3)")?;
    for (peer, message) in messages {
        insert.execute((peer.as_str(), room.as_str(), message))?;
    }
    Ok(messages.iter().map(|(peer, _)| peer.clone()).collect())
}
