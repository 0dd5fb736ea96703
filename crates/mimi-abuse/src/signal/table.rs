use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::fact::SignalKind;

/// The table that is used unless an operator has another.
const BUILT_IN: &str = include_str!("signals.toml");

/// How much a kind of fact weighs.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The weight of a fresh fact: 0 to 100.
    pub weight: f64,
    /// Hours until half of it is left: 1 to 87,600.
    pub half_life_hours: u32,
    /// How many sources of one provider count: 1 to 1,000.
    pub per_provider: u16,
}

impl Weight {
    /// What is left of it after a time.
    pub(super) fn after(&self, age: Duration) -> f64 {
        let half_lives = age.as_secs_f64() / (f64::from(self.half_life_hours) * 3600.0);
        self.weight * (-half_lives).exp2()
    }
}

/// From how many times on something is a fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Messages of one user within a minute: at least 1.
    pub messages_per_minute: u32,
    /// Rooms of one hub that one user joins within an hour: at least 1.
    pub joins_per_hour: u32,
}

/// What is done (draft-mahy-mimi-pseudonyms-00, section 5.2), the mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// The hub keeps it from sending in the room.
    Mute,
    /// The hub removes it from the room.
    Kick,
    /// The hub bans it from the room, for a time or for good.
    Ban,
    /// The hub asks its provider to suspend the account.
    AskSuspend,
    /// The hub asks its provider to suspend the account and to remove it from all rooms.
    AskRemove,
    /// The hub asks its provider to delete the account.
    AskDelete,
}

impl Remedy {
    /// Its name in the table and in a store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::AskSuspend => "ask_suspend",
            Self::AskRemove => "ask_remove",
            Self::AskDelete => "ask_delete",
        }
    }
}

/// What is done from which score on.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The score.
    pub score: f64,
    /// What is done.
    pub remedy: Remedy,
    /// For how many hours; for good if it is not said. Only a ban ends by itself.
    #[serde(default)]
    pub hours: Option<u32>,
    /// Whether the user's provider is asked to do the same to related accounts. Only where it is asked.
    #[serde(default)]
    pub related: bool,
}

/// Weights, rates and steps, as an operator reads and changes them in TOML.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    pub(super) weights: BTreeMap<SignalKind, Weight>,
    rates: Rates,
    pub(super) steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    weights: BTreeMap<SignalKind, Weight>,
    rates: Rates,
    steps: Vec<Step>,
}

/// Why a text is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// It is no TOML, or has other keys.
    #[error("{0}")]
    Toml(String),
    /// A kind of fact has no weight. Weight 0 has to be said.
    #[error("weights: {0} is missing")]
    Missing(SignalKind),
    /// A weight, half-life or number of sources is out of range.
    #[error("weights: {0} is out of range")]
    Weight(SignalKind),
    /// A rate is 0.
    #[error("rates: must not be 0")]
    Rate,
    /// Scores are not positive and ascending, or a time stands where none can, or is 0, or related accounts stand where the
    /// user's provider is not asked.
    #[error("steps: step {0} is out of order, or its hours or related accounts make no sense")]
    Step(usize),
}

impl Default for Table {
    /// The table that comes with this crate.
    fn default() -> Self {
        // A test reads it; were it damaged, nothing would weigh anything.
        Self::parse(BUILT_IN).unwrap_or_else(|_| Self {
            weights: BTreeMap::new(),
            rates: Rates { messages_per_minute: u32::MAX, joins_per_hour: u32::MAX },
            steps: Vec::new(),
        })
    }
}

impl Table {
    /// The text of the table that comes with this crate: a starting point for an operator's own.
    pub const fn built_in() -> &'static str {
        BUILT_IN
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`TableError`] says where.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let Text { weights, rates, steps } =
            toml::from_str(text).map_err(|error| TableError::Toml(error.message().to_owned()))?;
        for kind in SignalKind::ALL {
            let Weight { weight, half_life_hours, per_provider } =
                weights.get(&kind).ok_or(TableError::Missing(kind))?;
            let in_range = (0.0..=100.0).contains(weight)
                && (1..=87_600).contains(half_life_hours)
                && (1..=1000).contains(per_provider);
            if !in_range {
                return Err(TableError::Weight(kind));
            }
        }
        if rates.messages_per_minute == 0 || rates.joins_per_hour == 0 {
            return Err(TableError::Rate);
        }
        let mut last = 0.0;
        for (at, step) in steps.iter().enumerate() {
            let timed = step.hours.is_none_or(|hours| hours > 0 && step.remedy == Remedy::Ban);
            let asked = matches!(step.remedy, Remedy::AskSuspend | Remedy::AskRemove | Remedy::AskDelete);
            if !step.score.is_finite() || step.score <= last || !timed || (step.related && !asked) {
                return Err(TableError::Step(at));
            }
            last = step.score;
        }
        Ok(Self { weights, rates, steps })
    }

    /// From how many times on something is a fact.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// How long a fact has to be kept: after ten half-lives of the slowest kind less than a thousandth is left.
    pub fn memory(&self) -> Duration {
        let hours = self.weights.values().map(|weight| weight.half_life_hours).max().unwrap_or_default();
        Duration::from_secs(u64::from(hours) * 3600 * 10)
    }
}
