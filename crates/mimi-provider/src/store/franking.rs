//! Secrets: those that stamp messages, and others by name.

use std::time::Duration;

use mimi_pseudonym::Timestamp;

use super::{Hash, Store, StoreError, timestamp};

impl Store {
    /// The secret of a name; `fresh` is stored if there is none yet.
    pub(crate) fn secret(&self, name: &str, fresh: &Hash) -> Result<Hash, StoreError> {
        self.write(|db| {
            let insert = "INSERT INTO secrets (name, secret) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            db.execute(insert, (name, fresh))?;
            db.one("SELECT secret FROM secrets WHERE name = ?1", [name])?.get(0)
        })
    }

    /// The secrets that stamp messages, with the times they are used from, the oldest first. Adds `fresh` once the newest is
    /// older than `every`, to be used from `ahead` of now on, so that every process knows it by then. Those that were
    /// followed by another longer ago than `remember` are thrown away.
    pub(crate) fn franking_secrets(
        &self,
        now: Timestamp,
        (every, ahead, remember): (Duration, Duration, Duration),
        fresh: &Hash,
    ) -> Result<Vec<(Timestamp, Hash)>, StoreError> {
        self.write(|db| {
            let newest: Option<i64> = db.one("SELECT MAX(used_from) FROM franking_secrets", [0_i64; 0])?.get(0)?;
            let used_from = match newest {
                // What is stamped first may be stamped by a clock that is a little behind.
                None => Some(Timestamp::default()),
                Some(newest) if timestamp(newest).after(every) <= now => Some(now.after(ahead)),
                Some(_) => None,
            };
            if let Some(used_from) = used_from {
                let insert = "INSERT INTO franking_secrets (used_from, secret) VALUES (?1, ?2)";
                db.execute(insert, (used_from, fresh))?;
            }
            db.execute(
                "DELETE FROM franking_secrets WHERE used_from < \
                 (SELECT MAX(used_from) FROM franking_secrets WHERE used_from <= ?1)",
                [now.before(remember)],
            )?;
            let all = "SELECT used_from, secret FROM franking_secrets ORDER BY used_from";
            db.rows(all, [0_i64; 0])?.iter().map(|row| Ok((timestamp(row.get(0)?), row.get(1)?))).collect()
        })
    }

    /// The keys that sign stamps in rooms of a suite, the oldest first. Adds `fresh` once the newest is older than `every`.
    /// None is ever thrown away: a room keeps the one it was founded with.
    pub(crate) fn franking_signers(
        &self,
        suite: u16,
        now: Timestamp,
        every: Duration,
        fresh: &Hash,
    ) -> Result<Vec<Hash>, StoreError> {
        self.write(|db| {
            let newest = "SELECT MAX(made_at) FROM franking_signers WHERE suite = ?1";
            let newest: Option<i64> = db.one(newest, [suite])?.get(0)?;
            if newest.is_none_or(|newest| timestamp(newest).after(every) <= now) {
                let insert = "INSERT INTO franking_signers (suite, made_at, secret) VALUES (?1, ?2, ?3)";
                db.execute(insert, (suite, now, fresh))?;
            }
            db.column("SELECT secret FROM franking_signers WHERE suite = ?1 ORDER BY made_at", [suite])
        })
    }
}
