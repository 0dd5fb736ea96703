use std::{collections::BTreeMap, fmt, time::Duration};

use mimi_pseudonym::{Domain, Timestamp};
use serde::Deserialize;

use super::{Plan, request::Wanted};

/// What a provider does about an account of its own, the mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HomeRemedy {
    /// No new pseudonyms and credentials, and nothing is sent.
    Suspend,
    /// As [`HomeRemedy::Suspend`], and the user leaves all rooms under all its pseudonyms.
    Remove,
    /// As [`HomeRemedy::Remove`], and the account is deleted.
    Delete,
}

impl HomeRemedy {
    /// Its name in a store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Remove => "remove",
            Self::Delete => "delete",
        }
    }

    /// The remedy of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Suspend, Self::Remove, Self::Delete].into_iter().find(|remedy| remedy.name() == name)
    }

    fn of(wanted: Wanted) -> Option<Self> {
        match wanted {
            Wanted::Reversal => None,
            Wanted::Suspend => Some(Self::Suspend),
            Wanted::Remove => Some(Self::Remove),
            Wanted::Delete => Some(Self::Delete),
        }
    }
}

/// How one hub is believed.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerPolicy {
    /// What a request with evidence weighs: 0 to 10. Without evidence it weighs a quarter.
    pub weight: f64,
    /// How many of its requests about one account count: 1 to 100. Which of its users a hub asks about is its own choice, so
    /// its word alone must not be enough for what cannot be undone.
    pub count: u16,
}

/// How a provider decides about requests, as an operator reads and changes it in TOML. A request loses half of its weight in
/// each half-life.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomePolicy {
    /// Hours between the moments at which is decided: 1 to 720.
    pub batch_hours: u16,
    /// Requests of one hub that are taken in 24 hours: 1 to 100,000.
    pub budget_per_day: u32,
    /// Hours until half of a request's weight is left: 1 to 87,600.
    pub half_life_hours: u32,
    /// From which weight on an account is suspended.
    pub suspend: f64,
    /// From which weight on it is removed from all rooms.
    pub remove: f64,
    /// From which weight on it is deleted.
    pub delete: f64,
    /// Days within which what was decided shows in each of an account's names, each at a moment of its own: 1 to 365.
    #[serde(default = "fourteen")]
    pub window_days: u16,
    /// Whether what is done to an account is done to those that the operator has marked as related, if a hub that counts has
    /// asked for that too.
    #[serde(default = "yes")]
    pub related: bool,
    /// How hubs are believed that are not named.
    pub others: PeerPolicy,
    /// How hubs are believed that are.
    #[serde(default)]
    pub hubs: BTreeMap<Domain, PeerPolicy>,
}

fn fourteen() -> u16 {
    14
}

