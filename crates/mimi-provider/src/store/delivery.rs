use std::{collections::BTreeSet, time::Duration};

use mimi_pseudonym::{Domain, RoomUri, Timestamp, UserUri};
use mimi_wire::KeyPackageRef;

use super::{
    DeviceId, Hash, Store, StoreError, Wake,
    database::{Db, Isolation, Statement},
    live::Mail,
    mail::{append, devices_of, hold_room, join, put_in_inbox, put_in_inboxes},
    parsed,
};

/// How old a message may be that another hub fans out. One that is older is not taken: nobody remembers whether it was before.
/// What could be read of it has ended by then, as have the certificates and KeyPackages of that time.
pub(crate) const OLDEST: Duration = Duration::from_secs(90 * 86_400);
/// What is forgotten in one transaction.
const FORGOTTEN: u64 = 1000;

/// One fan-out message of another hub.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    /// Of the room and the message.
    pub(crate) hash: Hash,
    /// When its hub accepted it.
    pub(crate) sent: Timestamp,
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
    #[cfg(test)]
    pub(crate) fn notify(&self, room: &RoomUri, messages: &[Notification]) -> Result<NotifyOutcome, StoreError> {
        outcome(self.write(|db| notify(db, room, messages)))
    }

    /// Takes fan-out messages of a room of another hub: all of them or none. One that was taken before is passed over.
    pub(crate) async fn notify_soon(
        &self,
        room: RoomUri,
        messages: Vec<Notification>,
    ) -> Result<NotifyOutcome, StoreError> {
        // What is for all who are in the room holds their devices. A hub brings one message after the other, and so none meets
        // one that lets somebody in.
        let isolation = if are_plain(&messages) { Isolation::Locking } else { Isolation::Serializable };
        outcome(self.soon(isolation, move |db| notify(db, &room, &messages)).await)
    }

    /// Forgets messages of other hubs that would not be taken any more, for their age.
    pub(crate) fn forget_notified(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write_holding(|db| db.execute("UPDATE notify_seen SET sent_at = ?1 WHERE sent_at = 0", [now]))?;
        let forget = "DELETE FROM notify_seen WHERE (hub, hash) IN \
                      (SELECT hub, hash FROM notify_seen WHERE sent_at < ?1 ORDER BY sent_at LIMIT ?2)";
        let limit = i64::try_from(FORGOTTEN).unwrap_or(i64::MAX);
        while self.write_holding(|db| db.execute(forget, (now.before(OLDEST), limit)))? == FORGOTTEN {}
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> Result<(u64, u64), StoreError> {
        let counts = "SELECT (SELECT COUNT(*) FROM hub_seen), (SELECT COUNT(*) FROM notify_seen)";
        self.look(|db| db.one(counts, [0_i64; 0]).and_then(|row| Ok((row.get(0)?, row.get(1)?))))
    }
}

fn outcome(taken: Result<Wake, Stop>) -> Result<NotifyOutcome, StoreError> {
    match taken {
        Ok(wake) => Ok(NotifyOutcome::Taken(wake)),
        Err(Stop::Outcome(outcome)) => Ok(outcome),
        Err(Stop::Store(error)) => Err(error),
    }
}

/// Whether messages are for everybody in the room and do nothing else.
fn are_plain(messages: &[Notification]) -> bool {
    messages.iter().all(|message| matches!(message.kind, NotificationKind::Application | NotificationKind::Handshake))
}

fn notify(db: Db<'_>, room: &RoomUri, messages: &[Notification]) -> Result<Wake, Stop> {
    let insert = "INSERT INTO notify_seen (hub, hash, sent_at) VALUES (?1, ?2, ?3) ON CONFLICT (hub, hash) DO NOTHING";
    let seen = messages.iter().map(|message| {
        let Notification { hash, sent, .. } = message;
        Statement::new(insert, (room.domain().as_str(), hash, *sent))
    });
    let mut statements: Vec<_> = seen.collect();
    let plain = are_plain(messages);
    if plain {
        statements.push(Statement::new(RESTRICTED, [room.as_str()]));
        statements.extend(hold_room(room));
    }
    let answers = db.list(&statements, false)?;
    let fresh = messages.iter().zip(&answers).filter(|(_, answer)| answer.changed > 0);
    let fresh: Vec<_> = fresh.map(|(message, _)| message).collect();
    match answers.as_slice() {
        [.., restricted, _, devices] if plain && restricted.row().is_none() => {
            to_all(db, room, &fresh, devices_of(devices)?)
        }
        _ => one_by_one(db, room, &fresh),
    }
}

/// Puts messages into the inboxes of all devices in a room.
fn to_all(db: Db<'_>, room: &RoomUri, messages: &[&Notification], devices: BTreeSet<DeviceId>) -> Result<Wake, Stop> {
    if messages.is_empty() {
        return Ok(Wake::default());
    }
    if devices.is_empty() {
        return Err(Stop::Outcome(NotifyOutcome::UnknownRoom));
    }
    let statements: Vec<_> = messages.iter().map(|message| append(room, &message.body)).collect();
    for (message, answer) in messages.iter().zip(db.list(&statements, true)?) {
        if let Some(row) = answer.row() {
            let id = row.get(0)?;
            db.announce(|| Mail::new(id, devices.clone(), &message.body));
        }
    }
    Ok(Wake { devices, ..Wake::default() })
}

fn one_by_one(db: Db<'_>, room: &RoomUri, messages: &[&Notification]) -> Result<Wake, Stop> {
    let mut wake = Wake::default();
    for message in messages {
        let devices = match &message.kind {
            NotificationKind::Audience(users) => {
                set_audience(db, room, users.as_deref())?;
                continue;
            }
            NotificationKind::Application if db.row(RESTRICTED, [room.as_str()])?.is_some() => {
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

/// Has a row if not everybody in a room of another hub hears it.
const RESTRICTED: &str = "SELECT room FROM audiences WHERE room = ?1";

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

/// Something of a room waits for a peer. Holds the row also if there is one: whoever finds the outbox of a room empty does not
/// delete it meanwhile.
pub(super) const WAITS: &str = "INSERT INTO outbox_rooms (peer, room, since, waits) VALUES (?1, ?2, ?3, ?3) \
                                ON CONFLICT (peer, room) DO UPDATE SET since = outbox_rooms.since";

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
        db.execute(WAITS, (peer.as_str(), room.as_str(), now))?;
    }
    Ok(peers)
}
