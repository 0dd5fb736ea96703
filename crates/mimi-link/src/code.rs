use std::fmt;

use mimi_pseudonym::Entropy;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A joining code (draft-ietf-mimi-protocol-06, section 5.6): whoever shows it may join. 16 to 64 octets, random.
/// `Debug` does not show it, and it is overwritten in memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCode(Zeroizing<Vec<u8>>);

/// The SHA-256 hash of a joining code: what a hub is told when a link is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct JoinCodeHash([u8; 32]);

impl JoinCode {
    /// The fewest octets of a code.
    pub const MIN_LEN: usize = 16;
    /// The most octets of a code.
    pub const MAX_LEN: usize = 64;

    /// A new code of 128 random bits.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(entropy.bits128().to_vec()))
    }

    /// The code with these octets; `None` if they are too few or too many.
    pub fn from_bytes(octets: Vec<u8>) -> Option<Self> {
        let octets = Zeroizing::new(octets);
        (Self::MIN_LEN..=Self::MAX_LEN).contains(&octets.len()).then_some(Self(octets))
    }

    /// The octets, as they are shown to a hub.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a hub keeps.
    pub fn hash(&self) -> JoinCodeHash {
        JoinCodeHash::of(&self.0)
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinCode(..)")
    }
}

impl JoinCodeHash {
    /// The hash of octets that someone shows as a code.
    pub fn of(octets: &[u8]) -> Self {
        Self(Sha256::digest(octets).into())
    }

    /// The hash with these octets.
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::SeededEntropy;

    use super::*;

    #[test]
    fn a_code_is_neither_short_nor_long_nor_shown() {
        assert!(JoinCode::from_bytes(vec![1; 15]).is_none());
        assert!(JoinCode::from_bytes(vec![1; 65]).is_none());
        let code = JoinCode::from_bytes(vec![1; 64]).unwrap();
        assert_eq!(code.as_bytes(), [1; 64]);
        assert_eq!(format!("{code:?}"), "JoinCode(..)");
    }

    #[test]
    fn a_hash_is_that_of_its_code() {
        let mut entropy = SeededEntropy::new([3; 32]);
        let (one, other) = (JoinCode::generate(&mut entropy), JoinCode::generate(&mut entropy));
        assert_eq!(one.hash(), JoinCodeHash::of(one.as_bytes()));
        assert_ne!(one.hash(), other.hash());
        assert_eq!(JoinCodeHash::from_bytes(*one.hash().as_bytes()), one.hash());
    }
}
