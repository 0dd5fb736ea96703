//! Lists of accounts' pseudonyms, sealed to operators: once it is known which account is to be acted on, they find its
//! pseudonyms (docs/profile-ties.md).

use mimi_pseudonym::{AccountLink, Entropy as _, Wire};
use mimi_tie::break_glass::SealedPseudonym;

use super::Ties;
use crate::{
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    store::{AccountId, Listed},
};

impl Ties {
    /// What is to be stored beside the account of a new pseudonym.
    pub(super) fn listed(&self, inner: &Inner, account: AccountId, link: &AccountLink) -> Result<Option<Listed>, Fail> {
        let Some(key) = &self.lists else { return Ok(None) };
        let mark = inner.store.list_mark(account, &OsEntropy.bits128())?;
        let sealed = SealedPseudonym::seal(link, mark, key, &mut OsEntropy);
        let sealed = sealed.map_err(|_| Fail::Fault("a pseudonym cannot be sealed"))?.encode();
        // Where it stands in the list says nothing of when it came.
        Ok(Some(Listed { id: OsEntropy.bits128(), sealed }))
    }

    /// By what the owner of an account recognises that its list was opened; nothing where there are no lists.
    pub(super) fn account_mark(&self, inner: &Inner, account: AccountId) -> Result<Vec<u8>, Fail> {
        if self.lists.is_none() {
            return Ok(Vec::new());
        }
        Ok(inner.store.list_mark(account, &OsEntropy.bits128())?.to_vec())
    }
}
