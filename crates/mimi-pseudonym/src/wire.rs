use tls_codec::{DeserializeBytes, Serialize as _, TlsVarInt};

use crate::{CipherSuite, ClientUri, Domain, GroupUri, KeyError, PublicKey, RoomUri, Timestamp, UriError, UserUri};

/// A value with an encoding in TLS presentation language (RFC 8446, section 3), with the variable-length
/// vectors of MLS (RFC 9420, section 2.1.2). The one way octets from outside become values.
pub trait Wire: Sized {
    /// The most octets a whole encoding may have.
    const MAX_LEN: usize;

    /// Reads a value from the front of what is left.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong with the octets.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Appends the value's encoding.
    fn write(&self, writer: &mut Writer);

    /// Reads a value from exactly these octets.
    ///
    /// # Errors
    /// As [`Wire::read`]; also [`DecodeError::TooLong`] and [`DecodeError::Trailing`].
    fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        if octets.len() > Self::MAX_LEN {
            return Err(DecodeError::TooLong { found: octets.len(), limit: Self::MAX_LEN });
        }
        let mut reader = Reader::new(octets);
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// The value's encoding.
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.into_octets()
    }
}

/// Why octets are no value of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More octets than the type may have.
    #[error("{found} octets, at most {limit} are allowed")]
    TooLong {
        /// Octets that were given.
        found: usize,
        /// Octets that are allowed.
        limit: usize,
    },
    /// The octets end before the value does.
    #[error("the octets end before the value does")]
    Truncated,
    /// Octets are left after the value.
    #[error("{0} octets are left after the value")]
    Trailing(usize),
    /// A length is not in its shortest form, or larger than MLS allows.
    #[error("a vector's length is not in its shortest form")]
    Length,
    /// A number stands for nothing in this field.
    #[error("{value} stands for nothing in {field}")]
    Value {
        /// The field, by its name in the specification.
        field: &'static str,
        /// The number that was found.
        value: u64,
    },
    /// A field's content breaks a rule of the specification.
    #[error("{field}: {rule}")]
    Rule {
        /// The field, by its name in the specification.
        field: &'static str,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// A URI is not one of the kind the field wants.
    #[error("a URI is not of the right kind: {0}")]
    Uri(#[from] UriError),
    /// A public key is none.
    #[error("a public key is none: {0}")]
    Key(#[from] KeyError),
}

/// Reads octets from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these octets.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if octets are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }

    /// The next octets, so many of them.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next octets as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated)
    }

    /// `uint8`
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// `uint16`
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// `uint32`
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// `uint64`
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// `opaque x<V>`: the octets behind a length.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] or [`DecodeError::Length`]
    pub fn vector(&mut self) -> Result<&'a [u8], DecodeError> {
        let (length, rest) = TlsVarInt::tls_deserialize_bytes(self.rest).map_err(|error| match error {
            tls_codec::Error::EndOfStream => DecodeError::Truncated,
            _ => DecodeError::Length,
        })?;
        self.rest = rest;
        self.take(usize::try_from(length.value()).map_err(|_| DecodeError::Length)?)
    }

    /// `T x<V>`: values behind their length in octets.
    ///
    /// # Errors
    /// As the values' own.
    pub fn list<T: Wire>(&mut self) -> Result<Vec<T>, DecodeError> {
        let mut inner = Reader::new(self.vector()?);
        let mut values = Vec::new();
        while !inner.is_empty() {
            values.push(T::read(&mut inner)?);
        }
        Ok(values)
    }

    /// `optional<T>`: an octet, 0 or 1, then the value if it was 1 (RFC 9420, section 2.1.1).
    ///
    /// # Errors
    /// [`DecodeError::Value`] for another octet; else as the value's own.
    pub fn optional<T: Wire>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.flag("optional")? { T::read(self).map(Some) } else { Ok(None) }
    }

    /// An octet that is 0 or 1.
    ///
    /// # Errors
    /// [`DecodeError::Value`] for another octet.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Value { field, value: value.into() }),
        }
    }

    /// `opaque x<V>` that is UTF-8.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if it is not.
    pub fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.vector()?).map_err(|_| DecodeError::Rule { field, rule: "not UTF-8" })
    }
}

