//! How often somebody may be refused: who guesses is slowed down, and learns nothing from it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mimi_pseudonym::Timestamp;

/// The most names that are remembered.
const NAMES_MAX: usize = 1 << 16;

/// Counts of refusals, each with its limit: so many in a period, given back evenly.
pub(crate) struct Limiter {
    period: Duration,
    buckets: Mutex<HashMap<Name, Bucket>>,
}

/// What a limit is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// Who asks: the hash of its key.
    Key([u8; 32]),
    /// The provider that asks for its users, or the account of a device of our own.
    From(String),
    /// What is asked for.
    Room(String),
}

impl Name {
    /// How many refusals in a period.
    fn limit(&self) -> u32 {
        match self {
            Self::Key(_) => 20,
            Self::From(_) => 600,
            Self::Room(_) => 2000,
        }
    }
}

/// When everything will have been given back.
struct Bucket {
    full_at: Timestamp,
}

impl Limiter {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period, buckets: Mutex::default() }
    }

    /// Whether everything that is named may still be refused once more.
    pub(crate) fn allows(&self, names: &[Name], now: Timestamp) -> bool {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().all(|name| {
            let full_at = buckets.get(name).map_or(now, |bucket| bucket.full_at);
            full_at.since(now) + self.step(name) <= self.period
        })
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, names: &[Name], now: Timestamp) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() + names.len() > NAMES_MAX {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        for name in names {
            if buckets.len() >= NAMES_MAX && !buckets.contains_key(name) {
                continue;
            }
            let step = self.step(name);
            let bucket = buckets.entry(name.clone()).or_insert(Bucket { full_at: now });
            bucket.full_at = bucket.full_at.max(now).after(step);
        }
    }

    /// How long it takes until one refusal is given back.
    fn step(&self, name: &Name) -> Duration {
        self.period / name.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn so_many_in_a_period_and_given_back_evenly() {
        let limiter = Limiter::new(Duration::from_secs(600));
        let key = [Name::Key([1; 32])];
        for _ in 0..20 {
            assert!(limiter.allows(&key, NOW));
            limiter.refused(&key, NOW);
        }
        assert!(!limiter.allows(&key, NOW));
        assert!(limiter.allows(&[Name::Key([2; 32])], NOW), "others are not concerned");
        assert!(!limiter.allows(&key, NOW.after(Duration::from_secs(29))));
        assert!(limiter.allows(&key, NOW.after(Duration::from_secs(30))));
        limiter.refused(&key, NOW.after(Duration::from_secs(30)));
        assert!(!limiter.allows(&key, NOW.after(Duration::from_secs(30))));
        assert!(limiter.allows(&key, NOW.after(Duration::from_secs(660))));
    }

    #[test]
    fn each_of_the_names_counts() {
        let limiter = Limiter::new(Duration::from_secs(600));
        let from = Name::From("b.example".into());
        for number in 0..600_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let names = [Name::Key(key), from.clone()];
            assert!(limiter.allows(&names, NOW));
            limiter.refused(&names, NOW);
        }
        assert!(!limiter.allows(&[Name::Key([9; 32]), from], NOW));
        assert!(limiter.allows(&[Name::Room("x".into())], NOW));
    }
}
