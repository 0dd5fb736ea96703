//! `EncryptWithLabel` and `DecryptWithLabel` (RFC 9420, section 5.1.3): HPKE in the base mode, with the label and a context
//! that both sides have to agree on.

use std::fmt;

use mimi_pseudonym::{CipherSuite, DecodeError, Entropy, Reader, Wire, Writer};
use mimi_wire::HpkeCiphertext;
use openmls::prelude::OpenMlsCrypto as _;
use zeroize::Zeroizing;

use crate::{backend::ciphersuite, crypto::Crypto};

/// Why something cannot be sealed to a key, or opened with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HpkeError {
    /// The public key is none of the suite.
    #[error("the HPKE key is none of the cipher suite")]
    Key,
    /// It was sealed to another key, for another label or context, or was changed since.
    #[error("the sealed octets cannot be opened")]
    Open,
}

/// A key pair to which something is sealed once: for the answer to one request. `Debug` shows no secret, and the secret is
/// overwritten in memory when it is dropped.
///
/// Its encoding holds the secret: `CipherSuite suite; opaque public_key<V>; opaque secret_key<V>`.
#[derive(Clone)]
pub struct HpkeKeyPair {
    suite: CipherSuite,
    public: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

impl HpkeKeyPair {
    /// A fresh key pair of a suite's KEM.
    ///
    /// # Errors
    /// [`HpkeError::Key`] if the KEM makes none of these random octets, which happens to nobody.
    pub fn generate(suite: CipherSuite, entropy: &mut dyn Entropy) -> Result<Self, HpkeError> {
        let seed = Zeroizing::new(entropy.bits256());
        let config = ciphersuite(suite).hpke_config();
        let pair = Crypto::default().derive_hpke_keypair(config, seed.as_slice()).map_err(|_| HpkeError::Key)?;
        Ok(Self { suite, public: pair.public, secret: Zeroizing::new(pair.private.to_vec()) })
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The public key: 32 octets for X25519, 65 for P-256.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }
}

impl Wire for HpkeKeyPair {
    const MAX_LEN: usize = 256;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let suite = CipherSuite::read(reader)?;
        let (public, secret) = (reader.vector()?.to_vec(), Zeroizing::new(reader.vector()?.to_vec()));
        Ok(Self { suite, public, secret })
    }

    fn write(&self, writer: &mut Writer) {
        self.suite.write(writer);
        writer.vector(&self.public);
        writer.vector(&self.secret);
    }
}

impl fmt::Debug for HpkeKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HpkeKeyPair").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Seals octets to a public key. The label is given without its prefix `MLS 1.0 `.
///
/// # Errors
/// [`HpkeError::Key`]
pub fn seal_with_label(
    suite: CipherSuite,
    public_key: &[u8],
    label: &str,
    context: &[u8],
    plaintext: &[u8],
) -> Result<HpkeCiphertext, HpkeError> {
    let config = ciphersuite(suite).hpke_config();
    let info = encrypt_context(label, context);
    let sealed = Crypto::default().hpke_seal(config, public_key, &info, &[], plaintext).map_err(|_| HpkeError::Key)?;
    Ok(HpkeCiphertext { kem_output: sealed.kem_output.into(), ciphertext: sealed.ciphertext.into() })
}

/// Opens what was sealed to a key pair under this label and context.
///
/// # Errors
/// [`HpkeError::Open`]
pub fn open_with_label(
    key: &HpkeKeyPair,
    label: &str,
    context: &[u8],
    sealed: &HpkeCiphertext,
) -> Result<Vec<u8>, HpkeError> {
    let config = ciphersuite(key.suite).hpke_config();
    let info = encrypt_context(label, context);
    let sealed = openmls::prelude::HpkeCiphertext {
        kem_output: sealed.kem_output.clone().into(),
        ciphertext: sealed.ciphertext.clone().into(),
    };
    Crypto::default().hpke_open(config, &sealed, &key.secret, &info, &[]).map_err(|_| HpkeError::Open)
}

