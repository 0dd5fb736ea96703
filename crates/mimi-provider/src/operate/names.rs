//! Acting on an account with all its pseudonyms where only operators together can find them: what they open is the account's
//! list, for an entry in the log of openings.

use std::path::Path;

use mimi_abuse::remedy::HomeRemedy;
use mimi_pseudonym::{Timestamp, UserUri, Wire};
use mimi_tie::{
    break_glass::{Entry, ListRequest, ListShares, OwnerMark, SealedPseudonym, open_list},
    operators::OperatorsKey,
};

use super::{
    OperateError, Operator,
    openings::{check_entry, read, read_operator, tie, write},
};
use crate::{
    OsEntropy, StartError,
    ties::{Ties, log},
};

const DAY_SECS: u64 = 86_400;

/// As an operator, on a machine of its own: gives its shares in opening the list of an account, if the entry stands in a log that
/// goes on from what this operator has seen of it. What it has seen is remembered in `witness`, before the shares are written.
///
/// # Errors
/// [`OperateError::Tie`] says why no shares are given, [`OperateError::File`].
pub fn give_list_shares(
    operator: &Path,
    witness: &Path,
    request: &Path,
    shares: &Path,
    now: Timestamp,
) -> Result<(), OperateError> {
    let holder = read_operator(operator)?;
    let request = ListRequest::decode(&read(request)?).map_err(tie)?;
    let entry = check_entry(&holder, witness, &request.evidence, now)?;
    let list = request.check(holder.key()).map_err(tie)?;
    let given = holder.grant_list(&list, &entry, &mut OsEntropy).map_err(tie)?;
    write(shares, &given.encode())
}

impl Operator {
    /// Writes an entry about an account into the log of openings: without one no operator gives shares for its list. Returns
    /// its position.
    ///
    /// # Errors
    /// [`OperateError::Unknown`] if there is no such account; [`OperateError::Tie`] if it has no list, or the entry says too
    /// little or too much; [`OperateError::Start`].
    pub fn log_list_opening(
        &self,
        name: &str,
        requester: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, OperateError> {
        let (user, list) = self.sealed_list(name)?;
        if list.is_empty() {
            return Err(tie("the account has no list"));
        }
        let mark = self.store.list_mark(self.account(name)?, &mimi_pseudonym::Entropy::bits128(&mut OsEntropy))?;
        let entry = Entry::new(OwnerMark::restore(mark, user).subject(), requester, reason, now).map_err(tie)?;
        Ok(self.store.append_opening(&entry.encode())?)
    }

    /// Writes what an operator is given who has seen so many entries of the log and is asked for its shares in opening the list
    /// of an account.
    ///
    /// # Errors
    /// [`OperateError::Unknown`]; [`OperateError::Tie`] if there is no such entry, or the log was never so long;
    /// [`OperateError::File`], [`OperateError::Start`].
    pub fn ask_for_list(&self, name: &str, position: u64, seen: u64, request: &Path) -> Result<(), OperateError> {
        let evidence = log(&self.store)?.evidence(position, seen).map_err(tie)?;
        let (account, list) = self.sealed_list(name)?;
        write(request, &ListRequest { account, list, evidence }.encode())
    }

    /// Decides about an account with all its pseudonyms, or takes back what the operator has decided about them before, with
    /// the shares of as many operators as are needed. Says how many pseudonyms there are, and not which: each goes silent and
    /// leaves its rooms at a moment of its own.
    ///
    /// # Errors
    /// [`OperateError::Tie`] names the operator whose share is wrong, or says that the account has drawn pseudonyms since it was
    /// asked for the shares; [`OperateError::Unknown`], [`OperateError::File`], [`OperateError::Start`].
    pub fn act_on_list(
        &self,
        request: &Path,
        remedy: Option<HomeRemedy>,
        shares: &[&Path],
        now: Timestamp,
    ) -> Result<usize, OperateError> {
        let request = ListRequest::decode(&read(request)?).map_err(tie)?;
        let account = self.account(request.account.name())?;
        if self.store.list(account)?.len() > request.list.len() {
            return Err(tie("the account has drawn pseudonyms since: suspend it, and ask again"));
        }
        let mut given = Vec::new();
        for share in shares {
            given.push(ListShares::decode(&read(share)?).map_err(tie)?);
        }
        let key = self.lists_key()?;
        given.iter().try_for_each(|shares| self.keep_signed(shares.signed(), &key))?;
        let list = request.check(&key).map_err(tie)?;
        let mut accounts = vec![account];
        let opened = open_list(&list, &given).map_err(tie)?;
        for link in &opened {
            // Those that have ended are there no more.
            accounts.extend(self.store.account_named(link.pseudonym())?);
        }
        // By the day: from the second one could see which belong together.
        let day = Timestamp::from_secs(now.as_secs() - now.as_secs() % DAY_SECS);
        self.decide(&accounts, remedy, now, day)?;
        Ok(accounts.len().saturating_sub(1))
    }

    fn sealed_list(&self, name: &str) -> Result<(UserUri, Vec<SealedPseudonym>), OperateError> {
        self.lists_key()?;
        let account = self.account(name)?;
        let list = self.store.list(account)?;
        let list = list.iter().map(|sealed| SealedPseudonym::decode(sealed)).collect::<Result<_, _>>().map_err(tie)?;
        Ok((self.store.profile(account)?.user, list))
    }

    fn lists_key(&self) -> Result<OperatorsKey, OperateError> {
        let ties = Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?;
        ties.lists.ok_or_else(|| tie("with this way of tying there are no lists"))
    }
}
