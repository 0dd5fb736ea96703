//! What an operator does with a provider besides running it.

mod ceremony;
mod check;
mod init;
mod names;
mod openings;
mod order;
mod peer;
mod reach;
mod ready;
mod remedy;
mod scores;

use std::path::Path;

use mimi_pseudonym::{Entropy, UserUri};

pub use ceremony::{begin_ceremony, check_ceremony, finish_ceremony, reveal_contribution, tell_secrets};
pub use check::{Finding, Verdict, check};
pub use init::{Init, InitError};
pub use names::give_list_shares;
pub use openings::{OpeningNote, deal_key, give_share, verify_log};
pub use order::{OrderError, order};
pub use peer::NewPeer;
pub use reach::{ReachError, Reached, reach};
pub use ready::ready;
pub use remedy::AccountNote;
pub use scores::{Asked, QuestionNote, blind_question, prove_question, read_proved_question, read_question};

pub use crate::hub::Order;
use crate::{Config, OsEntropy, StartError, hash, hex, lock::Lock, store, ties::Ties};

/// A provider's database, for its operator. The provider may run meanwhile.
pub struct Operator {
    config: Config,
    store: store::Store,
}

/// How much a provider has in its database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The version of the tables.
    pub schema: u64,
    /// Accounts.
    pub accounts: u64,
    /// Devices of all accounts.
    pub devices: u64,
    /// Rooms of this hub.
    pub rooms: u64,
    /// Events that devices have not acknowledged.
    pub inbox: u64,
    /// For each peer for which something waits: its domain, the rooms, the messages.
    pub outbox: Vec<(String, u64, u64)>,
    /// Octets on disk.
    pub octets: u64,
}

/// The version of a database's tables, and that of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// Of the tables; none if there are no tables.
    pub found: Option<u64>,
    /// Of this program.
    pub own: u64,
}

impl Schema {
    fn of(store::Schema { found, own }: store::Schema) -> Self {
        let version = |version| u64::try_from(version).unwrap_or_default();
        Self { found: found.map(version), own: version(own) }
    }

    /// Whether the tables are of this program's version.
    pub fn is_own(&self) -> bool {
        self.found == Some(self.own)
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { found, own } = self;
        match found {
            None => f.write_str("no tables: `mimi-provider run` makes them"),
            Some(found) if found == own => write!(f, "{found}"),
            Some(found) if found < own => {
                write!(f, "{found}, and this program has {own}: `mimi-provider run` brings it up to date")
            }
            Some(found) => write!(f, "{found}, and this program has {own}: it is older"),
        }
    }
}

/// Why an operator does not get what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The database cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A configuration that would be refused.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A name that no account can have.
    #[error("{0}: no name of an account")]
    Name(String),
    /// An account is not opened, and why.
    #[error("{0}")]
    Tie(String),
    /// No appeal of this account waits.
    #[error("{0}: no appeal waits")]
    NoAppeal(String),
    /// The provider cannot serve, or does not run.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The name of another account.
    #[error("{0}: there is such an account already")]
    Taken(String),
    /// The name of an account that was deleted.
    #[error(
        "{0}: an account of this name was deleted. Its name is not given again, for others would take whoever had it for the one who is gone"
    )]
    Deleted(String),
    /// The name of no account.
    #[error("{0}: there is no such account")]
    Unknown(String),
}

