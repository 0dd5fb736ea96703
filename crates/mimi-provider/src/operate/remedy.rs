use mimi_abuse::remedy::HomeRemedy;
use mimi_pseudonym::{Timestamp, UserUri};

use super::{OperateError, Operator};
use crate::{
    OsEntropy, StartError,
    abuse::home_policy,
    store::{AccountId, Cause, Decision},
    ties::Ties,
};

/// Something that was decided about an account, or that its user says against it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountNote {
    /// The account.
    pub user: UserUri,
    /// What is done about it; nothing of that in an appeal.
    pub remedy: Option<HomeRemedy>,
    /// Why, or what the user says.
    pub text: String,
    /// Since when.
    pub at: Timestamp,
}

impl Operator {
    /// Everything that is decided about accounts, by name: by the operator, and by what hubs have asked for.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn remedies(&self) -> Result<Vec<AccountNote>, OperateError> {
        Ok(self.store.decided()?.into_iter().map(note).collect())
    }

    /// Decides about an account, or takes back what the operator has decided about it before. New pseudonyms, credentials and
    /// rooms are refused at once; what others can see comes for each pseudonym at a moment of its own.
    ///
    /// # Errors
    /// [`OperateError::Unknown`] if there is none of this name, [`OperateError::Start`].
    pub fn set_remedy(&self, name: &str, remedy: Option<HomeRemedy>, now: Timestamp) -> Result<(), OperateError> {
        self.decide(&self.together(name)?, remedy, now, now)
    }

    /// Decides the same about each of these accounts, and dates it.
    pub(super) fn decide(
        &self,
        accounts: &[AccountId],
        remedy: Option<HomeRemedy>,
        now: Timestamp,
        dated: Timestamp,
    ) -> Result<(), OperateError> {
        let plan = home_policy(&self.config)?.plan();
        let moments = |names| plan.moments(names, now, &mut OsEntropy);
        for account in accounts.iter().copied() {
            let explanation = "by the operator".to_owned();
            let decision = remedy.map(|remedy| Decision { account, remedy, explanation, moments: &moments });
            self.store.decide_about(Cause::Operator(account), &Vec::from_iter(decision), dated)?;
        }
        Ok(())
    }

    /// Marks accounts as related: what hubs ask for about one of them, with those that are related, is done to all.
    ///
    /// # Errors
    /// [`OperateError::Unknown`], [`OperateError::Start`].
    pub fn relate(&self, names: &[String]) -> Result<(), OperateError> {
        let accounts = names.iter().map(|name| self.account(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.store.relate(&accounts)?)
    }

    /// An account is related to no other any more.
    ///
    /// # Errors
    /// [`OperateError::Unknown`], [`OperateError::Start`].
    pub fn unrelate(&self, name: &str) -> Result<(), OperateError> {
        Ok(self.store.unrelate(self.account(name)?)?)
    }

    /// The appeals that wait, the oldest first.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn appeals(&self) -> Result<Vec<AccountNote>, OperateError> {
        Ok(self.store.open_appeals()?.into_iter().map(note).collect())
    }

    /// Answers an appeal. If it is granted, all that was decided about the account is taken back, what hubs have asked for
    /// until now weighs nothing any more, and the account is related to no other.
    ///
    /// # Errors
    /// [`OperateError::NoAppeal`] if none waits, [`OperateError::Unknown`], [`OperateError::Start`].
    pub fn answer_appeal(&self, name: &str, granted: bool) -> Result<(), OperateError> {
        let answered = self.store.answer_appeal(&self.together(name)?, granted)?;
        if answered { Ok(()) } else { Err(OperateError::NoAppeal(name.to_owned())) }
    }

    /// The account of this name first, and those that are acted on together with it.
    fn together(&self, name: &str) -> Result<Vec<AccountId>, OperateError> {
        let account = self.account(name)?;
        let ties = Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?;
        Ok(ties.together(&self.store, &[account])?.into_values().flatten().collect())
    }

    /// The account of this name. A pseudonym with a device of its own is an account, too.
    pub(super) fn account(&self, name: &str) -> Result<AccountId, OperateError> {
        let user = UserUri::new(self.config.domain(), name).map_err(|_| OperateError::Name(name.to_owned()))?;
        let account = self.store.account_named(&user).map_err(StartError::from)?;
        account.ok_or_else(|| OperateError::Unknown(name.to_owned()))
    }
}

fn note(decided: crate::store::AboutAccount) -> AccountNote {
    let crate::store::AboutAccount { user, remedy, text, at } = decided;
    AccountNote { user, remedy, text, at }
}
