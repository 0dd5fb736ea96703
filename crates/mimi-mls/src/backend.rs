//! What openmls needs from outside: cryptography, randomness, and a place for the state of one group.

use std::collections::HashMap;

use mimi_pseudonym::{CipherSuite, DecodeError, PublicKey, Reader, Signer, Wire, Writer};
use openmls::prelude::{Ciphersuite, OpenMlsCrypto, OpenMlsProvider, SignatureScheme};
use openmls_memory_storage::MemoryStorage;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::signatures::SignerError;
use ring::digest::{SHA256, digest};

use crate::crypto::Crypto;

/// The provider of one group: its cryptography and its own storage.
#[derive(Default)]
pub(crate) struct Backend {
    crypto: Crypto,
    storage: MemoryStorage,
}

impl OpenMlsProvider for Backend {
    type CryptoProvider = Crypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        self.crypto.rand()
    }
}

impl Backend {
    pub(crate) fn with(state: SavedState) -> Self {
        Self { crypto: Crypto::default(), storage: MemoryStorage { values: state.0.into() } }
    }

    pub(crate) fn save(&self) -> SavedState {
        match self.storage.values.read() {
            Ok(values) => SavedState(values.clone()),
            // A writer panicked while it held the lock; none of ours does.
            Err(poisoned) => SavedState(poisoned.into_inner().clone()),
        }
    }
}

/// openmls' state of one group or KeyPackage as keys and values. Holds private keys.
///
/// Its encoding ends with a digest: openmls' storage panics on values that it did not write itself.
#[derive(Clone, Default)]
pub(crate) struct SavedState(HashMap<Vec<u8>, Vec<u8>>);

impl Wire for SavedState {
    const MAX_LEN: usize = 1 << 28;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let octets = reader.vector()?;
        if digest(&SHA256, octets).as_ref() != reader.take(SHA256.output_len())? {
            return Err(DecodeError::Rule { field: "state", rule: "the digest is another" });
        }
        let mut inner = Reader::new(octets);
        let mut values = HashMap::new();
        while !inner.is_empty() {
            values.insert(inner.vector()?.to_vec(), inner.vector()?.to_vec());
        }
        Ok(Self(values))
    }

    fn write(&self, writer: &mut Writer) {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort();
        let mut inner = Writer::default();
        for (key, value) in entries {
            inner.vector(key);
            inner.vector(value);
        }
        let octets = inner.into_octets();
        writer.vector(&octets);
        writer.raw(digest(&SHA256, &octets).as_ref());
    }
}

pub(crate) fn ciphersuite(suite: CipherSuite) -> Ciphersuite {
    match suite {
        CipherSuite::P256Aes128P256 => Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
        // The enum may grow; the mandatory suite of RFC 9420 is the fallback a new arm has to replace.
        _ => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    }
}

/// Lets openmls sign with a key it never sees.
pub(crate) struct SignerAdapter<'a>(pub(crate) &'a dyn Signer);

impl openmls_traits::signatures::Signer for SignerAdapter<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.sign(payload).map_err(|_| SignerError::SigningError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        scheme(self.0.public_key())
    }
}

fn scheme(key: &PublicKey) -> SignatureScheme {
    match key.scheme() {
        mimi_pseudonym::SignatureScheme::EcdsaP256Sha256 => SignatureScheme::ECDSA_SECP256R1_SHA256,
        _ => SignatureScheme::ED25519,
    }
}

/// Whether the suite is one that openmls' backend computes.
pub(crate) fn supports(crypto: &Crypto, suite: CipherSuite) -> bool {
    crypto.supports(ciphersuite(suite)).is_ok()
}
