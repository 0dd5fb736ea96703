//! Where a client's process ends itself: right before a step of its device is on disk, or right after.
//!
//! Nothing of it is in the client. It is the surroundings that an application gives it which count: a client seals
//! what it is about to write, and asks for a nonce; what it has written shows in the database's version.

use std::{
    future::{Future, poll_fn},
    io::Write,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use mimi_client::SystemEntropy;
use mimi_pseudonym::Entropy;
use rusqlite::{Connection, OpenFlags};

/// When a process ends itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Never.
    Never,
    /// When its first step is about to be written.
    Before,
    /// When its first step has been written, and nothing has come of it.
    After,
}

impl Kill {
    /// The word for a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Before => "before",
            Self::After => "after",
        }
    }

    /// What a word on a command line stands for.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "never" => Ok(Self::Never),
            "before" => Ok(Self::Before),
            "after" => Ok(Self::After),
            _ => bail!("never, before or after, not {word}"),
        }
    }
}

/// Octets of the nonces with which a client seals what it writes. It asks for so many for nothing else.
const NONCE: usize = 12;

/// Watches a client's database for steps.
#[derive(Clone)]
pub struct Steps(Arc<Mutex<Watch>>);

struct Watch {
    database: Connection,
    kill: Kill,
    /// The database's version as it was opened.
    version: i64,
}

impl Steps {
    /// Watches a database that exists.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn watch(path: &Path, kill: Kill) -> Result<Self> {
        // Not for reading alone: who was killed may have left something that has to be undone first.
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let version = version(&database)?;
        Ok(Self(Arc::new(Mutex::new(Watch { database, kill, version }))))
    }

    /// Ends the process if it is to end and the database has changed.
    pub fn look(&self) {
        let watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A version that cannot be read is no reason to go on.
        if watch.kill == Kill::After && version(&watch.database).ok() != Some(watch.version) {
            die("after");
        }
    }

    fn about_to_write(&self) {
        self.look();
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).kill == Kill::Before {
            die("before");
        }
    }

    /// Carries out what a client does, and looks each time it waits for something: what it wants to send is not on its way
    /// then, as all of it is one thread.
    pub async fn watched<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let polled = work.as_mut().poll(cx);
            self.look();
            polled
        })
        .await
    }
}

fn version(database: &Connection) -> Result<i64> {
    Ok(database.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

/// Says why, and is killed (SIGKILL).
fn die(word: &str) -> ! {
    let mut out = std::io::stdout().lock();
    // If nobody hears it, nobody needs it.
    let _ = writeln!(out, "died {word}");
    let _ = out.flush();
    loop {
        // The library has no signals; every shell has `kill`.
        let _ = std::process::Command::new("sh").arg("-c").arg("kill -KILL $PPID").status();
    }
}

/// The system's generator, for a client whose steps are watched.
pub struct Watched {
    inner: SystemEntropy,
    steps: Steps,
}

impl Watched {
    /// For these steps.
    pub fn new(steps: Steps) -> Self {
        Self { inner: SystemEntropy::default(), steps }
    }
}

impl Entropy for Watched {
    fn fill(&mut self, buffer: &mut [u8]) {
        if buffer.len() == NONCE {
            self.steps.about_to_write();
        }
        self.inner.fill(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for kill in [Kill::Never, Kill::Before, Kill::After] {
            assert_eq!(Kill::parse(kill.word()).unwrap(), kill);
        }
        assert!(Kill::parse("now").is_err());
    }

    #[test]
    fn a_version_changes_with_every_step_of_another_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE one (value INTEGER)").unwrap();
        let steps = Steps::watch(&path, Kill::Never).unwrap();
        let seen = || version(&steps.0.lock().unwrap().database).unwrap();
        let (first, again) = (seen(), seen());
        writer.execute("INSERT INTO one VALUES (1)", []).unwrap();
        let after = seen();
        assert!(first == again && first != after);
        writer.execute_batch("BEGIN; INSERT INTO one VALUES (2)").unwrap();
        assert_eq!(seen(), after, "not before it is committed");
    }

    #[test]
    fn a_database_is_watched_whose_writer_was_killed_while_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let [path, journal] = ["writing.sqlite", "writing.sqlite-journal"].map(|name| folder.path().join(name));
        let [left, left_journal] = ["left.sqlite", "left.sqlite-journal"].map(|name| folder.path().join(name));
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE one (value BLOB); PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
        writer.execute_batch("BEGIN; INSERT INTO one VALUES (zeroblob(1000000))").unwrap();
        // What is there at this moment is what a killed process leaves.
        std::fs::copy(&path, &left).unwrap();
        std::fs::copy(&journal, &left_journal).unwrap();
        let steps = Steps::watch(&left, Kill::Never).unwrap();
        let rows: i64 =
            steps.0.lock().unwrap().database.query_row("SELECT COUNT(*) FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
    }
}
