use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, Serialize};

/// The MLS cipher suites this project speaks (RFC 9420, section 17.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CipherSuite {
    /// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`, 0x0001.
    X25519Aes128Ed25519,
    /// `MLS_128_DHKEMP256_AES128GCM_SHA256_P256`, 0x0002.
    P256Aes128P256,
}

impl CipherSuite {
    /// Every suite there is.
    pub const ALL: [Self; 2] = [Self::X25519Aes128Ed25519, Self::P256Aes128P256];

    /// The suite of a code point; `None` for one that is not spoken here.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::X25519Aes128Ed25519),
            2 => Some(Self::P256Aes128P256),
            _ => None,
        }
    }

    /// The code point.
    pub const fn code(self) -> u16 {
        match self {
            Self::X25519Aes128Ed25519 => 1,
            Self::P256Aes128P256 => 2,
        }
    }

    /// The signature scheme of the suite's leaf keys.
    pub const fn signature_scheme(self) -> SignatureScheme {
        match self {
            Self::X25519Aes128Ed25519 => SignatureScheme::Ed25519,
            Self::P256Aes128P256 => SignatureScheme::EcdsaP256Sha256,
        }
    }
}

/// A signature scheme (RFC 8446, section 4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// Ed25519: keys of 32 octets, signatures of 64.
    Ed25519,
    /// ECDSA on P-256 with SHA-256: uncompressed points of 65 octets, DER signatures of at most 72.
    EcdsaP256Sha256,
}

impl SignatureScheme {
    /// Octets of a public key.
    pub const fn public_key_length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::EcdsaP256Sha256 => 65,
        }
    }

    /// Checks a signature with a public key that is nothing but octets, without looking whether they are of
    /// small order: for keys that were once read as a [`PublicKey`].
    ///
    /// # Errors
    /// [`VerifyError`] if the signature does not verify or the octets are no key.
    pub fn verify(self, key: &[u8], payload: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        #[cfg(feature = "count")]
        crate::count::count(self.counted_as(), payload.len());
        UnparsedPublicKey::new(self.algorithm(), key).verify(payload, signature).map_err(|_| VerifyError)
    }

    #[cfg(feature = "count")]
    fn counted_as(self) -> crate::count::Operation {
        match self {
            Self::Ed25519 => crate::count::Operation::VerifyEd25519,
            Self::EcdsaP256Sha256 => crate::count::Operation::VerifyP256,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
        }
    }
}

/// A public signature key: the one in an MLS leaf node, and, octet for octet, the one in a certificate's
/// SubjectPublicKeyInfo.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublicKey {
    scheme: SignatureScheme,
    bytes: Vec<u8>,
}

/// Why octets are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The length does not fit the scheme.
    #[error("a {scheme:?} public key has {expected} octets, this one has {found}")]
    Length {
        /// The scheme it was read for.
        scheme: SignatureScheme,
        /// Octets such a key has.
        expected: usize,
        /// Octets that were given.
        found: usize,
    },
    /// The octets are no point of the curve, or one of small order.
    #[error("the octets are no usable point of the curve")]
    Point,
}

/// A signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct VerifyError;

impl PublicKey {
    /// Reads a public key: checks its length, and that it is a point of the curve and, for Ed25519, none of small order.
    ///
    /// # Errors
    /// [`KeyError`] says which of these does not hold.
    pub fn new(scheme: SignatureScheme, bytes: &[u8]) -> Result<Self, KeyError> {
        let expected = scheme.public_key_length();
        if bytes.len() != expected {
            return Err(KeyError::Length { scheme, expected, found: bytes.len() });
        }
        let usable = match scheme {
            SignatureScheme::Ed25519 => ed25519_dalek::VerifyingKey::try_from(bytes).is_ok_and(|key| !key.is_weak()),
            SignatureScheme::EcdsaP256Sha256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
        };
        if usable { Ok(Self { scheme, bytes: bytes.to_vec() }) } else { Err(KeyError::Point) }
    }

    /// Its scheme.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks a signature over a payload.
    ///
    /// # Errors
    /// [`VerifyError`] if it does not verify.
    pub fn verify(&self, payload: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        self.scheme.verify(&self.bytes, payload, signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.scheme)?;
        for byte in self.bytes.iter().take(8) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        let error = PublicKey::new(SignatureScheme::Ed25519, &[1; 65]).unwrap_err();
        assert_eq!(error, KeyError::Length { scheme: SignatureScheme::Ed25519, expected: 32, found: 65 });
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::new(SignatureScheme::Ed25519, &identity), Err(KeyError::Point));
        assert_eq!(PublicKey::new(SignatureScheme::EcdsaP256Sha256, &[4; 65]), Err(KeyError::Point));
    }

    #[test]
    fn suites_keep_their_code_points() {
        for suite in CipherSuite::ALL {
            assert_eq!(CipherSuite::from_code(suite.code()), Some(suite));
        }
        assert_eq!(CipherSuite::from_code(3), None);
    }
}
