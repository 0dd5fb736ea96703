use mimi_pseudonym::{KeyError, PublicKey, SignatureScheme};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};

/// A signature algorithm of JOSE: only ones with a public key (RFC 7518, RFC 8037, RFC 9864).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum JwsAlgorithm {
    /// Ed25519, in a header `EdDSA` or `Ed25519`.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signatures of 64 octets.
    Es256,
    /// ECDSA on P-384 with SHA-384, signatures of 96 octets.
    Es384,
}

impl JwsAlgorithm {
    /// The algorithm of a signature scheme of MLS.
    pub(super) fn of(scheme: SignatureScheme) -> Option<Self> {
        match scheme {
            SignatureScheme::Ed25519 => Some(Self::Ed25519),
            SignatureScheme::EcdsaP256Sha256 => Some(Self::Es256),
            _ => None,
        }
    }

    /// The name to write into a header: the one that most implementations know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Whether a header's `alg` is a name of this algorithm.
    pub(super) fn is_named(self, name: &str) -> bool {
        name == self.name() || (self == Self::Ed25519 && name == "Ed25519")
    }

    /// Whether a signature verifies, in the form that JWS gives it.
    pub(super) fn verifies(self, key: &[u8], payload: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::Ed25519 => &ED25519,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
        };
        UnparsedPublicKey::new(algorithm, key).verify(payload, signature).is_ok()
    }
}

/// A public key of an issuer with the one algorithm it is for: the verifier says which, never the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuerKey {
    algorithm: JwsAlgorithm,
    octets: Vec<u8>,
    id: String,
}

impl IssuerKey {
    /// A key for Ed25519 or ES256.
    ///
    /// # Errors
    /// [`KeyError::Point`] if the scheme is another one.
    pub fn new(key: &PublicKey) -> Result<Self, KeyError> {
        let algorithm = JwsAlgorithm::of(key.scheme()).ok_or(KeyError::Point)?;
        Ok(Self { algorithm, octets: key.as_bytes().to_vec(), id: String::new() })
    }

    /// A key for ES384: an uncompressed point of 97 octets. Octets that are no point of the curve never verify
    /// anything.
    ///
    /// # Errors
    /// [`KeyError::Point`] if the octets are not of that form.
    pub fn p384(point: &[u8]) -> Result<Self, KeyError> {
        if point.len() != 97 || point.first() != Some(&4) {
            return Err(KeyError::Point);
        }
        Ok(Self { algorithm: JwsAlgorithm::Es384, octets: point.to_vec(), id: String::new() })
    }

    /// Gives the key an identifier. A token whose header has another `kid` is then not tried with it; one without
    /// `kid` is.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// Whether a header with these parameters may mean this key.
    pub(super) fn fits(&self, algorithm: &str, id: Option<&str>) -> bool {
        self.algorithm.is_named(algorithm) && (self.id.is_empty() || id.is_none_or(|id| id == self.id))
    }

    pub(super) fn verifies(&self, payload: &[u8], signature: &[u8]) -> bool {
        self.algorithm.verifies(&self.octets, payload, signature)
    }
}

/// An issuer and its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedIssuer {
    pub(super) name: Option<String>,
    pub(super) keys: Vec<IssuerKey>,
}

impl TrustedIssuer {
    /// An issuer whose tokens have exactly this `iss`.
    pub fn new(iss: &str, keys: Vec<IssuerKey>) -> Self {
        Self { name: Some(iss.to_owned()), keys }
    }

    /// An issuer whose tokens may have any `iss`, or none: for keys that belong to one issuer only, known otherwise.
    pub fn dangerous_any_name(keys: Vec<IssuerKey>) -> Self {
        Self { name: None, keys }
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{SeededEntropy, SigningKey};

    use super::*;

    #[test]
    fn a_key_is_for_one_algorithm_only() {
        let key = SigningKey::generate(SignatureScheme::Ed25519, &mut SeededEntropy::new([1; 32])).unwrap();
        let key = IssuerKey::new(mimi_pseudonym::Signer::public_key(&key)).unwrap();
        for name in ["EdDSA", "Ed25519"] {
            assert!(key.fits(name, None));
        }
        for name in ["none", "HS256", "ES256", "eddsa", "Ed448", ""] {
            assert!(!key.fits(name, None), "{name}");
        }
        let key = key.with_id("a");
        assert!(key.fits("EdDSA", Some("a")) && key.fits("EdDSA", None) && !key.fits("EdDSA", Some("b")));
    }

    #[test]
    fn a_key_for_es384_has_97_octets() {
        assert_eq!(IssuerKey::p384(&[4; 97]).unwrap().algorithm(), JwsAlgorithm::Es384);
        assert_eq!(IssuerKey::p384(&[4; 65]), Err(KeyError::Point));
        assert_eq!(IssuerKey::p384(&[2; 97]), Err(KeyError::Point));
    }
}
