#![doc = include_str!("../README.md")]

mod anchors;
mod claim;
mod content;
mod context;
#[cfg(feature = "count")]
pub mod count;
mod domain;
mod entropy;
mod format;
mod identity;
mod key;
mod link;
mod policy;
mod signing;
mod time;
mod uri;
mod wire;

pub use anchors::{AnchorsError, TrustAnchor, TrustAnchors};
pub use claim::{ClaimName, Claims};
pub use content::Content;
pub use context::{MessageContext, Nonce};
pub use domain::{Domain, DomainError};
pub use entropy::{Entropy, SeededEntropy};
pub use format::{DisclosureFormat, FormatError};
pub use identity::{IdentityPolicy, PseudonymUse};
pub use key::{CipherSuite, KeyError, PublicKey, SignatureScheme, VerifyError};
pub use link::AccountLink;
pub use policy::{DisclosurePolicy, PolicyBreach, PolicyError};
pub use signing::{SignError, Signer, SigningKey};
pub use time::{Clock, ManualClock, Timestamp};
pub use uri::{AnyUri, ClientUri, GroupUri, ProviderUri, RoomUri, UriError, UserUri};
pub use wire::{DecodeError, Reader, Wire, Writer};
