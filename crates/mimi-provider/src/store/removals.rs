//! Users who are to leave rooms: as their home provider, which rooms of which hub; as a hub, what their providers have asked.

use std::time::Duration;

use mimi_abuse::remedy::RemovalRequest;
use mimi_pseudonym::{RoomUri, Timestamp, UserUri};

use super::{
    Store, StoreError,
    database::{Db, Row},
    parsed,
};

/// How long nobody else sends a request that was taken to be sent.
const TAKEN: Duration = Duration::from_secs(600);
/// How long a hub is asked: a room in which nobody commits for so long is let be.
const PATIENCE: Duration = Duration::from_secs(60 * 86_400);
/// Requests that are taken to be sent at once.
const MOST: i64 = 64;

/// A request that is to be sent to the hub of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) id: [u8; 16],
    pub(crate) subject: UserUri,
    pub(crate) room: RoomUri,
}

impl Store {
    /// Finds the rooms in which users still are whose moment to leave has come, and takes requests for some of them, in an
    /// order that says nothing: nobody else gets those for a while. `fresh` gives ids.
    pub(crate) fn due_removals(
        &self,
        now: Timestamp,
        mut fresh: impl FnMut() -> [u8; 16],
    ) -> Result<Vec<Removal>, StoreError> {
        let leaving = "SELECT subject FROM silenced_users WHERE leaves = 1 LIMIT 1";
        if self.look(|db| db.row(leaving, [0_i64; 0]))?.is_none() {
            return Ok(Vec::new());
        }
        self.write(|db| {
            let inside = inside(db, now)?;
            let known = db.rows("SELECT subject, room FROM removals", [0_i64; 0])?;
            for row in &known {
                let pair: (String, String) = (row.get(0)?, row.get(1)?);
                if !inside.contains(&pair) {
                    let delete = "DELETE FROM removals WHERE subject = ?1 AND room = ?2";
                    db.execute(delete, (&pair.0, &pair.1))?;
                }
            }
            for (subject, room) in &inside {
                let insert = "INSERT INTO removals (subject, room, id, begun_at, again_at) VALUES (?1, ?2, ?3, ?4, ?4) \
                              ON CONFLICT (subject, room) DO NOTHING";
                db.execute(insert, (subject, room, &fresh(), now))?;
            }
            let due =
                "SELECT id, subject, room FROM removals WHERE again_at <= ?1 AND begun_at > ?2 ORDER BY id LIMIT ?3";
            let due = db.rows(due, (now, now.before(PATIENCE), MOST))?;
            let due = due.iter().map(removal).collect::<Result<Vec<_>, _>>()?;
            for removal in &due {
                db.execute("UPDATE removals SET again_at = ?2 WHERE id = ?1", (&removal.id, now.after(TAKEN)))?;
            }
            Ok(due)
        })
    }

    /// A request is not sent again before a time.
    pub(crate) fn removal_asked(&self, id: &[u8; 16], again: Timestamp) -> Result<(), StoreError> {
        let update = "UPDATE removals SET again_at = ?2 WHERE id = ?1";
        self.write(|db| db.execute(update, (id, again)).map(|_| ()))
    }

    /// A user is in a room no longer, says its hub.
    pub(crate) fn out_of_room(&self, subject: &UserUri, room: &RoomUri) -> Result<(), StoreError> {
        let delete = "DELETE FROM room_clients WHERE room = ?1 AND client IN \
                      (SELECT client FROM client_pseudonyms WHERE user_uri = ?2 UNION SELECT d.client FROM devices d \
                       JOIN accounts a ON a.id = d.account WHERE a.user_uri = ?2)";
        self.write(|db| {
            db.execute(delete, (room.as_str(), subject.as_str()))?;
            let delete = "DELETE FROM removals WHERE room = ?1 AND subject = ?2";
            db.execute(delete, (room.as_str(), subject.as_str())).map(|_| ())
        })
    }

    /// As a hub: keeps what a user's provider has asked for, the newest for each user and room.
    pub(crate) fn keep_removal(&self, request: &RemovalRequest, now: Timestamp) -> Result<(), StoreError> {
        let tbs = request.tbs();
        self.write(|db| {
            db.execute(
                "INSERT INTO hub_removals (room, subject, received_at, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (room, subject) DO UPDATE SET received_at = excluded.received_at, body = excluded.body",
                (tbs.room.as_str(), tbs.subject.as_str(), now, &request.encode()),
            )?;
            Ok(())
        })
    }
}

/// The users whose moment to leave has come, each with a room in which it has a client.
fn inside(db: Db<'_>, now: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
    let under_pseudonyms = "SELECT DISTINCT s.subject, r.room FROM silenced_users s \
        JOIN client_pseudonyms c ON c.user_uri = s.subject JOIN room_clients r ON r.client = c.client \
        WHERE s.leaves = 1 AND s.due_at <= ?1";
    let by_name = "SELECT DISTINCT s.subject, r.room FROM silenced_users s JOIN accounts a ON a.user_uri = s.subject \
        JOIN devices d ON d.account = a.id JOIN room_clients r ON r.client = d.client \
        WHERE s.leaves = 1 AND s.due_at <= ?1";
    let mut inside = Vec::new();
    for question in [under_pseudonyms, by_name] {
        for row in db.rows(question, [now])? {
            inside.push((row.get(0)?, row.get(1)?));
        }
    }
    Ok(inside)
}

fn removal(row: &Row) -> Result<Removal, StoreError> {
    let (subject, room): (String, String) = (row.get(1)?, row.get(2)?);
    Ok(Removal { id: row.get(0)?, subject: parsed(&subject, "subject")?, room: parsed(&room, "room")? })
}
