//! Content elsewhere, sealed before it is uploaded and opened after it was fetched (draft-ietf-mimi-content, section 4.5).

use mimi_pseudonym::{Entropy, Timestamp};
use ring::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{self, SHA256, SHA384, SHA512, digest},
};

use crate::ExternalContent;

/// AES-128-GCM in the registry of AEAD algorithms: the one that every implementation has.
const AEAD_AES_128_GCM: u16 = 1;
/// SHA-256 in the registry of Named Information hash algorithms.
const SHA_256: u8 = 1;

/// Why what was fetched is not the content that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The AEAD algorithm is not known here, by its IANA number.
    #[error("the AEAD algorithm {0} is not known")]
    Algorithm(u16),
    /// The hash algorithm is not known here, by its IANA number.
    #[error("the hash algorithm {0} is not known")]
    Hash(u8),
    /// The key or the nonce has not the length of its algorithm.
    #[error("the key or nonce has not the length of its algorithm")]
    Length,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It is not what was uploaded: its hash or its seal does not fit, or it has another size.
    #[error("it is not what the message names")]
    Other,
}

impl ExternalContent {
    /// Seals content for uploading, with AES-128-GCM under a fresh key: what a message says of it, and the octets to put at
    /// the URL. `size` is that of the content.
    pub fn seal(content_type: &str, url: &str, content: &[u8], entropy: &mut dyn Entropy) -> (Self, Vec<u8>) {
        let key = entropy.bits128();
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = content.to_vec();
        if let Ok(unbound) = UnboundKey::new(&AES_128_GCM, &key) {
            // A content of over 64 GiB would not be sealed; nobody has that in memory.
            let nonce = Nonce::assume_unique_for_key(nonce);
            let done = LessSafeKey::new(unbound).seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed);
            if done.is_err() {
                sealed.clear();
            }
        }
        let external = Self {
            content_type: content_type.to_owned(),
            url: url.to_owned(),
            size: u64::try_from(content.len()).unwrap_or(u64::MAX),
            enc_alg: AEAD_AES_128_GCM,
            key: key.to_vec(),
            nonce: nonce.to_vec(),
            hash_alg: SHA_256,
            content_hash: digest(&SHA256, &sealed).as_ref().to_vec(),
            ..Self::default()
        };
        (external, sealed)
    }

    /// Whether it has expired.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires != 0 && now >= Timestamp::from_secs(self.expires.into())
    }

    /// The content, from the octets that were at the URL: AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 are known (IANA
    /// numbers 1, 2 and 29), and SHA-256, SHA-384 and SHA-512 (1, 7 and 8).
    ///
    /// # Errors
    /// [`ExternalError`]
    pub fn open(&self, octets: Vec<u8>, now: Timestamp) -> Result<Vec<u8>, ExternalError> {
        if self.has_expired(now) {
            return Err(ExternalError::Expired);
        }
        let hash: Option<&digest::Algorithm> = match self.hash_alg {
            0 => None,
            SHA_256 => Some(&SHA256),
            7 => Some(&SHA384),
            8 => Some(&SHA512),
            other => return Err(ExternalError::Hash(other)),
        };
        if hash.is_some_and(|hash| digest(hash, &octets).as_ref() != self.content_hash) {
            return Err(ExternalError::Other);
        }
        let length = octets.len();
        let content = match self.enc_alg {
            0 => octets,
            AEAD_AES_128_GCM => self.decrypt(&AES_128_GCM, octets)?,
            2 => self.decrypt(&AES_256_GCM, octets)?,
            29 => self.decrypt(&CHACHA20_POLY1305, octets)?,
            other => return Err(ExternalError::Algorithm(other)),
        };
        // The draft does not say whether the size is that before or after sealing.
        let sizes = [0, content.len(), length].map(|size| u64::try_from(size).unwrap_or(u64::MAX));
        if sizes.contains(&self.size) { Ok(content) } else { Err(ExternalError::Other) }
    }

    fn decrypt(&self, algorithm: &'static Algorithm, mut octets: Vec<u8>) -> Result<Vec<u8>, ExternalError> {
        let key = UnboundKey::new(algorithm, &self.key).map_err(|_| ExternalError::Length)?;
        let nonce = Nonce::try_assume_unique_for_key(&self.nonce).map_err(|_| ExternalError::Length)?;
        let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::from(&self.aad), &mut octets);
        let length = opened.map_err(|_| ExternalError::Other)?.len();
        octets.truncate(length);
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::SeededEntropy;

    use super::*;

    const URL: &str = "https://media.b.example/1";
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn sealed() -> (ExternalContent, Vec<u8>) {
        ExternalContent::seal("image/png", URL, b"a picture", &mut SeededEntropy::new([7; 32]))
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let (external, octets) = sealed();
        assert_eq!((external.enc_alg, external.hash_alg, external.size), (1, 1, 9));
        assert_eq!((external.content_type.as_str(), external.url.as_str()), ("image/png", URL));
        assert_eq!(octets.len(), 9 + 16);
        assert_eq!(external.open(octets.clone(), NOW).unwrap(), b"a picture");
        let (other, _) = ExternalContent::seal("image/png", URL, b"a picture", &mut SeededEntropy::new([8; 32]));
        assert!(other.key != external.key && other.nonce != external.nonce);
        // Some say the size of what is uploaded, some none.
        for size in [0, 25] {
            assert!(ExternalContent { size, ..external.clone() }.open(octets.clone(), NOW).is_ok(), "{size}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let (external, octets) = sealed();
        let refused = |change: fn(&mut ExternalContent)| {
            let mut changed = external.clone();
            change(&mut changed);
            changed.open(octets.clone(), NOW).unwrap_err()
        };
        assert_eq!(refused(|it| it.content_hash[0] ^= 1), ExternalError::Other);
        assert_eq!(refused(|it| it.key[0] ^= 1), ExternalError::Other);
        assert_eq!(refused(|it| it.nonce[0] ^= 1), ExternalError::Other);
        assert_eq!(refused(|it| it.aad = vec![1]), ExternalError::Other);
        assert_eq!(refused(|it| it.size = 10), ExternalError::Other);
        assert_eq!(refused(|it| it.key.push(0)), ExternalError::Length);
        assert_eq!(refused(|it| it.nonce.truncate(8)), ExternalError::Length);
        assert_eq!(refused(|it| it.enc_alg = 2), ExternalError::Length);
        assert_eq!(refused(|it| it.enc_alg = 3), ExternalError::Algorithm(3));
        assert_eq!(refused(|it| it.hash_alg = 9), ExternalError::Hash(9));
        assert_eq!(refused(|it| it.expires = 1_800_000_000), ExternalError::Expired);
        let lasting = ExternalContent { expires: 1_800_000_001, ..external.clone() };
        assert!(lasting.open(octets.clone(), NOW).is_ok());
        let mut damaged = octets.clone();
        damaged[3] ^= 1;
        assert_eq!(external.open(damaged.clone(), NOW), Err(ExternalError::Other));
        // Without a hash the seal says so.
        let unhashed = ExternalContent { hash_alg: 0, content_hash: Vec::new(), ..external.clone() };
        assert_eq!(unhashed.open(damaged, NOW), Err(ExternalError::Other));
        assert_eq!(unhashed.open(Vec::new(), NOW), Err(ExternalError::Other));
        assert_eq!(unhashed.open(octets, NOW).unwrap(), b"a picture");
    }

    #[test]
    fn every_algorithm_is_opened_that_is_named() {
        // Sealed here by the library that the code above opens with, under another name each.
        for (number, algorithm) in [(1, &AES_128_GCM), (2, &AES_256_GCM), (29, &CHACHA20_POLY1305)] {
            let key = vec![5; algorithm.key_len()];
            let mut octets = b"a picture".to_vec();
            let unbound = UnboundKey::new(algorithm, &key).unwrap();
            let nonce = Nonce::assume_unique_for_key([6; NONCE_LEN]);
            LessSafeKey::new(unbound).seal_in_place_append_tag(nonce, Aad::from(b"more"), &mut octets).unwrap();
            for (hash_alg, hash) in [(1, &SHA256), (7, &SHA384), (8, &SHA512)] {
                let external = ExternalContent {
                    enc_alg: number,
                    key: key.clone(),
                    nonce: vec![6; NONCE_LEN],
                    aad: b"more".to_vec(),
                    hash_alg,
                    content_hash: digest(hash, &octets).as_ref().to_vec(),
                    ..ExternalContent::default()
                };
                assert_eq!(external.open(octets.clone(), NOW).unwrap(), b"a picture", "{number} {hash_alg}");
            }
        }
        let open = ExternalContent { size: 3, ..ExternalContent::default() };
        assert_eq!(open.open(b"abc".to_vec(), NOW).unwrap(), b"abc");
        assert_eq!(open.open(b"abcd".to_vec(), NOW), Err(ExternalError::Other));
    }
}
