use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp, UserUri};
use mimi_wire::KeyPackageRef;

use super::{
    DeviceId, Hash, Store, StoreError, Wake,
    database::{Db, Row},
    parsed,
    rooms::join,
};

/// One fan-out message of another hub.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    /// Of the room and the message.
    pub(crate) hash: Hash,
    /// What our clients get.
    pub(crate) body: Vec<u8>,
    pub(crate) kind: NotificationKind,
}

/// What a fan-out message is, as far as it decides who gets it.
#[derive(Debug, Clone)]
pub(crate) enum NotificationKind {
    /// For those whom it lets in.
    Welcome(Vec<KeyPackageRef>),
    /// For those who hear the room.
    Application,
    /// For everybody in the room.
    Handshake,
    /// For nobody: who hears the room from now on, if not everybody does.
    Audience(Option<Vec<UserUri>>),
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
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let lengths =
            "SELECT sequence, LENGTH(body) FROM inbox WHERE device = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
        let found = self.look(|db| db.rows(lengths, (device.0, after, count)))?;
        let Some(last) = within(&found, octets)? else { return Ok(Vec::new()) };
        let events =
            "SELECT sequence, body FROM inbox WHERE device = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence";
        let found = self.look(|db| db.rows(events, (device.0, after, last)))?;
        found.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Deletes the events of a device up to and with a sequence number.
    pub(crate) fn ack(&self, device: DeviceId, up_to: u64) -> Result<(), StoreError> {
        self.write_holding(|db| {
            let delete = "DELETE FROM inbox WHERE device = ?1 AND sequence <= ?2";
            db.execute(delete, (device.0, i64::try_from(up_to).unwrap_or(i64::MAX)))?;
            Ok(())
        })
    }

