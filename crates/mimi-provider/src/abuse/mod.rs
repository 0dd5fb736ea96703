//! How this provider meets abuse (draft-mahy-mimi-pseudonyms-00, section 5): as a hub it takes reports, weighs what speaks
//! against a user, and decides.

mod act;
mod appeal;
mod ask;
mod each;
mod explain;
mod home;
mod leave;
mod remove;
mod report;
mod weigh;

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mimi_abuse::{
    remedy::HomePolicy,
    signal::{RateMeter, SignalKind, Table},
};
use mimi_pseudonym::{Entropy, Timestamp, UserUri};
use tokio::sync::Notify;

pub(crate) use appeal::{appeal, standing};
pub use explain::{explain, pardon};
pub(crate) use home::{check_account, requested};
pub(crate) use leave::check_change;
pub(crate) use remove::removal;
pub(crate) use report::{from_device, report};
pub(crate) use weigh::{facts_of, is_banned, joined, judge, own_did, sends, sent, told, verdict};

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
    messages: Meter<UserUri>,
    joins: Meter<UserUri>,
    /// Of own accounts, under all their pseudonyms.
    own_messages: Meter<AccountId>,
    own_joins: Meter<AccountId>,
    /// Something was decided.
    news: Notify,
    /// How hubs' requests are decided about.
    home: HomePolicy,
}

impl Abuse {
    pub(crate) fn load(config: &Config, store: &Store) -> Result<Self, StartError> {
        let table = table(config)?;
        let home = home_policy(config)?;
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let rates = table.rates();
        Ok(Self {
            table,
            tags: store.secret("reporter tags", &OsEntropy.bits256())?,
            messages: Meter::new(rates.messages_per_minute, minute),
            joins: Meter::new(rates.joins_per_hour, hour),
            own_messages: Meter::new(rates.messages_per_minute, minute),
            own_joins: Meter::new(rates.joins_per_hour, hour),
            news: Notify::default(),
            home,
        })
    }

    /// Forgets what has lost its weight.
    pub(crate) fn forget(&self, store: &Store, now: Timestamp) -> Result<(), Fail> {
        Ok(store.forget_abuse(now.before(self.table.memory()))?)
    }

    /// What own accounts do.
    fn own(&self, kind: SignalKind) -> &Meter<AccountId> {
        if kind == SignalKind::JoinRate { &self.own_joins } else { &self.own_messages }
    }
}

/// Counts how often somebody does something.
struct Meter<Who>(Mutex<RateMeter<Who>>);

impl<Who: Clone + Eq + std::hash::Hash> Meter<Who> {
    fn new(most: u32, window: Duration) -> Self {
        Self(Mutex::new(RateMeter::new(most, window)))
    }

    fn lock(&self) -> MutexGuard<'_, RateMeter<Who>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more; `true` if that is too often and is not known yet.
    fn note(&self, who: &Who, now: Timestamp) -> bool {
        self.lock().note(who, now)
    }

    /// That it is too often was stored.
    fn known(&self, who: &Who) {
        self.lock().known(who);
    }

    /// What was counted last did not happen.
    fn take_back(&self, who: &Who) {
        self.lock().take_back(who);
    }
}

/// What weighs how much.
pub(crate) fn table(config: &Config) -> Result<Table, StartError> {
    let Some(path) = &config.abuse.signals else { return Ok(Table::default()) };
    Table::parse(&read(path)?).map_err(|error| StartError::Table { path: path.clone(), error })
}

/// How hubs' requests are weighed.
pub(crate) fn home_policy(config: &Config) -> Result<HomePolicy, StartError> {
    let Some(path) = &config.abuse.remedies else { return Ok(HomePolicy::default()) };
    HomePolicy::parse(&read(path)?).map_err(|error| StartError::Policy { path: path.clone(), error })
}

fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|error| StartError::File { path: path.to_owned(), error })
}

/// Asks for what was decided as a hub, and decides about what was asked for as a home provider, as long as the provider runs.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    let (never, ..) = tokio::join!(ask::run(&inner), home::run(&inner), act::run(&inner), remove::run(&inner));
    never
}
