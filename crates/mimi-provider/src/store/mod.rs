//! Everything a provider has to remember, in one SQLite file. Each method of [`Store`] that writes is one transaction:
//! once it has returned, what it did is on disk, and if it fails, nothing has changed.

mod accounts;
mod consents;
mod delivery;
mod key_packages;
mod profiles;
mod rooms;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mimi_pseudonym::{ClientUri, Domain, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use accounts::{AccountProfile, NewDevice};
pub(crate) use consents::Consent;
pub(crate) use delivery::{Notification, NotifyOutcome, OutboxRow};
pub(crate) use key_packages::{Claim, ClaimedClient, Kind, Others, StoredKeyPackage};
pub(crate) use rooms::{CommitRecord, MessageRecord, NewRoom};

/// The database cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(#[from] Reason);

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the database was written by a newer version: schema {0}")]
    Newer(u32),
    #[error("a value in the database is damaged: {0}")]
    Damaged(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Reason::Database(error))
    }
}

impl StoreError {
    fn damaged(what: &'static str) -> Self {
        Self(Reason::Damaged(what))
    }

    fn newer(version: u32) -> Self {
        Self(Reason::Newer(version))
    }
}

/// Number of a device in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeviceId(i64);

#[cfg(test)]
impl DeviceId {
    pub(crate) fn for_test(number: i64) -> Self {
        Self(number)
    }
}

/// Number of an account in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountId(i64);

/// A device that has shown its token.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) account: AccountId,
    pub(crate) client: ClientUri,
}

/// Who has something new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wake {
    pub(crate) devices: BTreeSet<DeviceId>,
    pub(crate) peers: BTreeSet<Domain>,
}

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// The database. A clone is another handle of the same one.
#[derive(Clone)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
    /// Devices that have shown their token, by its hash. A device that was stored stays as it is.
    devices: Arc<Mutex<HashMap<Hash, Device>>>,
}

impl Store {
    /// Opens or creates the database, and brings an older one up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), devices: Arc::default() })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that panicked was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a transaction. It is rolled back if `work` fails.
    fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(value)
    }

    /// Only reads. There is one connection, which nobody else has meanwhile: that needs no transaction.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&self.connection())
    }

    /// The secret key of the hub for a cipher suite; `fresh` is stored if there is none yet.
    pub(crate) fn hub_key(&self, suite: u16, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write(|db| {
            db.execute("INSERT OR IGNORE INTO hub_keys (suite, secret) VALUES (?1, ?2)", (suite, fresh))?;
            Ok(db.query_row("SELECT secret FROM hub_keys WHERE suite = ?1", [suite], |row| row.get(0))?)
        })
    }
}

/// A time as the database holds it.
fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Reads a URI or domain from a column.
fn parsed<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::damaged(what))
}

trait MaybeRow<T> {
    /// No row is no error.
    fn maybe(self) -> Result<Option<T>, StoreError>;
}

impl<T> MaybeRow<T> for rusqlite::Result<T> {
    fn maybe(self) -> Result<Option<T>, StoreError> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
