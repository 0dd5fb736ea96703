use super::{
    StoreError,
    database::{Database, Db, Isolation},
    run,
};

/// The version of a database's tables, and that of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// None if there are no tables.
    pub(crate) found: Option<i64>,
    pub(crate) own: i64,
}

impl Schema {
    fn of(found: Option<i64>) -> Self {
        Self { found, own: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX) }
    }

    /// Refuses tables of another version. `in_use` says that a process serves with them.
    fn accept(self, in_use: bool) -> Result<(), StoreError> {
        let Self { found, own } = self;
        match found {
            None => Err(StoreError::absent("there are no tables in the database")),
            Some(found) if found > own => Err(StoreError::newer(found, own)),
            Some(found) if found < own => Err(StoreError::older(found, own, in_use)),
            Some(_) => Ok(()),
        }
    }
}

/// The version of the tables, whatever it is.
pub(super) fn look(database: &dyn Database) -> Result<Schema, StoreError> {
    match run(|work| database.look(work), version) {
        Ok(found) => Ok(Schema::of(found)),
        Err(error) if error.is_of_a_table() => Ok(Schema::of(None)),
        Err(error) => Err(error),
    }
}

/// Refuses tables of another version than this program's.
pub(super) fn require(database: &dyn Database) -> Result<(), StoreError> {
    look(database)?.accept(false)
}

/// Begins to serve: brings the tables up to date, if nobody serves with older ones.
pub(super) fn serve(database: &dyn Database) -> Result<(), StoreError> {
    database.serve(&|alone| if alone { migrate(database) } else { look(database)?.accept(true) })
}

/// Fails if somebody has changed the tables since this process serves with them.
pub(super) fn hold(database: &dyn Database) -> Result<(), StoreError> {
    let found = run(|work| database.hold(work), version)?;
    Schema::of(found).accept(true)
}

fn version(db: Db<'_>) -> Result<Option<i64>, StoreError> {
    db.value("SELECT version FROM schema_version", [0_i64; 0])
}

/// Step `n` leads from version `n` to version `n + 1`. Steps are only ever added.
pub(super) const MIGRATIONS: [&str; 16] = [
    include_str!("schema_1.sql"),
    include_str!("schema_abuse.sql"),
    include_str!("schema_rooms.sql"),
    include_str!("schema_remedies.sql"),
    include_str!("schema_ties.sql"),
    include_str!("schema_recovery.sql"),
    include_str!("schema_deletion.sql"),
    include_str!("schema_accounts.sql"),
    include_str!("schema_mail.sql"),
    include_str!("schema_siblings.sql"),
    include_str!("schema_questions.sql"),
    include_str!("schema_lists.sql"),
    include_str!("schema_memory.sql"),
    include_str!("schema_checkpoints.sql"),
    include_str!("schema_refused.sql"),
    include_str!("schema_waits.sql"),
];

/// Brings the database to the newest version. Where databases have no locks for it, several processes may do so at once:
/// each step is taken by one of them.
fn migrate(database: &dyn Database) -> Result<(), StoreError> {
    migrate_by(database, &MIGRATIONS)
}

/// The number of the newest version.
#[cfg(test)]
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// Brings the database to an older version, as a program of that time would have.
#[cfg(test)]
pub(super) fn migrate_to(database: &dyn Database, version: usize) -> Result<(), StoreError> {
    migrate_by(database, MIGRATIONS.get(..version).unwrap_or_default())
}

fn migrate_by(database: &dyn Database, migrations: &[&str]) -> Result<(), StoreError> {
    let version = run(
        |work| database.write(Isolation::Serializable, work),
        |db| {
            db.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (one BIGINT PRIMARY KEY, version BIGINT NOT NULL)",
                [0_i64; 0],
            )?;
            db.execute(
                "INSERT INTO schema_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING",
                [0_i64; 0],
            )?;
            db.one("SELECT version FROM schema_version", [0_i64; 0])?.get::<i64>(0)
        },
    )?;
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if version > newest {
        return Err(StoreError::newer(version, newest));
    }
    for (step, leads_to) in migrations.iter().zip(1_i64..).filter(|(_, leads_to)| *leads_to > version) {
        database.migrate(step, leads_to)?;
    }
    Ok(())
}
