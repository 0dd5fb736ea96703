#![doc = include_str!("../README.md")]

mod aead;
mod algorithm;
mod cbor;
mod claims;
mod confirmation;
mod credential;
mod diagnostic;
mod entropy;
mod expand;
mod hashing;
mod header;
mod issue;
mod key;

mod limits;
mod map_key;
mod present;
mod presentation;
mod redact;
mod registered;
mod sign1;
mod signature;
mod signer;
mod write;

pub use aead::{AeadAlgorithm, AeadKey, AeadKeyLength, AeadKeys, NoAeadKeys};
pub use algorithm::{HashAlgorithm, SignatureAlgorithm};
pub use cbor::CborError;
pub use claims::{Claim, Claims, Label};
pub use confirmation::ConfirmationError;
pub use credential::{
    AcceptError, AcceptParams, Credential, Disclosure, DisclosureKind, PathStep, UnverifiedCredential,
};
pub use entropy::Entropy;
pub use expand::DisclosureError;
pub use header::HeaderError;
pub use issue::{IssueError, IssueParams, issue};
pub use key::{KeyError, PublicKey};
pub use limits::Limits;
pub use present::{PresentError, PresentParams, Selection};
pub use presentation::{ParseError, TrustedIssuer, UnverifiedPresentation, Verified, VerifyError, VerifyParams};
pub use redact::RedactError;
pub use registered::{RegisteredClaimError, TimeError};
pub use signature::{Backend, SignatureMismatch, SignatureVerifier, Signer, SigningFailed};
pub use signer::SoftwareSigner;
