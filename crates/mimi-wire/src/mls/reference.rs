use std::fmt;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

macro_rules! reference {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// From the octets of the hash.
            pub fn new(hash: &[u8]) -> Self {
                Self(hash.to_vec())
            }

            /// The octets of the hash.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl Wire for $name {
            const MAX_LEN: usize = 258;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match reader.vector()? {
                    hash if (1..=255).contains(&hash.len()) => Ok(Self(hash.to_vec())),
                    _ => Err(DecodeError::Rule { field: $field, rule: "not 1 to 255 octets" }),
                }
            }

            fn write(&self, writer: &mut Writer) {
                writer.vector(&self.0);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), ":"))?;
                self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

reference!(
    /// `KeyPackageRef` (RFC 9420, section 5.2): names a key package by its hash.
    KeyPackageRef,
    "key_package_ref"
);
reference!(
    /// `ProposalRef` (RFC 9420, section 5.2): names a proposal by its hash.
    ProposalRef,
    "proposal_ref"
);
