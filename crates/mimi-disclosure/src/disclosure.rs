use std::fmt;

use mimi_pseudonym::{Claims, Domain, UserUri};

/// A verified disclosure: who is behind a sender. Comes only from
/// [`UnverifiedPresentation::verify`](crate::UnverifiedPresentation::verify).
///
/// It holds an account and its pseudonym together, so it cannot be serialised or printed: `Debug` shows the names of the
/// claims and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    pub(crate) claims: Claims,
    pub(crate) user: Option<UserUri>,
    pub(crate) sender: UserUri,
    pub(crate) issuer_domain: Domain,
}

impl Disclosure {
    /// The disclosed claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The account, if it is among what was disclosed; with X.509 it always is.
    pub fn user(&self) -> Option<&UserUri> {
        self.user.as_ref()
    }

    /// The sender as the room knows it: the pseudonym.
    pub fn sender(&self) -> &UserUri {
        &self.sender
    }

    /// The domain that the issuer is trusted for, and that account and pseudonym are of.
    pub fn issuer_domain(&self) -> &Domain {
        &self.issuer_domain
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosure").field("claims", &self.claims).finish_non_exhaustive()
    }
}
