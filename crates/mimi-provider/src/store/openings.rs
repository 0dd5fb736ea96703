//! The log of openings of sealed accounts: entries are appended, and never changed.

use super::{Store, StoreError};

impl Store {
    /// Appends an entry; returns its position, counted from 0.
    pub(crate) fn append_opening(&self, entry: &[u8]) -> Result<u64, StoreError> {
        self.write(|db| {
            let next = "SELECT COUNT(*) FROM tie_openings";
            let position: i64 = db.one(next, [0_i64; 0])?.get(0)?;
            db.execute("INSERT INTO tie_openings (position, entry) VALUES (?1, ?2)", (position, entry))?;
            u64::try_from(position).map_err(|_| StoreError::damaged("position"))
        })
    }

    /// All entries, in their order.
    pub(crate) fn openings(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.look(|db| db.column("SELECT entry FROM tie_openings ORDER BY position", [0_i64; 0]))
    }
}
