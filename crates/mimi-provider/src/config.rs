mod assets;
mod database;
#[cfg(test)]
mod documented;
mod federation;
mod limits;
mod place;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mimi_pseudonym::Domain;
use serde::Deserialize;

use crate::{StartError, franking::Periods, ties::TiesConfig};
pub(crate) use assets::AssetEntry;
use database::DatabaseEntry;
pub(crate) use federation::{Federation, Network};
pub(crate) use limits::Limits;
use place::Step;
pub use place::{Place, Unfit};

/// How a provider is set up. Read from a TOML file; paths in it are relative to the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The provider's domain.
    pub(crate) domain: Domain,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The port that others reach it at, as it stands in the directory.
    #[serde(default = "https")]
    pub(crate) port: u16,
    /// The folder of the database.
    pub(crate) data: PathBuf,
    /// The database, if not SQLite in the folder of data.
    pub(crate) database: Option<DatabaseEntry>,
    pub(crate) tls: TlsFiles,
    pub(crate) issuer: IssuerFiles,
    #[serde(default)]
    pub(crate) anchors: Vec<AnchorEntry>,
    #[serde(default)]
    pub(crate) peers: Vec<PeerEntry>,
    /// Where files are kept that may be fetched for others.
    #[serde(default)]
    pub(crate) assets: Vec<AssetEntry>,
    #[serde(default)]
    pub(crate) registration: Registration,
    #[serde(default)]
    pub(crate) unknown_users: UnknownUsers,
    #[serde(default)]
    pub(crate) last_resort: LastResort,
    /// Where an operator's tools ask: without TLS, and so for this machine or a network of the operator's.
    pub(crate) admin: Option<AdminEntry>,
    #[serde(default)]
    pub(crate) log: LogEntry,
    /// The file with the operator's token, for what it does to rooms; without it, nothing of that can be done.
    pub(crate) operator_token: Option<PathBuf>,
    #[serde(default)]
    pub(crate) rooms: RoomRules,
    #[serde(default)]
    pub(crate) federation: Federation,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) ties: TiesConfig,
    #[serde(default)]
    pub(crate) abuse: Abuse,
}

/// How abuse is met.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Abuse {
    /// A file with weights, rates and steps in place of the built-in ones.
    pub(crate) signals: Option<PathBuf>,
    /// A file with the policy by which hubs' requests for remedies are decided about, in place of the built-in one.
    pub(crate) remedies: Option<PathBuf>,
    /// Days after which another secret stamps messages: 1 to 3,650.
    secret_days: u16,
    /// Days for which a stamped message can be reported: 1 to 3,650.
    remember_days: u16,
    /// Days after which new rooms get another key for stamps: 1 to 3,650.
    signer_days: u16,
}

impl Default for Abuse {
    fn default() -> Self {
        Self { signals: None, remedies: None, secret_days: 30, remember_days: 400, signer_days: 365 }
    }
}

impl Abuse {
    pub(crate) fn periods(&self) -> Periods {
        let days = |days: u16| Duration::from_secs(u64::from(days) * 86_400);
        Periods { secret: days(self.secret_days), remember: days(self.remember_days), signer: days(self.signer_days) }
    }
}

/// What holds in every room of this hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RoomRules {
    /// Seconds after which the hub has somebody removed who came into a knock room and does not leave.
    pub(crate) guest_seconds: u64,
    /// The most guests of a knock room at one time.
    pub(crate) guests: u32,
}

impl Default for RoomRules {
    fn default() -> Self {
        Self { guest_seconds: 3600, guests: 1000 }
    }
}

/// Files for TLS, all in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The provider's certificate and those above it.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities that peers' certificates may come from.
    pub(crate) roots: PathBuf,
}

/// Files of the authority that certifies the provider's users, in PEM; the key in PKCS#8.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// An authority whose certificates of users are believed, and of which domains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnchorEntry {
    pub(crate) certificate: PathBuf,
    pub(crate) domains: Vec<Domain>,
}

