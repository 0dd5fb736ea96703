use std::{collections::BTreeSet, time::Duration};

use mimi_credential::TrustStore;
use mimi_pseudonym::{ClaimName, Domain, PublicKey, Timestamp};

use crate::{ClaimFault, sd_jwt};

/// By how much the clocks of issuer, holder and verifier may differ: 5 minutes.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(300);

/// How old a key binding may be when it is verified: 30 days.
///
/// The nonce already ties a presentation to one epoch and one leaf, so a short window would keep nobody out; it would
/// only refuse the messages that waited for a device that was off. This is a bound for those.
pub const KEY_BINDING_MAX_AGE: Duration = Duration::from_secs(30 * 86_400);

/// What a holder knows of a token it is given, before it looks at the token.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// The domain of the holder's provider, which issues the token.
    pub domain: &'a Domain,
    /// The key of the leaf it is for.
    pub key: &'a PublicKey,
    /// Who may speak for the domain.
    pub trust: &'a TrustStore,
    /// The present.
    pub now: Timestamp,
}

/// Why a holder does not take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// The octets are no SD-JWT.
    #[error("the octets are no SD-JWT: {0}")]
    SdJwtForm(#[from] sd_jwt::ParseError),
    /// The SD-JWT does not verify, or is not for the holder.
    #[error("the SD-JWT is not accepted: {0}")]
    SdJwt(#[from] sd_jwt::HoldError),
    /// The octets are no SD-CWT.
    #[error("the octets are no SD-CWT: {0}")]
    SdCwtForm(#[from] coset_sd_cwt::ParseError),
    /// The SD-CWT does not verify, or is not for the holder.
    #[error("the SD-CWT is not accepted: {0}")]
    SdCwt(#[from] coset_sd_cwt::AcceptError),
    /// The SD-CWT names no issuer, or no time at which it expires.
    #[error("the token names no issuer, or not when it expires")]
    Incomplete,
    /// What everyone sees who sees the token is not what a receiver accepts.
    #[error("what the token shows to everyone would be refused: {0}")]
    Claims(#[from] ClaimFault),
    /// The holder's key is of a scheme that tokens cannot name.
    #[error("the key is of no scheme for tokens")]
    KeyScheme,
}

/// What a verified token can show.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) domain: Domain,
    /// Claims that everyone sees who sees the token.
    pub(crate) plain: BTreeSet<ClaimName>,
    /// Claims that are disclosed or not.
    pub(crate) hidden: BTreeSet<ClaimName>,
}

impl Shown {
    pub(crate) fn names(&self) -> BTreeSet<ClaimName> {
        self.plain.union(&self.hidden).copied().collect()
    }

    /// Whether a selection can be shown: nothing that is not there, and all that cannot be hidden.
    pub(crate) fn allows(&self, selected: &BTreeSet<ClaimName>) -> bool {
        self.plain.is_subset(selected) && selected.is_subset(&self.names())
    }
}
