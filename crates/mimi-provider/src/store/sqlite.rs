//! SQLite: one file, one process.
//!
//! Whoever wants to write waits for the one connection that writes. If others wait behind it when it is done, it leaves
//! the transaction open, and the last of them ends it for all: one flush of the disk for as many as came meanwhile. Each
//! one's work is behind a savepoint of its own, and nobody gets an answer before the flush. What need not be waited for on
//! the spot stands in a queue, from which one thread takes as much as there is.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    Address, StoreError, copy,
    database::{Answer, Database, Db, Done, Isolation, Job, Param, Row, Statement, Statements, Value, Work},
    live::{Live, Mail},
};
use crate::private;

/// The most transitions that share a flush.
const GROUP_MAX: usize = 256;
/// Readers that are kept open.
const READERS: usize = 8;
/// Memory of the connection that writes, in KiB: enough for the pages that many rooms write to again and again.
const WRITER_CACHE: i64 = 16_384;
/// Pages of 4 KiB in the write-ahead log from which on it is moved into the database: what was written many times until
/// then is moved once.
const LOG_PAGES: i64 = 8_192;
/// Statements that a connection keeps prepared.
const PREPARED: usize = 160;

pub(super) struct Sqlite {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// Those who want to write and have not begun.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
    live: Arc<Live>,
    readers: Mutex<Vec<Connection>>,
    /// Transactions that were ended, each by a flush of the disk.
    flushes: AtomicU64,
}

/// What is to be written soon.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Whether somebody takes from it.
    served: bool,
}

struct Writer {
    pen: Pen,
    group: Option<Open>,
}

/// The connection that writes, and the events that stand in the open transaction.
struct Pen {
    connection: Connection,
    mails: RefCell<Vec<Mail>>,
}

/// The transaction that is open.
struct Open {
    group: Arc<Group>,
    members: usize,
}

/// Those whose work ends with one transaction.
#[derive(Default)]
struct Group {
    outcome: Mutex<Option<Result<(), StoreError>>>,
    ended: Condvar,
    told: Mutex<Vec<Done>>,
}