impl From<crate::StoreError> for OperateError {
    fn from(error: crate::StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Operator {
    /// Opens the database, which has to be there, with tables of this program's version.
    ///
    /// # Errors
    /// [`OperateError::Start`].
    pub fn open(config: Config) -> Result<Self, OperateError> {
        let store = store::Store::of(&config, store::Opening::Use)?;
        Ok(Self { config, store })
    }

    /// Opens the database, which has to be there, whatever version its tables have: for [`Operator::schema`] and
    /// [`Operator::backup`]. With the others, what is of another version fails.
    ///
    /// # Errors
    /// [`OperateError::Start`].
    pub fn open_as_it_is(config: Config) -> Result<Self, OperateError> {
        let store = store::Store::of(&config, store::Opening::AsItIs)?;
        Ok(Self { config, store })
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn schema(&self) -> Result<Schema, OperateError> {
        Ok(Schema::of(self.store.schema()?))
    }

    /// How much there is.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn status(&self) -> Result<Status, OperateError> {
        let store::Counts { schema, accounts, devices, rooms, inbox, peers, octets } = self.store.counts()?;
        Ok(Status { schema, accounts, devices, rooms, inbox, outbox: peers, octets })
    }

    /// Whether a provider runs. With SQLite it is seen by its lock, with PostgreSQL by what answers at the address of `[admin]`;
    /// none if there is no such address.
    pub fn runs(&self) -> Option<bool> {
        match (&self.config.admin, &self.config.database) {
            (_, None) => Some(Lock::is_taken(&self.config)),
            (Some(admin), Some(_)) => Some(ready::ask(admin.listen, "/live").is_ok()),
            (None, Some(_)) => None,
        }
    }

    /// All accounts with the number of their devices, by name. Nobody is told their pseudonyms.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn accounts(&self) -> Result<Vec<(UserUri, u64)>, OperateError> {
        Ok(self.store.accounts()?.into_iter().map(|account| (account.user, account.devices)).collect())
    }

    /// Opens an account without a device, whether registration is open or not, and returns the code that lets its first
    /// device in: 64 hexadecimal digits. It is stored nowhere but as its hash.
    ///
    /// # Errors
    /// [`OperateError`] if the name is none, or taken.
    pub fn open_account(&self, name: &str, display_name: &str, email: &str) -> Result<String, OperateError> {
        let user = UserUri::new(self.config.domain(), name).map_err(|_| OperateError::Name(name.to_owned()))?;
        if user.is_pseudonym() {
            return Err(OperateError::Name(name.to_owned()));
        }
        let profile = store::AccountProfile { user, display_name: display_name.into(), email: email.into() };
        let code = hash(&[&OsEntropy.bits128(), &OsEntropy.bits128()]);
        match self.store.open_account(&profile, &hash(&[&code]))? {
            true => Ok(hex(&code)),
            false if self.store.was_deleted(&profile.user)? => Err(OperateError::Deleted(name.to_owned())),
            false => Err(OperateError::Taken(name.to_owned())),
        }
    }

    /// Deletes an account: its devices, pseudonyms, KeyPackages and inboxes, and what it has said about consent; with the way *act
    /// only* its pseudonyms too that have devices of their own, which nobody finds with the others. Its name is
    /// never given again. A provider that runs lets its devices in for two seconds more at most. Certificates that were issued
    /// stay good until they end, and in its rooms its clients stay until they are removed.
    ///
    /// # Errors
    /// [`OperateError::Name`] if no account can have the name, [`OperateError::Unknown`] if none has it.
    pub fn delete_account(&self, name: &str) -> Result<(), OperateError> {
        let user = UserUri::new(self.config.domain(), name).map_err(|_| OperateError::Name(name.to_owned()))?;
        // The account behind a pseudonym is looked up here by nobody.
        if user.is_pseudonym() {
            return Err(OperateError::Name(name.to_owned()));
        }
        let ties = Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?;
        let account = self.store.account_of(&user)?.ok_or_else(|| OperateError::Unknown(name.to_owned()))?;
        // Without the account's rows nobody could find its pseudonyms any more: they are found first.
        for account in ties.together(&self.store, &[account])?.into_values().flatten() {
            self.store.delete_account(account, |name| ties.found_by(name))?;
        }
        Ok(())
    }

    /// The rooms of this hub with their epochs.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn rooms(&self) -> Result<Vec<(String, u64)>, OperateError> {
        Ok(self.store.rooms()?)
    }

    /// Writes a copy of a SQLite database to a file that must not exist.
    ///
    /// # Errors
    /// [`OperateError::Start`] if it cannot be written. PostgreSQL has programs of its own for this.
    pub fn backup(&self, to: &Path) -> Result<(), OperateError> {
        Ok(self.store.backup(to)?)
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}
