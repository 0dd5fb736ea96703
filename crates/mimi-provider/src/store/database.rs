//! The little that a transition needs of a database, so that each is written once: values, rows, statements, transactions.
//! Two databases stand behind it, SQLite and PostgreSQL.
//!
//! Statements are written so that both take them, and databases besides that speak PostgreSQL's protocol: placeholders
//! `?1`, `?2`, … ; whole numbers are BIGINT, truth values too (0 and 1); octets are BLOB; `ON CONFLICT` where a row may be
//! there already; identifiers are chosen by the writer. `FOR UPDATE` and `FOR UPDATE SKIP LOCKED` may stand at the end of
//! a query and nowhere else; SQLite, which has one writer, does not get to see them.

use std::{path::Path, sync::Arc};

use mimi_pseudonym::Timestamp;

use super::{Address, StoreError, live::Mail};

/// A value for a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Octets(&'a [u8]),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Octets(Vec<u8>),
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(pub(super) Vec<Value>);

impl Row {
    /// The value of a column, counted from 0.
    pub(crate) fn get<T: FromValue>(&self, column: usize) -> Result<T, StoreError> {
        let value = self.0.get(column).and_then(T::from_value);
        value.ok_or_else(|| StoreError::damaged("a column is of another type"))
    }
}

/// What can be read from a column.
pub(crate) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Integer(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u16 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Octets(octets) = value { Some(octets.clone()) } else { None }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Octets(octets) = value { octets.as_slice().try_into().ok() } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Param<'_> {
            fn from(value: $kind) -> Self {
                Self::Integer(value.into())
            }
        }
    )*};
}

integers!(i64, u8, u16, u32, bool);

