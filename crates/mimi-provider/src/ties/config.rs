use std::{path::PathBuf, time::Duration};

use mimi_tie::{Quota, Way, score::CohortSize};
use serde::{Deserialize, Deserializer, de};

/// How pseudonyms are tied to accounts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TiesConfig {
    #[serde(deserialize_with = "way")]
    pub(super) way: Way,
    /// Pseudonyms, or tokens for them, for each account and period; as many as it likes, if there is none.
    pseudonyms: Option<u32>,
    period_days: u32,
    /// The file with the key, in hexadecimal digits: a secret of 32 octets for `act-only`, the issuer's private key of 48
    /// octets for `blind`, both of which are made if there is no such file; the operators' public key for `break-glass`
    /// and `score`.
    pub(crate) key: Option<PathBuf>,
    /// Accounts in a cohort, for `score`.
    cohort: u16,
    /// The file with the operators' public key for openings to which the lists of accounts' pseudonyms are sealed, for `score`;
    /// with `break-glass` they are sealed to `key`.
    pub(crate) lists: Option<PathBuf>,
    /// For `score`: how much good conduct lets an account have more pseudonyms than the quota: one for each of its pseudonyms
    /// and each period in which nobody complained about it. From 1 to 1,000.
    reputation: Option<u16>,
    /// How many more, in each period.
    pub(crate) more: u32,
}

impl Default for TiesConfig {
    fn default() -> Self {
        Self {
            way: Way::Direct,
            pseudonyms: None,
            period_days: 30,
            key: None,
            cohort: 64,
            lists: None,
            reputation: None,
            more: 1,
        }
    }
}

fn way<'de, D: Deserializer<'de>>(from: D) -> Result<Way, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

impl TiesConfig {
    /// What is wrong with it: the key, and why.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match (self.way, &self.key) {
            (Way::Direct, Some(_)) => return Some(("key", "the way direct has no key")),
            (Way::Direct, None) | (_, Some(_)) => {}
            (_, None) => return Some(("way", "this way needs a key")),
        }
        if self.lists.is_some() && self.way != Way::Score {
            return Some(("lists", "it is for the way score"));
        }
        if CohortSize::new(self.cohort).is_err() {
            return Some(("cohort", "it is from 2 to 256"));
        }
        match (self.reputation, self.way, self.pseudonyms) {
            (None, ..) => {}
            (Some(_), Way::Score, Some(_)) => {}
            (Some(_), ..) => return Some(("reputation", "it is for the way score, with a quota of pseudonyms")),
        }
        if self.reputation.is_some_and(|threshold| !(1..=1000).contains(&threshold)) {
            return Some(("reputation", "it is from 1 to 1,000"));
        }
        if self.more == 0 {
            return Some(("more", "it must not be 0"));
        }
        match (self.pseudonyms, self.quota()) {
            (Some(0), _) => Some(("pseudonyms", "it must not be 0")),
            (Some(_), None) => Some(("period_days", "with a quota it is from 1 to 3,652")),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    pub(super) fn quota(&self) -> Option<Quota> {
        Quota::new(self.pseudonyms?, Duration::from_secs(86_400).saturating_mul(self.period_days)).ok()
    }

    /// The threshold of a reputation, if there is one.
    pub(crate) fn reputation(&self) -> Option<u16> {
        self.reputation
    }

    pub(super) fn cohort(&self) -> Option<CohortSize> {
        CohortSize::new(self.cohort).ok()
    }
}

#[cfg(test)]
impl TiesConfig {
    pub(crate) fn period_days(&self) -> u32 {
        self.period_days
    }

    pub(crate) fn cohort_size(&self) -> u16 {
        self.cohort
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TiesConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        assert_eq!(read("").unwrap().fault(), None);
        assert_eq!(read("").unwrap().quota(), None);
        let quota = read("pseudonyms = 5\nperiod_days = 7").unwrap();
        assert_eq!((quota.fault(), quota.quota().unwrap().allowed()), (None, 5));
        assert_eq!(read("way = 'blind'\nkey = 'k'").unwrap().fault(), None);
        let reputation = read("way = 'score'\nkey = 'k'\npseudonyms = 1\nreputation = 3\nmore = 2").unwrap();
        assert_eq!((reputation.fault(), reputation.reputation(), reputation.more), (None, Some(3), 2));
        let with = |more: &str| format!("way = 'score'\nkey = 'k'\n{more}");
        for (text, key, fault) in [
            ("key = 'k'".into(), "key", "the way direct has no key"),
            ("way = 'blind'".into(), "way", "this way needs a key"),
            ("cohort = 1".into(), "cohort", "it is from 2 to 256"),
            ("way = 'blind'\nkey = 'k'\nlists = 'l'".into(), "lists", "it is for the way score"),
            ("pseudonyms = 0".into(), "pseudonyms", "it must not be 0"),
            ("pseudonyms = 1\nperiod_days = 0".into(), "period_days", "with a quota it is from 1 to 3,652"),
            (
                "way = 'act-only'\nkey = 'k'\npseudonyms = 1\nreputation = 3".into(),
                "reputation",
                "it is for the way score, with a quota of pseudonyms",
            ),
            (with("reputation = 3"), "reputation", "it is for the way score, with a quota of pseudonyms"),
            (with("pseudonyms = 1\nreputation = 1001"), "reputation", "it is from 1 to 1,000"),
            (with("pseudonyms = 1\nreputation = 0"), "reputation", "it is from 1 to 1,000"),
            (with("pseudonyms = 1\nreputation = 3\nmore = 0"), "more", "it must not be 0"),
        ] {
            assert_eq!(read(&text).unwrap().fault(), Some((key, fault)), "{text}");
        }
        assert!(read("way = 'escrow'").unwrap_err().message().contains("break-glass"));
    }
}
