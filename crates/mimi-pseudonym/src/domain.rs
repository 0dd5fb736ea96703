use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The domain name of a provider, in lower case (draft-ietf-mimi-protocol-06, section 3).
///
/// At most 253 octets; labels of 1 to 63 letters, digits and hyphens. A port is never part of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is no [`Domain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Empty, or longer than 253 octets.
    #[error("a domain has 1 to 253 octets, this one has {0}")]
    Length(usize),
    /// A label is empty, too long, or has a character that is not allowed.
    #[error("a label of a domain has 1 to 63 letters, digits or inner hyphens")]
    Label,
}

impl Domain {
    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.is_empty() || text.len() > 253 {
            return Err(DomainError::Length(text.len()));
        }
        if text.split('.').all(is_label) { Ok(Self(text.to_ascii_lowercase())) } else { Err(DomainError::Label) }
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded() {
        assert_eq!("A.Example".parse::<Domain>().unwrap().as_str(), "a.example");
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        assert_eq!("".parse::<Domain>(), Err(DomainError::Length(0)));
        assert_eq!("a".repeat(254).parse::<Domain>(), Err(DomainError::Length(254)));
        for bad in ["a..example", "-a.example", "a-.example", "a_b.example", "a.example:443", "a.example/"] {
            assert_eq!(bad.parse::<Domain>(), Err(DomainError::Label), "{bad}");
        }
    }
}
