//! Certificates of every kind of wrongness, made with another implementation than the one under test.

use std::time::Duration;

use mimi_credential::{CertificateChain, TrustStore};
use mimi_pseudonym::{PublicKey, SeededEntropy, SignatureScheme, Signer, SigningKey, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};

/// 2027-01-15.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The schemes of both suites.
pub const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::Ed25519, SignatureScheme::EcdsaP256Sha256];

pub fn key(scheme: SignatureScheme, seed: u8) -> SigningKey {
    SigningKey::generate(scheme, &mut SeededEntropy::new([seed; 32])).unwrap()
}

pub fn im_uri() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40])
}

pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

struct Public<'a>(&'a PublicKey);

impl PublicKeyData for Public<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.0.scheme() {
            SignatureScheme::Ed25519 => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

struct Private(SigningKey);

impl PublicKeyData for Private {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        Public(self.0.public_key()).algorithm()
    }
}

impl rcgen::SigningKey for Private {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(payload).unwrap())
    }
}

/// A certificate authority, good or bad, with the certificate that it got.
pub struct Authority {
    issuer: Issuer<'static, Private>,
    pub der: Vec<u8>,
}

fn dated(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&[1, 2, 3]));
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = dated(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Authority {
    /// One that signs itself.
    pub fn root(name: &str, seed: u8, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let key = Private(key(SignatureScheme::EcdsaP256Sha256, seed));
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// One that this one certifies.
    pub fn intermediate(&self, name: &str, seed: u8, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let key = Private(key(SignatureScheme::Ed25519, seed));
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A certificate for a user, good unless `change` makes it bad.
    pub fn certify(&self, public_key: &PublicKey, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = dated("");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![im_uri()];
        change(&mut params);
        params.signed_by(&Public(public_key), &self.issuer).unwrap().der().to_vec()
    }

    /// A trust store that trusts it for a domain.
    pub fn trusted_for(&self, domain: &str) -> TrustStore {
        TrustStore::default().with_anchor(&self.der, [domain.parse().unwrap()]).unwrap()
    }
}

pub fn chain(certificates: &[&[u8]]) -> CertificateChain {
    certificates.iter().map(|one| one.to_vec()).collect::<Vec<_>>().try_into().unwrap()
}