impl From<Timestamp> for Param<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Integer(super::millis(time))
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a> From<&'a Vec<u8>> for Param<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Param<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement: an array, or a tuple of what each can be made from.
pub(crate) trait Params<'a> {
    fn with<R>(self, run: impl FnOnce(&[Param<'a>]) -> R) -> R;
}

impl<'a, T: Into<Param<'a>>, const N: usize> Params<'a> for [T; N] {
    fn with<R>(self, run: impl FnOnce(&[Param<'a>]) -> R) -> R {
        run(&self.map(Into::into))
    }
}

impl<'a> Params<'a> for &[Param<'a>] {
    fn with<R>(self, run: impl FnOnce(&[Param<'a>]) -> R) -> R {
        run(self)
    }
}

macro_rules! tuples {
    ($(($($name:ident),*)),*) => {$(
        impl<'a, $($name: Into<Param<'a>>),*> Params<'a> for ($($name,)*) {
            #[allow(non_snake_case, reason = "names of types stand for values as well")]
            fn with<R>(self, run: impl FnOnce(&[Param<'a>]) -> R) -> R {
                let ($($name,)*) = self;
                run(&[$($name.into()),*])
            }
        }
    )*};
}

tuples!(
    (A),
    (A, B),
    (A, B, C),
    (A, B, C, D),
    (A, B, C, D, E),
    (A, B, C, D, E, F),
    (A, B, C, D, E, F, G),
    (A, B, C, D, E, F, G, H),
    (A, B, C, D, E, F, G, H, I),
    (A, B, C, D, E, F, G, H, I, J)
);

/// Refuses what not every database takes: PostgreSQL has no NUL in texts.
fn storable<'a, 'p>(params: &'a [Param<'p>]) -> Result<&'a [Param<'p>], StoreError> {
    let has_nul = |param: &Param<'_>| matches!(param, Param::Text(text) if text.contains('\0'));
    if params.iter().any(has_nul) { Err(StoreError::nul()) } else { Ok(params) }
}

/// A statement with its values.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(super) sql: &'a str,
    pub(super) params: Vec<Param<'a>>,
    /// Whether it does nothing but hold rows against other writers.
    pub(super) holds: bool,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(sql: &'a str, params: impl Params<'a>) -> Self {
        Self { sql, params: params.with(<[Param<'a>]>::to_vec), holds: false }
    }

    /// A query that holds rows, and of which nobody reads the answer. It is not run where there is one writer.
    pub(crate) fn hold(sql: &'a str, params: impl Params<'a>) -> Self {
        Self { holds: true, ..Self::new(sql, params) }
    }
}

/// What came of a statement.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows it has changed.
    pub(crate) changed: u64,
}

impl Answer {
    /// The first row, if there is any.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// The first row, which has to be there.
    pub(crate) fn one(&self) -> Result<&Row, StoreError> {
        self.row().ok_or_else(|| StoreError::damaged("a row is missing"))
    }

    /// The first column of every row.
    pub(crate) fn column<T: FromValue>(&self) -> Result<Vec<T>, StoreError> {
        self.rows.iter().map(|row| row.get(0)).collect()
    }
}

/// What a database does inside a transaction.
pub(super) trait Statements {
    /// Runs a statement, and says how many rows it has changed.
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError>;

    /// Runs a query or a statement with RETURNING.
    fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError>;

    /// Runs statements one after the other, up to the first that fails. With `last` that is all there is in the transaction,
    /// which ends with it.
    fn all(&self, statements: &[Statement<'_>], last: bool) -> Result<Vec<Answer>, StoreError>;

    /// Whether others write at the same time.
    fn is_shared(&self) -> bool;

    /// Takes an event to those who listen, once it is on disk. Where others write too, each finds it in the database.
    fn announce(&self, _: &dyn Fn() -> Mail) {}
}

/// The database inside a transaction.
#[derive(Clone, Copy)]
pub(crate) struct Db<'a>(pub(super) &'a dyn Statements);

impl Db<'_> {
    /// Runs a statement, and says how many rows it has changed.
    pub(crate) fn execute<'p>(&self, sql: &str, params: impl Params<'p>) -> Result<u64, StoreError> {
        params.with(|params| self.0.execute(sql, storable(params)?))
    }

    /// Runs statements that do not depend on each other's answers, in this order, up to the first that fails. Where every
    /// statement is a way to the server and back, all of them take one. There is an answer to each.
    pub(crate) fn all<const N: usize>(&self, statements: [Statement<'_>; N]) -> Result<[Answer; N], StoreError> {
        let answers = self.list(&statements, false)?;
        answers.try_into().map_err(|_| StoreError::damaged("an answer is missing"))
    }

    /// As [`Db::all`], and then the transaction ends, on the same way: if it returns an error nothing was done, and otherwise
    /// nothing may come after it.
    pub(crate) fn last<const N: usize>(&self, statements: [Statement<'_>; N]) -> Result<[Answer; N], StoreError> {
        let answers = self.list(&statements, true)?;
        answers.try_into().map_err(|_| StoreError::damaged("an answer is missing"))
    }

    /// As [`Db::all`] or, if these are the last, [`Db::last`], for as many as there are.
    pub(crate) fn list(&self, statements: &[Statement<'_>], last: bool) -> Result<Vec<Answer>, StoreError> {
        statements.iter().try_for_each(|one| storable(&one.params).map(drop))?;
        self.0.all(statements, last)
    }

    /// Whether others write at the same time.
    pub(super) fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    /// Takes an event that this transaction has stored to those who listen, once it is on disk.
    pub(super) fn announce(&self, mail: impl Fn() -> Mail) {
        self.0.announce(&mail);
    }

    /// All rows.
    pub(crate) fn rows<'p>(&self, sql: &str, params: impl Params<'p>) -> Result<Vec<Row>, StoreError> {
        params.with(|params| self.0.query(sql, storable(params)?))
    }

    /// The first row, if there is any.
    pub(crate) fn row<'p>(&self, sql: &str, params: impl Params<'p>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }

    /// The first row, which has to be there.
    pub(crate) fn one<'p>(&self, sql: &str, params: impl Params<'p>) -> Result<Row, StoreError> {
        self.row(sql, params)?.ok_or_else(|| StoreError::damaged("a row is missing"))
    }

    /// The first column of every row.
    pub(crate) fn column<'p, T: FromValue>(&self, sql: &str, params: impl Params<'p>) -> Result<Vec<T>, StoreError> {
        self.rows(sql, params)?.iter().map(|row| row.get(0)).collect()
    }

    /// The first column of the first row, if there is any.
    pub(crate) fn value<'p, T: FromValue>(&self, sql: &str, params: impl Params<'p>) -> Result<Option<T>, StoreError> {
        self.row(sql, params)?.map(|row| row.get(0)).transpose()
    }
}

/// How a transaction is kept apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// As if it were alone: whatever others do meanwhile, it is run again if that shows. What it needs no thought about.
    Serializable,
    /// Each statement sees what was committed before it: for the few that lock the rows they depend on, in one order.
    Locking,
}

