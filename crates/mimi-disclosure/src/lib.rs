#![doc = include_str!("../README.md")]

mod bundle;
mod cwt;
mod disclosure;
mod held;
#[cfg(feature = "issuer")]
mod issue;
mod jwt;
mod mapping;
mod obligation;
mod present;
pub mod sd_jwt;
mod selection;
mod verify;

pub use bundle::{Bundle, BundleError};
pub use disclosure::Disclosure;
pub use held::{CLOCK_LEEWAY, HoldError, Holding, KEY_BINDING_MAX_AGE};
#[cfg(feature = "issuer")]
pub use issue::{IssueError, issue_sd_cwt, issue_sd_jwt};
pub use mapping::ClaimFault;
pub use mimi_pseudonym::{DisclosurePolicy, PolicyBreach, PolicyError};
pub use obligation::Obligation;
pub use present::{IdentityCredential, PresentError};
pub use selection::{Selection, SelectionError};
pub use verify::{PresentationError, UnverifiedPresentation, VerifyError};

/// The media type of an MLS Credential (draft-mahy-mimi-pseudonyms-00, section 4.1).
pub const MLS_CREDENTIAL: &str = "application/mls-credential";

/// The media type of an SD-JWT with its key binding (RFC 9901, section 10.3).
pub const SD_JWT: &str = "application/sd-jwt";

/// The media type of an SD-CWT, presented inside its key binding token (draft-ietf-spice-sd-cwt).
pub const SD_CWT: &str = "application/sd-cwt";

/// Whether a media type is this one: letter case does not matter, and parameters may follow (RFC 9110, section 8.3.1).
fn is_media_type(found: &str, expected: &str) -> bool {
    let essence = found.split_once(';').map_or(found, |(essence, _)| essence);
    essence.trim_matches([' ', '\t']).eq_ignore_ascii_case(expected)
}
