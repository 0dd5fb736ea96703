//! Each cryptographic operation alone, with the code that does it in a room, so that a benchmark can time it.

use mimi_pseudonym::{
    CipherSuite, Entropy, SeededEntropy, SignatureScheme, Signer, SigningKey,
    count::Operation::{self, *},
};
use openmls::prelude::{AeadType, HashType, OpenMlsCrypto};

use crate::{backend::ciphersuite, crypto::Crypto};

/// An operation, ready to be done again and again over the same octets. Only with the feature `count`.
pub struct Rehearsal(Box<dyn FnMut() -> bool + Send>);

/// Why an operation cannot be done alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// It is none of this crate's or below it: it belongs to TLS, or to whoever issues certificates.
    #[error("the operation is done elsewhere")]
    Elsewhere,
    /// It fails.
    #[error("the operation fails")]
    Failed,
}

impl Rehearsal {
    /// Makes ready for an operation over so many octets.
    ///
    /// # Errors
    /// [`RehearsalError`]
    pub fn new(operation: Operation, octets: usize) -> Result<Self, RehearsalError> {
        let octets = vec![7; octets];
        let prepared = match operation {
            KeyEd25519 => make_key(SignatureScheme::Ed25519),
            KeyP256 => make_key(SignatureScheme::EcdsaP256Sha256),
            SignEd25519 => sign(SignatureScheme::Ed25519, octets),
            SignP256 => sign(SignatureScheme::EcdsaP256Sha256, octets),
            VerifyEd25519 => verify(SignatureScheme::Ed25519, octets),
            VerifyP256 => verify(SignatureScheme::EcdsaP256Sha256, octets),
            HpkeKeyX25519 | HpkeSealX25519 | HpkeOpenX25519 => {
                hpke(operation, CipherSuite::X25519Aes128Ed25519, octets)
            }
            HpkeKeyP256 | HpkeSealP256 | HpkeOpenP256 => hpke(operation, CipherSuite::P256Aes128P256, octets),
            Aead | Hash | Mac | Expand => Some(symmetric(operation, octets)),
            _ => return Err(RehearsalError::Elsewhere),
        };
        let mut rehearsal = Self(prepared.ok_or(RehearsalError::Failed)?);
        rehearsal.perform().map(|()| rehearsal)
    }

    /// Does it once.
    ///
    /// # Errors
    /// [`RehearsalError::Failed`]
    pub fn perform(&mut self) -> Result<(), RehearsalError> {
        if (self.0)() { Ok(()) } else { Err(RehearsalError::Failed) }
    }
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rehearsal")
    }
}

type Work = Box<dyn FnMut() -> bool + Send>;

fn entropy() -> SeededEntropy {
    SeededEntropy::new([7; 32])
}

fn make_key(scheme: SignatureScheme) -> Option<Work> {
    let mut entropy = entropy();
    Some(Box::new(move || SigningKey::generate(scheme, &mut entropy).is_ok()))
}

fn sign(scheme: SignatureScheme, octets: Vec<u8>) -> Option<Work> {
    let key = SigningKey::generate(scheme, &mut entropy()).ok()?;
    Some(Box::new(move || key.sign(&octets).is_ok()))
}

fn verify(scheme: SignatureScheme, octets: Vec<u8>) -> Option<Work> {
    let key = SigningKey::generate(scheme, &mut entropy()).ok()?;
    let signature = key.sign(&octets).ok()?;
    Some(Box::new(move || key.public_key().verify(&octets, &signature).is_ok()))
}

fn hpke(operation: Operation, suite: CipherSuite, octets: Vec<u8>) -> Option<Work> {
    let crypto = Crypto::default();
    let config = move || ciphersuite(suite).hpke_config();
    let secret = entropy().bits256();
    let key = crypto.derive_hpke_keypair(config(), &secret).ok()?;
    Some(match operation {
        HpkeKeyX25519 | HpkeKeyP256 => Box::new(move || crypto.derive_hpke_keypair(config(), &secret).is_ok()),
        HpkeSealX25519 | HpkeSealP256 => {
            Box::new(move || crypto.hpke_seal(config(), &key.public, b"info", b"", &octets).is_ok())
        }
        _ => {
            // What is counted is the length of what is opened, with its tag.
            let octets = octets.get(16..).unwrap_or_default();
            let sealed = crypto.hpke_seal(config(), &key.public, b"info", b"", octets).ok()?;
            Box::new(move || crypto.hpke_open(config(), &sealed, &key.private, b"info", b"").is_ok())
        }
    })
}

fn symmetric(operation: Operation, octets: Vec<u8>) -> Work {
    let crypto = Crypto::default();
    let key = entropy().bits256();
    match operation {
        Aead => Box::new(move || {
            let (key, nonce) = (key.get(..16).unwrap_or_default(), [7; 12]);
            crypto.aead_encrypt(AeadType::Aes128Gcm, key, &octets, &nonce, b"").is_ok()
        }),
        Hash => Box::new(move || crypto.hash(HashType::Sha2_256, &octets).is_ok()),
        Mac => Box::new(move || crypto.hmac(HashType::Sha2_256, &key, &octets).is_ok()),
        _ => Box::new(move || crypto.hkdf_expand(HashType::Sha2_256, &key, b"a label", octets.len()).is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_done_alone_or_is_done_elsewhere() {
        for operation in Operation::ALL {
            let made = Rehearsal::new(operation, 48).map(|mut rehearsal| rehearsal.perform());
            match operation {
                SignP256Ring | AgreeX25519 => assert_eq!(made.unwrap_err(), RehearsalError::Elsewhere),
                _ => assert_eq!(made.unwrap(), Ok(()), "{operation:?}"),
            }
        }
        // No more than 255 blocks of a hash come out of one expansion.
        assert_eq!(Rehearsal::new(Expand, 255 * 32 + 1).unwrap_err(), RehearsalError::Failed);
    }

    #[test]
    fn what_is_done_alone_is_counted_as_what_it_is() {
        for operation in Operation::ALL {
            let Ok(mut rehearsal) = Rehearsal::new(operation, 48) else { continue };
            let times = || {
                let totals = mimi_pseudonym::count::totals();
                totals.into_iter().find(|(one, _)| *one == operation).unwrap().1.times
            };
            let before = times();
            rehearsal.perform().unwrap();
            assert!(times() > before, "{operation:?}");
        }
    }
}