/// `EncryptContext`
fn encrypt_context(label: &str, context: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.vector(format!("MLS 1.0 {label}").as_bytes());
    writer.vector(context);
    writer.into_octets()
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::SeededEntropy;

    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn pair(suite: CipherSuite, seed: u8) -> HpkeKeyPair {
        HpkeKeyPair::generate(suite, &mut SeededEntropy::new([seed; 32])).unwrap()
    }

    /// From `crypto-basics.json` of the interoperability vectors of the MLS working group.
    #[test]
    fn known_ciphertexts_are_opened() {
        let vectors = [
            (
                CipherSuite::X25519Aes128Ed25519,
                "ecea6564da58d6c6cff6c733bd4ae0815b1f60bb911b73e4ef1d06263ec4ce58",
                "fb1ade7939987ff12a9d620772b1f9f7caeba26f8a3ecea9617d9402cd862444",
                "26347dd7f218d1de8673d6a66646ce06ac5fd3aa8d5c33f65d86aeefdcf4a31e",
                "0a144e8fbf2d6dcf6fe9d2e2b8aeca5461ff5b0ea9c0ede1040c3dc7ed1dfd1c",
                "15c80ea2bc37db221baa530ef5aea88650f0ce0f262803d6f78f3a1392f7ccd960eff94ca081ee54efa4c3acfa0eb591",
                "8f55dd30f03d64335c22b53ea7670bb1becf49b04021f706368fe93eeb358f46",
            ),
            (
                CipherSuite::P256Aes128P256,
                "047b27b0be346d14d7b4df30296a030deeba088746da7cfda43d0ec739df3ce90d\
                 3c96d5f302e41f935ac9020651285c7bcf073172d375c5abcfc9e491b3491f88",
                "ff21771424dadd640e05c67983aafe19b4d8df50783a0c2decc17d0c7ca4cc17",
                "e27e3b0104990cca866751732c82787af4dcf265c893f77e31bcfd679370e24e",
                "041fae8a8173cad50c0cc6d55f148ff8edda63083b3673cf6dce6a0ae6ee3f0b61\
                 505470309dade87ac5ccdb581da3e9ddf6726949d5a92b65dcad6c8679c7313e",
                "98b7d4edc79f4a90f65434050f75e31a3bc6501c584d41abd6ed5fe3c2db9de22d25ef40c45cce7d0fcc881d7d27af2f",
                "38a6b327573639d654b5b729336cf74d01728cf4fa9af81a0ef1814ffc1d492f",
            ),
        ];
        for (suite, public, secret, context, kem_output, ciphertext, plaintext) in vectors {
            let key = HpkeKeyPair { suite, public: unhex(public), secret: Zeroizing::new(unhex(secret)) };
            let sealed = HpkeCiphertext { kem_output: unhex(kem_output), ciphertext: unhex(ciphertext) };
            let opened = open_with_label(&key, "EncryptWithLabel", &unhex(context), &sealed);
            assert_eq!(opened, Ok(unhex(plaintext)));
            let again =
                seal_with_label(suite, key.public_key(), "EncryptWithLabel", &unhex(context), b"again").unwrap();
            assert_eq!(open_with_label(&key, "EncryptWithLabel", &unhex(context), &again).unwrap(), b"again");
        }
    }

    #[test]
    fn only_the_key_label_and_context_it_was_sealed_for_open_it() {
        for suite in CipherSuite::ALL {
            let (own, other) = (pair(suite, 1), pair(suite, 2));
            let sealed = seal_with_label(suite, own.public_key(), "label", b"room", b"secret").unwrap();
            assert_eq!(open_with_label(&own, "label", b"room", &sealed), Ok(b"secret".to_vec()));
            assert_eq!(open_with_label(&other, "label", b"room", &sealed), Err(HpkeError::Open));
            assert_eq!(open_with_label(&own, "Label", b"room", &sealed), Err(HpkeError::Open));
            assert_eq!(open_with_label(&own, "label", b"Room", &sealed), Err(HpkeError::Open));
            let mut changed = sealed.clone();
            changed.ciphertext[0] ^= 1;
            assert_eq!(open_with_label(&own, "label", b"room", &changed), Err(HpkeError::Open));
            changed = sealed.clone();
            changed.kem_output[9] ^= 1;
            assert_eq!(open_with_label(&own, "label", b"room", &changed), Err(HpkeError::Open));
            changed = sealed;
            changed.ciphertext.truncate(3);
            assert_eq!(open_with_label(&own, "label", b"room", &changed), Err(HpkeError::Open));
        }
    }

    #[test]
    fn nothing_is_sealed_to_what_is_no_key() {
        for suite in CipherSuite::ALL {
            for key in [&[][..], &[4; 31], &[4; 65], &[7; 200]] {
                assert_eq!(seal_with_label(suite, key, "label", b"", b"x"), Err(HpkeError::Key), "{}", key.len());
            }
        }
    }

    #[test]
    fn a_pair_reads_back_and_debug_shows_no_octet() {
        let key = pair(CipherSuite::P256Aes128P256, 3);
        let read = HpkeKeyPair::decode(&key.encode()).unwrap();
        assert_eq!((read.public_key(), read.suite()), (key.public_key(), key.suite()));
        assert_eq!(read.secret, key.secret);
        assert_eq!(format!("{key:?}"), "HpkeKeyPair { suite: P256Aes128P256, .. }");
    }
}