    /// Takes fan-out messages of a room of another hub: all of them or none. One that was taken before is passed over.
    pub(crate) fn notify(&self, room: &RoomUri, messages: &[Notification]) -> Result<NotifyOutcome, StoreError> {
        let taken = self.write(|db| {
            let mut wake = Wake::default();
            for message in messages {
                let insert = "INSERT INTO notify_seen (hub, hash) VALUES (?1, ?2) ON CONFLICT (hub, hash) DO NOTHING";
                if db.execute(insert, (room.domain().as_str(), &message.hash))? == 0 {
                    continue;
                }
                let devices = match &message.kind {
                    NotificationKind::Audience(users) => {
                        set_audience(db, room, users.as_deref())?;
                        continue;
                    }
                    NotificationKind::Application if restricted(db, room)? => {
                        for device in hearers(db, room)? {
                            put_in_inbox(db, device, Some(room), &message.body)?;
                            wake.devices.insert(device);
                        }
                        continue;
                    }
                    NotificationKind::Welcome(references) => {
                        let devices = welcomed(db, room, references)?;
                        for device in &devices {
                            put_in_inbox(db, *device, Some(room), &message.body)?;
                        }
                        devices
                    }
                    _ => put_in_inboxes(db, room, &message.body)?,
                };
                if devices.is_empty() {
                    return Err(Stop::Outcome(match message.kind {
                        NotificationKind::Welcome(_) => NotifyOutcome::UnknownKeyPackageRef,
                        _ => NotifyOutcome::UnknownRoom,
                    }));
                }
                wake.devices.extend(devices);
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

/// Who of our users hears a room of another hub from now on; none for everybody.
fn set_audience(db: Db<'_>, room: &RoomUri, users: Option<&[UserUri]>) -> Result<(), StoreError> {
    db.execute("DELETE FROM audiences WHERE room = ?1", [room.as_str()])?;
    db.execute("DELETE FROM audience_users WHERE room = ?1", [room.as_str()])?;
    let Some(users) = users else { return Ok(()) };
    db.execute("INSERT INTO audiences (room) VALUES (?1)", [room.as_str()])?;
    for user in users {
        let insert = "INSERT INTO audience_users (room, hearer) VALUES (?1, ?2) ON CONFLICT (room, hearer) DO NOTHING";
        db.execute(insert, (room.as_str(), user.as_str()))?;
    }
    Ok(())
}

/// Whether not everybody in a room of another hub hears it.
fn restricted(db: Db<'_>, room: &RoomUri) -> Result<bool, StoreError> {
    Ok(db.row("SELECT room FROM audiences WHERE room = ?1", [room.as_str()])?.is_some())
}

/// The devices with a client in the room whose user hears it.
fn hearers(db: Db<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let question = "SELECT room_clients.device FROM room_clients \
                    JOIN client_pseudonyms ON client_pseudonyms.client = room_clients.client \
                    JOIN audience_users ON audience_users.room = room_clients.room \
                    AND audience_users.hearer = client_pseudonyms.user_uri WHERE room_clients.room = ?1 \
                    UNION SELECT room_clients.device FROM room_clients \
                    JOIN devices ON devices.client = room_clients.client \
                    JOIN accounts ON accounts.id = devices.account \
                    JOIN audience_users ON audience_users.room = room_clients.room \
                    AND audience_users.hearer = accounts.user_uri WHERE room_clients.room = ?1";
    Ok(db.column(question, [room.as_str()])?.into_iter().map(DeviceId).collect())
}

/// The number of the last of some rows with numbers and lengths that are no longer than so many octets together, or the
/// first if that alone is longer.
pub(super) fn within(rows: &[Row], octets: usize) -> Result<Option<i64>, StoreError> {
    let (mut last, mut total) = (None, 0_u64);
    for row in rows {
        total = total.saturating_add(row.get(1)?);
        if last.is_some() && total > octets as u64 {
            break;
        }
        last = Some(row.get(0)?);
    }
    Ok(last)
}

/// Lets our clients into a room whose KeyPackages a Welcome names. A KeyPackage that was used before lets nobody in.
fn welcomed(db: Db<'_>, room: &RoomUri, references: &[KeyPackageRef]) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    let usage = "UPDATE key_packages SET claimed = CASE last_resort WHEN 1 THEN claimed ELSE 2 END, claimed_by = NULL \
                 WHERE ref = ?1 AND claimed < 2 RETURNING client, device";
    for reference in references {
        if let Some(row) = db.row(usage, [reference.as_bytes()])? {
            let device = DeviceId(row.get(1)?);
            join(db, room, &parsed(&row.get::<String>(0)?, "client")?, device)?;
            devices.insert(device);
        }
    }
    Ok(devices)
}

/// The devices that have a client in a room.
pub(super) fn devices_in_room(db: Db<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let devices: Vec<_> = db.column("SELECT device FROM room_clients WHERE room = ?1", [room.as_str()])?;
    Ok(devices.into_iter().map(DeviceId).collect())
}

/// The devices that have not acknowledged everything that came from a room.
pub(super) fn devices_with_mail(db: Db<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let devices: Vec<_> = db.column("SELECT DISTINCT device FROM inbox WHERE room = ?1", [room.as_str()])?;
    Ok(devices.into_iter().map(DeviceId).collect())
}

/// Appends an event to a device's inbox, under its next number.
pub(super) fn put_in_inbox(
    db: Db<'_>,
    device: DeviceId,
    room: Option<&RoomUri>,
    body: &[u8],
) -> Result<(), StoreError> {
    let next = "UPDATE devices SET last_sequence = last_sequence + 1 WHERE id = ?1 RETURNING last_sequence";
    let sequence: i64 = db.one(next, [device.0])?.get(0)?;
    let insert = "INSERT INTO inbox (device, sequence, room, body) VALUES (?1, ?2, ?3, ?4)";
    db.execute(insert, (device.0, sequence, room.map(RoomUri::as_str), body))?;
    Ok(())
}

/// Appends an event to the inboxes of all devices that have a client in a room, by three statements however many there
/// are, and returns them. The devices are held in the order of their numbers, so that two such transactions cannot each
/// wait for the other.
pub(super) fn put_in_inboxes(db: Db<'_>, room: &RoomUri, body: &[u8]) -> Result<BTreeSet<DeviceId>, StoreError> {
    let hold =
        "SELECT id FROM devices WHERE id IN (SELECT device FROM room_clients WHERE room = ?1) ORDER BY id FOR UPDATE";
    let devices: BTreeSet<_> = db.column(hold, [room.as_str()])?.into_iter().map(DeviceId).collect();
    if devices.is_empty() {
        return Ok(devices);
    }
    let number = "UPDATE devices SET last_sequence = last_sequence + 1 \
                  WHERE id IN (SELECT device FROM room_clients WHERE room = ?1)";
    db.execute(number, [room.as_str()])?;
    let insert = "INSERT INTO inbox (device, sequence, room, body) SELECT id, last_sequence, ?1, ?2 FROM devices \
                  WHERE id IN (SELECT device FROM room_clients WHERE room = ?1)";
    db.execute(insert, (room.as_str(), body))?;
    Ok(devices)
}

/// As [`put_in_inboxes`], for these clients alone.
pub(super) fn put_in_inboxes_of(
    db: Db<'_>,
    room: &RoomUri,
    clients: &[ClientUri],
    body: &[u8],
) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    for client in clients {
        let question = "SELECT device FROM room_clients WHERE room = ?1 AND client = ?2";
        devices.extend(db.value(question, (room.as_str(), client.as_str()))?.map(DeviceId));
    }
    for device in &devices {
        put_in_inbox(db, *device, Some(room), body)?;
    }
    Ok(devices)
}

/// Puts messages of a room into the outbox, the first of them at this position.
pub(super) fn put_in_outbox(
    db: Db<'_>,
    room: &RoomUri,
    position: i64,
    messages: &[(Domain, Vec<u8>)],
    now: Timestamp,
) -> Result<BTreeSet<Domain>, StoreError> {
    let insert = "INSERT INTO outbox (peer, room, position, message) VALUES (?1, ?2, ?3, ?4)";
    for ((peer, message), position) in messages.iter().zip(position..) {
        db.execute(insert, (peer.as_str(), room.as_str(), position, message))?;
    }
    let peers: BTreeSet<_> = messages.iter().map(|(peer, _)| peer.clone()).collect();
    for peer in &peers {
        // Holds the row also if there is one: whoever finds the outbox of a room empty does not delete it meanwhile.
        let insert = "INSERT INTO outbox_rooms (peer, room, since) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (peer, room) DO UPDATE SET since = outbox_rooms.since";
        db.execute(insert, (peer.as_str(), room.as_str(), now))?;
    }
    Ok(peers)
}