impl Group {
    fn end(&self, outcome: Result<(), StoreError>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
        self.ended.notify_all();
        for done in self.told.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            done(outcome.clone());
        }
    }

    fn tell(&self, done: Done) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    fn wait(&self) -> Result<(), StoreError> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            outcome = self.ended.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Sqlite {
    /// Opens a database; `make` makes one that nobody else can read, if there is none. Whoever listens hears of events when
    /// they are on disk.
    pub(super) fn open(path: &Path, live: Arc<Live>, make: bool) -> Result<Self, StoreError> {
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::file(path, &error)),
            Err(_) if !make => return Err(StoreError::absent(&format!("there is no database at {}", path.display()))),
            // The files that SQLite makes beside it can be read by the same people.
            Err(_) => drop(private::new_file(path).map_err(|error| StoreError::file(path, &error))?),
        }
        Self::open_file(path, live).map_err(|error| error.at(path))
    }

    fn open_file(path: &Path, live: Arc<Live>) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let writer = Mutex::new(Writer { pen: Pen { connection, mails: RefCell::default() }, group: None });
        Ok(Self {
            path: path.to_owned(),
            writer,
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
            live,
            readers: Mutex::default(),
            flushes: AtomicU64::new(0),
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        writer
    }

    /// Does something with the connection that writes, outside of any transaction.
    fn alone<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut writer = self.writer();
        self.end(&mut writer);
        work(&writer.pen.connection)
    }

    /// Ends the transaction that is open, and tells all whose work was in it.
    fn end(&self, writer: &mut Writer) {
        let Some((group, outcome)) = writer.end() else { return };
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let mails = writer.pen.mails.take();
        match &outcome {
            Ok(()) => self.live.publish(&mails),
            // What has become of them is not known here.
            Err(_) => self.live.look_all(),
        }
        group.end(outcome);
    }

    /// Ends the transaction, if it is large or nobody waits who could do so.
    fn end_unless_others_come(&self, writer: &mut Writer) {
        let members = writer.group.as_ref().map_or(0, |open| open.members);
        if members >= GROUP_MAX || self.waiting.load(Ordering::SeqCst) == 0 {
            self.end(writer);
        }
    }

    /// Does one work in the transaction that is open, or a new one. If it does not want to keep what it did, or panics,
    /// that is undone.
    fn run(
        &self,
        writer: &mut Writer,
        work: &mut Work<'_>,
    ) -> Result<(Arc<Group>, std::thread::Result<bool>), StoreError> {
        let (group, shared) = writer.begin()?;
        if shared {
            writer.pen.command("SAVEPOINT member")?;
        }
        let before = writer.pen.mails.borrow().len();
        let done = catch_unwind(AssertUnwindSafe(|| work(Db(&writer.pen))));
        let kept = matches!(done, Ok(true));
        if !kept {
            writer.pen.mails.borrow_mut().truncate(before);
        }
        if kept || writer.pen.connection.is_autocommit() {
            if shared && !writer.pen.connection.is_autocommit() {
                writer.pen.command("RELEASE member")?;
            }
        } else if shared {
            writer.pen.command("ROLLBACK TO member").and_then(|()| writer.pen.command("RELEASE member"))?;
        } else {
            // Nobody else is in the transaction yet.
            writer.group = None;
            group.end(Ok(()));
            writer.pen.command("ROLLBACK")?;
        }
        Ok((group, done))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_job(&self) -> Option<Job> {
        self.queue().jobs.pop_front()
    }

    /// Does what stands in the queue until it is empty.
    fn serve(&self) {
        loop {
            let mut writer = self.writer();
            while let Some(Job { mut work, done, .. }) = self.next_job() {
                match self.run(&mut writer, &mut *work) {
                    Ok((group, Ok(_))) if writer.group.is_some() => group.tell(done),
                    // It was alone, and was undone: nothing is left to be waited for.
                    Ok((_, Ok(_))) => done(Ok(())),
                    Ok((_, Err(_))) => done(Err(StoreError::lost())),
                    Err(error) => done(Err(error)),
                }
                if writer.group.as_ref().is_some_and(|open| open.members >= GROUP_MAX) {
                    break;
                }
            }
            self.end_unless_others_come(&mut writer);
            drop(writer);
            let mut queue = self.queue();
            if queue.jobs.is_empty() {
                queue.served = false;
                return;
            }
        }
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        reader.busy_timeout(Duration::from_secs(5))?;
        reader.set_prepared_statement_cache_capacity(PREPARED);
        Ok(reader)
    }

    fn keep(&self, reader: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(reader);
        }
    }
}

impl Writer {
    /// The transaction that is open, or a new one; and whether somebody's work is in it already.
    fn begin(&mut self) -> Result<(Arc<Group>, bool), StoreError> {
        if let Some(open) = &mut self.group {
            open.members += 1;
            return Ok((Arc::clone(&open.group), true));
        }
        self.pen.command("BEGIN IMMEDIATE")?;
        let group = Arc::<Group>::default();
        self.group = Some(Open { group: Arc::clone(&group), members: 1 });
        Ok((group, false))
    }

    /// Ends the transaction that is open.
    fn end(&mut self) -> Option<(Arc<Group>, Result<(), StoreError>)> {
        let open = self.group.take()?;
        let outcome = if self.pen.connection.is_autocommit() {
            // SQLite has undone everything, for example because the disk is full.
            Err(StoreError::lost())
        } else {
            self.pen.command("COMMIT").inspect_err(|_| {
                // What could not be committed is undone, so that the next transaction can begin.
                let _ = self.pen.command("ROLLBACK");
            })
        };
        Some((open.group, outcome))
    }
}

impl Pen {
    fn command(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Statements for Pen {
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        Statements::execute(&self.connection, sql, params)
    }

    fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        Statements::query(&self.connection, sql, params)
    }

