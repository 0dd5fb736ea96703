#![doc = include_str!("../README.md")]

mod bundle;
mod disclosure;
mod policy;
mod present;
mod selection;
mod verify;

pub use bundle::{Bundle, BundleError};
pub use disclosure::Disclosure;
pub use policy::{DisclosurePolicy, PolicyBreach, PolicyError};
pub use present::{IdentityCredential, PresentError};
pub use selection::{Selection, SelectionError};
pub use verify::{PresentationError, UnverifiedPresentation, VerifyError};

/// The media type of an MLS Credential (draft-mahy-mimi-pseudonyms-00, section 4.1).
pub const MLS_CREDENTIAL: &str = "application/mls-credential";

/// Whether a media type is this one: letter case does not matter, and parameters may follow (RFC 9110, section 8.3.1).
fn is_media_type(found: &str, expected: &str) -> bool {
    let essence = found.split_once(';').map_or(found, |(essence, _)| essence);
    essence.trim_matches([' ', '\t']).eq_ignore_ascii_case(expected)
}
