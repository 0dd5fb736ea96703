use std::collections::BTreeSet;

use mimi_pseudonym::{Domain, RoomUri, Timestamp, UserUri};
use mimi_wire::KeyPackageRef;

use super::{
    DeviceId, Hash, Store, StoreError, Wake,
    database::{Db, Isolation},
    mail::{join, put_in_inbox, put_in_inboxes},
    parsed,
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
        outcome(self.soon(Isolation::Serializable, move |db| notify(db, &room, &messages)).await)
    }
}

fn outcome(taken: Result<Wake, Stop>) -> Result<NotifyOutcome, StoreError> {
    match taken {
        Ok(wake) => Ok(NotifyOutcome::Taken(wake)),
        Err(Stop::Outcome(outcome)) => Ok(outcome),
        Err(Stop::Store(error)) => Err(error),
    }
}

fn notify(db: Db<'_>, room: &RoomUri, messages: &[Notification]) -> Result<Wake, Stop> {
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