    fn all(&self, statements: &[Statement<'_>], last: bool) -> Result<Vec<Answer>, StoreError> {
        self.connection.all(statements, last)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn announce(&self, mail: &dyn Fn() -> Mail) {
        self.mails.borrow_mut().push(mail());
    }
}

impl Database for Sqlite {
    fn is_shared(&self) -> bool {
        false
    }

    fn write(&self, _: Isolation, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let ran = self.run(&mut writer, work);
        self.end_unless_others_come(&mut writer);
        drop(writer);
        let (group, done) = ran?;
        let outcome = group.wait();
        match done {
            Ok(_) => outcome,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn soon(self: Arc<Self>, job: Job) {
        let mut queue = self.queue();
        queue.jobs.push_back(job);
        if !std::mem::replace(&mut queue.served, true) {
            drop(queue);
            tokio::task::spawn_blocking(move || self.serve());
        }
    }

    fn read(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let reader = self.reader()?;
        reader.prepare_cached("BEGIN")?.execute([])?;
        work(Db(&reader));
        reader.prepare_cached("COMMIT")?.execute([])?;
        self.keep(reader);
        Ok(())
    }

    fn look(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let reader = self.reader()?;
        work(Db(&reader));
        self.keep(reader);
        Ok(())
    }

    fn serve(&self, tables: &dyn Fn(bool) -> Result<(), StoreError>) -> Result<(), StoreError> {
        // Whoever serves has a lock in the same folder.
        tables(true)
    }

    fn hold(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.look(work)
    }

    fn migrate(&self, script: &str, version: i64) -> Result<(), StoreError> {
        self.alone(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let step = || -> Result<(), StoreError> {
                let reached: i64 = connection.query_row("SELECT version FROM schema_version", [], |row| row.get(0))?;
                if reached < version {
                    connection.execute_batch(script)?;
                    connection.execute("UPDATE schema_version SET version = ?1", [version])?;
                }
                Ok(connection.execute_batch("COMMIT")?)
            };
            step().inspect_err(|_| {
                // The error that is returned says more than one of undoing would.
                let _ = connection.execute_batch("ROLLBACK");
            })
        })
    }

    fn address(&self) -> Option<&Address> {
        None
    }

    fn size(&self) -> Result<u64, StoreError> {
        let octets = ["", "-wal", "-shm"].map(|ending| {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            std::fs::metadata(path).map_or(0, |file| file.len())
        });
        Ok(octets.iter().sum())
    }

    fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let reader = self.reader()?;
        copy::write(to, |part| reader.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map(drop))?;
        self.keep(reader);
        Ok(())
    }

    fn changes(&self) -> u64 {
        self.writer().pen.connection.total_changes()
    }

    fn shed(&self, anew: bool) -> Result<(), StoreError> {
        self.alone(|connection| {
            if anew {
                connection.execute_batch("VACUUM")?;
            }
            // SQLite's write-ahead log moves into the database and is emptied.
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        })
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
        }))
    }
}

impl Statements for Connection {
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(params))? as u64)
    }

    fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare_cached(taken(sql))?;
        rows(&mut statement, params)
    }

    fn all(&self, statements: &[Statement<'_>], _: bool) -> Result<Vec<Answer>, StoreError> {
        let answer = |one: &Statement<'_>| {
            if one.holds {
                return Ok(Answer::default());
            }
            let mut statement = self.prepare_cached(taken(one.sql))?;
            if statement.column_count() > 0 {
                let rows = rows(&mut statement, &one.params)?;
                let changed = if statement.readonly() { 0 } else { rows.len() as u64 };
                return Ok(Answer { rows, changed });
            }
            let changed = statement.execute(rusqlite::params_from_iter(&one.params))? as u64;
            Ok(Answer { rows: Vec::new(), changed })
        };
        statements.iter().map(answer).collect()
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// A statement without what stands at its end for databases with several writers.
fn taken(sql: &str) -> &str {
    let sql = sql.strip_suffix(" SKIP LOCKED").unwrap_or(sql);
    sql.strip_suffix(" FOR UPDATE").unwrap_or(sql)
}

fn rows(statement: &mut rusqlite::Statement<'_>, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
    let columns = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(params))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let value = |column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Integer(value),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(octets) => Value::Octets(octets.to_vec()),
                ValueRef::Real(_) => return Err(StoreError::damaged("a number that is not whole")),
            })
        };
        rows.push(Row((0..columns).map(value).collect::<Result<_, _>>()?));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
