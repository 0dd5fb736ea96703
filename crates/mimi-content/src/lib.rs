#![doc = include_str!("../README.md")]

mod cbor;
mod content;
mod derived;
mod disposition;
mod extension;
mod external;
mod id;
mod part;

pub use content::{Expiration, MimiContent, Salt};
pub use derived::DerivedValues;
pub use disposition::{Disposition, PartSemantics};
pub use extension::{ExtensionError, ExtensionKey, Extensions};
pub use external::ExternalError;
pub use id::MessageId;
pub use part::{Body, ExternalContent, Part, PartError, Parts};

/// Media type of a message in this format (draft-ietf-mimi-content, section 7).
pub const MEDIA_TYPE: &str = "application/mimi-content";
