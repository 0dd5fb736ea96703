use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey};
use thiserror::Error;

use crate::{PublicKey, SignatureAlgorithm};

/// A signature does not fit its key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not fit the key and the message")]
pub struct SignatureMismatch;

/// The signer could not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signer could not sign")]
pub struct SigningFailed;

/// What checks signatures. [`Backend`] is the one used unless another is given.
pub trait SignatureVerifier {
    /// Checks one signature, in the form that COSE gives it: r and s one after the other in fixed length, or the 64
    /// bytes of Ed25519.
    ///
    /// # Errors
    /// [`SignatureMismatch`].
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch>;
}

/// What signs: an issuer's or a holder's key, wherever it is kept.
pub trait Signer {
    /// The public half of the key, and with it the algorithm.
    fn public_key(&self) -> PublicKey;

    /// Signs, in the form that COSE wants (see [`SignatureVerifier::verify`]).
    ///
    /// # Errors
    /// [`SigningFailed`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// `ring` for Ed25519, P-256 and P-384; the `p521` crate for P-521.
///
/// Ed25519 signatures whose s is not below the group order are refused. ECDSA signatures come in pairs (s and n - s)
/// and COSE allows both, so the bytes of a token are no name for it: recognise repetition by the nonce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backend;

impl SignatureVerifier for Backend {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        let bytes = key.as_bytes();
        let checked = match key.algorithm() {
            SignatureAlgorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature).is_ok(),
            SignatureAlgorithm::Esp256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).verify(message, signature).is_ok()
            }
            SignatureAlgorithm::Esp384 => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes).verify(message, signature).is_ok()
            }
            SignatureAlgorithm::Esp512 => verify_p521(bytes, message, signature),
        };
        if checked { Ok(()) } else { Err(SignatureMismatch) }
    }
}

fn verify_p521(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    use p521::ecdsa::signature::Verifier;
    let Ok(key) = p521::ecdsa::VerifyingKey::from_sec1_bytes(key) else { return false };
    p521::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
