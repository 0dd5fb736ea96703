//! A folder with everything that providers need to run: certificates, keys, configurations.

mod authority;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow};
use mimi_credential::Issuer;
use mimi_pseudonym::{Domain, Timestamp};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};

use self::authority::{TlsAuthority, user_authority};
use crate::process::Launch;

/// Where the files of a scenario are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Below the system's folder for temporary files; gone at the end.
    No,
    /// Below `target/e2e`; left for reading.
    Yes,
}

/// A folder with the files of some providers. Gone when dropped, unless it is kept.
#[derive(Debug)]
pub struct Fixture {
    root: PathBuf,
    keep: Keep,
    sites: Vec<Site>,
}

/// One provider's part of a [`Fixture`].
#[derive(Debug, Clone)]
pub struct Site {
    domain: Domain,
    folder: PathBuf,
    address: SocketAddr,
    /// The connection string of its database, if that is not a file.
    database: Option<String>,
}

impl Fixture {
    /// Makes the folder, with certificates and keys for each domain, and writes the configurations.
    ///
    /// # Errors
    /// Where a file cannot be written, or no port is free.
    pub fn create(scenario: &str, domains: &[&str], keep: Keep) -> Result<Self> {
        let root = match keep {
            Keep::Yes => target_folder()?.join("e2e").join(scenario),
            Keep::No => std::env::temp_dir().join(format!("mimi-{scenario}-{}-{:x}", std::process::id(), nanos())),
        };
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("{} cannot be emptied", root.display()))?;
        }
        let site = |domain: &&str| -> Result<Site> {
            let domain: Domain = domain.parse()?;
            let folder = root.join(domain.as_str());
            fs::create_dir_all(folder.join("data")).with_context(|| format!("{} cannot be made", folder.display()))?;
            Ok(Site { domain, folder, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), database: None })
        };
        let sites = domains.iter().map(site).collect::<Result<_>>()?;
        let mut fixture = Self { root, keep, sites };
        fixture.write_certificates()?;
        fixture.choose_ports()?;
        Ok(fixture)
    }

    /// Gives each provider a database on a server, by its connection string, instead of a file.
    ///
    /// # Errors
    /// If a configuration cannot be written.
    pub fn choose_databases(&mut self, mut database: impl FnMut(&Domain) -> String) -> Result<()> {
        for site in &mut self.sites {
            site.database = Some(database(&site.domain));
        }
        self.sites.iter().try_for_each(|site| write(&site.config(), &self.configuration(site)))
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The providers, in the order they were named.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The provider of a domain.
    ///
    /// # Errors
    /// If there is none.
    pub fn site(&self, domain: &str) -> Result<&Site> {
        self.sites.iter().find(|site| site.domain.as_str() == domain).ok_or_else(|| anyhow!("no provider {domain}"))
    }

    /// Chooses a free port for each provider and writes the configurations anew. To be called again if another
    /// process took one of them before its provider did.
    ///
    /// # Errors
    /// If no port is free, or a file cannot be written.
    pub fn choose_ports(&mut self) -> Result<()> {
        // All are held until all are chosen: none is given out twice.
        let mut held = Vec::new();
        for site in &mut self.sites {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
            site.address = listener.local_addr()?;
            held.push(listener);
        }
        self.sites.iter().try_for_each(|site| write(&site.config(), &self.configuration(site)))
    }

    /// What a provider's process needs to start.
    ///
    /// # Errors
    /// If the domain has no provider here, or the certificates cannot be read.
    pub fn launch(&self, domain: &str) -> Result<Launch> {
        let site = self.site(domain)?;
        Ok(Launch {
            binary: crate::process::provider_binary()?,
            config: site.config(),
            record: site.folder.join("record"),
            log: site.log(),
            domain: domain.to_owned(),
            address: site.address,
            tls: Arc::new(self.client_tls()?),
        })
    }

    /// The file of the authority that certifies the providers for TLS, in PEM.
    pub fn roots(&self) -> PathBuf {
        self.root.join("roots.pem")
    }

    /// TLS as a client of any of the providers has it: without a certificate.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn client_tls(&self) -> Result<ClientConfig> {
        Ok(self.tls()?.with_no_client_auth())
    }

    /// An HTTP client that shows the certificate of one provider, and finds all of them.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn peer(&self, domain: &str) -> Result<reqwest::Client> {
        let folder = &self.site(domain)?.folder;
        let chain = CertificateDer::pem_file_iter(folder.join("tls.pem"))?.collect::<Result<_, _>>()?;
        self.http(self.tls()?.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(folder.join("tls.key"))?)?)
    }

    /// An HTTP client without a certificate that finds all providers.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn anonymous(&self) -> Result<reqwest::Client> {
        self.http(self.client_tls()?)
    }

    fn http(&self, mut tls: ClientConfig) -> Result<reqwest::Client> {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(Duration::from_secs(20));
        let client = self.sites.iter().fold(client, |client, site| client.resolve(site.domain.as_str(), site.address));
        Ok(client.build()?)
    }

    fn tls(&self) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.roots())? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
        Ok(builder.with_root_certificates(roots))
    }

    fn write_certificates(&self) -> Result<()> {
        let authority = TlsAuthority::create()?;
        write(&self.roots(), &authority.certificate())?;
        let now = Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        for site in &self.sites {
            let tls = authority.certify(site.domain.as_str())?;
            write(&site.folder.join("tls.pem"), &tls.certificate)?;
            write(&site.folder.join("tls.key"), &tls.key)?;
            let issuer = user_authority(&site.domain, now)?;
            write(&site.folder.join("issuer.pem"), &issuer.certificate)?;
            write(&site.folder.join("issuer.key"), &issuer.key)?;
        }
        Ok(())
    }

    fn configuration(&self, own: &Site) -> String {
        let mut text = format!(
            "domain = \"{}\"\nlisten = \"{}\"\nport = {}\ndata = \"data\"\nregistration = \"open\"\n\n\
             [tls]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\nroots = \"../roots.pem\"\n\n\
             [issuer]\ncertificate = \"issuer.pem\"\nkey = \"issuer.key\"\n",
            own.domain,
            own.address,
            own.address.port()
        );
        if let Some(database) = &own.database {
            text += &format!("\n[database]\npostgres = \"{database}\"\n");
        }
        for site in &self.sites {
            let Site { domain, address, .. } = site;
            text += &format!("\n[[anchors]]\ncertificate = \"../{domain}/issuer.pem\"\ndomains = [\"{domain}\"]\n");
            if *domain != own.domain {
                text += &format!(
                    "\n[[peers]]\ndomain = \"{domain}\"\naddress = \"{address}\"\nport = {}\n",
                    address.port()
                );
            }
        }
        text
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.keep == Keep::No {
            // What cannot be removed is left to whoever empties that folder.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

impl Site {
    /// The provider's domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.domain, self.address.port())
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("mimi.toml")
    }

    /// The connection string of its database, if that is not a file in [`Site::data`].
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The folder of the database.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file that the process writes its log to.
    pub fn log(&self) -> PathBuf {
        self.folder.join("provider.log")
    }

    /// The file of recorded exchanges.
    pub fn exchanges(&self) -> PathBuf {
        self.folder.join("record").join("exchanges.jsonl")
    }

    /// The file of counted cryptographic operations.
    pub fn operations(&self) -> PathBuf {
        self.folder.join("record").join("operations.jsonl")
    }

    /// Another authority for its users, which is not in the provider's hands.
    ///
    /// # Errors
    /// If the files of the first one cannot be read.
    pub fn other_authority(&self, now: Timestamp) -> Result<Issuer> {
        let certificate = CertificateDer::from_pem_file(self.issuer())?;
        let key = std::fs::read_to_string(self.folder.join("issuer.key"))?;
        authority::below(&self.domain, &certificate, &key, now)
    }

    /// The certificate of the authority for its users, in PEM: an anchor of the clients.
    pub fn issuer(&self) -> PathBuf {
        self.folder.join("issuer.pem")
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// The folder that cargo builds into: above the running program's.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let found = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    found.map(Path::to_owned).ok_or_else(|| anyhow!("{} is in no target folder", program.display()))
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_is_complete_and_goes_away() {
        let fixture = Fixture::create("fixture", &["a.example", "b.example"], Keep::No).unwrap();
        let root = fixture.root().to_owned();
        let (a, b) = (fixture.site("a.example").unwrap(), fixture.site("b.example").unwrap());
        assert_ne!(a.address().port(), b.address().port());
        let config = fs::read_to_string(a.config()).unwrap();
        for expected in [
            "domain = \"a.example\"".to_owned(),
            format!("listen = \"{}\"", a.address()),
            format!("domain = \"b.example\"\naddress = \"{}\"\nport = {}", b.address(), b.address().port()),
            "domains = [\"a.example\"]".to_owned(),
            "domains = [\"b.example\"]".to_owned(),
        ] {
            assert!(config.contains(&expected), "{expected} is not in\n{config}");
        }
        assert!(!config.contains("[[peers]]\ndomain = \"a.example\""), "a provider is no peer of its own");
        for file in ["tls.pem", "tls.key", "issuer.pem", "issuer.key"] {
            assert!(
                fs::read_to_string(root.join("b.example").join(file)).unwrap().starts_with("-----BEGIN "),
                "{file}"
            );
        }
        fixture.peer("a.example").unwrap();
        assert!(fixture.peer("c.example").is_err());
        drop(fixture);
        assert!(!root.exists());
    }

    #[test]
    fn ports_can_be_chosen_again() {
        let mut fixture = Fixture::create("ports", &["a.example"], Keep::No).unwrap();
        let before = fixture.site("a.example").unwrap().address();
        let _taken = TcpListener::bind(before).unwrap();
        fixture.choose_ports().unwrap();
        let after = fixture.site("a.example").unwrap().address();
        assert_ne!(before, after);
        let config = fs::read_to_string(fixture.site("a.example").unwrap().config()).unwrap();
        assert!(config.contains(&format!("listen = \"{after}\"")));
    }
}
