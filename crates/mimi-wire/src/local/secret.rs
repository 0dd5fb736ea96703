use std::fmt;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From 32 random octets.
            pub const fn from_bytes(octets: [u8; 32]) -> Self {
                Self(octets)
            }

            /// The octets.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl Wire for $name {
            const MAX_LEN: usize = 33;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let octets = reader.vector()?.try_into();
                octets.map(Self).map_err(|_| DecodeError::Rule { field: $field, rule: "not 32 octets" })
            }

            fn write(&self, writer: &mut Writer) {
                writer.vector(&self.0);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret!(
    /// What a device shows to its provider with every request. Hidden in `Debug`.
    DeviceToken,
    "device_token"
);
secret!(
    /// What lets another device join the account, once. Hidden in `Debug`.
    EnrolmentCode,
    "enrolment_code"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_octet() {
        assert_eq!(format!("{:?}", DeviceToken::from_bytes([7; 32])), "DeviceToken(redacted)");
        assert_eq!(format!("{:?}", EnrolmentCode::from_bytes([7; 32])), "EnrolmentCode(redacted)");
    }

    #[test]
    fn a_secret_has_32_octets() {
        let short = vec![1_u8; 31].encode();
        assert_eq!(
            DeviceToken::decode(&short),
            Err(DecodeError::Rule { field: "device_token", rule: "not 32 octets" })
        );
    }
}
