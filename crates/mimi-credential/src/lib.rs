#![doc = include_str!("../README.md")]

mod certificate;
mod chain;
mod directory;
mod error;
mod identity;
#[cfg(feature = "issuer")]
mod issuer;
mod leaf;
mod names;
mod path;
mod room;
mod rules;
mod trust;

pub use chain::{CertificateChain, ChainError};
pub use error::CredentialError;
pub use identity::{IdentityClaims, UnverifiedIdentity};
#[cfg(feature = "issuer")]
pub use issuer::{IssueError, Issuer, Validity};
pub use leaf::{LeafIdentity, UnverifiedLeaf};
pub use rules::{ClaimError, check_claims};
pub use trust::{AnchorError, IssuerId, TrustStore};
