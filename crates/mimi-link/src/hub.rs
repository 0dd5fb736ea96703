use std::fmt;

use mimi_pseudonym::CipherSuite;
use sha2::{Digest as _, Sha256};

/// By what a joiner knows the hub of a room: the hash of the key that the hub signs its answers with and that stands in
/// the group's list of external senders.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HubFingerprint([u8; 32]);

impl HubFingerprint {
    /// The fingerprint of a hub's signature key for rooms of a cipher suite.
    pub fn of(suite: CipherSuite, signature_key: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(b"mimi-link hub 1").chain_update(suite.code().to_be_bytes());
        Self(hash.chain_update(signature_key).finalize().into())
    }

    /// Whether this is the hub's key.
    pub fn matches(&self, suite: CipherSuite, signature_key: &[u8]) -> bool {
        Self::of(suite, signature_key) == *self
    }

    /// The fingerprint with these octets.
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for HubFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "HubFingerprint({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_suite_make_the_fingerprint() {
        let one = HubFingerprint::of(CipherSuite::X25519Aes128Ed25519, &[7; 32]);
        assert!(one.matches(CipherSuite::X25519Aes128Ed25519, &[7; 32]));
        assert!(!one.matches(CipherSuite::P256Aes128P256, &[7; 32]));
        assert!(!one.matches(CipherSuite::X25519Aes128Ed25519, &[8; 32]));
        assert_eq!(HubFingerprint::from_bytes(*one.as_bytes()), one);
    }
}
