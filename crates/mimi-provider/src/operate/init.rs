use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mimi_pseudonym::{Domain, Entropy};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
};

use crate::{OsEntropy, hex};

/// The name of the authority for TLS.
const AUTHORITY: &str = "development authority for TLS";

/// A provider that is set up: what goes into a new folder.
#[derive(Debug, Clone)]
pub struct Init {
    /// The folder: the configuration becomes `provider.toml` in it.
    pub folder: PathBuf,
    /// The provider's domain.
    pub domain: Domain,
    /// Where it will listen.
    pub listen: SocketAddr,
    /// The port that others reach it at.
    pub port: u16,
    /// The folder of the database as it stands in the configuration: absolute, or relative to `folder`. It is not made.
    pub data: PathBuf,
    /// The folder of the authority for TLS, for development: `root.pem` and `root.key` in it are used, as another
    /// [`Init::write`] has made them, or made if they are not there. Providers on one machine share one.
    pub authority: PathBuf,
}

/// Why a provider is not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Something is there already, and is not written over.
    #[error("{}: there already", .0.display())]
    There(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A key or certificate cannot be made, or the authority's cannot be used.
    #[error("certificates: {0}")]
    Certificate(String),
}

impl From<rcgen::Error> for InitError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl Init {
    /// Makes the folder, keys, certificates and configuration. Keys can be read by their owner alone.
    ///
    /// # Errors
    /// [`InitError`]. What exists is never written over.
    pub fn write(&self) -> Result<(), InitError> {
        let config = self.folder.join("provider.toml");
        if config.exists() {
            return Err(InitError::There(config));
        }
        for folder in [&self.folder, &self.authority] {
            crate::provider::make_private_folder(folder)
                .map_err(|error| InitError::File { path: folder.clone(), error })?;
        }
        let (root, root_key) = self.authority()?;
        let root_params = authority(AUTHORITY)?;
        let name = self.domain.as_str();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let tls = params.signed_by(&key, &Issuer::from_params(&root_params, root_key))?;
        let file = |name: &str| self.folder.join(name);
        write(&file("roots.pem"), &root)?;
        write(&file("tls.pem"), &tls.pem())?;
        write(&file("tls.key"), &key.serialize_pem())?;
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        write(&file("issuer.pem"), &authority(name)?.self_signed(&key)?.pem())?;
        write(&file("issuer.key"), &key.serialize_pem())?;
        write(&file("operator.token"), &format!("{}\n", hex(&crate::hash(&[&OsEntropy.bits256()]))))?;
        write(&config, &self.configuration())
    }

    /// Certificate and key of the authority for TLS: those that are there, or new ones.
    fn authority(&self) -> Result<(String, KeyPair), InitError> {
        let (certificate, key) = (self.authority.join("root.pem"), self.authority.join("root.key"));
        if certificate.exists() {
            let read = |path: &Path| {
                std::fs::read_to_string(path).map_err(|error| InitError::File { path: path.to_owned(), error })
            };
            return Ok((read(&certificate)?, KeyPair::from_pem(&read(&key)?)?));
        }
        let params = authority(AUTHORITY)?;
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;
        write(&key, &root.key().serialize_pem())?;
        write(&certificate, &root.pem())?;
        let pem = root.key().serialize_pem();
        Ok((root.pem(), KeyPair::from_pem(&pem)?))
    }

    fn configuration(&self) -> String {
        let Self { domain, listen, port, data, .. } = self;
        // A string of JSON is one of TOML.
        let data = serde_json::Value::from(data.to_string_lossy());
        format!(
            r#"domain = "{domain}"
listen = "{listen}"
port = {port}
data = {data}
# "open": anybody may open an account; "closed": only the operator, by `mimi-provider account add`.
registration = "closed"
# What `mimi-provider room mute` and the like show to the provider that runs.
operator_token = "operator.token"

[tls]
certificate = "tls.pem"
key = "tls.key"
roots = "roots.pem"

[issuer]
certificate = "issuer.pem"
key = "issuer.key"

# Several processes can share a PostgreSQL database; without this, SQLite in the folder of data is used by one.
#[database]
#postgres = "host=/run/postgresql dbname=mimi user=mimi"
#password_file = "database.password"

[[anchors]]
certificate = "issuer.pem"
domains = ["{domain}"]
"#
        )
    }
}

fn authority(name: &str) -> Result<CertificateParams, InitError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Writes a new file that nobody else can read.
fn write(path: &Path, text: &str) -> Result<(), InitError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| InitError::File { path: path.to_owned(), error })
}
