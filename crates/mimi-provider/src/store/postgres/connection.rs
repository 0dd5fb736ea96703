use std::{cell::RefCell, collections::HashMap, error::Error};

use postgres::{
    Client, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::Address;
use crate::store::{
    StoreError,
    database::{Db, Param, Row, Statements, Value, Work},
};

/// What became of an attempt.
pub(super) enum Attempt {
    Done,
    /// It got in the way of another transaction, and has changed nothing.
    Again,
    /// The connection broke, and nothing was changed.
    Broken(StoreError),
    Failed(StoreError),
}

/// What has gone wrong in a transaction, whatever became of the error afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    Conflict,
    Broken,
}

pub(super) struct Connection(RefCell<State>);

struct State {
    client: Client,
    prepared: HashMap<String, Statement>,
    mishap: Option<Mishap>,
}

/// A transaction that does nothing for so long is ended by the server, and a statement that takes so long is too.
const SETTINGS: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'; \
                        SET synchronous_commit = 'on'";

impl Connection {
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let mut client = address.client()?;
        client.batch_execute(SETTINGS)?;
        Ok(Self(RefCell::new(State { client, prepared: HashMap::new(), mishap: None })))
    }

    pub(super) fn is_usable(&self) -> bool {
        let state = self.0.borrow();
        state.mishap != Some(Mishap::Broken) && !state.client.is_closed()
    }

    /// Runs statements without values.
    pub(super) fn script(&self, sql: &str) -> Attempt {
        match self.command(sql) {
            Ok(()) => Attempt::Done,
            Err(error) => self.stopped(error),
        }
    }

    fn command(&self, sql: &str) -> Result<(), StoreError> {
        let mut state = self.0.borrow_mut();
        let result = state.client.batch_execute(sql);
        state.noted(result)
    }

    /// Runs a transaction.
    pub(super) fn transaction(&self, begin: &str, work: &mut Work<'_>) -> Attempt {
        self.0.borrow_mut().mishap = None;
        if let Err(error) = self.command(begin) {
            return self.stopped(error);
        }
        let keep = work(Db(self));
        let mishap = self.0.borrow().mishap;
        match mishap {
            Some(Mishap::Broken) => return Attempt::Broken(StoreError::unreachable("the connection broke")),
            Some(Mishap::Conflict) => return self.undone(Attempt::Again),
            None if !keep => return self.undone(Attempt::Done),
            None => {}
        }
        match self.command("COMMIT") {
            Ok(()) => Attempt::Done,
            Err(error) => match self.0.borrow().mishap {
                Some(Mishap::Conflict) => Attempt::Again,
                // Whether it was committed, nobody knows: whoever asked for it asks again.
                _ => Attempt::Failed(error),
            },
        }
    }

    fn undone(&self, attempt: Attempt) -> Attempt {
        match self.command("ROLLBACK") {
            Ok(()) => attempt,
            Err(error) => Attempt::Broken(error),
        }
    }

    fn stopped(&self, error: StoreError) -> Attempt {
        match self.0.borrow().mishap {
            Some(Mishap::Conflict) => Attempt::Again,
            Some(Mishap::Broken) => Attempt::Broken(error),
            None => Attempt::Failed(error),
        }
    }

    /// Runs one query.
    pub(super) fn look(&self, work: &mut Work<'_>) -> Attempt {
        self.0.borrow_mut().mishap = None;
        work(Db(self));
        match self.0.borrow().mishap {
            Some(Mishap::Broken) => Attempt::Broken(StoreError::unreachable("the connection broke")),
            Some(Mishap::Conflict) => Attempt::Again,
            None => Attempt::Done,
        }
    }

    /// Takes a step of the schema, unless somebody else has.
    pub(super) fn migrate(&self, script: &str, version: i64) -> Attempt {
        let mut failed = None;
        let attempt = self.transaction("BEGIN", &mut |db| {
            let step = || -> Result<(), StoreError> {
                let reached: i64 = db.one("SELECT version FROM schema_version FOR UPDATE", [0_i64; 0])?.get(0)?;
                if reached < version {
                    self.command(script)?;
                    db.execute("UPDATE schema_version SET version = ?1", [version])?;
                }
                Ok(())
            };
            failed = step().err();
            failed.is_none()
        });
        match (attempt, failed) {
            (Attempt::Done, Some(error)) => Attempt::Failed(error),
            (attempt, _) => attempt,
        }
    }
}

impl State {
    /// Notes whether an error is one that passes.
    fn noted<T>(&mut self, result: Result<T, postgres::Error>) -> Result<T, StoreError> {
        result.map_err(|error| {
            let code = error.code().map(postgres::error::SqlState::code);
            let mishap = match code {
                // Serialization failure, deadlock.
                Some("40001" | "40P01") => Some(Mishap::Conflict),
                // Two processes make the same table at the same time.
                Some("23505" | "42P07")
                    if error.as_db_error().is_some_and(|told| told.schema() == Some("pg_catalog")) =>
                {
                    Some(Mishap::Conflict)
                }
                Some(code) if code.starts_with("08") || code.starts_with("57P") || code == "25P03" => {
                    Some(Mishap::Broken)
                }
                Some(_) => None,
                None => is_broken(&error).then_some(Mishap::Broken),
            };
            self.mishap = match (self.mishap, mishap) {
                (Some(Mishap::Broken), _) => Some(Mishap::Broken),
                (before, new) => new.or(before),
            };
            error.into()
        })
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        // A question mark stands for a value and for nothing else.
        let result = self.client.prepare(&sql.replace('?', "$"));
        let statement = self.noted(result)?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Statements for Connection {
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let mut state = self.0.borrow_mut();
        let statement = state.prepared(sql)?;
        let params: Vec<_> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let result = state.client.execute(&statement, &params);
        state.noted(result)
    }

    fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut state = self.0.borrow_mut();
        let statement = state.prepared(sql)?;
        let params: Vec<_> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let result = state.client.query(&statement, &params);
        state.noted(result)?.iter().map(row).collect()
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Whether an error is one of the connection, and not of a value.
pub(in crate::store) fn is_broken(error: &postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

fn row(row: &postgres::Row) -> Result<Row, StoreError> {
    let value = |(at, column): (usize, &postgres::Column)| {
        let integer = |value: Option<i64>| value.map_or(Value::Null, Value::Integer);
        Ok(match *column.type_() {
            Type::INT8 => integer(row.try_get(at)?),
            Type::INT4 => integer(row.try_get::<_, Option<i32>>(at)?.map(i64::from)),
            Type::BOOL => integer(row.try_get::<_, Option<bool>>(at)?.map(i64::from)),
            Type::TEXT | Type::VARCHAR => row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Value::Null, Value::Octets),
            _ => return Err(StoreError::damaged("a column of a type that is not used")),
        })
    };
    Ok(Row(row.columns().iter().enumerate().map(value).collect::<Result<_, StoreError>>()?))
}

impl ToSql for Param<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(value) if *kind == Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
            Self::Integer(value) if *kind == Type::INT8 => value.to_sql(kind, out),
            Self::Text(text) if <&str as ToSql>::accepts(kind) => text.to_sql(kind, out),
            Self::Octets(octets) if *kind == Type::BYTEA => octets.to_sql(kind, out),
            _ => Err("a value of another type than the statement's".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