fn yes() -> bool {
    true
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is no TOML, or has other keys.
    #[error("{0}")]
    Toml(String),
    /// A value is out of range, or the weights do not rise from suspending to deleting.
    #[error("{0} is out of range")]
    Range(&'static str),
}

impl Default for HomePolicy {
    /// One hub with evidence suspends; removing takes two requests, and deleting takes several hubs.
    fn default() -> Self {
        Self {
            batch_hours: 24,
            budget_per_day: 100,
            half_life_hours: 720,
            suspend: 0.75,
            remove: 1.5,
            delete: 5.0,
            window_days: 14,
            related: true,
            others: PeerPolicy { weight: 1.0, count: 2 },
            hubs: BTreeMap::new(),
        }
    }
}

impl HomePolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`]
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::Toml(error.message().to_owned()))?;
        let Self {
            batch_hours,
            budget_per_day,
            half_life_hours,
            suspend,
            remove,
            delete,
            window_days,
            others,
            hubs,
            ..
        } = &policy;
        let in_range = |peer: &PeerPolicy| (0.0..=10.0).contains(&peer.weight) && (1..=100).contains(&peer.count);
        let checks = [
            ((1..=720).contains(batch_hours), "batch_hours"),
            ((1..=100_000).contains(budget_per_day), "budget_per_day"),
            ((1..=87_600).contains(half_life_hours), "half_life_hours"),
            (*suspend > 0.0 && suspend <= remove && remove <= delete && delete.is_finite(), "suspend, remove, delete"),
            ((1..=365).contains(window_days), "window_days"),
            (in_range(others) && hubs.values().all(in_range), "others or hubs"),
        ];
        if let Some((_, name)) = checks.into_iter().find(|(holds, _)| !holds) {
            return Err(PolicyError::Range(name));
        }
        Ok(policy)
    }

    /// When what was decided shows.
    pub fn plan(&self) -> Plan {
        let window = Duration::from_secs(u64::from(self.window_days) * 86_400);
        // A policy that was read is within the limits of a plan.
        Plan::new(window, Duration::from_secs(3600)).unwrap_or_default()
    }

    /// The next moment at which is decided: the same for all accounts, whatever was asked when.
    pub fn next_batch(&self, now: Timestamp) -> Timestamp {
        let every = u64::from(self.batch_hours) * 3_600_000;
        self.last_batch(now).after(Duration::from_millis(every))
    }

    /// The last such moment that has come.
    pub fn last_batch(&self, now: Timestamp) -> Timestamp {
        let every = u64::from(self.batch_hours) * 3_600_000;
        Timestamp::from_millis(now.as_millis().checked_div(every).unwrap_or_default().saturating_mul(every))
    }

    /// What a fresh request of a hub weighs, and how many of one hub's about one user count.
    pub fn weight_of(&self, hub: &Domain, with_evidence: bool) -> (f64, u16) {
        let PeerPolicy { weight, count } = self.peer(hub);
        (if with_evidence { weight } else { weight / 4.0 }, count)
    }

    fn peer(&self, hub: &Domain) -> PeerPolicy {
        self.hubs.get(hub).copied().unwrap_or(self.others)
    }

    fn after(&self, weight: f64, age: Duration) -> f64 {
        weight * (-age.as_secs_f64() / (f64::from(self.half_life_hours) * 3600.0)).exp2()
    }
}

/// What is kept of a request about an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Who asked.
    pub hub: Domain,
    /// For what.
    pub wanted: Wanted,
    /// Whether related accounts are meant as well.
    pub related: bool,
    /// When it came.
    pub at: Timestamp,
    /// Whether it showed messages.
    pub with_evidence: bool,
}

/// What is to be done about an account, and why. Its `Display` names no user.
#[derive(Clone, PartialEq, Debug)]
pub struct HomeDecision {
    /// The weight of what was asked.
    pub weight: f64,
    /// What is done, if anything is.
    pub remedy: Option<HomeRemedy>,
    /// Whether that is done to related accounts as well.
    pub related: bool,
    /// What each hub adds.
    pub because: Vec<(Domain, f64)>,
}

impl HomePolicy {
    /// Decides from all requests about one account, under whatever pseudonyms, that have come until now. A hub that has asked
    /// for a reversal takes back what it has asked for before. Nothing is done that no hub which counts has asked for.
    pub fn decide(&self, requests: &[Received], now: Timestamp) -> HomeDecision {
        let mut of_hub: BTreeMap<&Domain, Vec<&Received>> = BTreeMap::new();
        for request in requests {
            of_hub.entry(&request.hub).or_default().push(request);
        }
        let (mut because, mut most, mut related) = (Vec::new(), None, false);
        for (hub, mut requests) in of_hub {
            let reversed = requests.iter().filter(|one| one.wanted == Wanted::Reversal).map(|one| one.at).max();
            requests.retain(|one| one.wanted != Wanted::Reversal && reversed.is_none_or(|at| one.at > at));
            let weighs = |one: &&Received| self.after(self.weight_of(hub, one.with_evidence).0, now.since(one.at));
            let mut weights: Vec<f64> = requests.iter().map(weighs).collect();
            let count = self.peer(hub).count;
            weights.sort_by(|one, other| other.total_cmp(one));
            let sum = weights.iter().take(count.into()).fold(0.0, |sum, weight| sum + weight);
            if sum > 0.0 {
                most = most.max(requests.iter().filter_map(|one| HomeRemedy::of(one.wanted)).max());
                related |= requests.iter().any(|one| one.related);
                because.push((hub.clone(), sum));
            }
        }
        let weight = because.iter().fold(0.0, |sum, (_, adds)| sum + adds);
        let steps =
            [(self.delete, HomeRemedy::Delete), (self.remove, HomeRemedy::Remove), (self.suspend, HomeRemedy::Suspend)];
        let reached = steps.into_iter().find(|(from, _)| weight >= *from).map(|(_, remedy)| remedy);
        let remedy = reached.zip(most).map(|(reached, most)| reached.min(most));
        HomeDecision { weight, remedy, related: remedy.is_some() && related && self.related, because }
    }
}

impl fmt::Display for HomeDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (weight {:.2})", self.remedy.map_or("nothing", HomeRemedy::name), self.weight)?;
        self.because.iter().try_for_each(|(hub, adds)| write!(f, "; {hub}: {adds:+.2}"))
    }
}
