use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;

/// The cipher of encrypted disclosures (`sd_aead`, header parameter 172).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AeadAlgorithm {
    /// AEAD_AES_128_GCM (1), also what a token without `sd_aead` uses.
    #[default]
    Aes128Gcm,
    /// AEAD_AES_256_GCM (2).
    Aes256Gcm,
    /// AEAD_CHACHA20_POLY1305 (29).
    ChaCha20Poly1305,
}

impl AeadAlgorithm {
    /// The number in the IANA registry of AEAD algorithms.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Self::Aes128Gcm => 1,
            Self::Aes256Gcm => 2,
            Self::ChaCha20Poly1305 => 29,
        }
    }

    /// Reads a number of the IANA registry.
    #[must_use]
    pub fn from_id(id: i128) -> Option<Self> {
        match id {
            1 => Some(Self::Aes128Gcm),
            2 => Some(Self::Aes256Gcm),
            29 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    fn ring(self) -> &'static ring::aead::Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

/// The key has not the length of the algorithm (16 bytes for AES-128, 32 for the others).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key has not the length of the algorithm")]
pub struct AeadKeyLength;

/// A key for encrypted disclosures, agreed on elsewhere.
#[derive(Clone)]
pub struct AeadKey {
    algorithm: AeadAlgorithm,
    key: LessSafeKey,
}

impl std::fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AeadKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl AeadKey {
    /// # Errors
    /// [`AeadKeyLength`].
    pub fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Result<Self, AeadKeyLength> {
        let key = UnboundKey::new(algorithm.ring(), key).map_err(|_| AeadKeyLength)?;
        Ok(Self { algorithm, key: LessSafeKey::new(key) })
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> AeadAlgorithm {
        self.algorithm
    }

    pub(crate) fn seal(&self, nonce: [u8; 12], disclosure: &[u8]) -> Option<(Vec<u8>, [u8; 16])> {
        let mut text = disclosure.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).ok()?;
        Some((text, tag.as_ref().try_into().ok()?))
    }

    pub(crate) fn open(&self, nonce: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = [ciphertext, tag].concat();
        let length = self.key.open_in_place(nonce, Aad::empty(), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// The keys a verifier has for encrypted disclosures, found by their authentication tags as the draft says.
pub trait AeadKeys {
    /// The key for the disclosure with this tag (16 bytes), or none: then it stays sealed and its claim redacted.
    fn key(&self, tag: &[u8]) -> Option<&AeadKey>;
}

/// No key at all: encrypted disclosures stay sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoAeadKeys;

impl AeadKeys for NoAeadKeys {
    fn key(&self, _tag: &[u8]) -> Option<&AeadKey> {
        None
    }
}

/// One key for every encrypted disclosure.
impl AeadKeys for AeadKey {
    fn key(&self, _tag: &[u8]) -> Option<&AeadKey> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_example_of_the_draft_opens() {
        let key = AeadKey::new(AeadAlgorithm::Aes128Gcm, &unhex("a061c27a3273721e210d031863ad81b6")).unwrap();
        let nonce = unhex("95d0040fe650e5baf51c907c");
        let ciphertext = unhex("563a7d9f0f65d40b751fbc3fcc408e8fe27c375b60a4727b1f1e9572c07992eb5ec5a9");
        let tag = unhex("9f4d37da32187528416ed7ee95e0625f");
        let disclosure = key.open(&nonce, &ciphertext, &tag).unwrap();
        let expected = unhex("58218350bae611067bb823486797da1ebbb52f836b414243442d3132333435361901f5");
        assert_eq!(disclosure, expected);
        assert_eq!(key.open(&nonce, &ciphertext, &[0; 16]), None);
        assert_eq!(key.open(&nonce[1..], &ciphertext, &tag), None);
        let (again, same_tag) = key.seal(nonce.try_into().unwrap(), &expected).unwrap();
        assert_eq!((again, same_tag.to_vec()), (ciphertext, tag));
    }

    #[test]
    fn numbers_and_lengths() {
        for algorithm in [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm, AeadAlgorithm::ChaCha20Poly1305] {
            assert_eq!(AeadAlgorithm::from_id(algorithm.id().into()), Some(algorithm));
            assert_eq!(AeadKey::new(algorithm, &[0; 17]).err(), Some(AeadKeyLength));
        }
        for forbidden in (3..=14).chain([18, 19, 21, 22, 24, 25, 27, 28]) {
            assert_eq!(AeadAlgorithm::from_id(forbidden), None);
        }
    }
}
