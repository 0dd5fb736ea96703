//! MLS objects as they stand inside MIMI messages: octets whose structure has been read once, from front to back,
//! because MIMI embeds them without a length of their own. Nothing here has been verified; that is the work of an
//! MLS library.

mod capabilities;
mod credential;
mod dictionary;
mod extensions;
mod group_info;
mod key_package;
mod kind;
mod message;
mod reference;
mod safe_aad;
mod scan;
mod tree;
mod welcome;

pub use capabilities::{Capabilities, RequiredCapabilities};
pub use credential::Credential;
pub use dictionary::AppDataDictionary;
pub use extensions::Extensions;
pub use group_info::GroupInfo;
pub use key_package::KeyPackage;
pub use kind::{ApplicationMessage, CommitMessage, ProposalMessage, WrongKind};
pub use message::{ContentType, MlsMessage, Proposed, SenderType, WireFormat};
pub use reference::{KeyPackageRef, ProposalRef};
pub use safe_aad::{SAFE_AAD_COMPONENT, SafeAad};
pub use tree::RatchetTree;
pub use welcome::Welcome;

/// An object kept as the octets it came in, and the facts its scan found.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $facts:ty, $max:expr, $scan:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            octets: Vec<u8>,
            #[allow(dead_code, reason = "some objects have no facts")]
            facts: $facts,
        }

        impl $name {
            /// The encoding.
            pub fn as_bytes(&self) -> &[u8] {
                &self.octets
            }

            /// The encoding, taken out.
            pub fn into_bytes(self) -> Vec<u8> {
                self.octets
            }
        }

        impl mimi_pseudonym::Wire for $name {
            const MAX_LEN: usize = $max;

            fn read(reader: &mut mimi_pseudonym::Reader<'_>) -> Result<Self, mimi_pseudonym::DecodeError> {
                let before = reader.rest();
                let facts = $scan(reader)?;
                let found = before.len() - reader.rest().len();
                if found > Self::MAX_LEN {
                    return Err(mimi_pseudonym::DecodeError::TooLong { found, limit: Self::MAX_LEN });
                }
                let octets = mimi_pseudonym::Reader::new(before).take(found)?.to_vec();
                Ok(Self { octets, facts })
            }

            fn write(&self, writer: &mut mimi_pseudonym::Writer) {
                writer.raw(&self.octets);
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({} octets)"), self.octets.len())
            }
        }
    };
}
use opaque;
