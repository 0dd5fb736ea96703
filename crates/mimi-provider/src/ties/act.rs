//! Acting on accounts by their pseudonyms without a lookup (the way *act only*). Which pseudonyms are an account's is found out
//! in memory, from the key, whenever something is done; nothing of it is stored, logged or answered.

use std::collections::BTreeMap;

use mimi_pseudonym::{UserUri, Wire};
use mimi_tie::{ActKey, Tie, TieRow};

use super::Ties;
use crate::{
    StoreError,
    store::{AccountId, Store},
};

impl Ties {
    /// The account on which is acted when something is decided about one: the account behind a pseudonym where this process
    /// may act on it, and otherwise itself.
    pub(crate) fn acted_on(&self, store: &Store, account: AccountId) -> Result<AccountId, StoreError> {
        let Tie::ActOnly(key) = &self.tie else { return Ok(account) };
        let user = store.profile(account)?.user;
        let mut acted = Ok(None);
        open(store, key, &user, |behind| acted = store.account_named(behind))?;
        Ok(acted?.unwrap_or(account))
    }

    /// With each of these accounts those that are acted on together with it: its pseudonyms that are accounts of their own,
    /// where this process may act on them. Every pseudonym there is has to be looked at for that.
    pub(crate) fn together(
        &self,
        store: &Store,
        accounts: &[AccountId],
    ) -> Result<BTreeMap<AccountId, Vec<AccountId>>, StoreError> {
        let mut together: BTreeMap<_, _> = accounts.iter().map(|account| (*account, vec![*account])).collect();
        let Tie::ActOnly(key) = &self.tie else { return Ok(together) };
        let mut wanted = BTreeMap::new();
        for account in accounts {
            wanted.insert(store.profile(*account)?.user, *account);
        }
        for (pseudonym, own) in store.pseudonymous_accounts()? {
            open(store, key, &pseudonym, |behind| {
                if let Some(members) = wanted.get(behind).and_then(|account| together.get_mut(account)) {
                    members.push(own);
                }
            })?;
        }
        Ok(together)
    }
}

/// Does something with the account behind a pseudonym. A row that is not of this key is passed over.
fn open(store: &Store, key: &ActKey, pseudonym: &UserUri, act: impl FnOnce(&UserUri)) -> Result<(), StoreError> {
    let Some(row) = store.tie(&key.tag(pseudonym))? else { return Ok(()) };
    let Ok(TieRow::ActOnly(row)) = TieRow::decode(&row) else { return Ok(()) };
    // Nobody is told what became of it.
    let _ = key.act(pseudonym, Some(&row), |account| {
        act(account);
        Ok(())
    });
    Ok(())
}
