use std::path::Path;

use super::postgres::is_broken;

/// The database cannot be read or written. The text says what went wrong, and nothing of what stands in the database.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Reason);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("the database: {0}")]
    Sqlite(String),
    #[error("the database: {0}")]
    Postgres(String),
    #[error("the database: {0}")]
    Constraint(String),
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    #[error("the database does not answer")]
    Silent,
    #[error("the database does not get to an end: too much happens at the same time")]
    Contended,
    #[error("the database has undone what was written, for example because the disk is full")]
    Lost,
    #[error("{0}: `mimi-provider run` makes what is missing")]
    Absent(String),
    #[error("the database: {0}")]
    Table(String),
    #[error("the database was written by a newer version: it has schema {0}, and this program has {1}")]
    Newer(i64, i64),
    #[error(
        "the database has schema {0}, and this program has {1}: `mimi-provider run` brings it up to date, and \
         `mimi-provider backup` copies it as it is before"
    )]
    Older(i64, i64),
    #[error(
        "the database has schema {0}, and this program has {1}: processes of the older version serve from it, and have to \
         end before it is brought up to date"
    )]
    InUse(i64, i64),
    #[error("the database has no space left, or the disk does not do what it should: {0}")]
    Disk(String),
    #[error("a text with a NUL character, which not every database takes")]
    Nul,
    #[error("a value in the database is damaged: {0}")]
    Damaged(&'static str),
    #[error("{0}")]
    Told(String),
    #[error("the room has gone on meanwhile")]
    Stale,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        Self(match error.sqlite_error_code() {
            Some(DiskFull | SystemIoFailure) => Reason::Disk(error.to_string()),
            Some(ConstraintViolation) => Reason::Constraint(error.to_string()),
            // Another process writes for long: a copy, or what an operator asks.
            Some(DatabaseBusy | DatabaseLocked) => Reason::Contended,
            _ if error.to_string().contains("no such table") => Reason::Table(error.to_string()),
            _ => Reason::Sqlite(error.to_string()),
        })
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        // What the server says may quote values: only its code and the names of what is concerned are kept.
        Self(match error.as_db_error() {
            Some(told) => {
                let code = told.code().code();
                let concerned = told.constraint().or(told.column()).or(told.table());
                let told = format!("SQLSTATE {code}, {}", concerned.unwrap_or_else(|| words(code)));
                // Not enough space or memory, or an error of the system.
                if code.starts_with("53") || code.starts_with("58") {
                    Reason::Disk(told)
                } else if code.starts_with("23") {
                    Reason::Constraint(told)
                } else if code == "42P01" {
                    Reason::Table(told)
                } else {
                    Reason::Postgres(told)
                }
            }
            None if is_broken(&error) => Reason::Unreachable(with_cause(&error)),
            None => Reason::Postgres(with_cause(&error)),
        })
    }
}

/// What codes mean that an operator sees whose database is not set up yet.
fn words(code: &str) -> &'static str {
    match code {
        "3D000" => "there is no such database",
        "28P01" => "the password is wrong, or there is no such role",
        "28000" => "there is no such role, or the server does not let it in from here",
        "42501" => "the role lacks the right to do that",
        "57P03" => "the server is not ready yet",
        _ => "no table",
    }
}

/// An error with what it comes from, where that is the way to the server: in others, values may be quoted.
fn with_cause(error: &tokio_postgres::Error) -> String {
    let text = error.to_string();
    let of_the_way =
        ["error connecting", "error communicating", "error performing TLS", "authentication", "invalid conf"];
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match cause {
        Some(cause) if of_the_way.iter().any(|begin| text.starts_with(begin)) && !text.contains(&cause) => {
            format!("{text}: {cause}")
        }
        _ => text,
    }
}

impl StoreError {
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self(Reason::Damaged(what))
    }

    /// There is no database, or nothing in it.
    pub(super) fn absent(what: &str) -> Self {
        Self(Reason::Absent(what.to_owned()))
    }

    pub(super) fn newer(found: i64, own: i64) -> Self {
        Self(Reason::Newer(found, own))
    }

    pub(super) fn older(found: i64, own: i64, in_use: bool) -> Self {
        Self(if in_use { Reason::InUse(found, own) } else { Reason::Older(found, own) })
    }

    /// A file cannot be used.
    pub(super) fn file(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self(Reason::Told(format!("{}: {why}", path.display())))
    }

    /// The same error, which names the file.
    pub(super) fn at(self, path: &Path) -> Self {
        match self.0 {
            Reason::Sqlite(text) if !text.contains(&*path.to_string_lossy()) => Self::file(path, &text),
            reason => Self(reason),
        }
    }

    pub(super) fn stale() -> Self {
        Self(Reason::Stale)
    }

    /// No answer came in time. Whether what was asked for is done, nobody knows.
    pub(super) fn silent() -> Self {
        Self(Reason::Silent)
    }

    pub(crate) fn lost() -> Self {
        Self(Reason::Lost)
    }

    pub(super) fn nul() -> Self {
        Self(Reason::Nul)
    }

    pub(super) fn told(why: String) -> Self {
        Self(Reason::Told(why))
    }

    pub(super) fn contended() -> Self {
        Self(Reason::Contended)
    }

    pub(crate) fn unreachable(why: &str) -> Self {
        Self(Reason::Unreachable(why.to_owned()))
    }

    /// Another process has taken the room to another epoch: it has to be read again.
    pub(crate) fn is_stale(&self) -> bool {
        self.0 == Reason::Stale
    }

    /// A table does not take what is in the way of something that is there, or has no value where there has to be one.
    pub(super) fn is_of_a_constraint(&self) -> bool {
        matches!(self.0, Reason::Constraint(_))
    }

    /// It may go well later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.0, Reason::Unreachable(_) | Reason::Silent | Reason::Contended | Reason::Lost | Reason::Disk(_))
    }

    /// There is no such table.
    pub(super) fn is_of_a_table(&self) -> bool {
        matches!(self.0, Reason::Table(_))
    }

    /// There is no database, or nothing in it.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.0, Reason::Absent(_))
    }

    /// The tables are those of another version of this program.
    pub(crate) fn is_of_a_version(&self) -> bool {
        matches!(self.0, Reason::Newer(..) | Reason::Older(..) | Reason::InUse(..))
    }

    /// It is a statement that this database does not know: not everything that speaks PostgreSQL's protocol has all of it.
    pub(super) fn is_of_a_dialect(&self) -> bool {
        let Reason::Postgres(text) = &self.0 else { return false };
        ["42601", "42883", "0A000"].iter().any(|code| text.starts_with(&format!("SQLSTATE {code},")))
    }

    /// It is the value's fault that it cannot be stored.
    pub(crate) fn is_of_a_value(&self) -> bool {
        self.0 == Reason::Nul
    }
}
