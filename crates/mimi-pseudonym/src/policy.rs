use std::collections::BTreeSet;

use crate::{ClaimName, Claims, DecodeError, Reader, Wire, Writer};

/// Which claims a room requires, allows and forbids in a disclosure (draft-mahy-mimi-pseudonyms-00, section 4). The
/// three sets are disjoint, and a claim that is in none of them is forbidden.
///
/// The encoding is `{ ClaimName required<V>; ClaimName optional<V>; ClaimName forbidden<V>; }` with
/// `opaque ClaimName<V>`, the name in ASCII as it prints (`user-uri`), each list in ascending order of
/// [`ClaimName::ALL`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisclosurePolicy {
    required: BTreeSet<ClaimName>,
    optional: BTreeSet<ClaimName>,
    forbidden: BTreeSet<ClaimName>,
}

/// A policy says two things about one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy says two things about the claim {0}")]
pub struct PolicyError(pub ClaimName);

/// How claims break a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyBreach {
    /// A claim is disclosed that the policy forbids, or does not name.
    #[error("the claim {0} is forbidden")]
    Forbidden(ClaimName),
    /// A claim is missing that the policy requires.
    #[error("the claim {0} is required")]
    Missing(ClaimName),
}

impl DisclosurePolicy {
    /// Puts a policy together.
    ///
    /// # Errors
    /// [`PolicyError`] if a claim is in two of the sets.
    pub fn new(
        required: impl IntoIterator<Item = ClaimName>,
        optional: impl IntoIterator<Item = ClaimName>,
        forbidden: impl IntoIterator<Item = ClaimName>,
    ) -> Result<Self, PolicyError> {
        let policy = Self {
            required: required.into_iter().collect(),
            optional: optional.into_iter().collect(),
            forbidden: forbidden.into_iter().collect(),
        };
        let twice = |name: &ClaimName| {
            [&policy.required, &policy.optional, &policy.forbidden].iter().filter(|set| set.contains(name)).count() > 1
        };
        match ClaimName::ALL.into_iter().find(twice) {
            Some(name) => Err(PolicyError(name)),
            None => Ok(policy),
        }
    }

    /// The policy of a room that connects two people: the account must be disclosed; handle, name and e-mail address
    /// may be.
    pub fn connection() -> Self {
        Self {
            required: [ClaimName::UserUri].into(),
            optional: [ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email].into(),
            forbidden: BTreeSet::new(),
        }
    }

    /// The policy of a room that leaves it to its participants: every claim may be disclosed, none must be.
    pub fn open() -> Self {
        Self { required: BTreeSet::new(), optional: ClaimName::ALL.into(), forbidden: BTreeSet::new() }
    }

    /// The claims that must be disclosed.
    pub fn required(&self) -> &BTreeSet<ClaimName> {
        &self.required
    }

    /// The claims that may be disclosed.
    pub fn optional(&self) -> &BTreeSet<ClaimName> {
        &self.optional
    }

    /// The claims that are forbidden by name.
    pub fn forbidden(&self) -> &BTreeSet<ClaimName> {
        &self.forbidden
    }

    /// Holds claims against the policy.
    ///
    /// # Errors
    /// [`PolicyBreach`]; one of what is forbidden before one of what is missing.
    pub fn check(&self, claims: &Claims) -> Result<(), PolicyBreach> {
        self.check_names(&claims.names().collect())
    }

    /// Holds the names of claims against the policy.
    ///
    /// # Errors
    /// As [`DisclosurePolicy::check`].
    pub fn check_names(&self, names: &BTreeSet<ClaimName>) -> Result<(), PolicyBreach> {
        let allowed = |name: &&ClaimName| self.required.contains(name) || self.optional.contains(name);
        if let Some(name) = names.iter().find(|name| !allowed(name)) {
            return Err(PolicyBreach::Forbidden(*name));
        }
        match self.required.difference(names).next() {
            Some(name) => Err(PolicyBreach::Missing(*name)),
            None => Ok(()),
        }
    }
}

impl Wire for DisclosurePolicy {
    const MAX_LEN: usize = 256;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (required, optional, forbidden) = (read_set(reader)?, read_set(reader)?, read_set(reader)?);
        Self::new(required, optional, forbidden)
            .map_err(|_| DecodeError::Rule { field: "claims", rule: "a claim is in two sets" })
    }

    fn write(&self, writer: &mut Writer) {
        for set in [&self.required, &self.optional, &self.forbidden] {
            let mut names = Writer::default();
            for name in set {
                names.vector(name.to_string().as_bytes());
            }
            writer.vector(&names.into_octets());
        }
    }
}

fn read_set(reader: &mut Reader<'_>) -> Result<BTreeSet<ClaimName>, DecodeError> {
    let rule = |rule| DecodeError::Rule { field: "claims", rule };
    let mut inner = Reader::new(reader.vector()?);
    let mut names = BTreeSet::new();
    while !inner.is_empty() {
        let text = inner.text("claim")?;
        let known = ClaimName::ALL.into_iter().find(|name| name.to_string() == text);
        let name = known.ok_or(rule("an unknown claim"))?;
        if names.last().is_some_and(|last| *last >= name) {
            return Err(rule("not in ascending order"));
        }
        names.insert(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(places in proptest::array::uniform5(0usize..4)) {
            let mut sets = [vec![], vec![], vec![], vec![]];
            for (name, place) in ClaimName::ALL.into_iter().zip(places) {
                sets[place].push(name);
            }
            let [required, optional, forbidden, _] = sets;
            let policy = DisclosurePolicy::new(required, optional, forbidden).unwrap();
            prop_assert_eq!(DisclosurePolicy::decode(&policy.encode()), Ok(policy));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = DisclosurePolicy::decode(&octets);
        }
    }

    #[test]
    fn a_claim_has_one_place() {
        let twice = DisclosurePolicy::new([ClaimName::Email], [], [ClaimName::Email]);
        assert_eq!(twice, Err(PolicyError(ClaimName::Email)));
    }

    #[test]
    fn bad_encodings_are_refused() {
        let rule = |rule| Err(DecodeError::Rule { field: "claims", rule });
        assert_eq!(DisclosurePolicy::decode(b"\x06\x05email\x06\x05email\x00"), rule("a claim is in two sets"));
        assert_eq!(DisclosurePolicy::decode(b"\x0c\x05email\x05email\x00\x00"), rule("not in ascending order"));
        assert_eq!(DisclosurePolicy::decode(b"\x04\x03age\x00\x00"), rule("an unknown claim"));
        assert_eq!(DisclosurePolicy::decode(b"\x00\x00\x00\x00"), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn what_is_not_named_is_forbidden() {
        let policy = DisclosurePolicy::new([ClaimName::UserUri], [], []).unwrap();
        let names = BTreeSet::from([ClaimName::UserUri, ClaimName::Email]);
        assert_eq!(policy.check_names(&names), Err(PolicyBreach::Forbidden(ClaimName::Email)));
        assert_eq!(policy.check(&Claims::default()), Err(PolicyBreach::Missing(ClaimName::UserUri)));
        assert_eq!(DisclosurePolicy::open().check_names(&ClaimName::ALL.into()), Ok(()));
        assert_eq!(DisclosurePolicy::open().check(&Claims::default()), Ok(()));
    }
}
