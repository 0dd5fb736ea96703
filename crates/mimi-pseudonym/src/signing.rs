use std::fmt;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use crate::{Entropy, PublicKey, SignatureScheme};

/// A private key that signs, wherever it is kept.
pub trait Signer: Send + Sync {
    /// The public key that belongs to it.
    fn public_key(&self) -> &PublicKey;

    /// Signs a payload: 64 octets for Ed25519, DER for ECDSA.
    ///
    /// # Errors
    /// [`SignError`] if the key cannot be used.
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A private key cannot be read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the private key cannot be used")]
pub struct SignError;

/// A private signature key in memory; overwritten when it is dropped, hidden in `Debug`.
#[derive(Clone)]
pub struct SigningKey {
    secret: Zeroizing<[u8; 32]>,
    /// For Ed25519: to work out the public half for each signature would take as long as the signature itself.
    ed25519: Option<ed25519_dalek::SigningKey>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SignError`] if the generator gives no usable scalar, which does not happen with a working one.
    pub fn generate(scheme: SignatureScheme, entropy: &mut dyn Entropy) -> Result<Self, SignError> {
        #[cfg(feature = "count")]
        crate::count::count(
            match scheme {
                SignatureScheme::Ed25519 => crate::count::Operation::KeyEd25519,
                SignatureScheme::EcdsaP256Sha256 => crate::count::Operation::KeyP256,
            },
            0,
        );
        // P-256 rejects about one value in 2^32: draw again, a few times.
        (0..4).find_map(|_| Self::from_secret(scheme, &entropy.bits256()).ok()).ok_or(SignError)
    }

    /// Reads a key from its 32 secret octets: the Ed25519 seed, or the big-endian P-256 scalar.
    ///
    /// # Errors
    /// [`SignError`] if the octets are no scalar of the curve.
    pub fn from_secret(scheme: SignatureScheme, secret: &[u8; 32]) -> Result<Self, SignError> {
        let ed25519 = (scheme == SignatureScheme::Ed25519).then(|| ed25519_dalek::SigningKey::from_bytes(secret));
        let public = match &ed25519 {
            Some(key) => key.verifying_key().to_bytes().to_vec(),
            None => p256::ecdsa::SigningKey::from_slice(secret)
                .map_err(|_| SignError)?
                .verifying_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
        };
        let public = PublicKey::new(scheme, &public).map_err(|_| SignError)?;
        Ok(Self { secret: Zeroizing::new(*secret), ed25519, public })
    }

    /// The 32 secret octets, for keeping under encryption.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError> {
        #[cfg(feature = "count")]
        crate::count::count(
            match self.public.scheme() {
                SignatureScheme::Ed25519 => crate::count::Operation::SignEd25519,
                SignatureScheme::EcdsaP256Sha256 => crate::count::Operation::SignP256,
            },
            payload.len(),
        );
        if let Some(key) = &self.ed25519 {
            return Ok(key.sign(payload).to_bytes().to_vec());
        }
        let key = p256::ecdsa::SigningKey::from_slice(&*self.secret).map_err(|_| SignError)?;
        let signature: p256::ecdsa::DerSignature = key.sign(payload);
        Ok(signature.as_bytes().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CipherSuite, SeededEntropy, VerifyError};

    #[test]
    fn what_a_key_signs_verifies_and_nothing_else() {
        for suite in CipherSuite::ALL {
            let key = SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([3; 32])).unwrap();
            let signature = key.sign(b"payload").unwrap();
            assert_eq!(key.public_key().verify(b"payload", &signature), Ok(()));
            assert_eq!(key.public_key().verify(b"Payload", &signature), Err(VerifyError));
            assert_eq!(key.public_key().verify(b"payload", &signature[1..]), Err(VerifyError));
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = SigningKey::from_secret(SignatureScheme::Ed25519, &[0xab; 32]).unwrap();
        assert!(!format!("{key:?}").contains("abababab"));
    }

    #[test]
    fn a_secret_out_of_range_is_refused() {
        assert_eq!(SigningKey::from_secret(SignatureScheme::EcdsaP256Sha256, &[0; 32]).unwrap_err(), SignError);
        assert_eq!(SigningKey::from_secret(SignatureScheme::EcdsaP256Sha256, &[0xff; 32]).unwrap_err(), SignError);
    }
}