/// Collects an encoding.
#[derive(Debug, Default)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// What has been written.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Octets as they are.
    pub fn raw(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// `uint8`
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// `uint16`
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// `uint32`
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// `uint64`
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// `opaque x<V>`. Longer than MLS can express (2^30 - 1 octets) it would be written as empty; nothing in
    /// memory here is that long.
    pub fn vector(&mut self, octets: &[u8]) {
        let length = TlsVarInt::try_from(octets.len() as u64).and_then(|length| length.tls_serialize_detached());
        match length {
            Ok(length) => {
                self.raw(&length);
                self.raw(octets);
            }
            Err(_) => self.u8(0),
        }
    }

    /// `T x<V>`
    pub fn list<'a, T: Wire + 'a>(&mut self, values: impl IntoIterator<Item = &'a T>) {
        let mut inner = Self::default();
        for value in values {
            value.write(&mut inner);
        }
        self.vector(&inner.octets);
    }

    /// `optional<T>`
    pub fn optional<T: Wire>(&mut self, value: Option<&T>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            value.write(self);
        }
    }

    /// An octet that is 0 or 1.
    pub fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }
}

macro_rules! number {
    ($($type:ident),*) => {$(
        impl Wire for $type {
            const MAX_LEN: usize = size_of::<$type>();

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.$type()
            }

            fn write(&self, writer: &mut Writer) {
                writer.$type(*self);
            }
        }
    )*};
}
number!(u8, u16, u32, u64);

macro_rules! text {
    ($($type:ident: $error:expr),*) => {$(
        impl Wire for $type {
            const MAX_LEN: usize = 1024;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.text("uri")?.parse().map_err($error)
            }

            fn write(&self, writer: &mut Writer) {
                writer.vector(self.as_str().as_bytes());
            }
        }
    )*};
}
text!(
    UserUri: DecodeError::Uri,
    ClientUri: DecodeError::Uri,
    RoomUri: DecodeError::Uri,
    GroupUri: DecodeError::Uri,
    Domain: |error| DecodeError::Uri(UriError::Domain(error))
);

/// `opaque x<V>`
impl Wire for Vec<u8> {
    const MAX_LEN: usize = 1 << 24;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.vector().map(<[u8]>::to_vec)
    }

    fn write(&self, writer: &mut Writer) {
        writer.vector(self);
    }
}

/// UTF-8 in `opaque x<V>`
impl Wire for String {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text("string").map(str::to_owned)
    }

    fn write(&self, writer: &mut Writer) {
        writer.vector(self.as_bytes());
    }
}

/// `uint64`, milliseconds since the epoch.
impl Wire for Timestamp {
    const MAX_LEN: usize = 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64().map(Self::from_millis)
    }

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.as_millis());
    }
}

/// `CipherSuite` of RFC 9420; a suite that is not spoken here is an error.
impl Wire for CipherSuite {
    const MAX_LEN: usize = 2;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u16()?;
        Self::from_code(code).ok_or(DecodeError::Value { field: "cipher_suite", value: code.into() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u16(self.code());
    }
}

impl PublicKey {
    /// Reads `SignaturePublicKey` of RFC 9420, which says its scheme nowhere: the suite beside it does.
    ///
    /// # Errors
    /// [`DecodeError::Key`] if it is no key of the suite.
    pub fn read(reader: &mut Reader<'_>, suite: CipherSuite) -> Result<Self, DecodeError> {
        Ok(Self::new(suite.signature_scheme(), reader.vector()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(octets: Vec<u8>, number: u64) {
            prop_assert_eq!(Vec::<u8>::decode(&octets.encode()).unwrap(), octets);
            prop_assert_eq!(u64::decode(&number.encode()).unwrap(), number);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = UserUri::decode(&octets);
            let _ = Reader::new(&octets).list::<Vec<u8>>();
            let _ = Reader::new(&octets).optional::<u32>();
        }
    }

    #[test]
    fn too_long_too_short_and_left_over_are_errors() {
        assert_eq!(u16::decode(&[1]), Err(DecodeError::Truncated));
        assert_eq!(u16::decode(&[1, 2, 3]), Err(DecodeError::TooLong { found: 3, limit: 2 }));
        assert_eq!(Vec::<u8>::decode(&[1, 7, 7]), Err(DecodeError::Trailing(1)));
        assert_eq!(Vec::<u8>::decode(&[2, 7]), Err(DecodeError::Truncated));
        assert_eq!(Vec::<u8>::decode(&[0x40, 1, 7]), Err(DecodeError::Length), "not the shortest form");
        assert_eq!(Reader::new(&[2, 0]).optional::<u8>(), Err(DecodeError::Value { field: "optional", value: 2 }));
    }

    #[test]
    fn a_long_vector_has_the_length_of_rfc_9420() {
        let long = vec![7; 15_293];
        assert_eq!(long.encode().get(..2), Some([0x7b, 0xbd].as_slice()));
        assert_eq!(Vec::<u8>::decode(&long.encode()), Ok(long));
    }
}
