//! The log of openings of sealed accounts: entries are appended, and never changed.

use mimi_pseudonym::Wire;
use mimi_tie::break_glass::{Checkpoint, SignedCheckpoint};

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

    /// Keeps what an operator has signed of the log, once.
    pub(crate) fn keep_checkpoint(&self, signed: &SignedCheckpoint, of: Checkpoint) -> Result<(), StoreError> {
        let size = i64::try_from(of.size()).map_err(|_| StoreError::damaged("size"))?;
        self.write(|db| {
            let insert = "INSERT INTO tie_checkpoints (size, root, operator, key_id, signed) \
                          VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (size, root, operator, key_id) DO NOTHING";
            let (by, octets) = (signed.by().number(), signed.encode());
            db.execute(insert, (size, &of.root_hash(), by, signed.key_id(), &octets)).map(|_| ())
        })
    }

    /// What operators have signed of the log, the longest first.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let all = "SELECT signed FROM tie_checkpoints ORDER BY size DESC, operator, root";
        self.look(|db| db.column(all, [0_i64; 0]))
    }
}
