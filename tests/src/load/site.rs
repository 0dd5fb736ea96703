//! Providers as an operator would run them, and what they use of the machine.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustls::ClientConfig;

use super::connection::Connection;
use crate::{
    fixture::{self, Fixture, Keep},
    postgres::Postgres,
    process::provider_binary,
};

/// Where providers keep what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// In a file.
    Sqlite,
    /// On a server, which is started for them.
    Postgres,
}

impl Store {
    /// Whether it can be had on this machine.
    pub fn is_there(self) -> bool {
        self == Self::Sqlite || crate::postgres::programs().is_some()
    }
}

/// Providers that run, with their files and perhaps their database server. All is gone when it is dropped.
pub(super) struct Sites {
    // In this order: processes end before what they use.
    pub(super) sites: Vec<Site>,
    pub(super) tls: Arc<ClientConfig>,
    server: Option<Postgres>,
    addresses: Addresses,
    pub(super) fixture: Fixture,
}

/// One provider: one process, or several on one database.
pub(super) struct Site {
    pub(super) domain: String,
    pub(super) port: u16,
    processes: Vec<(SocketAddr, Child)>,
    data: PathBuf,
}

/// Where the processes of all providers listen, provider by provider.
type Addresses = Vec<Vec<SocketAddr>>;

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Seconds of processor time, and memory: what is resident now, and the most that was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Used {
    pub(super) cpu: f64,
    pub(super) rss_kib: u64,
    pub(super) peak_kib: u64,
}

impl Sites {
    /// Starts providers of these domains, each with so many processes.
    pub(super) async fn start(name: &str, domains: &[&str], store: Store, processes: usize) -> Result<Self> {
        let fixture = Fixture::create(name, domains, Keep::No)?;
        let server = match store {
            Store::Sqlite => None,
            Store::Postgres => {
                Some(Postgres::start(true).context("there is no PostgreSQL on this machine (no initdb)")?)
            }
        };
        let mut tls = fixture.client_tls()?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let first = fixture.sites().iter().map(fixture::Site::address);
        let addresses = first.map(|first| all_addresses(first, processes)).collect::<Result<_>>()?;
        let mut sites = Sites { sites: Vec::new(), tls: Arc::new(tls), server, addresses, fixture };
        for (number, domain) in domains.iter().enumerate() {
            let database = sites.server.as_ref().map(|server| server.create(&format!("load_{number}")));
            let site = sites.launch(domain, database, processes).await?;
            sites.sites.push(site);
        }
        Ok(sites)
    }

