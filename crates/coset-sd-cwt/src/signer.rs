use p256::elliptic_curve::rand_core::{self, CryptoRng, RngCore};
use rfc6979::HmacDrbg;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha512};

use crate::{KeyError, PublicKey, SignatureAlgorithm, Signer, SigningFailed};

/// A private key in memory. Signatures are deterministic (RFC 8032; for ECDSA in the manner of RFC 6979), so signing
/// draws no randomness.
pub struct SoftwareSigner(Secret);

enum Secret {
    Ed25519(Box<Ed25519KeyPair>, PublicKey),
    Esp256(p256::ecdsa::SigningKey, PublicKey),
    Esp384(p384::ecdsa::SigningKey, PublicKey),
    Esp512(p521::ecdsa::SigningKey, PublicKey),
}

impl std::fmt::Debug for SoftwareSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftwareSigner").field("algorithm", &self.public_key().algorithm()).finish_non_exhaustive()
    }
}

impl SoftwareSigner {
    /// From a private key: the 32-byte seed of Ed25519, or the big-endian scalar of a NIST curve (32, 48 or 66 bytes).
    ///
    /// # Errors
    /// [`KeyError::Point`] when the length is wrong or the scalar is zero or not below the group order.
    pub fn new(algorithm: SignatureAlgorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let point = |_| KeyError::Point;
        if secret.len() != crate::key::coordinate(algorithm) {
            return Err(KeyError::Point);
        }
        Ok(Self(match algorithm {
            SignatureAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(secret).map_err(|_| KeyError::Point)?;
                let public = PublicKey::from_bytes(algorithm, pair.public_key().as_ref())?;
                Secret::Ed25519(Box::new(pair), public)
            }
            SignatureAlgorithm::Esp256 => {
                let key = p256::ecdsa::SigningKey::from_slice(secret).map_err(point)?;
                let public = key.verifying_key().to_encoded_point(false);
                Secret::Esp256(key, PublicKey::from_bytes(algorithm, public.as_bytes())?)
            }
            SignatureAlgorithm::Esp384 => {
                let key = p384::ecdsa::SigningKey::from_slice(secret).map_err(point)?;
                let public = key.verifying_key().to_encoded_point(false);
                Secret::Esp384(key, PublicKey::from_bytes(algorithm, public.as_bytes())?)
            }
            SignatureAlgorithm::Esp512 => {
                let key = p521::ecdsa::SigningKey::from_slice(secret).map_err(point)?;
                let public = p521::ecdsa::VerifyingKey::from(&key).to_encoded_point(false);
                Secret::Esp512(key, PublicKey::from_bytes(algorithm, public.as_bytes())?)
            }
        }))
    }
}

impl Signer for SoftwareSigner {
    fn public_key(&self) -> PublicKey {
        match &self.0 {
            Secret::Ed25519(_, key) | Secret::Esp256(_, key) | Secret::Esp384(_, key) | Secret::Esp512(_, key) => {
                key.clone()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        use p256::ecdsa::signature::Signer as _;
        let failed = |_| SigningFailed;
        match &self.0 {
            Secret::Ed25519(pair, _) => Ok(pair.sign(message).as_ref().to_vec()),
            Secret::Esp256(key, _) => {
                key.try_sign(message).map(|made: p256::ecdsa::Signature| made.to_bytes().to_vec()).map_err(failed)
            }
            Secret::Esp384(key, _) => {
                key.try_sign(message).map(|made: p384::ecdsa::Signature| made.to_bytes().to_vec()).map_err(failed)
            }
            Secret::Esp512(key, _) => sign_p521(key, message),
        }
    }
}

/// The `p521` crate has no deterministic signing of its own, so the nonce comes from the generator that RFC 6979 names
/// (HMAC_DRBG, seeded with the key and the hash of the message).
fn sign_p521(key: &p521::ecdsa::SigningKey, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
    use p256::ecdsa::signature::hazmat::RandomizedPrehashSigner;
    let hash = Sha512::digest(message);
    let mut nonces = NonceSource(HmacDrbg::new(&key.to_bytes(), &hash, &[]));
    let made: p521::ecdsa::Signature = key.sign_prehash_with_rng(&mut nonces, &hash).map_err(|_| SigningFailed)?;
    Ok(made.to_bytes().to_vec())
}

struct NonceSource(HmacDrbg<Sha512>);

impl RngCore for NonceSource {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill_bytes(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill_bytes(buffer);
        Ok(())
    }
}

impl CryptoRng for NonceSource {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, SignatureMismatch, SignatureVerifier};

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        for (algorithm, length, signature_length) in [
            (SignatureAlgorithm::Ed25519, 32, 64),
            (SignatureAlgorithm::Esp256, 32, 64),
            (SignatureAlgorithm::Esp384, 48, 96),
            (SignatureAlgorithm::Esp512, 66, 132),
        ] {
            let mut secret = vec![0x17; length];
            secret[0] = 0;
            let signer = SoftwareSigner::new(algorithm, &secret).unwrap();
            let signature = signer.sign(b"message").unwrap();
            assert_eq!(signature.len(), signature_length);
            assert_eq!(signer.sign(b"message").unwrap(), signature);
            assert_ne!(signer.sign(b"massage").unwrap(), signature);
            assert_eq!(Backend.verify(&signer.public_key(), b"message", &signature), Ok(()));
            assert_eq!(Backend.verify(&signer.public_key(), b"massage", &signature), Err(SignatureMismatch));
            let zeros = vec![0; signature_length];
            assert_eq!(Backend.verify(&signer.public_key(), b"message", &zeros), Err(SignatureMismatch));
            for wrong in [&signature[1..], &[&signature[..], &[0]].concat(), &[]] {
                assert_eq!(Backend.verify(&signer.public_key(), b"message", wrong), Err(SignatureMismatch));
            }
            secret[0] = 1;
            let other = SoftwareSigner::new(algorithm, &secret).unwrap();
            assert_eq!(Backend.verify(&other.public_key(), b"message", &signature), Err(SignatureMismatch));
            assert!(SoftwareSigner::new(algorithm, &secret[1..]).is_err());
            assert!(!format!("{signer:?}").contains("23"), "no secret in {signer:?}");
        }
    }
}
