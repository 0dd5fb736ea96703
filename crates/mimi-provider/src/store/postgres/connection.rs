use std::{cell::RefCell, collections::HashMap, error::Error};

use tokio_postgres::{
    Statement as Prepared,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    Address,
    session::{Session, Step, Unanswered},
};
use crate::store::{
    StoreError,
    database::{Answer, Db, Param, Row, Statement, Statements, Value, Work},
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mishap {
    Conflict,
    Broken,
    /// No answer came in time: to ask once more on another connection would take as long again.
    Silent,
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is none: each statement is one.
    None,
    /// What begins it goes out with its first statement.
    Due(&'static str),
    Begun,
    /// What ends it was sent with its last statement.
    Ended,
}

pub(super) struct Connection(RefCell<State>);

struct State {
    session: Session,
    prepared: HashMap<String, Prepared>,
    mishap: Option<Mishap>,
    progress: Progress,
}

/// A transaction that does nothing for so long is ended by the server, and a statement that takes so long is too.
const SETTINGS: &str = "SET statement_timeout = '15s'; SET idle_in_transaction_session_timeout = '30s'; \
                        SET synchronous_commit = 'on'";

/// For what may take longer, and for what comes after it.
const LONG: &str = "SET statement_timeout = '1h'";
const NO_LONGER: &str = "SET statement_timeout = '15s'";

impl Connection {
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let mut session = Session::open(address)?;
        session.command(SETTINGS)?;
        let state = State { session, prepared: HashMap::new(), mishap: None, progress: Progress::None };
        Ok(Self(RefCell::new(state)))
    }

    pub(super) fn is_usable(&self) -> bool {
        let state = self.0.borrow();
        state.mishap < Some(Mishap::Broken) && !state.session.is_closed()
    }

    /// Runs statements without values, which may take long.
    pub(super) fn script(&self, sql: &str) -> Attempt {
        self.begin(Progress::None);
        match self.long_command(sql) {
            Ok(()) => Attempt::Done,
            Err(error) => self.stopped(error),
        }
    }

    fn command(&self, sql: &str) -> Result<(), StoreError> {
        let mut state = self.0.borrow_mut();
        let result = state.session.command(sql);
        state.noted(result)
    }

    fn long_command(&self, sql: &str) -> Result<(), StoreError> {
        self.command(LONG)?;
        let done = {
            let mut state = self.0.borrow_mut();
            let result = state.session.long_command(sql);
            state.noted(result)
        };
        // In a transaction that has failed, nothing is set, and what was is undone with it.
        if done.is_ok() || self.is_usable() {
            let set = self.command(NO_LONGER);
            return done.and(set);
        }
        done
    }

    /// Runs a transaction.
    pub(super) fn transaction(&self, begin: &'static str, work: &mut Work<'_>) -> Attempt {
        self.begin(Progress::Due(begin));
        let keep = work(Db(self));
        let (mishap, progress) = {
            let mut state = self.0.borrow_mut();
            (state.mishap, std::mem::replace(&mut state.progress, Progress::None))
        };
        match (progress, mishap) {
            // Whether it was committed, nobody knows: whoever asked for it asks again.
            (Progress::Ended, Some(Mishap::Broken)) => return Attempt::Failed(StoreError::unreachable(BROKE)),
            (_, Some(Mishap::Silent)) => return Attempt::Failed(StoreError::silent()),
            (Progress::Ended, Some(Mishap::Conflict)) => return Attempt::Again,
            (Progress::Ended, None) => return Attempt::Done,
            (_, Some(Mishap::Broken)) => return Attempt::Broken(StoreError::unreachable(BROKE)),
            (Progress::Due(_) | Progress::None, None) => return Attempt::Done,
            (Progress::Due(_) | Progress::None, Some(Mishap::Conflict)) => return Attempt::Again,
            (Progress::Begun, Some(Mishap::Conflict)) => return self.undone(Attempt::Again),
            (Progress::Begun, None) if !keep => return self.undone(Attempt::Done),
            (Progress::Begun, None) => {}
        }
        match self.command("COMMIT") {
            Ok(()) => Attempt::Done,
            Err(error) => match self.0.borrow().mishap {
                Some(Mishap::Conflict) => Attempt::Again,
                // As above.
                _ => Attempt::Failed(error),
            },
        }
    }

    fn begin(&self, progress: Progress) {
        let mut state = self.0.borrow_mut();
        (state.mishap, state.progress) = (None, progress);
    }

    fn undone(&self, attempt: Attempt) -> Attempt {
        match self.command("ROLLBACK") {
            Ok(()) => attempt,
            Err(error) => self.stopped(error),
        }
    }

    fn stopped(&self, error: StoreError) -> Attempt {
        match self.0.borrow().mishap {
            Some(Mishap::Conflict) => Attempt::Again,
            Some(Mishap::Broken) => Attempt::Broken(error),
            Some(Mishap::Silent) | None => Attempt::Failed(error),
        }
    }

    /// Runs one query.
    pub(super) fn look(&self, work: &mut Work<'_>) -> Attempt {
        self.begin(Progress::None);
        work(Db(self));
        match self.0.borrow().mishap {
            Some(Mishap::Silent) => Attempt::Failed(StoreError::silent()),
            Some(Mishap::Broken) => Attempt::Broken(StoreError::unreachable(BROKE)),
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
                    self.long_command(script)?;
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

const BROKE: &str = "the connection broke";

impl State {
    /// Notes whether an error is one that passes.
    fn noted<T>(&mut self, result: Result<T, Unanswered>) -> Result<T, StoreError> {
        result.map_err(|why| {
            let Unanswered::Refused(error) = why else {
                self.mishap = Some(Mishap::Silent);
                return why.into();
            };
            let code = error.code().map(tokio_postgres::error::SqlState::code);
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
            self.mishap = self.mishap.max(mishap);
            error.into()
        })
    }

    fn prepared(&mut self, sql: &str) -> Result<Prepared, StoreError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        // A question mark stands for a value and for nothing else.
        let result = self.session.prepare(&sql.replace('?', "$"));
        let statement = self.noted(result)?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends statements at once, and before them what begins the transaction, if it has not begun; behind them, if these are
    /// the last, what ends it. The server goes on to the next one only if there was no error.
    fn run(&mut self, statements: &[(&str, &[Param<'_>])], last: bool) -> Result<Vec<Answer>, StoreError> {
        let mut steps = Vec::with_capacity(statements.len() + 2);
        let begins = if let Progress::Due(begin) = self.progress { Some(begin) } else { None };
        steps.extend(begins.map(Step::Command));
        for (sql, params) in statements {
            steps.push(Step::Statement(self.prepared(sql)?, params));
        }
        if last && self.progress != Progress::None {
            steps.push(Step::Command("COMMIT"));
            self.progress = Progress::Ended;
        } else if begins.is_some() {
            self.progress = Progress::Begun;
        }
        let mut answers = Vec::with_capacity(statements.len());
        for outcome in self.session.run(&steps) {
            // Those behind the first error say only that there was one.
            let (rows, changed) = self.noted(outcome)?;
            let rows = rows.iter().map(row).collect::<Result<_, StoreError>>()?;
            answers.push(Answer { rows, changed });
        }
        if begins.is_some() {
            answers.remove(0);
        }
        answers.truncate(statements.len());
        Ok(answers)
    }

    fn one(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Answer, StoreError> {
        let answers = self.run(&[(sql, params)], false)?;
        answers.into_iter().next().ok_or_else(|| StoreError::unreachable(BROKE))
    }
}

impl Statements for Connection {
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        Ok(self.0.borrow_mut().one(sql, params)?.changed)
    }

    fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.borrow_mut().one(sql, params)?.rows)
    }

    fn all(&self, statements: &[Statement<'_>], last: bool) -> Result<Vec<Answer>, StoreError> {
        let statements: Vec<_> = statements.iter().map(|one| (one.sql, one.params.as_slice())).collect();
        let answers = self.0.borrow_mut().run(&statements, last)?;
        if answers.len() == statements.len() { Ok(answers) } else { Err(StoreError::unreachable(BROKE)) }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Whether an error is one of the connection, and not of a value.
pub(in crate::store) fn is_broken(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |(at, column): (usize, &tokio_postgres::Column)| {
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
