use ring::digest;

/// A signature algorithm. Each is bound to one curve and one hash, as RFC 9864 wants; the older identifiers of RFC 9053
/// are read as the same four, and never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256: ESP256 (-9), also read from ES256 (-7).
    Esp256,
    /// ECDSA on P-384 with SHA-384: ESP384 (-51), also read from ES384 (-35).
    Esp384,
    /// ECDSA on P-521 with SHA-512: ESP512 (-52), also read from ES512 (-36).
    Esp512,
    /// Ed25519 (-19), also read from EdDSA (-8).
    Ed25519,
}

impl SignatureAlgorithm {
    /// The fully-specified COSE identifier.
    #[must_use]
    pub fn id(self) -> i64 {
        match self {
            Self::Esp256 => -9,
            Self::Esp384 => -51,
            Self::Esp512 => -52,
            Self::Ed25519 => -19,
        }
    }

    /// Reads a fully-specified or an older COSE identifier.
    #[must_use]
    pub fn from_id(id: i128) -> Option<Self> {
        match id {
            -9 | -7 => Some(Self::Esp256),
            -51 | -35 => Some(Self::Esp384),
            -52 | -36 => Some(Self::Esp512),
            -19 | -8 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// The hash that hides claims (`sd_alg`, header parameter 170).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashAlgorithm {
    /// SHA-256 (-16), also what a token without `sd_alg` uses.
    #[default]
    Sha256,
    /// SHA-384 (-43).
    Sha384,
    /// SHA-512 (-44).
    Sha512,
}

impl HashAlgorithm {
    /// The COSE identifier.
    #[must_use]
    pub fn id(self) -> i64 {
        match self {
            Self::Sha256 => -16,
            Self::Sha384 => -43,
            Self::Sha512 => -44,
        }
    }

    /// Reads a COSE identifier.
    #[must_use]
    pub fn from_id(id: i128) -> Option<Self> {
        match id {
            -16 => Some(Self::Sha256),
            -43 => Some(Self::Sha384),
            -44 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.ring(), bytes)
    }

    pub(crate) fn length(self) -> usize {
        self.ring().output_len()
    }

    fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        use SignatureAlgorithm::*;
        for (algorithm, old) in [(Esp256, -7), (Esp384, -35), (Esp512, -36), (Ed25519, -8)] {
            assert_eq!(SignatureAlgorithm::from_id(algorithm.id().into()), Some(algorithm));
            assert_eq!(SignatureAlgorithm::from_id(old), Some(algorithm));
        }
        // none, HMAC 256/256, Ed448, ES256K, RS256
        for id in [0, 5, -53, -47, -257] {
            assert_eq!(SignatureAlgorithm::from_id(id), None);
        }
        for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            assert_eq!(HashAlgorithm::from_id(hash.id().into()), Some(hash));
        }
        assert_eq!(HashAlgorithm::from_id(-15), None, "SHA-256 cut to 64 bits");
    }
}
