use std::fmt;

use crate::UserUri;

/// The tie between an account and one of its pseudonyms: the secret this project exists to keep.
///
/// It has no `Serialize` and no `Display`, its `Debug` shows neither side, and it stands in no error.
/// The only crate that puts the two sides next to each other on disk is a provider that chose to
/// (draft-mahy-mimi-pseudonyms-00, section 5.3), in the table its documentation names.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountLink {
    account: UserUri,
    pseudonym: UserUri,
}

impl AccountLink {
    /// Ties a pseudonym to an account; `None` unless the first is an account's URI, the second a pseudonym's
    /// and both belong to one provider.
    pub fn new(account: UserUri, pseudonym: UserUri) -> Option<Self> {
        let fits = !account.is_pseudonym() && pseudonym.is_pseudonym() && account.domain() == pseudonym.domain();
        fits.then_some(Self { account, pseudonym })
    }

    /// The account's side.
    pub fn account(&self) -> &UserUri {
        &self.account
    }

    /// The pseudonym's side.
    pub fn pseudonym(&self) -> &UserUri {
        &self.pseudonym
    }
}

impl fmt::Debug for AccountLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountLink(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_side() {
        let account: UserUri = "mimi://a.example/u/alice".parse().unwrap();
        let pseudonym = UserUri::pseudonym(account.domain(), [1; 16]);
        let link = AccountLink::new(account, pseudonym).unwrap();
        assert_eq!(format!("{link:?}"), "AccountLink(redacted)");
    }

    #[test]
    fn sides_cannot_be_swapped_or_mixed() {
        let account: UserUri = "mimi://a.example/u/alice".parse().unwrap();
        let pseudonym = UserUri::pseudonym(account.domain(), [1; 16]);
        let foreign = UserUri::pseudonym(&"b.example".parse().unwrap(), [1; 16]);
        assert!(AccountLink::new(pseudonym.clone(), account.clone()).is_none());
        assert!(AccountLink::new(account, foreign).is_none());
    }
}
