//! How this provider meets abuse (draft-mahy-mimi-pseudonyms-00, section 5): as a hub it takes reports, weighs what speaks
//! against a user, and decides.

mod act;
mod appeal;
mod ask;
mod explain;
mod home;
mod remove;
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

pub(crate) use appeal::{appeal, standing};
pub use explain::{explain, pardon};
pub(crate) use home::{check_account, requested};
pub(crate) use remove::removal;
pub(crate) use report::{from_device, report};
pub(crate) use weigh::{facts_of, is_banned, is_clear, noted, own_did, sent};

use crate::{
    Config, StartError,
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    store::{AccountId, Hash, Store},
};

/// What the parts of this module share.
pub(crate) struct Abuse {
    table: Table,
    /// From which the tags of own reporters are derived.
    tags: Hash,
    messages: Mutex<RateMeter>,
    joins: Mutex<RateMeter>,
    /// Of own accounts, under all their pseudonyms.
    own_messages: Mutex<RateMeter<AccountId>>,
    own_joins: Mutex<RateMeter<AccountId>>,
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
        let home = home_policy(config)?;
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let rates = table.rates();
        Ok(Self {
            table,
            tags: store.secret("reporter tags", &OsEntropy.bits256())?,
            messages: Mutex::new(RateMeter::new(rates.messages_per_minute, minute)),
            joins: Mutex::new(RateMeter::new(rates.joins_per_hour, hour)),
            own_messages: Mutex::new(RateMeter::new(rates.messages_per_minute, minute)),
            own_joins: Mutex::new(RateMeter::new(rates.joins_per_hour, hour)),
            news: Notify::default(),
            home,
        })
    }

    /// Forgets what has lost its weight.
    pub(crate) fn forget(&self, store: &Store, now: Timestamp) -> Result<(), Fail> {
        Ok(store.forget_abuse(now.before(self.table.memory()))?)
    }

    fn sends_too_often(&self, user: &UserUri, now: Timestamp) -> bool {
        too_often(&self.messages, user, now)
    }

    fn joins_too_often(&self, user: &UserUri, now: Timestamp) -> bool {
        too_often(&self.joins, user, now)
    }

    fn own_sends_too_often(&self, account: AccountId, now: Timestamp) -> bool {
        too_often(&self.own_messages, &account, now)
    }

    fn own_joins_too_often(&self, account: AccountId, now: Timestamp) -> bool {
        too_often(&self.own_joins, &account, now)
    }
}

fn too_often<Who: Clone + Eq + std::hash::Hash>(meter: &Mutex<RateMeter<Who>>, who: &Who, now: Timestamp) -> bool {
    meter.lock().unwrap_or_else(PoisonError::into_inner).note(who, now)
}

/// How hubs' requests are weighed.
pub(crate) fn home_policy(config: &Config) -> Result<HomePolicy, StartError> {
    match &config.abuse.remedies {
        Some(path) => Ok(HomePolicy::parse(&std::fs::read_to_string(path).map_err(StartError::Signals)?)?),
        None => Ok(HomePolicy::default()),
    }
}

/// Asks for what was decided as a hub, and decides about what was asked for as a home provider, as long as the provider runs.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    let (never, ..) = tokio::join!(ask::run(&inner), home::run(&inner), act::run(&inner), remove::run(&inner));
    never
}