/// Work in a transaction: it may be run several times, of which the last counts. `false` undoes what it has done.
pub(super) type Work<'a> = dyn FnMut(Db<'_>) -> bool + 'a;

/// A transaction that is not waited for on the spot.
pub(super) struct Job {
    pub(super) isolation: Isolation,
    /// As for [`Database::write`].
    pub(super) work: Box<dyn FnMut(Db<'_>) -> bool + Send>,
    pub(super) done: Done,
}

/// Is told what [`Database::write`] would have returned.
pub(super) type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A database.
pub(super) trait Database: Send + Sync {
    /// Whether other processes may write to it: what this one remembers of it may be out of date.
    fn is_shared(&self) -> bool;

    /// Runs a transaction. When this returns, what the work has done is on disk, unless the work returned `false`. If it
    /// fails, nothing is changed, save where the connection broke in the middle of the end.
    fn write(&self, isolation: Isolation, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs a transaction soon. Where one process writes alone, those that were handed over before come before it, and many
    /// end with one flush of the disk. Needs a Tokio runtime.
    fn soon(self: Arc<Self>, job: Job);

    /// Runs queries that all see the same state.
    fn read(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs one query.
    fn look(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Begins to serve from the database, until it is dropped. `tables` is run before: with `true` if nobody else serves,
    /// nor begins to before it is done; with `false` if others serve.
    fn serve(&self, tables: &dyn Fn(bool) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// Runs one query, and makes sure that others know that this process serves from the database.
    fn hold(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs a script of statements in one transaction.
    fn migrate(&self, script: &str, version: i64) -> Result<(), StoreError>;

    /// Where the database is, if other processes may write to it.
    fn address(&self) -> Option<&Address>;

    /// Octets on disk.
    fn size(&self) -> Result<u64, StoreError>;

    /// Writes a copy to a file that must not exist, and that exists afterwards only if the copy is whole and on disk.
    fn backup(&self, to: &Path) -> Result<(), StoreError>;

    /// How much was written since the database was opened, where it is this process that has to care for files.
    fn changes(&self) -> u64;

    /// Makes deleted values leave the files. `anew` writes the database anew.
    fn shed(&self, anew: bool) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_what_they_are() {
        let row = Row(vec![Value::Integer(-1), Value::Text("a".into()), Value::Octets(vec![7; 2]), Value::Null]);
        assert_eq!(row.get::<i64>(0).unwrap(), -1);
        assert!(row.get::<bool>(0).unwrap());
        assert_eq!(row.get::<Option<i64>>(3).unwrap(), None);
        assert_eq!(row.get::<Option<String>>(1).unwrap(), Some("a".into()));
        assert_eq!(row.get::<[u8; 2]>(2).unwrap(), [7; 2]);
        for damaged in [row.get::<u64>(0).is_err(), row.get::<String>(0).is_err(), row.get::<Vec<u8>>(3).is_err()] {
            assert!(damaged);
        }
        assert!(row.get::<[u8; 3]>(2).is_err(), "another length");
        assert!(row.get::<i64>(4).is_err(), "no such column");
    }
}
