use super::{
    StoreError,
    database::{Database, Isolation},
    run,
};

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

/// Brings the database to the newest version. Several processes may do so at once: each step is taken by one of them.
pub(super) fn migrate(database: &dyn Database) -> Result<(), StoreError> {
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
        return Err(StoreError::newer(version));
    }
    for (step, leads_to) in migrations.iter().zip(1_i64..).filter(|(_, leads_to)| *leads_to > version) {
        database.migrate(step, leads_to)?;
    }
    Ok(())
}
