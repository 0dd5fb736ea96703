use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use super::base64url;

/// A hash algorithm for digests of disclosures: the value of `_sd_alg` (RFC 9901, section 4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// `sha-256`, which also holds where `_sd_alg` is missing.
    #[default]
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl HashAlgorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name, as `_sd_alg` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The algorithm of a name, whose letter case matters.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Letters of a digest in base64url.
    pub(super) const fn digest_letters(self) -> usize {
        match self {
            Self::Sha256 => 43,
            Self::Sha384 => 64,
            Self::Sha512 => 86,
        }
    }

    /// Appends the digest of a text in base64url.
    pub(super) fn digest_into(self, text: &str, out: &mut Vec<u8>) {
        base64url::encode_into(digest(self.ring(), text.as_bytes()).as_ref(), out);
    }

    /// The digest of a text in base64url.
    pub(super) fn digest(self, text: &str) -> String {
        base64url::encode(digest(self.ring(), text.as_bytes()).as_ref())
    }

    fn ring(self) -> &'static Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_the_rfc_comes_out() {
        let disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        assert_eq!(HashAlgorithm::Sha256.digest(disclosure), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    }

    #[test]
    fn names_and_lengths_fit() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(HashAlgorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(algorithm.digest("x").len(), algorithm.digest_letters());
        }
        for name in ["SHA-256", "sha256", "md5", "sha-256-128", "sha3-256", ""] {
            assert_eq!(HashAlgorithm::from_name(name), None, "{name}");
        }
    }
}
