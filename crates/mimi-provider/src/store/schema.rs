use rusqlite::Connection;

use super::StoreError;

/// Step `n` leads from version `n` to version `n + 1`. Steps are only ever added.
const MIGRATIONS: [&str; 2] = [include_str!("schema_1.sql"), include_str!("schema_abuse.sql")];

/// Brings the database to the newest version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let newest = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if version > newest {
        return Err(StoreError::newer(version));
    }
    let missing = MIGRATIONS.iter().zip(1_u32..).filter(|(_, leads_to)| *leads_to > version);
    for (step, leads_to) in missing {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", leads_to)?;
        transaction.commit()?;
    }
    Ok(())
}
