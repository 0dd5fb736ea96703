//! openmls' own cryptography, with signatures checked by `ring`: for P-256 that is five times faster.

use mimi_pseudonym::SignatureScheme as Scheme;
use openmls::prelude::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKeyPair, KemOutput,
    OpenMlsCrypto, SignatureScheme, tls_codec::SecretVLBytes,
};
use openmls_rust_crypto::RustCrypto;

/// Counts an operation; nothing without the feature `count`.
macro_rules! counted {
    ($operation:ident, $octets:expr) => {{
        #[cfg(feature = "count")]
        mimi_pseudonym::count::count(mimi_pseudonym::count::Operation::$operation, $octets);
    }};
    ($config:ident: $x25519:ident, $p256:ident, $octets:expr) => {{
        #[cfg(feature = "count")]
        match $config.0 {
            openmls::prelude::HpkeKemType::DhKem25519 => counted!($x25519, $octets),
            _ => counted!($p256, $octets),
        }
    }};
}

#[derive(Default)]
pub(crate) struct Crypto(RustCrypto);

impl Crypto {
    pub(crate) fn rand(&self) -> &RustCrypto {
        &self.0
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        match ciphersuite {
            Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
            | Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256 => self.0.supports(ciphersuite),
            _ => Err(CryptoError::UnsupportedCiphersuite),
        }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.0.supported_ciphersuites().into_iter().filter(|suite| self.supports(*suite).is_ok()).collect()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        counted!(Mac, ikm.len());
        self.0.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        counted!(Mac, message.len());
        self.0.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        counted!(Expand, okm_len);
        self.0.hkdf_expand(hash, prk, info, okm_len)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        counted!(Hash, data.len());
        self.0.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        counted!(Aead, data.len());
        self.0.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        counted!(Aead, ct_tag.len());
        self.0.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.0.signature_key_gen(alg)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let scheme = match alg {
            SignatureScheme::ED25519 => Scheme::Ed25519,
            SignatureScheme::ECDSA_SECP256R1_SHA256 => Scheme::EcdsaP256Sha256,
            _ => return Err(CryptoError::UnsupportedSignatureScheme),
        };
        // Every leaf key has been read as a `PublicKey` beside its certificate before it counts for anything.
        scheme.verify(pk, data, signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        counted!(config: HpkeSealX25519, HpkeSealP256, ptxt.len());
        self.0.hpke_seal(config, pk_r, info, aad, ptxt)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        counted!(config: HpkeOpenX25519, HpkeOpenP256, input.ciphertext.as_slice().len());
        self.0.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        counted!(config: HpkeSealX25519, HpkeSealP256, exporter_length);
        self.0.hpke_setup_sender_and_export(config, pk_r, info, exporter_context, exporter_length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        counted!(config: HpkeOpenX25519, HpkeOpenP256, exporter_length);
        self.0.hpke_setup_receiver_and_export(config, enc, sk_r, info, exporter_context, exporter_length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        counted!(config: HpkeKeyX25519, HpkeKeyP256, ikm.len());
        self.0.derive_hpke_keypair(config, ikm)
    }
}
