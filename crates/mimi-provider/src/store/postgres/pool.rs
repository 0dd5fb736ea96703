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

impl Drop for Pool {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        apart(std::mem::take(&mut state.idle));
    }
}

/// Drops connections on a thread of their own: each waits until it is closed, which nobody may who runs other tasks.
pub(super) fn apart<T: Send + 'static>(connections: T) {
    // Without a thread there is nothing to be done but to leave the connections to the end of the process.
    let _ = std::thread::Builder::new().spawn(move || drop(connections)).map(std::thread::JoinHandle::join);
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
            None => {
                // Where one is broken the others probably are: the server may have been started again.
                state.open -= 1 + state.idle.len();
                state.idle.clear();
            }
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
