//! What an operator asks the database.

use std::path::Path;

use mimi_pseudonym::{Timestamp, UserUri};

use super::{
    AccountId, AccountProfile, Hash, Store, StoreError, accounts::insert_unless_taken, database::Row, parsed, timestamp,
};

/// An account, as an operator sees it: nothing of its pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) user: UserUri,
    pub(crate) devices: u64,
}

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) schema: u64,
    pub(crate) accounts: u64,
    pub(crate) devices: u64,
    pub(crate) rooms: u64,
    /// Events that not every device has taken that gets them.
    pub(crate) inbox: u64,
    /// For each peer the rooms and messages that wait for it.
    pub(crate) peers: Vec<(String, u64, u64)>,
    /// Octets on disk.
    pub(crate) octets: u64,
}

/// What waits for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) peer: String,
    pub(crate) rooms: u64,
    /// Since when it has taken nothing of the room that waits longest.
    pub(crate) since: Timestamp,
}

impl Store {
    /// How much there is.
    pub(crate) fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = self.read(|db| {
            let one = |sql| db.one(sql, [0_i64; 0])?.get(0);
            let peers = db.rows("SELECT peer, COUNT(*) FROM outbox_rooms GROUP BY peer ORDER BY peer", [0_i64; 0])?;
            let peers = peers.iter().map(|row| {
                let peer: String = row.get(0)?;
                let messages = db.one("SELECT COUNT(*) FROM outbox WHERE peer = ?1", [&peer])?.get(0)?;
                Ok((peer, row.get(1)?, messages))
            });
            Ok(Counts {
                peers: peers.collect::<Result<_, StoreError>>()?,
                schema: one("SELECT version FROM schema_version")?,
                accounts: one("SELECT COUNT(*) FROM accounts")?,
                devices: one("SELECT COUNT(*) FROM devices")?,
                rooms: one("SELECT COUNT(*) FROM hub_rooms")?,
                inbox: one("SELECT COUNT(*) FROM events")?,
                octets: 0,
            })
        })?;
        counts.octets = self.database.size()?;
        Ok(counts)
    }

    /// Whether the database answers.
    pub(crate) fn answers(&self) -> Result<(), StoreError> {
        self.look(|db| db.one("SELECT version FROM schema_version", [0_i64; 0]).map(|_| ()))
    }

    /// For each peer how many rooms have something for it.
    pub(crate) fn outbox_rooms(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let question = "SELECT peer, COUNT(*) FROM outbox_rooms GROUP BY peer ORDER BY peer";
        let rows = self.look(|db| db.rows(question, [0_i64; 0]))?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// What waits for each peer.
    pub(crate) fn outbox_waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let question = "SELECT peer, COUNT(*), MIN(waits) FROM outbox_rooms GROUP BY peer ORDER BY peer";
        let rows = self.look(|db| db.rows(question, [0_i64; 0]))?;
        let waiting = |row: &Row| Ok(Waiting { peer: row.get(0)?, rooms: row.get(1)?, since: timestamp(row.get(2)?) });
        rows.iter().map(waiting).collect()
    }

    /// All accounts, by name.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        let question = "SELECT user_uri, (SELECT COUNT(*) FROM devices WHERE devices.account = accounts.id) \
                        FROM accounts ORDER BY user_uri";
        let rows = self.look(|db| db.rows(question, [0_i64; 0]))?;
        rows.iter()
            .map(|row| Ok(AccountRow { user: parsed(&row.get::<String>(0)?, "user")?, devices: row.get(1)? }))
            .collect()
    }

    /// Stores an account without a device, and the hash of a code that lets the first one in; `false` if the name is taken.
    pub(crate) fn open_account(&self, profile: &AccountProfile, code: &Hash) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(AccountId(account)) = insert_unless_taken(db, profile)? else { return Ok(false) };
            db.execute("INSERT INTO enrolments (code_hash, account) VALUES (?1, ?2)", (code, account))?;
            Ok(true)
        })
    }

    /// The rooms of this hub with their epochs, by name.
    pub(crate) fn rooms(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = self.look(|db| db.rows("SELECT room, epoch FROM hub_rooms ORDER BY room", [0_i64; 0]))?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Writes a copy to a file that must not exist, while others go on.
    pub(crate) fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.database.backup(to)
    }
}
