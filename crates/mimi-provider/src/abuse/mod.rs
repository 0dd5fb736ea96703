//! How this provider meets abuse (draft-mahy-mimi-pseudonyms-00, section 5): as a hub it takes reports, weighs what speaks
//! against a user, and decides.

mod act;
mod ask;
mod explain;
mod home;
mod report;
mod weigh;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mimi_abuse::{
    remedy::HomePolicy,
    signal::{RateMeter, Table},
};
use mimi_pseudonym::{Entropy, Timestamp, UserUri};
use tokio::sync::Notify;

pub use explain::{explain, pardon};
pub(crate) use home::{check_account, requested};
pub(crate) use report::{from_device, report};
pub(crate) use weigh::{is_clear, sent};

use crate::{
    Config, StartError,
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    store::{Hash, Store},
};

/// What the parts of this module share.
pub(crate) struct Abuse {
    table: Table,
    /// From which the tags of own reporters are derived.
    tags: Hash,
    messages: Mutex<RateMeter>,
    /// Something was decided.
    news: Notify,
    /// How hubs' requests are decided about.
    home: HomePolicy,
}

impl Abuse {
    pub(crate) fn load(config: &Config, store: &Store) -> Result<Self, StartError> {
        let table = match &config.abuse.signals {
            Some(path) => Table::parse(&std::fs::read_to_string(path).map_err(StartError::Signals)?)?,
            None => Table::default(),
        };
        let home = match &config.abuse.remedies {
            Some(path) => HomePolicy::parse(&std::fs::read_to_string(path).map_err(StartError::Signals)?)?,
            None => HomePolicy::default(),
        };
        let minute = Duration::from_secs(60);
        let messages = Mutex::new(RateMeter::new(table.rates().messages_per_minute, minute));
        Ok(Self {
            table,
            tags: store.secret("reporter tags", &OsEntropy.bits256())?,
            messages,
            news: Notify::default(),
            home,
        })
    }

    /// Forgets what has lost its weight.
    pub(crate) fn forget(&self, store: &Store, now: Timestamp) -> Result<(), Fail> {
        Ok(store.forget_abuse(now.before(self.table.memory()))?)
    }

    fn sends_too_often(&self, user: &UserUri, now: Timestamp) -> bool {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).note(user, now)
    }
}

/// Asks for what was decided as a hub, and decides about what was asked for as a home provider, as long as the provider runs.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    let (never, _, _) = tokio::join!(ask::run(&inner), home::run(&inner), act::run(&inner));
    never
}
