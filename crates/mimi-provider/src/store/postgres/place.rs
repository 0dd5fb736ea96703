//! Who serves from a database holds a lock that all share who do; whoever changes its tables holds it alone. So nobody's
//! tables are changed while it serves. The lock goes with the connection. Databases that speak PostgreSQL's protocol need
//! not have such locks: there, nothing is held.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Address,
    connection::{Attempt, Connection},
    pool::apart,
};
use crate::store::{StoreError, database::Work};

/// What a lock of this program in a database is called; the number means nothing.
macro_rules! lock {
    ($function:literal) => {
        concat!("SELECT ", $function, "(5278103469917264511)")
    };
}

const ALONE: &str = lock!("pg_try_advisory_lock");
const NO_LONGER_ALONE: &str = lock!("pg_advisory_unlock");
const SHARED: &str = lock!("pg_try_advisory_lock_shared");

/// How often it is looked whether another process is done with the tables.
const LOOK: Duration = Duration::from_millis(100);
/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The place of a process among those that serve.
#[derive(Default)]
pub(super) struct Place(Mutex<Option<Connection>>);

impl Place {
    /// Takes a place. `tables` is run before: with `true` if nobody else serves, nor begins to before it is done; with
    /// `false` if others serve.
    pub(super) fn take(
        &self,
        address: &Address,
        tables: &dyn Fn(bool) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let connection = Connection::open(address)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match ask(&connection, ALONE)? {
                None => {
                    tables(true)?;
                    break;
                }
                Some(true) => {
                    tables(true)?;
                    ask(&connection, SHARED)?;
                    ask(&connection, NO_LONGER_ALONE)?;
                    break;
                }
                Some(false) => {}
            }
            if ask(&connection, SHARED)? == Some(true) {
                tables(false)?;
                break;
            }
            // Another process brings the tables up to date.
            if Instant::now() >= until {
                return Err(StoreError::contended());
            }
            std::thread::sleep(LOOK);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(())
    }

    /// Runs a query on the connection that holds the place. If that has broken, the place is taken again.
    pub(super) fn hold(&self, address: &Address, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match place.take().filter(Connection::is_usable) {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(address)?;
                if ask(&connection, SHARED)? == Some(false) {
                    return Err(StoreError::contended());
                }
                connection
            }
        };
        match connection.look(work) {
            Attempt::Done => {
                *place = Some(connection);
                Ok(())
            }
            Attempt::Again => {
                *place = Some(connection);
                Err(StoreError::contended())
            }
            Attempt::Broken(error) | Attempt::Failed(error) => Err(error),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        apart(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Asks for a lock; nothing if the database has none.
fn ask(connection: &Connection, question: &str) -> Result<Option<bool>, StoreError> {
    let mut answer = Err(StoreError::contended());
    let attempt = connection.look(&mut |db| {
        answer = db.one(question, [0_i64; 0]).and_then(|row| row.get(0));
        answer.is_ok()
    });
    match (attempt, answer) {
        (Attempt::Broken(error) | Attempt::Failed(error), _) => Err(error),
        (_, Err(error)) if error.is_of_a_dialect() => Ok(None),
        (_, answer) => answer.map(Some),
    }
}
