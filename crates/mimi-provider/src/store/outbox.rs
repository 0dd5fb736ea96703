//! What waits for other providers. For each of them, the messages of a room are brought in their order, and those of
//! different rooms independently of each other. Who brings a room's messages to a peer is its courier; a room has one at
//! a time for each peer, in whatever process.

use std::time::Duration;

use mimi_pseudonym::{Domain, RoomUri, Timestamp};

use super::{Store, StoreError, database::Db, mail::within, millis, parsed};

/// How long a courier may be away before another one may go.
const TURN: Duration = Duration::from_secs(15);

/// What a courier brings: messages of one room, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) peer: Domain,
    pub(crate) room: RoomUri,
    /// Each with its position in the room.
    pub(crate) messages: Vec<(i64, Vec<u8>)>,
    /// Whether there may be something for another courier of the peer.
    pub(crate) more: bool,
}

impl Store {
    /// The messages for a peer of the room that has waited longest and has no courier: at most `count`, and no more than
    /// `octets` unless the first alone is longer. Until [`Store::outbox_done`] or [`Store::outbox_later`] no other courier
    /// gets any of that room, if this one says every few seconds by [`Store::outbox_busy`] that it is still there.
    pub(crate) fn outbox_take(
        &self,
        peer: &Domain,
        count: usize,
        octets: usize,
        now: Timestamp,
    ) -> Result<Option<Parcel>, StoreError> {
        let Some((room, more)) = self.outbox_room(peer, now)? else { return Ok(None) };
        let messages = self.messages(peer, &room, count, octets);
        let parcel = messages
            .and_then(|messages| Ok(Some(Parcel { peer: peer.clone(), room: parsed(&room, "room")?, messages, more })));
        parcel.inspect_err(|_| self.free(peer, &room))
    }

    /// Chooses a room, and makes the caller its courier. Says as well whether there may be another one.
    fn outbox_room(&self, peer: &Domain, now: Timestamp) -> Result<Option<(String, bool)>, StoreError> {
        if !self.is_shared() {
            // All couriers are in this process: who they are need not be written down.
            let mut away = self.away();
            let question = "SELECT room FROM outbox_rooms WHERE peer = ?1 ORDER BY since, room LIMIT ?2";
            let limit = i64::try_from(away.len()).unwrap_or(i64::MAX).saturating_add(2);
            let rooms: Vec<String> = self.look(|db| db.column(question, (peer.as_str(), limit)))?;
            let mut free = rooms.into_iter().filter(|room| !away.contains(&(peer.clone(), room.clone())));
            let (room, more) = (free.next(), free.next().is_some());
            away.extend(room.iter().map(|room| (peer.clone(), room.clone())));
            return Ok(room.map(|room| (room, more)));
        }
        // A turn that ends later than one that begins now was given by a clock that has been set back.
        let (at, end) = (millis(now), millis(now.after(TURN)));
        self.write_holding(|db| {
            let question = "SELECT room FROM outbox_rooms WHERE peer = ?1 AND (until <= ?2 OR until > ?3) \
                            ORDER BY since, room LIMIT 1 FOR UPDATE SKIP LOCKED";
            let room: Option<String> = db.value(question, (peer.as_str(), at, end))?;
            if let Some(room) = &room {
                let turn = "UPDATE outbox_rooms SET courier = ?3, until = ?4 WHERE peer = ?1 AND room = ?2";
                db.execute(turn, (peer.as_str(), room, self.courier, end))?;
            }
            Ok(room.map(|room| (room, true)))
        })
    }

    fn messages(
        &self,
        peer: &Domain,
        room: &str,
        count: usize,
        octets: usize,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let lengths =
            "SELECT position, LENGTH(message) FROM outbox WHERE peer = ?1 AND room = ?2 ORDER BY position LIMIT ?3";
        let found = self.look(|db| db.rows(lengths, (peer.as_str(), room, count)))?;
        let Some(last) = within(&found, octets)? else { return Ok(Vec::new()) };
        let messages =
            "SELECT position, message FROM outbox WHERE peer = ?1 AND room = ?2 AND position <= ?3 ORDER BY position";
        let found = self.look(|db| db.rows(messages, (peer.as_str(), room, last)))?;
        found.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// A courier is still away, and the room keeps waiting for it.
    pub(crate) fn outbox_busy(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        if self.is_shared() {
            self.write_holding(|db| {
                let turn = "UPDATE outbox_rooms SET until = ?4 WHERE peer = ?1 AND room = ?2 AND courier = ?3";
                db.execute(turn, (parcel.peer.as_str(), parcel.room.as_str(), self.courier, millis(now.after(TURN))))
            })?;
        }
        Ok(())
    }

    /// The peer has taken everything of a room up to and with a position, or never will: it is forgotten, and the next
    /// courier of the room may go.
    pub(crate) fn outbox_done(&self, parcel: &Parcel, up_to: i64, now: Timestamp) -> Result<(), StoreError> {
        let (peer, room) = (parcel.peer.as_str(), parcel.room.as_str());
        let result = self.write_holding(|db| {
            db.row("SELECT room FROM outbox_rooms WHERE peer = ?1 AND room = ?2 FOR UPDATE", (peer, room))?;
            let delete = "DELETE FROM outbox WHERE peer = ?1 AND room = ?2 AND position <= ?3";
            db.execute(delete, (peer, room, up_to))?;
            let rest = "SELECT position FROM outbox WHERE peer = ?1 AND room = ?2 LIMIT 1";
            if db.row(rest, (peer, room))?.is_some() {
                return back(db, peer, room, now);
            }
            db.execute("DELETE FROM outbox_rooms WHERE peer = ?1 AND room = ?2", (peer, room))?;
            Ok(())
        });
        self.free(&parcel.peer, room);
        result
    }

    /// The peer has not taken the messages: they wait behind those of other rooms.
    pub(crate) fn outbox_later(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        let room = parcel.room.as_str();
        let result = self.write_holding(|db| back(db, parcel.peer.as_str(), room, now));
        self.free(&parcel.peer, room);
        result
    }

    fn free(&self, peer: &Domain, room: &str) {
        self.away().remove(&(peer.clone(), room.to_owned()));
    }
}

/// Puts a room behind others, without a courier.
fn back(db: Db<'_>, peer: &str, room: &str, now: Timestamp) -> Result<(), StoreError> {
    let back = "UPDATE outbox_rooms SET since = ?3, until = 0 WHERE peer = ?1 AND room = ?2";
    db.execute(back, (peer, room, now))?;
    Ok(())
}
