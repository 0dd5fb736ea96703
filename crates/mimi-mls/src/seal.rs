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
                "f2119826071a8cd92fe6132a091252d8adcff4adb2e4c9ce3013a171a812fc72",
                "aa986a7941001bf2f509c54d8f61a5b419c8a0ff02634cf1ccea35b56c8fb002",
                "86a8fab1597b2d3fc1498464259eb50852a36f5554589c747f2d6c1fbc67c3d4",
                "fde840e33c794491db60c2c20e26738b8756b045b33f44bf93b5551fdffbdc5c",
                "9fa3af0beaef151947d8af1a45cbc940181cc901d1437d7fc85e4dcb38a3273e730d414abee7eba789a5a55dbbce4cc7",
                "dce54bc43e1bee8c4a9f6224ee9959d171c379c43d05383861307d3e52469a3f",
            ),
            (
                CipherSuite::P256Aes128P256,
                "041045c60925426a356e77a844fbd18de181ec9009489803b4db9643b458bc4e8b793222dd2a73dffe0c5230d5d21e38a0b\
                 56d6697b02d61ce1dffaec2d5162cab993",
                "bd77e2a6151a32ab22e0d31862732e26795e0c0dfd76b021cc867d9aba3f760e",
                "4e3f8b2dc5fc39430acf84aed56337e3aa09b6da315bf5291b0274a3cee85ded",
                "0476f9bde3cff237f3802ae8e34ae4ed57ca865a5bc1461738b948e97719a5d544dc41ddda36eb2b54d6d9f345f0c150aed\
                 f59f5b22a514473586f3a648c842dcb",
                "6e0620fa15994113340745652d73493e57fd69aa50e40ba3a921719c5522f4b320896a15b73d35959c406e4855e0ebb2",
                "3b297576567d443b07cf566ea1a64e0e7a7af28fec511517e58adcb45834ac72",
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