    async fn launch(&self, domain: &str, database: Option<String>, processes: usize) -> Result<Site> {
        let site = self.fixture.site(domain)?;
        configure(site)?;
        let mut started =
            Site { domain: domain.to_owned(), port: site.address().port(), processes: Vec::new(), data: site.data() };
        let own = self.fixture.sites().iter().position(|one| one.domain() == site.domain()).unwrap_or_default();
        let addresses = self.addresses.get(own).context("no such provider")?;
        for (number, address) in addresses.iter().copied().enumerate().take(processes) {
            let config = self.config(site, number)?;
            let log = OpenOptions::new().create(true).append(true).open(site.log())?;
            let mut command = Command::new(provider_binary()?);
            command.args(["run", "--quiet", "--listen", &address.to_string(), "--config"]).arg(config);
            if let Some(database) = &database {
                command.env("MIMI_DATABASE", database);
            }
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
            started.processes.push((address, child));
            let until = Instant::now() + Duration::from_secs(20);
            while Connection::open(address, domain, started.port, &self.tls).await.is_err() {
                if Instant::now() > until {
                    bail!("{domain} does not start: {}", fs::read_to_string(site.log()).unwrap_or_default());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(started)
    }

    /// The configuration of one of a provider's processes: each sends to another process of the other providers.
    fn config(&self, site: &fixture::Site, number: usize) -> Result<PathBuf> {
        let config = site.config();
        if number == 0 {
            return Ok(config);
        }
        let mut text = fs::read_to_string(&config)?;
        for addresses in &self.addresses {
            let [first, ..] = addresses.as_slice() else { bail!("a provider has no process") };
            let other = addresses.get(number % addresses.len()).context("a provider has no process")?;
            text = text.replace(&format!("address = \"{first}\""), &format!("address = \"{other}\""));
        }
        let own = config.with_file_name(format!("mimi-{number}.toml"));
        fs::write(&own, text)?;
        Ok(own)
    }

    /// Starts the first provider again that was stopped.
    pub(super) async fn restart(&mut self) -> Result<()> {
        let domain = self.sites.first().context("there is no provider")?.domain.clone();
        let site = self.launch(&domain, None, 1).await?;
        self.sites = vec![site];
        Ok(())
    }

    /// KiB of the first provider that are resident.
    pub(super) fn resident(&self) -> u64 {
        self.sites.iter().flat_map(Site::used).map(|used| used.rss_kib).sum()
    }

    /// A new connection to the first provider.
    pub(super) async fn reconnect(&self, number: usize) -> Result<Connection> {
        self.sites.first().context("there is no provider")?.connect(number, &self.tls).await
    }

    /// What the database server's processes have used, if there is one.
    pub(super) fn server_used(&self) -> Option<Used> {
        let server = self.server.as_ref()?;
        let file = fs::read_to_string(server.folder().join("postmaster.pid")).ok()?;
        let postmaster: u32 = file.lines().next()?.parse().ok()?;
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).ok()?;
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        let all = std::iter::once(postmaster).chain(children).map(used);
        Some(all.fold(Used::default(), |sum, one| Used {
            cpu: sum.cpu + one.cpu,
            rss_kib: sum.rss_kib + one.rss_kib,
            peak_kib: sum.peak_kib + one.peak_kib,
        }))
    }

    /// Octets of all databases: of SQLite the pages that are used, of PostgreSQL its tables and indexes as they are, and not
    /// the logs of either.
    pub(super) fn octets(&self) -> Result<u64> {
        match &self.server {
            Some(server) => Ok(folder_octets(&server.folder().join("base"))),
            None => self.sites.iter().map(|site| used_octets(&site.data.join("provider.sqlite"))).sum(),
        }
    }
}

impl Site {
    /// Ends all processes.
    pub(super) fn stop(&mut self) {
        for (_, mut child) in self.processes.drain(..) {
            // Nobody is left to hear of an error.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The folder of the database.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// A new connection to one of the processes.
    pub(super) async fn connect(&self, number: usize, tls: &Arc<ClientConfig>) -> Result<Connection> {
        let (address, _) = self.processes.get(number % self.processes.len()).context("no process runs")?;
        Connection::open(*address, &self.domain, self.port, tls).await
    }

    /// What each process has used since it began.
    pub(super) fn used(&self) -> Vec<Used> {
        self.processes.iter().map(|(_, child)| used(child.id())).collect()
    }
}

/// Limits that a run does not come near to: all of its clients have one address.
const LIMITS: &str = "connections = 20000\naddress_connections = 20000\nrequests = 20000\ndevice_requests = 4000000\n\
                      peer_requests = 4000000\naddress_requests = 4000000";

/// Nothing that stands against many messages of few users.
fn configure(site: &fixture::Site) -> Result<()> {
    let signals = include_str!("../../../crates/mimi-abuse/src/signal/signals.toml");
    let signals = signals.replace("messages_per_minute = 60\n", "messages_per_minute = 4000000000\n");
    let config = site.config();
    let path = config.with_file_name("signals.toml");
    if path.exists() {
        return Ok(());
    }
    fs::write(path, signals)?;
    let mut file = OpenOptions::new().append(true).open(config)?;
    writeln!(file, "\n[abuse]\nsignals = \"signals.toml\"\n\n[limits]\n{LIMITS}")?;
    Ok(())
}

/// The first address, and others that are free.
fn all_addresses(first: SocketAddr, count: usize) -> Result<Vec<SocketAddr>> {
    // All are held until all are chosen: none is given out twice.
    let held = (1..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let mut all = vec![first];
    for listener in &held {
        all.push(listener.local_addr()?);
    }
    Ok(all)
}

/// Octets of the pages that an SQLite database uses, those that still stand in its log included.
pub(crate) fn used_octets(database: &Path) -> Result<u64> {
    let database = rusqlite::Connection::open(database)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let pragma = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?).try_into()?)
}

/// Fields 14 to 17 of `/proc/PID/stat`, in ticks of 10 ms, children that have ended included; and what is resident.
pub(super) fn used(id: u32) -> Used {
    let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields = stat.rsplit_once(')').map(|(_, behind)| behind).unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    let status = read("status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    Used { cpu: f64::from(ticks) / 100.0, rss_kib: kib("VmRSS:"), peak_kib: kib("VmHWM:") }
}

pub(super) fn folder_octets(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let octets = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_octets(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(octets).sum()
}
