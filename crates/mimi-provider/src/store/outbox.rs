//! What waits for other providers. For each of them, the messages of a room are brought in their order, and those of
//! different rooms independently of each other. Who brings a room's messages to a peer is its courier; a room has one at
//! a time for each peer, in whatever process.

use std::{collections::BTreeSet, time::Duration};

use mimi_pseudonym::{Domain, RoomUri, Timestamp};

use super::{
    Store, StoreError,
    database::Statement,
    mail::{all_within, share, within},
    millis, parsed, timestamp,
};

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
        let (peer, at, end) = (peer.as_str(), millis(now), millis(now.after(TURN)));
        self.write_holding(|db| {
            let take = "UPDATE outbox_rooms SET courier = ?4, until = ?3 WHERE peer = ?1 AND room = \
                        (SELECT room FROM outbox_rooms WHERE peer = ?1 AND (until <= ?2 OR until > ?3) \
                        ORDER BY since, room LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING room";
            let other = "SELECT room FROM outbox_rooms WHERE peer = ?1 AND (until <= ?2 OR until > ?3) LIMIT 1";
            let take = Statement::new(take, (peer, at, end, self.courier));
            let [taken, other] = db.last([take, Statement::new(other, (peer, at, end))])?;
            taken.row().map(|row| Ok((row.get(0)?, other.row().is_some()))).transpose()
        })
    }

    /// The peers for which something waits that has no courier.
    pub(crate) fn outbox_peers(&self, now: Timestamp) -> Result<BTreeSet<Domain>, StoreError> {
        let peers: Vec<String> = self.look(|db| {
            if !self.is_shared() {
                return db.column("SELECT DISTINCT peer FROM outbox_rooms", [0_i64; 0]);
            }
            let free = "SELECT DISTINCT peer FROM outbox_rooms WHERE until <= ?1 OR until > ?2";
            db.column(free, (millis(now), millis(now.after(TURN))))
        })?;
        // Nobody can be gone to whose name is none.
        Ok(peers.iter().filter_map(|peer| peer.parse().ok()).collect())
    }

    fn messages(
        &self,
        peer: &Domain,
        room: &str,
        count: usize,
        octets: usize,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let first = "SELECT position, LENGTH(message), CASE WHEN LENGTH(message) <= ?4 THEN message END FROM outbox \
                     WHERE peer = ?1 AND room = ?2 ORDER BY position LIMIT ?3";
        let found = self.look(|db| db.rows(first, (peer.as_str(), room, limit, share(count, octets))))?;
        if let Some(all) = all_within(&found, octets)? {
            return Ok(all);
        }
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
                let (peer, until) = (parcel.peer.as_str(), millis(now.after(TURN)));
                db.last([Statement::new(turn, (peer, parcel.room.as_str(), self.courier, until))]).map(drop)
            })?;
        }
        Ok(())
    }

    /// The peer has taken everything of a room up to and with a position: it is forgotten, and the next courier of the room may
    /// go.
    pub(crate) fn outbox_done(&self, parcel: &Parcel, up_to: i64, now: Timestamp) -> Result<(), StoreError> {
        self.outbox_end(parcel, up_to, TAKEN, now)
    }

    /// As [`Store::outbox_done`], if the peer never will take it.
    pub(crate) fn outbox_drop(&self, parcel: &Parcel, up_to: i64, now: Timestamp) -> Result<(), StoreError> {
        self.outbox_end(parcel, up_to, BACK, now)
    }

    fn outbox_end(&self, parcel: &Parcel, up_to: i64, back: &'static str, now: Timestamp) -> Result<(), StoreError> {
        let (peer, room) = (parcel.peer.as_str(), parcel.room.as_str());
        let hold = "SELECT room FROM outbox_rooms WHERE peer = ?1 AND room = ?2 FOR UPDATE";
        let delete = "DELETE FROM outbox WHERE peer = ?1 AND room = ?2 AND position <= ?3";
        let end = "DELETE FROM outbox_rooms WHERE peer = ?1 AND room = ?2 \
                   AND NOT EXISTS (SELECT 1 FROM outbox WHERE peer = ?1 AND room = ?2)";
        let result = self.write_holding(|db| {
            // What has come meanwhile keeps the room where it is, behind others.
            db.last([
                Statement::hold(hold, (peer, room)),
                Statement::new(delete, (peer, room, up_to)),
                Statement::new(end, (peer, room)),
                Statement::new(back, (peer, room, now)),
            ])
        });
        let result = result.map(drop);
        self.free(&parcel.peer, room);
        result
    }

    /// The peer has not taken the messages: they wait behind those of other rooms.
    pub(crate) fn outbox_later(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        let room = parcel.room.as_str();
        let back = Statement::new(BACK, (parcel.peer.as_str(), room, now));
        let result = self.write_holding(|db| db.list(std::slice::from_ref(&back), true)).map(drop);
        self.free(&parcel.peer, room);
        result
    }

    /// The peer has refused something of the room, for which its courier stays away. Since when it has taken nothing of it.
    pub(crate) fn outbox_refused(&self, parcel: &Parcel, now: Timestamp) -> Result<Timestamp, StoreError> {
        let room = parcel.room.as_str();
        // What a clock says that has been set back begins anew.
        let since = "UPDATE outbox_rooms SET refused = CASE WHEN refused = 0 OR refused > ?3 THEN ?3 ELSE refused END \
                     WHERE peer = ?1 AND room = ?2 RETURNING refused";
        let result = self.write_holding(|db| db.value::<i64>(since, (parcel.peer.as_str(), room, now)));
        let since = result.inspect_err(|_| self.free(&parcel.peer, room))?;
        Ok(since.map_or(now, timestamp))
    }

    /// The room rests: for so long, of at most 15 seconds, it has no courier. In this process [`Store::outbox_rested`] has to
    /// say when that is over.
    pub(crate) fn outbox_rest(&self, parcel: &Parcel, now: Timestamp, pause: Duration) -> Result<(), StoreError> {
        let room = parcel.room.as_str();
        let rest = "UPDATE outbox_rooms SET since = ?3, until = ?4 WHERE peer = ?1 AND room = ?2";
        let until = now.after(pause.min(TURN));
        let rests = self.write_holding(|db| db.execute(rest, (parcel.peer.as_str(), room, now, until)));
        rests.inspect_err(|_| self.free(&parcel.peer, room)).map(drop)
    }

    /// After [`Store::outbox_rest`].
    pub(crate) fn outbox_rested(&self, parcel: &Parcel) {
        self.free(&parcel.peer, parcel.room.as_str());
    }

    fn free(&self, peer: &Domain, room: &str) {
        self.away().remove(&(peer.clone(), room.to_owned()));
    }
}

/// Puts a room behind others, without a courier.
const BACK: &str = "UPDATE outbox_rooms SET since = ?3, until = 0 WHERE peer = ?1 AND room = ?2";
/// The same, of which the peer takes something.
const TAKEN: &str =
    "UPDATE outbox_rooms SET since = ?3, waits = ?3, until = 0, refused = 0 WHERE peer = ?1 AND room = ?2";
