//! SD-JWT and its key binding (RFC 9901): strict verification, holding and, with feature `issuer`, issuing.
//!
//! A token comes in as an [`UnverifiedSdJwt`], bounded by [`Limits`], and [`UnverifiedSdJwt::verify`] makes a
//! [`VerifiedSdJwt`] of it. Which issuers, keys and algorithms are accepted, for which audience, nonce and time, is all
//! said by the verifier in [`Expectations`], and nothing of it by the token. A holder keeps a [`HeldSdJwt`] and presents
//! some of its claims.
//!
//! Two presentations of one token show the same issuer's signature, so whoever sees both can link them. A token is for
//! one pseudonym and one room; issuers give them in batches.

mod base64url;
mod confirmation;
mod digests;
mod error;
mod hash;
mod hold;
mod json;
mod jwt;
mod key;
mod key_binding;
mod payload;
mod places;
mod process;
mod serialization;
mod sign;
mod token;
mod verify;

#[cfg(feature = "issuer")]
mod claims;
#[cfg(feature = "issuer")]
mod issue;

#[cfg(feature = "issuer")]
pub use claims::{Array, Object, Value};
pub use confirmation::Holder;
pub use error::{ClaimError, DisclosureError, JsonError, JwtError, KeyBindingError, ParseError, SdJwtError};
pub use hash::HashAlgorithm;
pub use hold::{HeldSdJwt, HoldError, PresentError};
#[cfg(feature = "issuer")]
pub use issue::{IssueError, Issuer};
pub use key::{IssuerKey, JwsAlgorithm, TrustedIssuer};
pub use payload::ProcessedPayload;
pub use token::{Limits, UnverifiedSdJwt};
pub use verify::{Expectations, TokenExpectations, TokenType, VerifiedSdJwt};
