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

use crate::{OsEntropy, hex, private};

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
    /// The domain is an address.
    #[error("{0}: an address is no domain")]
    Address(String),
    /// A key or certificate cannot be made, or the authority's cannot be used.
    #[error("certificates: {0}")]
    Certificate(String),
}

impl InitError {
    fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }
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
    /// [`InitError`]. What exists is never written over, and nothing is left of what was made before the error.
    pub fn write(&self) -> Result<(), InitError> {
        // A name service reads what ends in a number as an address, and no provider is found by it.
        let last = self.domain.as_str().rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|letter| letter.is_ascii_digit()) {
            return Err(InitError::Address(self.domain.to_string()));
        }
        let mut files = Vec::new();
        let (root, root_key) = self.authority(&mut files)?;
        let name = self.domain.as_str();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let tls = params.signed_by(&key, &Issuer::from_params(&authority(AUTHORITY)?, root_key))?;
        let mut file = |name: &str, text: String| files.push((self.folder.join(name), text));
        file("roots.pem", root);
        file("tls.pem", tls.pem());
        file("tls.key", key.serialize_pem());
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        file("issuer.pem", authority(name)?.self_signed(&key)?.pem());
        file("issuer.key", key.serialize_pem());
        file("operator.token", format!("{}\n", hex(&crate::hash(&[&OsEntropy.bits256()]))));
        // Last, so that whoever finds it finds all of them.
        file("provider.toml", self.configuration());
        if let Some((there, _)) = files.iter().rev().find(|(path, _)| path.symlink_metadata().is_ok()) {
            return Err(InitError::There(there.clone()));
        }
        let mut made = Made::default();
        made.folder(&self.folder)?;
        made.folder(&self.authority)?;
        for (path, text) in &files {
            made.file(path, text)?;
        }
        made.keep();
        Ok(())
    }

    /// Certificate and key of the authority for TLS: those that are there, or new ones, which are put to the files to be
    /// written.
    fn authority(&self, files: &mut Vec<(PathBuf, String)>) -> Result<(String, KeyPair), InitError> {
        let (certificate, key) = (self.authority.join("root.pem"), self.authority.join("root.key"));
        if certificate.exists() {
            let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| InitError::file(path, error));
            let pem = read(&key)?;
            let unusable = |error| InitError::Certificate(format!("{}: {error}", key.display()));
            return Ok((read(&certificate)?, KeyPair::from_pem(&pem).map_err(unusable)?));
        }
        let params = authority(AUTHORITY)?;
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;
        let pem = root.key().serialize_pem();
        files.push((key, pem.clone()));
        files.push((certificate, root.pem()));
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

/// What was made so far. All of it goes again if it is dropped before the end, so that the next attempt finds nothing in its way.
#[derive(Default)]
struct Made {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    /// A folder that nobody else can read, with those above it, unless it is there already.
    fn folder(&mut self, path: &Path) -> Result<(), InitError> {
        let above = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let missing: Vec<_> = above.map(Path::to_owned).collect();
        for folder in missing.into_iter().rev() {
            private::folders().create(&folder).map_err(|error| InitError::file(&folder, error))?;
            self.folders.push(folder);
        }
        Ok(())
    }

    /// A new file that nobody else can read.
    fn file(&mut self, path: &Path, text: &str) -> Result<(), InitError> {
        let mut file = private::new_file(path).map_err(|error| InitError::file(path, error))?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| InitError::file(path, error))
    }

    fn keep(mut self) {
        self.folders.clear();
        self.files.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // What cannot be removed is told by the next attempt.
        for file in self.files.iter().rev() {
            let _ = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}
