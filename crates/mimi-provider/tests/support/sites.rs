//! Providers as processes of their own, set up by `mimi-provider init` and `peer add`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use http::Method;
use mimi_credential::{CertificateChain, TrustStore};
use mimi_mls::Identity;
use mimi_provider::{OffsetClock, OsEntropy};
use mimi_pseudonym::{Clock, DisclosureFormat, Signer, SigningKey, Timestamp, UserUri};
use mimi_wire::{
    Problem, Wire,
    local::{self, *},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{Events, SUITE, Shown, choose_provider, domain, free_address, problem, try_exchange};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Sites {
    pub folder: PathBuf,
    pub root: CertificateDer<'static>,
    sites: BTreeMap<String, Site>,
}

struct Site {
    address: SocketAddr,
    /// A PostgreSQL database instead of a file.
    database: Option<String>,
    running: Option<Child>,
    /// More processes of the same, each with an address of its own.
    others: Vec<(SocketAddr, Option<Child>)>,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
    command.stdin(Stdio::null());
    command
}

impl Sites {
    /// Sets providers up, each with its database, or a file if that is none. Nothing runs yet, and nobody knows anybody.
    pub fn new(name: &str, sites: &[(&str, Option<String>)]) -> Self {
        choose_provider();
        let folder = std::env::temp_dir().join(format!("mimi-provider-sites-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut made = BTreeMap::new();
        for (site, database) in sites {
            let address = free_address();
            let mut init = program();
            init.args(["init", "--domain", site, "--listen", &address.to_string()]);
            init.arg("--folder").arg(folder.join(site)).arg("--authority").arg(folder.join("authority"));
            assert!(init.output().unwrap().status.success());
            made.insert(
                (*site).to_owned(),
                Site { address, database: database.clone(), running: None, others: Vec::new() },
            );
        }
        let root = CertificateDer::from_pem_file(folder.join("authority/root.pem")).unwrap();
        Self { folder, root, sites: made }
    }

    pub fn address(&self, site: &str) -> SocketAddr {
        self.sites[site].address
    }

    /// A command of a site that is not running a service.
    pub fn command(&self, site: &str, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg("--config").arg(self.folder.join(site).join("provider.toml"));
        if let Some(database) = &self.sites[site].database {
            command.env("MIMI_DATABASE", database);
        }
        command
    }

    /// Tells a provider of another one, and where it is.
    pub fn introduce(&self, site: &str, other: &str, address: SocketAddr) {
        let port = self.sites[other].address.port().to_string();
        let anchor = format!("../{other}/issuer.pem");
        let words = ["peer", "add", other, "--anchor", &anchor, "--address", &address.to_string(), "--port", &port];
        let mut command = self.command(site, &words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// More lines for the configuration of a site, from its next start on.
    pub fn configure(&self, site: &str, more: &str) {
        let path = self.folder.join(site).join("provider.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}\n{more}\n")).unwrap();
    }

    /// One more process of a site on PostgreSQL, which does not run yet.
    pub fn add_process(&mut self, site: &str) {
        self.sites.get_mut(site).unwrap().others.push((free_address(), None));
    }

    /// Where the processes of a site listen.
    pub fn addresses(&self, site: &str) -> Vec<SocketAddr> {
        let site = &self.sites[site];
        std::iter::once(site.address).chain(site.others.iter().map(|(address, _)| *address)).collect()
    }

    /// Starts one of the processes of a site; the first is what [`Sites::start`] starts.
    pub fn start_process(&mut self, site: &str, at: usize) {
        let Some(other) = at.checked_sub(1) else { return self.start(site, 0) };
        let address = self.sites[site].others[other].0;
        let mut run =
            self.command(site, &["run", "--quiet", "--registration", "open", "--listen", &address.to_string()]);
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join(site).join("log")).unwrap();
        let running = run.stderr(log).spawn().unwrap();
        self.sites.get_mut(site).unwrap().others[other].1 = Some(running);
        until_it_listens(address);
    }

    /// Kills one of the processes of a site without warning.
    pub fn kill_process(&mut self, site: &str, at: usize) {
        let Some(other) = at.checked_sub(1) else { return self.kill(site) };
        end(self.sites.get_mut(site).unwrap().others[other].1.take());
    }

    /// From its next start on a site has another database.
    pub fn choose_database(&mut self, site: &str, database: String) {
        self.sites.get_mut(site).unwrap().database = Some(database);
    }

    /// Starts a provider with its clock ahead by so many seconds, and waits until it listens.
    pub fn start(&mut self, site: &str, offset: i64) {
        self.start_by(site, offset, &[]);
    }

    /// The same by way of a program that runs it.
    pub fn start_by(&mut self, site: &str, offset: i64, by: &[&str]) {
        let offset = format!("--clock-offset={offset}");
        let run = self.command(site, &["run", "--quiet", "--registration", "open", &offset]);
        let mut command = match by {
            [] => run,
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(run.get_program()).args(run.get_args()).stdin(Stdio::null());
                for (name, value) in run.get_envs() {
                    command.env(name, value.unwrap());
                }
                command
            }
        };
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join(site).join("log")).unwrap();
        let running = command.stderr(log).spawn().unwrap();
        let site = self.sites.get_mut(site).unwrap();
        site.running = Some(running);
        until_it_listens(site.address);
    }

    /// The number of a provider's process.
    pub fn process(&self, site: &str) -> u32 {
        self.sites[site].running.as_ref().unwrap().id()
    }

    /// Asks a provider to end. How it did, if it did in time.
    pub fn end(&mut self, site: &str, patience: Duration) -> Option<ExitStatus> {
        let running = self.sites.get_mut(site).unwrap().running.as_mut().unwrap();
        assert!(Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap().success());
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = running.try_wait().unwrap() {
                self.sites.get_mut(site).unwrap().running = None;
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills a provider without warning.
    pub fn kill(&mut self, site: &str) {
        end(self.sites.get_mut(site).unwrap().running.take());
    }

    /// Messages that wait at a provider for another one.
    pub fn waiting(&self, site: &str, other: &str) -> usize {
        let output = self.command(site, &["status"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("waits for {other}  ")));
        line.map_or(0, |line| line.split(' ').next().unwrap().parse().unwrap())
    }

    /// Whose certificates of users are believed.
    pub fn trust(&self) -> TrustStore {
        self.sites.keys().fold(TrustStore::default(), |trust, site| {
            let anchor = CertificateDer::from_pem_file(self.folder.join(site).join("issuer.pem")).unwrap();
            trust.with_anchor(&anchor, [domain(site)]).unwrap()
        })
    }

    pub fn now(&self) -> Timestamp {
        OffsetClock::default().now()
    }

    /// Status and body of the answer to a request of a device; nothing if there is none.
    pub async fn try_ask(
        &self,
        site: &str,
        shown: Shown<'_>,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Option<(u16, Vec<u8>)> {
        let media_type = mimi_wire::MEDIA_TYPE;
        let address = self.address(site);
        let answer = try_exchange(&self.root, address, site, shown, method, path, body, media_type, site).await?;
        Some((answer.0, answer.2))
    }

    /// Opens the stream of the events of a person behind the last that it has read.
    pub async fn stream(&self, person: &Person) -> Events {
        let path = format!("{}?after={}", local::EVENTS_PATH, person.read);
        Events::open(&self.root, self.address(&person.site), &person.site, person.shown(), &path, person.read).await
    }

    /// Sends a message and reads the answer.
    pub async fn post<R: Wire>(
        &self,
        site: &str,
        shown: Shown<'_>,
        path: &str,
        message: &impl Wire,
    ) -> Result<R, Problem> {
        let (status, body) = self.try_ask(site, shown, Method::POST, path, message.encode()).await.unwrap();
        if status == 200 { Ok(R::decode(&body).unwrap()) } else { Err(problem(status, &body)) }
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        let sites: Vec<_> = self.sites.keys().cloned().collect();
        for site in sites {
            self.kill(&site);
            for at in 0..self.sites[&site].others.len() {
                self.kill_process(&site, at + 1);
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn until_it_listens(address: SocketAddr) {
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(running: Option<Child>) {
    if let Some(mut running) = running {
        running.kill().unwrap();
        running.wait().unwrap();
    }
}

/// A device of a new account at a provider.
pub struct Person {
    pub site: String,
    pub user: UserUri,
    pub token: DeviceToken,
    /// The last event that it has read.
    pub read: u64,
}

impl Person {
    pub async fn new(sites: &Sites, site: &str, handle: &str) -> Self {
        let request = RegisterAccountRequest {
            handle: handle.into(),
            display_name: String::new(),
            email: String::new(),
            device_name: "telephone".into(),
        };
        let registered: RegisterResponse =
            sites.post(site, Shown::default(), local::REGISTER_PATH, &request).await.unwrap();
        Self { site: site.into(), user: registered.user, token: registered.device_token, read: 0 }
    }

    pub fn shown(&self) -> Shown<'_> {
        Shown { token: Some(&self.token), ..Shown::default() }
    }

    pub async fn post<R: Wire>(&self, sites: &Sites, path: &str, message: &impl Wire) -> Result<R, Problem> {
        sites.post(&self.site, self.shown(), path, message).await
    }

    /// A credential for its account.
    pub async fn identity(&self, sites: &Sites) -> Identity {
        let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
        let tbs = CredentialItemTbs {
            subject: self.user.clone(),
            cipher_suite: SUITE,
            public_key: key.public_key().clone(),
            disclose: vec![],
            format: DisclosureFormat::X509,
        };
        let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
        let mut issued: CredentialsResponse = self.post(sites, local::CREDENTIALS_PATH, &request).await.unwrap();
        let chain = CertificateChain::try_from(issued.items.remove(0).leaf).unwrap();
        Identity::new(SUITE, key, chain, &sites.trust(), sites.now()).unwrap()
    }

    /// The events behind the last that it has read: waits a little for some.
    pub async fn events(&mut self, sites: &Sites) -> Vec<InboxBody> {
        let path = format!("{}?after={}&wait=1000", local::INBOX_PATH, self.read);
        let answer = sites.try_ask(&self.site, self.shown(), Method::GET, &path, vec![]).await;
        let Some((200, body)) = answer else { return Vec::new() };
        let events = InboxResponse::decode(&body).unwrap().events;
        self.read = events.last().map_or(self.read, |event| event.sequence);
        events.into_iter().map(|event| event.body).collect()
    }
}
