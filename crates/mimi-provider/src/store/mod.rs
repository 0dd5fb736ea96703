//! Everything a provider has to remember, as named transitions. Each method of [`Store`] that writes is one transaction:
//! once it has returned, what it did is on disk, and if it fails, nothing has changed. Each is written once, for every
//! [`database::Database`]: SQLite, for one process, and PostgreSQL, for as many as are wanted.

mod abuse;
mod accounts;
mod consents;
mod copy;
mod database;
mod decisions;
mod deletion;
mod delivery;
mod devices;
mod error;
mod franking;
mod key_packages;
mod links;
mod lists;
mod live;
mod mail;
mod messages;
mod openings;
mod operation;
mod outbox;
mod postgres;
mod profiles;
mod questions;
mod recovery;
mod remedies;
mod removals;
mod rooms;
mod schema;
mod scores;
mod siblings;
mod sqlite;
#[cfg(test)]
mod tests;
mod ties;
mod waiting;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mimi_pseudonym::{ClientUri, Domain, Entropy, Timestamp};

use crate::Config;
pub(crate) use abuse::{Asks, Decided, Evidence, Judge, Verdict};
pub(crate) use accounts::{AccountProfile, NewDevice};
pub(crate) use consents::{Consent, Gone};
use database::{Database, Db, Isolation, Job, Work};
#[cfg(test)]
pub(crate) use decisions::Moments;
pub(crate) use decisions::{AboutAccount, Cause, Decision};
pub(crate) use deletion::by_name;
pub(crate) use delivery::{Notification, NotificationKind, NotifyOutcome, OLDEST};
pub use error::StoreError;
pub(crate) use key_packages::{Claim, ClaimedClient, Kind, Others, StoredKeyPackage};
pub(crate) use links::{JoinLink, Visitor};
pub(crate) use lists::Listed;
pub(crate) use live::{Ear, Heard, Live};
pub(crate) use mail::{Inbox, Look};
pub(crate) use messages::{MessageRecord, Submitted, TooOften};
pub(crate) use operation::{Counts, Waiting};
pub(crate) use outbox::Parcel;
pub(crate) use postgres::{Address, News, Told};
pub(crate) use questions::{About, Answered, Asking};
pub(crate) use recovery::{Remedy, RollbackRecord};
pub(crate) use remedies::{Asked, Taken};
pub(crate) use removals::Removal;
pub(crate) use rooms::{ClientsInRoom, CommitRecord, JoinRecord, NewRoom};
pub(crate) use schema::Schema;
pub(crate) use ties::{Draw, TieEntry};
pub(crate) use waiting::{Guest, ProposalsRecord};

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

impl AccountId {
    /// The number.
    pub(crate) fn number(self) -> i64 {
        self.0
    }
}

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

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To serve from it: it is made if there is none, and brought up to date.
    Serve,
    /// For what an operator asks: it has to be there, with tables of this program's version.
    Use,
    /// To look at it or copy it: it has to be there, and is not changed.
    AsItIs,
}

/// The database. A clone is another handle of the same one.
#[derive(Clone)]
pub(crate) struct Store {
    database: Arc<dyn Database>,
    /// Devices that have shown their token, by its hash. A device that was stored stays as it is.
    devices: Arc<Mutex<HashMap<Hash, Device>>>,
    /// What this process calls itself where couriers of several processes have to be told apart.
    courier: i64,
    /// Rooms that have a courier in this process: the peer and the room.
    away: Arc<Mutex<HashSet<(Domain, String)>>>,
    /// Devices that listen at this moment.
    live: Arc<Live>,
    /// Where events may have been taken by all.
    dirty: Arc<Mutex<mail::Dirty>>,
}

impl Store {
    /// Opens the database of a configuration.
    pub(crate) fn of(config: &Config, opening: Opening) -> Result<Self, StoreError> {
        match &config.database {
            Some(database) => Self::connect(&database.address()?, opening),
            None => Self::open(&config.data.join("provider.sqlite"), opening),
        }
    }

    /// Opens a SQLite database.
    fn open(path: &Path, opening: Opening) -> Result<Self, StoreError> {
        let live = Arc::<Live>::default();
        let make = opening == Opening::Serve;
        Self::over(Arc::new(sqlite::Sqlite::open(path, Arc::clone(&live), make)?), live, opening)
    }

    /// Connects to a PostgreSQL database.
    fn connect(address: &Address, opening: Opening) -> Result<Self, StoreError> {
        Self::over(Arc::new(postgres::Postgres::connect(address)?), Arc::default(), opening)
    }

