use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Address, connection::Connection};
use crate::store::StoreError;

/// How long to wait for a connection that somebody else has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections that are used again.
pub(super) struct Pool {
    address: Address,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Idle ones and those that somebody has.
    open: usize,
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        Self { address, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Does something with a connection. One that has broken is not used again.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> Result<T, StoreError> {
        let mut lent = Lent { pool: self, connection: None };
        let connection = match self.idle()? {
            Some(idle) => lent.connection.insert(idle),
            None => lent.connection.insert(Connection::open(&self.address)?),
        };
        Ok(work(connection))
    }

    /// An idle connection; none if another one may be opened, which then counts as open.
    fn idle(&self) -> Result<Option<Connection>, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(idle) = state.idle.pop() {
                return Ok(Some(idle));
            }
            if state.open < self.address.connections {
                state.open += 1;
                return Ok(None);
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(StoreError::contended());
            }
            state = self.returned.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Gives a connection back, or the right to open another one.
struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let kept = self.connection.take().filter(|connection| connection.is_usable() && !std::thread::panicking());
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        match kept {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
