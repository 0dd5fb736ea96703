use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A claim about the person behind a pseudonym, by one name in every token format
/// (draft-mahy-mimi-pseudonyms-00, section 4). `docs/` has the mapping to X.509 fields, JWT claim names and CWT labels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClaimName {
    /// The MIMI URI of the account.
    UserUri,
    /// The handle as an `im:` URI, for example `im:alice@a.example`.
    Handle,
    /// The name to show.
    DisplayName,
    /// An e-mail address (`addr-spec` of RFC 5322).
    Email,
    /// That the person is at least 18 years old; the only value is [`ClaimName::TRUE`].
    #[serde(rename = "age-over-18")]
    AgeOver18,
}

impl ClaimName {
    /// Every name there is, in order.
    pub const ALL: [Self; 5] = [Self::UserUri, Self::Handle, Self::DisplayName, Self::Email, Self::AgeOver18];

    /// The value of a claim that says yes. It is never stated with another value: who cannot say yes says nothing.
    pub const TRUE: &'static str = "true";
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserUri => "user-uri",
            Self::Handle => "handle",
            Self::DisplayName => "display-name",
            Self::Email => "email",
            Self::AgeOver18 => "age-over-18",
        })
    }
}

/// Claims and their values, one value each. `Debug` shows the names, never the values.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(BTreeMap<ClaimName, String>);

impl Claims {
    /// The value of a claim.
    pub fn value(&self, name: ClaimName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Sets a claim, and returns the value it replaces.
    pub fn insert(&mut self, name: ClaimName, value: impl Into<String>) -> Option<String> {
        self.0.insert(name, value.into())
    }

    /// The claims in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (ClaimName, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The names alone.
    pub fn names(&self) -> impl Iterator<Item = ClaimName> {
        self.0.keys().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ClaimName, String)> for Claims {
    fn from_iter<I: IntoIterator<Item = (ClaimName, String)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let mut claims = Claims::default();
        claims.insert(ClaimName::DisplayName, "Alice Smith");
        assert_eq!(format!("{claims:?}"), "{DisplayName}");
    }

    #[test]
    fn names_print_as_they_are_stored() {
        assert_eq!(ClaimName::AgeOver18.to_string(), "age-over-18");
        for name in ClaimName::ALL {
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{name}\""));
        }
    }
}
