//! How this provider meets abuse (draft-mahy-mimi-pseudonyms-00, section 5): as a hub it takes reports, weighs what speaks
//! against a user, and decides.

mod explain;
mod report;
mod weigh;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mimi_abuse::signal::{RateMeter, Table};
use mimi_pseudonym::{Entropy, Timestamp, UserUri};

pub use explain::explain;
pub(crate) use report::{from_device, report};
pub(crate) use weigh::sent;

use crate::{
    Config, StartError,
    clock::OsEntropy,
    fail::Fail,
    store::{Hash, Store},
};

/// What the parts of this module share.
pub(crate) struct Abuse {
    table: Table,
    /// From which the tags of own reporters are derived.
    tags: Hash,
    messages: Mutex<RateMeter>,
}

impl Abuse {
    pub(crate) fn load(config: &Config, store: &Store) -> Result<Self, StartError> {
        let table = match &config.abuse.signals {
            Some(path) => Table::parse(&std::fs::read_to_string(path).map_err(StartError::Signals)?)?,
            None => Table::default(),
        };
        let minute = Duration::from_secs(60);
        let messages = Mutex::new(RateMeter::new(table.rates().messages_per_minute, minute));
        Ok(Self { table, tags: store.secret("reporter tags", &OsEntropy.bits256())?, messages })
    }

    /// Forgets what has lost its weight.
    pub(crate) fn forget(&self, store: &Store, now: Timestamp) -> Result<(), Fail> {
        Ok(store.forget_abuse(now.before(self.table.memory()))?)
    }

    fn sends_too_often(&self, user: &UserUri, now: Timestamp) -> bool {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).note(user, now)
    }
}
