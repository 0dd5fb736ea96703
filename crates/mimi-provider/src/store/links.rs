//! Links by which others join the rooms of this hub, and who is about to use one.

use mimi_pseudonym::{RoomUri, Timestamp, UserUri};

use super::{
    Hash, Store, StoreError,
    database::{Db, Row},
    millis, parsed, timestamp,
};

/// How a link without a limit is stored: of uses or of time.
const NONE: i64 = 1 << 62;

/// The most links of a room that are valid at the same time.
const LINKS_MAX: i64 = 1024;

/// A join link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinLink {
    /// SHA-256 of the code.
    pub(crate) code_hash: Hash,
    /// The role of those who join by it.
    pub(crate) role: u32,
    /// How many more may join by it; none for any number.
    pub(crate) uses_left: Option<u32>,
    /// When it ends; none for never.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) maker: UserUri,
}

/// Who was given the GroupInfo of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Of its signature key.
    pub(crate) key_hash: Hash,
    /// Of the code it has shown.
    pub(crate) code_hash: Option<Hash>,
    pub(crate) expires: Timestamp,
}

impl Store {
    /// Stores a link; `false` if the room has as many as it may. One with the same code stays as it is.
    pub(crate) fn add_link(&self, room: &RoomUri, link: &JoinLink, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|db| {
            forget_ended(db, now)?;
            let room = room.as_str();
            let count: Option<i64> = db.value("SELECT COUNT(*) FROM join_links WHERE room = ?1", [room])?;
            if count.is_some_and(|count| count >= LINKS_MAX) {
                return Ok(false);
            }
            let insert = "INSERT INTO join_links (room, code_hash, role, uses, expires_at, maker) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (room, code_hash) DO NOTHING";
            let uses = link.uses_left.map_or(NONE, i64::from);
            let expires = link.expires.map_or(NONE, millis);
            db.execute(insert, (room, &link.code_hash, link.role, uses, expires, link.maker.as_str()))?;
            Ok(true)
        })
    }

    /// The links of a room that are valid.
    pub(crate) fn links(&self, room: &RoomUri, now: Timestamp) -> Result<Vec<JoinLink>, StoreError> {
        let question = "SELECT code_hash, role, uses, expires_at, maker FROM join_links \
                        WHERE room = ?1 AND uses > 0 AND expires_at > ?2 ORDER BY code_hash";
        let rows = self.look(|db| db.rows(question, (room.as_str(), now)))?;
        rows.iter().map(link).collect()
    }

    /// The link with a code, if it is valid.
    pub(crate) fn link(&self, room: &RoomUri, code: &Hash, now: Timestamp) -> Result<Option<JoinLink>, StoreError> {
        let question = "SELECT code_hash, role, uses, expires_at, maker FROM join_links \
                        WHERE room = ?1 AND code_hash = ?2 AND uses > 0 AND expires_at > ?3";
        let row = self.look(|db| db.row(question, (room.as_str(), code, now)))?;
        row.as_ref().map(link).transpose()
    }

    /// Takes a link back; `false` if there is none.
    pub(crate) fn revoke_link(&self, room: &RoomUri, code: &Hash) -> Result<bool, StoreError> {
        let delete = "DELETE FROM join_links WHERE room = ?1 AND code_hash = ?2";
        self.write(|db| Ok(db.execute(delete, (room.as_str(), code))? > 0))
    }

    /// Remembers who was given the GroupInfo of a room.
    pub(crate) fn add_visitor(&self, room: &RoomUri, visitor: &Visitor, now: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            forget_ended(db, now)?;
            let insert = "INSERT INTO visitors (room, key_hash, code_hash, expires_at) VALUES (?1, ?2, ?3, ?4) \
                          ON CONFLICT (room, key_hash) DO UPDATE SET code_hash = excluded.code_hash, \
                          expires_at = excluded.expires_at";
            let code = visitor.code_hash.as_ref().map(|hash| hash.as_slice());
            db.execute(insert, (room.as_str(), &visitor.key_hash, code, visitor.expires))?;
            Ok(())
        })
    }

    /// Who was given the GroupInfo of a room under this key, if it was not too long ago.
    pub(crate) fn visitor(&self, room: &RoomUri, key: &Hash, now: Timestamp) -> Result<Option<Visitor>, StoreError> {
        let question =
            "SELECT code_hash, expires_at FROM visitors WHERE room = ?1 AND key_hash = ?2 AND expires_at > ?3";
        let row = self.look(|db| db.row(question, (room.as_str(), key, now)))?;
        row.map(|row| Ok(Visitor { key_hash: *key, code_hash: row.get(0)?, expires: timestamp(row.get(1)?) }))
            .transpose()
    }
}

fn link(row: &Row) -> Result<JoinLink, StoreError> {
    let (uses, expires): (i64, i64) = (row.get(2)?, row.get(3)?);
    let role = u32::try_from(row.get::<i64>(1)?).map_err(|_| StoreError::damaged("role"))?;
    Ok(JoinLink {
        code_hash: row.get(0)?,
        role,
        uses_left: if uses > NONE / 2 { None } else { u32::try_from(uses).ok() },
        expires: (expires < NONE).then(|| timestamp(expires)),
        maker: parsed(&row.get::<String>(4)?, "maker")?,
    })
}

fn forget_ended(db: Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    db.execute("DELETE FROM visitors WHERE expires_at <= ?1", [now])?;
    db.execute("DELETE FROM join_links WHERE expires_at <= ?1 OR uses <= 0", [now])?;
    Ok(())
}

/// Somebody has joined: it is no visitor any more, and one use of its link is gone. Stale if the link has none left.
pub(super) fn arrived(
    db: Db<'_>,
    room: &RoomUri,
    key: &Hash,
    code: Option<&Hash>,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute("DELETE FROM visitors WHERE room = ?1 AND key_hash = ?2", (room.as_str(), key))?;
    if let Some(code) = code {
        let count = "UPDATE join_links SET uses = uses - 1 \
                     WHERE room = ?1 AND code_hash = ?2 AND uses > 0 AND expires_at > ?3";
        if db.execute(count, (room.as_str(), code, now))? == 0 {
            return Err(StoreError::stale());
        }
    }
    Ok(())
}
