use std::collections::BTreeSet;

use mimi_pseudonym::ClaimName;

use crate::{DisclosurePolicy, PolicyBreach};

/// Claims that a person wants to disclose and a room's policy lets out. A presentation is made only from one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    names: BTreeSet<ClaimName>,
}

/// Why claims are no selection: how they break the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the selection breaks the room's policy: {0}")]
pub struct SelectionError(#[from] pub PolicyBreach);

impl Selection {
    /// Selects claims for a room with this policy.
    ///
    /// # Errors
    /// [`SelectionError`] if a required claim is not wanted, or a forbidden one is.
    pub fn new(wanted: impl IntoIterator<Item = ClaimName>, policy: &DisclosurePolicy) -> Result<Self, SelectionError> {
        let names = wanted.into_iter().collect();
        policy.check_names(&names)?;
        Ok(Self { names })
    }

    /// The names of the claims.
    pub fn names(&self) -> &BTreeSet<ClaimName> {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_obeys_the_policy() {
        let policy = DisclosurePolicy::new([ClaimName::UserUri], [ClaimName::DisplayName], [ClaimName::Email]).unwrap();
        let wanted = [ClaimName::DisplayName, ClaimName::UserUri];
        assert_eq!(*Selection::new(wanted, &policy).unwrap().names(), BTreeSet::from(wanted));
        let missing = Selection::new([ClaimName::DisplayName], &policy);
        assert_eq!(missing, Err(SelectionError(PolicyBreach::Missing(ClaimName::UserUri))));
        let forbidden = Selection::new([ClaimName::UserUri, ClaimName::Email], &policy);
        assert_eq!(forbidden, Err(SelectionError(PolicyBreach::Forbidden(ClaimName::Email))));
        let unnamed = Selection::new([ClaimName::UserUri, ClaimName::Handle], &policy);
        assert_eq!(unnamed, Err(SelectionError(PolicyBreach::Forbidden(ClaimName::Handle))));
    }
}
