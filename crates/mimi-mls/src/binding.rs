//! The nonce that a disclosure is bound to: known to the members of one epoch only, different for every leaf.

use std::collections::BTreeMap;

use mimi_pseudonym::{DecodeError, Nonce, PublicKey, Reader, Wire, Writer};
use ring::hmac;
use zeroize::Zeroizing;

/// Label of the MLS exporter (RFC 9420, section 8.5) that gives an epoch's binding secret.
pub(crate) const EXPORTER_LABEL: &str = "mimi pseudonym key binding";

/// How many past epochs' messages can still be opened; their binding secrets are kept exactly as long.
pub(crate) const PAST_EPOCHS: usize = 5;

/// The binding secrets of the present epoch and the past ones whose messages can still be opened.
#[derive(Clone, Default)]
pub(crate) struct BindingSecrets(BTreeMap<u64, Zeroizing<[u8; 32]>>);

impl BindingSecrets {
    pub(crate) fn insert(&mut self, epoch: u64, secret: [u8; 32]) {
        self.0.insert(epoch, Zeroizing::new(secret));
        self.0.retain(|past, _| past.saturating_add(PAST_EPOCHS as u64) >= epoch);
    }

    /// HMAC-SHA256 of the leaf's signature key under the epoch's binding secret.
    pub(crate) fn nonce(&self, epoch: u64, leaf_key: &PublicKey) -> Option<Nonce> {
        let secret = self.0.get(&epoch)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
        let tag = hmac::sign(&key, leaf_key.as_bytes());
        tag.as_ref().try_into().ok().map(Nonce::from_bytes)
    }
}

impl Wire for BindingSecrets {
    const MAX_LEN: usize = 40 * (PAST_EPOCHS + 2) + 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut inner = Reader::new(reader.vector()?);
        let mut secrets = BTreeMap::new();
        while !inner.is_empty() {
            secrets.insert(inner.u64()?, Zeroizing::new(inner.array()?));
        }
        Ok(Self(secrets))
    }

    fn write(&self, writer: &mut Writer) {
        let mut inner = Writer::default();
        for (epoch, secret) in &self.0 {
            inner.u64(*epoch);
            inner.raw(secret.as_slice());
        }
        writer.vector(&inner.into_octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::{SeededEntropy, SignatureScheme, Signer, SigningKey};

    fn key(seed: u8) -> PublicKey {
        let mut entropy = SeededEntropy::new([seed; 32]);
        SigningKey::generate(SignatureScheme::Ed25519, &mut entropy).unwrap().public_key().clone()
    }

    #[test]
    fn a_nonce_differs_by_epoch_and_by_leaf() {
        let mut secrets = BindingSecrets::default();
        secrets.insert(1, [1; 32]);
        secrets.insert(2, [2; 32]);
        let nonces = [(1, 1), (1, 2), (2, 1)].map(|(epoch, leaf)| secrets.nonce(epoch, &key(leaf)).unwrap());
        assert_ne!(nonces[0], nonces[1]);
        assert_ne!(nonces[0], nonces[2]);
    }

    #[test]
    fn secrets_go_with_the_message_keys_of_their_epoch() {
        let mut secrets = BindingSecrets::default();
        for epoch in 0..20 {
            secrets.insert(epoch, [7; 32]);
        }
        let oldest = 19 - PAST_EPOCHS as u64;
        assert!(secrets.nonce(oldest, &key(1)).is_some());
        assert!(secrets.nonce(oldest - 1, &key(1)).is_none());
        let read = BindingSecrets::decode(&secrets.encode()).unwrap();
        assert_eq!(read.nonce(19, &key(1)), secrets.nonce(19, &key(1)));
    }
}
