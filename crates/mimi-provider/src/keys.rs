use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mimi_credential::{AnchorError, IssueError, Issuer, TrustStore};
use mimi_pseudonym::{CipherSuite, Domain, PublicKey, SignError, SignatureScheme, Signer, SigningKey};
use mimi_wire::{Credential, ExternalSender};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier, version::TLS13,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use crate::{Config, StoreError, clock::OsEntropy, store::Store};

/// Why certificates and keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A file cannot be read.
    #[error("{}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file has not the PEM items it should have.
    #[error("{}: not the PEM file it should be", .0.display())]
    Pem(PathBuf),
    /// A file has not the operator's token.
    #[error("{}: not 64 hexadecimal digits", .0.display())]
    Token(PathBuf),
    /// A key is of no kind that can be used.
    #[error("{}: no Ed25519 or P-256 key in PKCS#8", .0.display())]
    Key(PathBuf),
    /// A certificate is no anchor.
    #[error("{}: {error}", .path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: AnchorError,
    },
    /// The authority for users' certificates cannot be used.
    #[error("{}: {error}", .path.display())]
    Issuer {
        /// The file of its certificate.
        path: PathBuf,
        /// What is wrong with it, or with its key.
        error: IssueError,
    },
    /// The key of the way of tying pseudonyms to accounts.
    #[error("{}: not the key that this way of tying needs", .0.display())]
    Tie(PathBuf),
    /// The key of the way of tying pseudonyms to accounts is not there, and cannot be made.
    #[error("{}: there is no key for this way of tying, and none can be written: {error}", .path.display())]
    NewTie {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Certificate and key for TLS do not fit each other, or cannot be used.
    #[error("{}: {reason}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that the hub keeps in its database cannot be made or used.
    #[error("a key of the hub cannot be used")]
    Hub,
}

impl KeyFileError {
    fn tls(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> Self {
        let path = path.to_owned();
        move |reason| Self::Tls { path: path.clone(), reason: reason.to_string() }
    }
}

/// A signing key of ring's, read from PKCS#8.
struct FileKey {
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl FileKey {
    fn read(path: &Path) -> Result<Self, KeyFileError> {
        let unusable = || KeyFileError::Key(path.to_owned());
        let PrivateKeyDer::Pkcs8(der) = private_key(path)? else { return Err(unusable()) };
        let der = der.secret_pkcs8_der();
        let (scheme, pair) = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => (SignatureScheme::Ed25519, Pair::Ed25519(pair)),
            Err(_) => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &SystemRandom::new());
                (SignatureScheme::EcdsaP256Sha256, Pair::P256(pair.map_err(|_| unusable())?))
            }
        };
        let octets = match &pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) => pair.public_key().as_ref(),
        };
        Ok(Self { public: PublicKey::new(scheme, octets).map_err(|_| unusable())?, pair })
    }
}

impl Signer for FileKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError> {
        #[cfg(feature = "record")]
        mimi_pseudonym::count::count(
            match &self.pair {
                Pair::Ed25519(_) => mimi_pseudonym::count::Operation::SignEd25519,
                Pair::P256(_) => mimi_pseudonym::count::Operation::SignP256Ring,
            },
            payload.len(),
        );
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(payload).as_ref().to_vec()),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), payload).map_err(|_| SignError)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// The authority that certifies the provider's users.
pub(crate) fn issuer(config: &Config) -> Result<Issuer, KeyFileError> {
    let signer = FileKey::read(&config.issuer.key)?;
    let chain = certificates(&config.issuer.certificate)?.into_iter().map(|one| one.to_vec()).collect();
    Issuer::load(config.domain.clone(), Arc::new(signer), chain)
        .map_err(|error| KeyFileError::Issuer { path: config.issuer.certificate.clone(), error })
}

/// Whose certificates of users are believed.
pub(crate) fn trust(config: &Config) -> Result<TrustStore, KeyFileError> {
    config
        .anchors
        .iter()
        .try_fold(TrustStore::default(), |trust, anchor| with_anchor(trust, &anchor.certificate, &anchor.domains))
}

/// With those who are certified by the authorities in a file believed, too, if they are of these domains.
pub(crate) fn with_anchor(mut trust: TrustStore, path: &Path, domains: &[Domain]) -> Result<TrustStore, KeyFileError> {
    for certificate in certificates(path)? {
        let refused = |error| KeyFileError::Anchor { path: path.to_owned(), error };
        trust = trust.with_anchor(&certificate, domains.iter().cloned()).map_err(refused)?;
    }
    Ok(trust)
}

/// The hash of the operator's token.
pub(crate) fn operator(config: &Config) -> Result<Option<[u8; 32]>, KeyFileError> {
    Ok(operator_token(config)?.map(|token| crate::hash(&[&token])))
}

