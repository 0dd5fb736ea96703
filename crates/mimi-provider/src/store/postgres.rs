//! PostgreSQL, and what speaks its protocol: any number of processes on one database.

mod connection;
mod news;
mod place;
mod pool;
mod session;
mod tls;

use std::{path::Path, sync::Arc, time::Duration};

use mimi_pseudonym::Entropy;
use tokio_postgres::config::SslMode;

use super::{
    StoreError,
    database::{Database, Isolation, Job, Work},
};
use connection::{Attempt, Connection};
use place::Place;
use pool::Pool;
use tls::Tls;

pub(super) use connection::is_broken;
pub(crate) use news::{News, Told};

/// How often a transaction is begun again that got in the way of others.
const ATTEMPTS: u32 = 60;
/// How often it is begun again because the connection broke.
const RECONNECTIONS: u32 = 3;

/// Where a database is.
#[derive(Clone)]
pub(crate) struct Address {
    config: tokio_postgres::Config,
    /// How connections are encrypted, if they are.
    tls: Option<Tls>,
    /// The most connections at the same time.
    pub(super) connections: usize,
}

impl Address {
    /// From a connection string, a password that stands elsewhere, and a file with the authorities for the server's
    /// certificate. With that file every connection is encrypted and the server's name verified; without it none is.
    pub(crate) fn new(
        text: &str,
        password: Option<&str>,
        roots: Option<&Path>,
        connections: usize,
    ) -> Result<Self, StoreError> {
        // What is wrong with the text is not said: it may hold a password.
        let mut config: tokio_postgres::Config =
            text.parse().map_err(|_| StoreError::unreachable("the connection string cannot be read"))?;
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name("mimi-provider").connect_timeout(Duration::from_secs(5));
        // A host that vanishes says nothing: silence of this length is the end of a connection.
        config.keepalives(true).keepalives_idle(Duration::from_secs(10)).keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(2).tcp_user_timeout(Duration::from_secs(20));
        let tls = roots.map(Tls::new).transpose()?;
        match (&tls, config.get_ssl_mode()) {
            (Some(_), _) => config.ssl_mode(SslMode::Require),
            (None, SslMode::Require) => {
                return Err(StoreError::unreachable(
                    "sslmode=require needs `roots`, the authorities for its certificate",
                ));
            }
            (None, _) => config.ssl_mode(SslMode::Disable),
        };
        Ok(Self { config, tls, connections })
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

pub(super) struct Postgres {
    address: Address,
    pool: Pool,
    place: Place,
}

impl Postgres {
    /// Connects to a database.
    pub(super) fn connect(address: &Address) -> Result<Self, StoreError> {
        let pool = Pool::new(address.clone());
        pool.with(|_| ())?;
        Ok(Self { address: address.clone(), pool, place: Place::default() })
    }

    /// Runs something until it comes to its end.
    fn until_done(&self, mut attempt: impl FnMut(&mut Connection) -> Attempt) -> Result<(), StoreError> {
        let mut broken = 0;
        for number in 0..ATTEMPTS {
            match self.pool.with(&mut attempt)? {
                Attempt::Done => return Ok(()),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again => pause(number),
                Attempt::Broken(error) => {
                    broken += 1;
                    if broken > RECONNECTIONS {
                        return Err(error);
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        Err(StoreError::contended())
    }
}

/// Waits longer after each attempt, and not as long as others that failed at the same time.
fn pause(attempt: u32) {
    let [first, ..] = crate::clock::OsEntropy.bits128();
    let longest = 1_u64 << attempt.min(6);
    std::thread::sleep(Duration::from_micros(longest * 4 * u64::from(first)));
}

impl Database for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    fn write(&self, isolation: Isolation, work: &mut Work<'_>) -> Result<(), StoreError> {
        let begin = match isolation {
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Isolation::Locking => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        self.until_done(|connection| connection.transaction(begin, work))
    }

    fn soon(self: Arc<Self>, mut job: Job) {
        tokio::task::spawn_blocking(move || {
            let outcome = self.write(job.isolation, &mut *job.work);
            (job.done)(outcome);
        });
    }

    fn read(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.until_done(|connection| connection.transaction(begin, work))
    }

    fn look(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.until_done(|connection| connection.look(work))
    }

    fn serve(&self, tables: &dyn Fn(bool) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.place.take(&self.address, tables)
    }

    fn hold(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.place.hold(&self.address, work)
    }

    fn migrate(&self, script: &str, version: i64) -> Result<(), StoreError> {
        let script = script.replace("BLOB", "BYTEA").replace(" WITHOUT ROWID", "").replace("-- PostgreSQL: ", "");
        let script =
            script.replace("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY");
        self.until_done(|connection| connection.migrate(&script, version))
    }

    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    fn size(&self) -> Result<u64, StoreError> {
        let mut size = Err(StoreError::damaged("size"));
        self.look(&mut |db| {
            size = db.one("SELECT pg_database_size(current_database())", [0_i64; 0]).and_then(|row| row.get(0));
            size.is_ok()
        })?;
        size.or_else(|error| if error.is_of_a_dialect() { Ok(0) } else { Err(error) })
    }

    fn backup(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::told("PostgreSQL has programs of its own for copies, for example pg_dump".to_owned()))
    }

    fn changes(&self) -> u64 {
        0
    }

    fn shed(&self, anew: bool) -> Result<(), StoreError> {
        if anew {
            // Where there is no such thing, the database has a way of its own to get rid of what was deleted.
            let done = self.until_done(|connection| connection.script("VACUUM"));
            return done.or_else(|error| if error.is_of_a_dialect() { Ok(()) } else { Err(error) });
        }
        Ok(())
    }
}