/// A provider to talk with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerEntry {
    pub(crate) domain: Domain,
    /// Where it is, if not where the domain name system says.
    pub(crate) address: Option<SocketAddr>,
    /// The port its directory is at.
    #[serde(default = "https")]
    pub(crate) port: u16,
}

/// Who may open an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registration {
    /// Anybody.
    Open,
    /// Nobody.
    #[default]
    Closed,
}

/// Where an operator's tools ask for liveness, readiness and metrics.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminEntry {
    pub(crate) listen: SocketAddr,
}

/// How the log is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogEntry {
    #[serde(default)]
    pub(crate) format: LogFormat,
}

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Words between spaces.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// What somebody who asks for the KeyPackages of a user that does not exist is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnknownUsers {
    /// What those are told who have no consent, so that nobody learns which users there are.
    #[default]
    Hidden,
    /// That there is no such user.
    Told,
}

/// Whether an account may keep a KeyPackage that is given when there is no other, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LastResort {
    /// None may.
    #[default]
    Refused,
    /// Each may, one of each of its devices, and for connection rooms alone.
    Allowed,
}

const fn https() -> u16 {
    443
}

/// What flags and the environment can say instead of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// `listen`.
    Listen,
    /// `port`.
    Port,
    /// `data`.
    Data,
    /// `registration`.
    Registration,
    /// `postgres` of `[database]`.
    Database,
    /// `listen` of `[admin]`.
    Admin,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A line is no TOML, or a value is none of its key.
    #[error("{place}: {reason}")]
    Value {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A value does not fit what stands elsewhere, or is out of range.
    #[error("{place}: {unfit}")]
    Unfit {
        /// Where.
        place: Place,
        /// What is wrong.
        unfit: Unfit,
    },
    /// A flag or variable has a value that is none of its kind. The value is not told: it may be secret.
    #[error("{from}: {reason}")]
    Set {
        /// The flag or variable.
        from: String,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, or the line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Self::parse_file(&text, path)
    }

    /// Reads a configuration from a text, with paths relative to a folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and key.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        Self::read(text, folder, None)
    }

    /// Reads a configuration from what stands in a file, or is to stand there.
    pub(crate) fn parse_file(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::read(text, path.parent().unwrap_or(Path::new(".")), Some(path))
    }

    fn read(text: &str, folder: &Path, file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Value {
            place: Place::of_error(text, file, &error),
            reason: error.message().to_owned(),
        })?;
        if config.data.as_os_str().is_empty() {
            let place = Place::of_key(text, file, &[Step::Key("data")]);
            return Err(ConfigError::Unfit { place, unfit: Unfit::Empty });
        }
        for path in config.paths() {
            *path = folder.join(&*path);
        }
        match config.unfit() {
            Some((steps, unfit)) => Err(ConfigError::Unfit { place: Place::of_key(text, file, &steps), unfit }),
            None => Ok(config),
        }
    }

    /// What does not fit together: where it stands, and why.
    fn unfit(&self) -> Option<(Vec<Step>, Unfit)> {
        let key = |table: &'static str, key: &'static str| vec![Step::Key(table), Step::Key(key)];
        let entry = |table: &'static str, at: usize, key| vec![Step::Key(table), Step::Entry(at), Step::Key(key)];
        if self.port == 0 {
            return Some((vec![Step::Key("port")], Unfit::Zero));
        }
        for (at, peer) in self.peers.iter().enumerate() {
            let twice = self.peers.iter().take(at).any(|other| other.domain == peer.domain);
            if twice || peer.domain == self.domain {
                return Some((entry("peers", at, "domain"), Unfit::Peer(peer.domain.clone())));
            }
            if peer.port == 0 {
                return Some((entry("peers", at, "port"), Unfit::Zero));
            }
        }
        if let Some((at, asset)) = assets::misplaced(self) {
            return Some((entry("assets", at, "host"), Unfit::Asset(asset.host.clone())));
        }
        if let Some((at, _)) = self.assets.iter().enumerate().find(|(_, asset)| asset.port == 0) {
            return Some((entry("assets", at, "port"), Unfit::Zero));
        }
        if self.federation.port == 0 {
            return Some((key("federation", "port"), Unfit::Zero));
        }
        if let Some((name, fault)) = self.ties.fault() {
            return Some((key("ties", name), Unfit::Ties(fault)));
        }
        if let Some((name, unfit)) = self.limits.fault() {
            return Some((key("limits", name), unfit));
        }
        if self.database.as_ref().is_some_and(|database| database.connections < 2) {
            return Some((key("database", "connections"), Unfit::Connections));
        }
        let Abuse { secret_days, remember_days, signer_days, .. } = self.abuse;
        [("secret_days", secret_days), ("remember_days", remember_days), ("signer_days", signer_days)]
            .into_iter()
            .find(|(_, days)| !(1..=3650).contains(days))
            .map(|(name, _)| (key("abuse", name), Unfit::Days))
    }

    /// Sets something that goes before the file: `from` names the flag or variable, for errors.
    ///
    /// # Errors
    /// [`ConfigError::Set`] if the value is none of its kind.
    pub fn set(&mut self, setting: Setting, from: &str, value: &str) -> Result<(), ConfigError> {
        let wrong = |reason: String| ConfigError::Set { from: from.to_owned(), reason };
        match setting {
            Setting::Listen => self.listen = value.parse().map_err(|_| wrong("no address with a port".into()))?,
            Setting::Port => match value.parse() {
                Ok(0) | Err(_) => return Err(wrong("no port".into())),
                Ok(port) => self.port = port,
            },
            Setting::Admin => {
                let listen = value.parse().map_err(|_| wrong("no address with a port".into()))?;
                self.admin = Some(AdminEntry { listen });
            }
            // Without a name it would be the folder that somebody happens to be in.
            Setting::Data | Setting::Database if value.is_empty() => return Err(wrong("it must not be empty".into())),
            Setting::Data => self.data = value.into(),
            Setting::Registration => {
                self.registration = match value {
                    "open" => Registration::Open,
                    "closed" => Registration::Closed,
                    _ => return Err(wrong("neither `open` nor `closed`".into())),
                };
            }
            Setting::Database => self.database = Some(DatabaseEntry::with(self.database.take(), value)),
        }
        Ok(())
    }

    /// The providers it talks with, and where they are: an address, or the port at what the name service says.
    pub fn peers(&self) -> impl Iterator<Item = (&Domain, String)> {
        self.peers.iter().map(|peer| match peer.address {
            Some(address) => (&peer.domain, address.to_string()),
            None => (&peer.domain, format!("{}:{}", peer.domain, peer.port)),
        })
    }

    /// The provider's domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether tools ask at an address of their own.
    ///
    /// # Errors
    /// [`StartError::Clash`].
    pub(crate) fn admin_is_apart(&self) -> Result<(), StartError> {
        let Some(admin) = self.admin.as_ref().map(|admin| admin.listen) else { return Ok(()) };
        // Whoever listens everywhere takes the port of each address. Port 0 stands for any that is free.
        let meets = admin.ip() == self.listen.ip()
            || ((admin.ip().is_unspecified() || self.listen.ip().is_unspecified())
                && admin.is_ipv4() == self.listen.is_ipv4());
        let clash = meets && admin.port() == self.listen.port() && admin.port() != 0;
        if clash { Err(StartError::Clash(admin)) } else { Ok(()) }
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { data, database, operator_token, tls, issuer, anchors, assets, abuse, ties, .. } = self;
        let database = database.iter_mut().flat_map(|one| one.password_file.iter_mut().chain(&mut one.roots));
        [data, &mut tls.certificate, &mut tls.key, &mut tls.roots, &mut issuer.certificate, &mut issuer.key]
            .into_iter()
            .chain(anchors.iter_mut().map(|anchor| &mut anchor.certificate))
            .chain(assets.iter_mut().filter_map(|entry| entry.roots.as_mut()))
            .chain(&mut ties.key)
            .chain(&mut ties.lists)
            .chain(database)
            .chain(operator_token.as_mut())
            .chain(&mut abuse.signals)
            .chain(&mut abuse.remedies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"domain = "a.example"
listen = "127.0.0.1:8443"
data = "data"
registration = "open"

[tls]
certificate = "tls.pem"
key = "/etc/tls.key"
roots = "roots.pem"

[issuer]
certificate = "issuer.pem"
key = "issuer.key"

[[anchors]]
certificate = "b.pem"
domains = ["b.example"]

[[peers]]
domain = "b.example"
address = "127.0.0.1:9443"
"#;

    fn refused(text: &str) -> String {
        Config::parse(text, Path::new("/etc/mimi")).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let config = Config::parse(GOOD, Path::new("/etc/mimi")).unwrap();
        assert_eq!(config.domain().as_str(), "a.example");
        assert_eq!(config.tls.certificate, Path::new("/etc/mimi/tls.pem"));
        assert_eq!(config.tls.key, Path::new("/etc/tls.key"));
        assert_eq!(config.anchors.first().unwrap().certificate, Path::new("/etc/mimi/b.pem"));
        assert_eq!(config.registration, Registration::Open);
        assert_eq!((config.port, config.peers.first().unwrap().port), (443, 443));
        assert_eq!(config.limits.header_timeout(), Duration::from_secs(10));
    }

    #[test]
    fn an_error_names_line_and_key() {
        assert!(refused(&GOOD.replace("127.0.0.1:8443", "nowhere")).starts_with("line 2, listen: "));
        assert!(refused(&GOOD.replace("a.example", "a..example")).starts_with("line 1, domain: "));
        assert!(refused(&GOOD.replace("registration", "registrations")).starts_with("line 4, registrations: "));
        assert!(refused(&GOOD.replace("\"open\"", "\"ajar\"")).starts_with("line 4, registration: "));
        assert!(refused(&GOOD.replace("key = \"issuer.key\"", "")).contains("`key`"));
        assert!(refused(&GOOD.replace("[tls]", "[tls")).starts_with("line 6, [tls: "));
        let text = GOOD.replace("127.0.0.1:8443", "nowhere");
        let said = Config::parse_file(&text, Path::new("/etc/mimi/provider.toml")).unwrap_err().to_string();
        assert!(said.starts_with("/etc/mimi/provider.toml: line 2, listen: "), "{said}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let said = |more: &str| refused(&format!("{GOOD}{more}"));
        let words = "is listed twice or is this provider itself";
        let twice = said("[[peers]]\ndomain = \"B.example\"\n");
        assert_eq!(twice, format!("line 23, domain: b.example {words}"));
        assert_eq!(said("[[peers]]\ndomain = \"a.example\"\n"), format!("line 23, domain: a.example {words}"));
        for (limit, _) in Limits::default().all() {
            assert_eq!(said(&format!("[limits]\n{limit} = 0\n")), format!("line 23, {limit}: it must not be 0"));
        }
        let database = said("[database]\npostgres = \"host=/run/postgresql\"\nconnections = 1\n");
        assert_eq!(database, "line 24, connections: it must be at least 2");
        assert_eq!(said("[limits]\nbody = 4096\nmemory = 4095\n"), "line 24, memory: it must be at least body");
        // What is not there is not what was changed.
        let memory = said("[limits]\nbody = 4294967296\n");
        assert_eq!(memory, "line 22, [limits] memory: it must be at least body");
        assert_eq!(said("[abuse]\nsigner_days = 0\n"), "line 23, signer_days: days are 1 to 3650");
        assert_eq!(said("[ties]\ncohort = 1\n"), "line 23, cohort: it is from 2 to 256");
        assert_eq!(said("[ties]\nway = \"blind\"\n"), "line 23, way: this way needs a key");
        assert!(said("[federation]\nnetworks = [\"10.0.0.0\"]\n").starts_with("line 23, networks: "));
        assert_eq!(said("[federation]\nport = 0\n"), "line 23, port: it must not be 0");
        assert_eq!(said("port = 0\n"), "line 22, port: it must not be 0", "the last peer's");
        assert_eq!(refused(&format!("port = 0\n{GOOD}")), "line 1, port: it must not be 0");
        let asset = "[[assets]]\nprovider = \"b.example\"\nhost = \"cdn.example\"\nport = 0\n";
        assert_eq!(said(asset), "line 25, port: it must not be 0");
    }

    #[test]
    fn tools_ask_at_an_address_of_their_own() {
        let at = |listen: &str, admin: &str| {
            let text = GOOD.replace("127.0.0.1:8443", listen);
            Config::parse(&format!("{text}[admin]\nlisten = \"{admin}\"\n"), Path::new("/")).unwrap().admin_is_apart()
        };
        assert!(at("127.0.0.1:8443", "127.0.0.1:9100").is_ok());
        assert!(at("127.0.0.2:8443", "127.0.0.1:8443").is_ok());
        assert!(at("127.0.0.1:0", "127.0.0.1:0").is_ok());
        for (listen, admin) in [("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:1", "127.0.0.1:1"), ("[::1]:1", "[::]:1")] {
            let said = at(listen, admin).unwrap_err().to_string();
            assert!(said.contains(admin) && said.contains("an address of its own"), "{said}");
        }
    }

    #[test]
    fn flags_and_variables_go_before_the_file() {
        let mut config = Config::parse(GOOD, Path::new("/etc/mimi")).unwrap();
        config.set(Setting::Listen, "MIMI_LISTEN", "127.0.0.1:1").unwrap();
        config.set(Setting::Port, "--port", "2").unwrap();
        config.set(Setting::Data, "--data", "elsewhere").unwrap();
        config.set(Setting::Registration, "--registration", "closed").unwrap();
        config.set(Setting::Database, "MIMI_DATABASE", "host=/run password=hush").unwrap();
        assert_eq!((config.listen.port(), config.port, config.registration), (1, 2, Registration::Closed));
        assert_eq!(config.data, Path::new("elsewhere"));
        assert!(!format!("{config:?}").contains("hush"));
        for (setting, value) in
            [(Setting::Listen, "x"), (Setting::Port, "70000"), (Setting::Registration, "ajar"), (Setting::Admin, "y")]
        {
            let error = config.set(setting, "MIMI_X", value).unwrap_err().to_string();
            assert!(error.starts_with("MIMI_X: ") && !error.contains(value), "{error}");
        }
        for setting in [Setting::Data, Setting::Database] {
            assert_eq!(config.set(setting, "MIMI_X", "").unwrap_err().to_string(), "MIMI_X: it must not be empty");
        }
        assert_eq!(refused(&GOOD.replace("\"data\"", "\"\"")), "line 3, data: it must not be empty");
        config.set(Setting::Admin, "--admin", "127.0.0.1:3").unwrap();
        assert_eq!(config.admin.as_ref().unwrap().listen.port(), 3);
        assert!(config.set(Setting::Port, "--port", "0").is_err());
        let peers: Vec<_> = config.peers().map(|(domain, address)| format!("{domain} {address}")).collect();
        assert_eq!(peers, ["b.example 127.0.0.1:9443"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nowhere/mimi.toml")).unwrap_err();
        assert!(matches!(&error, ConfigError::Read { path, .. } if path == Path::new("/nowhere/mimi.toml")));
        assert!(error.to_string().starts_with("/nowhere/mimi.toml: "));
    }
}