/// The operator's token, which stands in a file as 64 hexadecimal digits.
pub(crate) fn operator_token(config: &Config) -> Result<Option<[u8; 32]>, KeyFileError> {
    let Some(path) = &config.operator_token else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| KeyFileError::Read { path: path.clone(), error })?;
    crate::unhex32(text.trim()).ok_or_else(|| KeyFileError::Token(path.clone())).map(Some)
}

/// What the hub is in the rooms of a cipher suite, and signs with.
pub(crate) struct HubKey {
    pub(crate) suite: CipherSuite,
    pub(crate) sender: ExternalSender,
    pub(crate) key: SigningKey,
}

/// The hub as it stands in the list of external senders of its groups: one key for each suite, made at the first start.
/// The credential is a basic one that names the provider.
pub(crate) fn hub_keys(store: &Store, domain: &Domain) -> Result<Vec<HubKey>, crate::StartError> {
    let mut keys = Vec::new();
    for suite in CipherSuite::ALL {
        let scheme = suite.signature_scheme();
        let fresh = SigningKey::generate(scheme, &mut OsEntropy).map_err(|_| KeyFileError::Hub)?;
        let secret = store.hub_key(suite.code(), fresh.secret())?;
        let key = SigningKey::from_secret(scheme, &secret).map_err(|_| KeyFileError::Hub)?;
        let credential = Credential::basic(format!("mimi://{domain}").as_bytes());
        let sender = ExternalSender { signature_key: key.public_key().as_bytes().to_vec(), credential };
        keys.push(HubKey { suite, sender, key });
    }
    Ok(keys)
}

/// The hub's key as external sender in rooms of a suite, made at the first start.
pub(crate) fn hub_signer(store: &Store, suite: CipherSuite) -> Result<SigningKey, StoreError> {
    let unusable = |_| StoreError::damaged("the hub's key");
    let scheme = suite.signature_scheme();
    let fresh = SigningKey::generate(scheme, &mut OsEntropy).map_err(unusable)?;
    SigningKey::from_secret(scheme, &store.hub_key(suite.code(), fresh.secret())?).map_err(unusable)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// TLS 1.3 for the listener. A client may show a certificate; if it does, it must come from one of the roots.
pub(crate) fn server_tls(config: &Config) -> Result<ServerConfig, KeyFileError> {
    let (refused, untrusted) = (KeyFileError::tls(&config.tls.certificate), KeyFileError::tls(&config.tls.roots));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&config.tls.roots)?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| untrusted(&error))?;
    let mut tls = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| refused(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&config.tls.certificate)?, private_key(&config.tls.key)?)
        .map_err(|error| unfit(config, &error))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// TLS 1.3 toward other providers, with the provider's own certificate.
pub(crate) fn client_tls(config: &Config) -> Result<ClientConfig, KeyFileError> {
    let refused = KeyFileError::tls(&config.tls.certificate);
    let mut tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots(&config.tls.roots)?)
        .with_client_auth_cert(certificates(&config.tls.certificate)?, private_key(&config.tls.key)?)
        .map_err(|error| unfit(config, &error))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

/// Certificate and key that cannot be used together.
fn unfit(config: &Config, error: &rustls::Error) -> KeyFileError {
    let (certificate, path) = (config.tls.certificate.display(), config.tls.key.clone());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            KeyFileError::Tls { path, reason: format!("not the key of the certificate in {certificate}") }
        }
        error => KeyFileError::Tls { path, reason: format!("cannot be used with {certificate}: {error}") },
    }
}

/// TLS 1.3 toward hosts that keep files, as nobody: they need not know who fetches.
pub(crate) fn asset_tls(roots_file: &Path) -> Result<ClientConfig, KeyFileError> {
    let refused = KeyFileError::tls(roots_file);
    let mut tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots(roots_file)?)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// The certificate for TLS and those above it.
pub(crate) fn tls_chain(config: &Config) -> Result<Vec<CertificateDer<'static>>, KeyFileError> {
    certificates(&config.tls.certificate)
}

pub(crate) fn roots(path: &Path) -> Result<RootCertStore, KeyFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|_| KeyFileError::Pem(path.to_owned()))?;
    }
    Ok(roots)
}

/// The certificates in a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, KeyFileError> {
    let refused = |error| unreadable(path, error);
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(refused)?.collect::<Result<_, _>>().map_err(refused)?;
    if found.is_empty() { Err(KeyFileError::Pem(path.to_owned())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, KeyFileError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: pem::Error) -> KeyFileError {
    match error {
        pem::Error::Io(error) => KeyFileError::Read { path: path.to_owned(), error },
        _ => KeyFileError::Pem(path.to_owned()),
    }
}
