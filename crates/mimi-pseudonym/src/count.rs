//! Counts cryptographic operations of this process, to hold what a program costs against what its cryptography costs.
//! Only with the feature `count`, which changes nothing else. Not for operation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A kind of cryptographic operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Makes a signature key.
    KeyEd25519,
    /// Makes a signature key.
    KeyP256,
    /// Signs.
    SignEd25519,
    /// Signs with a key in memory.
    SignP256,
    /// Signs with a key of the library `ring`: a provider's certificates, and TLS.
    SignP256Ring,
    /// Verifies a signature.
    VerifyEd25519,
    /// Verifies a signature.
    VerifyP256,
    /// TLS: makes a key pair and computes the shared secret.
    AgreeX25519,
    /// HPKE: makes a key pair from a secret.
    HpkeKeyX25519,
    /// HPKE: makes a key pair from a secret.
    HpkeKeyP256,
    /// HPKE: seals.
    HpkeSealX25519,
    /// HPKE: seals.
    HpkeSealP256,
    /// HPKE: opens.
    HpkeOpenX25519,
    /// HPKE: opens.
    HpkeOpenP256,
    /// AES-128-GCM, either way, of MLS.
    Aead,
    /// SHA-256, of MLS.
    Hash,
    /// HMAC-SHA-256 or HKDF-Extract, of MLS.
    Mac,
    /// HKDF-Expand, of MLS.
    Expand,
}

impl Operation {
    /// Every kind there is.
    pub const ALL: [Self; 18] = [
        Self::KeyEd25519,
        Self::KeyP256,
        Self::SignEd25519,
        Self::SignP256,
        Self::SignP256Ring,
        Self::VerifyEd25519,
        Self::VerifyP256,
        Self::AgreeX25519,
        Self::HpkeKeyX25519,
        Self::HpkeKeyP256,
        Self::HpkeSealX25519,
        Self::HpkeSealP256,
        Self::HpkeOpenX25519,
        Self::HpkeOpenP256,
        Self::Aead,
        Self::Hash,
        Self::Mac,
        Self::Expand,
    ];
}

/// How often a kind of operation was done, and over how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// Octets that were signed, sealed, hashed and so on, all together.
    pub octets: u64,
}

static TIMES: [AtomicU64; Operation::ALL.len()] = [const { AtomicU64::new(0) }; Operation::ALL.len()];
static OCTETS: [AtomicU64; Operation::ALL.len()] = [const { AtomicU64::new(0) }; Operation::ALL.len()];

/// Counts one operation over so many octets.
pub fn count(operation: Operation, octets: usize) {
    let at = operation as usize;
    if let (Some(times), Some(sum)) = (TIMES.get(at), OCTETS.get(at)) {
        times.fetch_add(1, Relaxed);
        sum.fetch_add(octets as u64, Relaxed);
    }
}

/// What was counted since the process began, in the order of [`Operation::ALL`].
pub fn totals() -> Vec<(Operation, Count)> {
    let counts = TIMES.iter().zip(&OCTETS);
    let counts = counts.map(|(times, octets)| Count { times: times.load(Relaxed), octets: octets.load(Relaxed) });
    Operation::ALL.into_iter().zip(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CipherSuite, SeededEntropy, Signer, SigningKey};

    #[test]
    fn every_kind_has_its_own_place() {
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
        }
    }

    #[test]
    fn keys_signatures_and_verifications_are_counted() {
        // Other tests of this process count at the same time: at least this much was added.
        let added = |before: &[(Operation, Count)], operation: Operation| {
            let of = |totals: &[(Operation, Count)]| totals[operation as usize].1;
            let (before, after) = (of(before), of(&totals()));
            (after.times - before.times, after.octets - before.octets)
        };
        for suite in CipherSuite::ALL {
            let [make, sign, verify] = match suite {
                CipherSuite::P256Aes128P256 => [Operation::KeyP256, Operation::SignP256, Operation::VerifyP256],
                _ => [Operation::KeyEd25519, Operation::SignEd25519, Operation::VerifyEd25519],
            };
            let before = totals();
            let key = SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([4; 32])).unwrap();
            let signature = key.sign(&[7; 100]).unwrap();
            key.public_key().verify(&[7; 100], &signature).unwrap();
            suite.signature_scheme().verify(key.public_key().as_bytes(), &[7; 100], &signature).unwrap();
            assert!(added(&before, make).0 >= 1);
            assert!(added(&before, sign) >= (1, 100));
            assert!(added(&before, verify).0 >= 2 && added(&before, verify).1 >= 200);
        }
    }
}
