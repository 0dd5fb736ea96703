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
}

impl Default for TiesConfig {
    fn default() -> Self {
        Self { way: Way::Direct, pseudonyms: None, period_days: 30, key: None, cohort: 64, lists: None }
    }
}

fn way<'de, D: Deserializer<'de>>(from: D) -> Result<Way, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

impl TiesConfig {
    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match (self.way, &self.key) {
            (Way::Direct, Some(_)) => return Some("the way direct has no key"),
            (Way::Direct, None) | (_, Some(_)) => {}
            (_, None) => return Some("this way needs a key"),
        }
        if self.lists.is_some() && self.way != Way::Score {
            return Some("lists is for the way score");
        }
        if CohortSize::new(self.cohort).is_err() {
            return Some("cohort is from 2 to 256");
        }
        self.pseudonyms.and_then(|_| self.quota().is_none().then_some("pseudonyms and period_days must not be 0"))
    }

    pub(super) fn quota(&self) -> Option<Quota> {
        Quota::new(self.pseudonyms?, Duration::from_secs(86_400).saturating_mul(self.period_days)).ok()
    }

    pub(super) fn cohort(&self) -> Option<CohortSize> {
        CohortSize::new(self.cohort).ok()
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
        for (text, fault) in [
            ("key = 'k'", "the way direct has no key"),
            ("way = 'blind'", "this way needs a key"),
            ("cohort = 1", "cohort is from 2 to 256"),
            ("way = 'blind'\nkey = 'k'\nlists = 'l'", "lists is for the way score"),
            ("pseudonyms = 0", "pseudonyms and period_days must not be 0"),
            ("pseudonyms = 1\nperiod_days = 0", "pseudonyms and period_days must not be 0"),
        ] {
            assert_eq!(read(text).unwrap().fault(), Some(fault), "{text}");
        }
        assert!(read("way = 'escrow'").unwrap_err().message().contains("break-glass"));
    }
}