    fn over(database: Arc<dyn Database>, live: Arc<Live>, opening: Opening) -> Result<Self, StoreError> {
        match opening {
            Opening::Serve => schema::serve(&*database)?,
            Opening::Use => schema::require(&*database)?,
            Opening::AsItIs => {}
        }
        let courier = i64::from_be_bytes(first_half(crate::clock::OsEntropy.bits128()));
        let (devices, away, dirty) = (Arc::default(), Arc::default(), Arc::default());
        let store = Self { database, devices, courier, away, live, dirty };
        if opening == Opening::Serve {
            store.all_may_be_taken()?;
        }
        Ok(store)
    }

    /// The version of the tables.
    pub(crate) fn schema(&self) -> Result<Schema, StoreError> {
        schema::look(&*self.database)
    }

    /// Makes sure that others know that this process serves. Fails with an error of a version if the tables are no longer
    /// those that it serves with.
    pub(crate) fn hold(&self) -> Result<(), StoreError> {
        schema::hold(&*self.database)
    }

    /// Whether other processes may write to the database.
    pub(crate) fn is_shared(&self) -> bool {
        self.database.is_shared()
    }

    /// A connection to the other processes, where there may be some.
    pub(crate) fn news(&self) -> Option<News> {
        self.database.address().map(|address| News::new(address.clone(), self.courier))
    }

    /// Devices that listen at this moment.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    fn dirty(&self) -> MutexGuard<'_, mail::Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self) -> MutexGuard<'_, HashSet<(Domain, String)>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a transaction as if nobody else ran one. It is undone if `work` fails. `work` may be run several times.
    fn write<T, E: From<StoreError>>(&self, work: impl FnMut(Db<'_>) -> Result<T, E>) -> Result<T, E> {
        run(|inner| self.database.write(Isolation::Serializable, inner), work)
    }

    /// Runs a transaction that holds the rows it depends on, and so needs not be kept apart from others.
    fn write_holding<T, E: From<StoreError>>(&self, work: impl FnMut(Db<'_>) -> Result<T, E>) -> Result<T, E> {
        run(|inner| self.database.write(Isolation::Locking, inner), work)
    }

    /// Hands over a transaction before this returns, and waits for its end only in what is returned. Needs a Tokio runtime.
    fn soon<T, E>(
        &self,
        isolation: Isolation,
        mut work: impl FnMut(Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let (ended, end) = tokio::sync::oneshot::channel();
        let job = Job {
            isolation,
            work: Box::new({
                let result = Arc::clone(&result);
                move |db| {
                    let outcome = work(db);
                    let keep = outcome.is_ok();
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    keep
                }
            }),
            // Where nobody waits any longer, nobody is told.
            done: Box::new(move |outcome| drop(ended.send(outcome))),
        };
        Arc::clone(&self.database).soon(job);
        async move {
            end.await.unwrap_or_else(|_| Err(StoreError::lost()))?;
            let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
            result.unwrap_or_else(|| Err(StoreError::damaged("nothing was run").into()))
        }
    }

    /// Only reads; several queries see one state.
    fn read<T>(&self, work: impl FnMut(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        run(|inner| self.database.read(inner), work)
    }

    /// Only reads, by one query.
    fn look<T>(&self, work: impl FnMut(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        run(|inner| self.database.look(inner), work)
    }

    /// The secret key of the hub for a cipher suite; `fresh` is stored if there is none yet.
    pub(crate) fn hub_key(&self, suite: u16, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write(|db| {
            let insert = "INSERT INTO hub_keys (suite, secret) VALUES (?1, ?2) ON CONFLICT (suite) DO NOTHING";
            db.execute(insert, (suite, fresh))?;
            db.one("SELECT secret FROM hub_keys WHERE suite = ?1", [suite])?.get(0)
        })
    }

    /// How much was written since the database was opened, where it is this process that has to care for its files.
    pub(crate) fn changes(&self) -> u64 {
        self.database.changes()
    }

    /// Makes what was deleted leave SQLite's write-ahead log.
    pub(crate) fn truncate_log(&self) -> Result<(), StoreError> {
        self.database.shed(false)
    }
}

/// Runs work by a function of the database, and passes on what came out of it the last time it was run.
fn run<T, E: From<StoreError>>(
    run: impl FnOnce(&mut Work<'_>) -> Result<(), StoreError>,
    mut work: impl FnMut(Db<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let mut result = None;
    let ran = run(&mut |db| {
        let outcome = work(db);
        let keep = outcome.is_ok();
        result = Some(outcome);
        keep
    });
    match (ran, result) {
        (Ok(()), Some(result)) => result,
        (Ok(()), None) => Err(StoreError::damaged("nothing was run").into()),
        (Err(error), _) => Err(error.into()),
    }
}

/// The first half of some random bits.
fn first_half(bits: [u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = bits;
    [a, b, c, d, e, f, g, h]
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

/// The next number of an account or device.
fn next_number(db: Db<'_>, kind: &str) -> Result<i64, StoreError> {
    db.one("UPDATE numbers SET newest = newest + 1 WHERE kind = ?1 RETURNING newest", [kind])?.get(0)
}
