//! Lists of accounts' pseudonyms, sealed to operators.

use super::{AccountId, Store, StoreError, database::Db};

/// A pseudonym in the list of its account.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Random.
    pub(crate) id: [u8; 16],
    pub(crate) sealed: Vec<u8>,
}

impl Store {
    /// The mark of an account's list; `fresh` is stored if it has none.
    pub(crate) fn list_mark(&self, account: AccountId, fresh: &[u8; 16]) -> Result<[u8; 16], StoreError> {
        let known = "SELECT mark FROM tie_list_marks WHERE account = ?1";
        if let Some(mark) = self.look(|db| db.value(known, [account.0]))? {
            return Ok(mark);
        }
        self.write(|db| {
            let insert = "INSERT INTO tie_list_marks (account, mark) VALUES (?1, ?2) ON CONFLICT (account) DO NOTHING";
            db.execute(insert, (account.0, fresh))?;
            db.one(known, [account.0])?.get(0)
        })
    }

    /// The list of an account.
    pub(crate) fn list(&self, account: AccountId) -> Result<Vec<Vec<u8>>, StoreError> {
        self.look(|db| db.column("SELECT sealed FROM tie_lists WHERE account = ?1 ORDER BY id", [account.0]))
    }
}

pub(super) fn add_to_list(db: Db<'_>, account: AccountId, listed: &Listed) -> Result<(), StoreError> {
    let insert = "INSERT INTO tie_lists (account, id, sealed) VALUES (?1, ?2, ?3)";
    db.execute(insert, (account.0, &listed.id, &listed.sealed)).map(|_| ())
}
