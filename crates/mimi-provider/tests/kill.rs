//! Processes are killed without warning while devices ask for things: what was acknowledged is there, and nothing is done
//! twice. Each test prints its counts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Method;
use mimi_pseudonym::UserUri;
use mimi_wire::{
    MEDIA_TYPE, Wire,
    local::{self, *},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use support::{Shown, free_address, postgres::Postgres, try_exchange};

const SENDERS: usize = 8;
const REQUESTS: usize = 30;
const KILLS: usize = 6;

/// A provider of one or several processes.
struct Site {
    folder: PathBuf,
    root: CertificateDer<'static>,
    addresses: Vec<SocketAddr>,
    running: Vec<Child>,
    database: Option<String>,
}

impl Site {
    fn start(name: &str, processes: usize, database: Option<String>) -> Self {
        let folder = std::env::temp_dir().join(format!("mimi-provider-kill-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let listen = ["--domain", "a.example", "--listen", "127.0.0.1:8443"];
        let init = Command::new(env!("CARGO_BIN_EXE_mimi-provider"))
            .arg("init")
            .arg("--folder")
            .arg(&folder)
            .args(listen)
            .output();
        assert!(init.unwrap().status.success());
        let root = CertificateDer::from_pem_file(folder.join("authority/root.pem")).unwrap();
        let addresses = (0..processes).map(|_| free_address()).collect();
        let mut site = Self { folder, root, addresses, running: Vec::new(), database };
        for at in 0..processes {
            let child = site.spawn(at);
            site.running.push(child);
        }
        site
    }

    fn spawn(&self, at: usize) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
        command.args([
            "run",
            "--quiet",
            "--registration",
            "open",
            "--listen",
            &self.addresses[at].to_string(),
            "--config",
        ]);
        command.arg(self.folder.join("provider.toml")).stdin(Stdio::null()).stderr(Stdio::null());
        if let Some(database) = &self.database {
            command.env("MIMI_DATABASE", database);
        }
        command.spawn().unwrap()
    }

    /// Kills a process and starts it again.
    fn kill(&mut self, at: usize) {
        self.running[at].kill().unwrap();
        self.running[at].wait().unwrap();
        self.running[at] = self.spawn(at);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Somebody who sends a request until it is answered, to one process after another.
#[derive(Clone)]
struct Sender {
    root: CertificateDer<'static>,
    addresses: Vec<SocketAddr>,
    sent: Arc<AtomicUsize>,
}

impl Sender {
    async fn ask(
        &self,
        token: Option<&DeviceToken>,
        key: Option<&str>,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Vec<u8> {
        let shown = Shown { token, key, ..Shown::default() };
        for attempt in 0..2000 {
            self.sent.fetch_add(1, Ordering::SeqCst);
            let address = self.addresses[attempt % self.addresses.len()];
            let sent = try_exchange(
                &self.root,
                address,
                "a.example",
                shown,
                method.clone(),
                path,
                body.clone(),
                MEDIA_TYPE,
                "a.example",
            );
            match tokio::time::timeout(Duration::from_secs(20), sent).await {
                Ok(Some((200, _, body))) => return body,
                Ok(Some((204, _, _))) => return Vec::new(),
                Ok(Some((status @ 400..500, _, body))) => panic!("{path}: {status} {}", String::from_utf8_lossy(&body)),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("{path}: never answered")
    }
}

fn key(sender: usize, number: usize) -> String {
    let mut key = format!("{sender:08x}{number:08x}");
    while key.len() < 64 {
        let _ = write!(key, "{:02x}", key.len());
    }
    key
}

/// Every sender asks for pseudonyms one after another, while `disturb` goes on; the other device of the account is told of
/// each once.
async fn under<F: FnMut(&mut Site, usize) + Send + 'static>(name: &str, site: Site, disturb: F) {
    let sender = Sender { root: site.root.clone(), addresses: site.addresses.clone(), sent: Arc::default() };
    let request = RegisterAccountRequest {
        handle: "alice".into(),
        display_name: "Alice".into(),
        email: String::new(),
        device_name: "telephone".into(),
    };
    let register = sender.ask(None, Some(&key(99, 0)), Method::POST, local::REGISTER_PATH, request.encode()).await;
    let first = RegisterResponse::decode(&register).unwrap();
    let request = AddDeviceRequest { enrolment_code: first.enrolment_code.clone(), device_name: "computer".into() };
    let add = sender.ask(None, Some(&key(99, 1)), Method::POST, local::DEVICE_PATH, request.encode()).await;
    let second = RegisterResponse::decode(&add).unwrap();

    sender.sent.store(0, Ordering::SeqCst);
    let ended = Arc::new(AtomicBool::new(false));
    let disturbing = {
        let (ended, mut site, mut disturb) = (Arc::clone(&ended), site, disturb);
        std::thread::spawn(move || {
            let mut kills = 0;
            while kills < KILLS && !ended.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(150 + 90 * (kills as u64 % 4)));
                disturb(&mut site, kills);
                kills += 1;
            }
            (site, disturb, kills)
        })
    };
    let acknowledged = Arc::new(Mutex::new(BTreeSet::<UserUri>::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let (sender, token, acknowledged) = (sender.clone(), first.device_token.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut request = 0;
                // Goes on as long as somebody is killed, and then to a round number.
                while request < REQUESTS {
                    let body = PseudonymsRequest { count: 1 }.encode();
                    let key = key(number, request);
                    let answer = sender.ask(Some(&token), Some(&key), Method::POST, local::PSEUDONYMS_PATH, body).await;
                    let given = PseudonymsResponse::decode(&answer).unwrap().pseudonyms;
                    assert!(acknowledged.lock().unwrap().insert(given[0].clone()), "two requests got one pseudonym");
                    request += 1;
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
            })
        })
        .collect();
    for one in senders {
        one.await.unwrap();
    }
    ended.store(true, Ordering::SeqCst);
    let sent = sender.sent.load(Ordering::SeqCst);
    let (site, disturb, kills) = tokio::task::spawn_blocking(|| disturbing.join().unwrap()).await.unwrap();

    let mut delivered = Vec::new();
    let mut numbers = Vec::new();
    loop {
        let after = numbers.last().copied().unwrap_or(0);
        let path = format!("{}?after={after}&wait=0", local::INBOX_PATH);
        let body = sender.ask(Some(&second.device_token), None, Method::GET, &path, Vec::new()).await;
        let events = InboxResponse::decode(&body).unwrap().events;
        if events.is_empty() {
            break;
        }
        for event in events {
            numbers.push(event.sequence);
            let InboxBody::PseudonymsAssigned { pseudonyms } = event.body else { panic!("something else") };
            delivered.extend(pseudonyms);
        }
    }
    let once: BTreeSet<_> = delivered.iter().cloned().collect();
    let acknowledged = acknowledged.lock().unwrap();
    let (lost, doubled) = (acknowledged.difference(&once).count(), delivered.len() - once.len());
    eprintln!(
        "{name}: {kills} killed, {sent} requests sent, {} acknowledged, {} delivered, {doubled} duplicated, {lost} lost",
        acknowledged.len(),
        delivered.len()
    );
    assert_eq!((acknowledged.len(), lost, doubled), (SENDERS * REQUESTS, 0, 0));
    assert_eq!(once, *acknowledged, "and nothing was given that nobody was told of");
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(kills >= 2, "nobody was killed");
    drop(site);
    drop(disturb);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_on_sqlite_is_killed() {
    let site = Site::start("sqlite", 1, None);
    under("provider on SQLite", site, |site, _| site.kill(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_on_postgres_are_killed() {
    let server = tokio::task::spawn_blocking(|| Postgres::start(true)).await.unwrap();
    let Some(server) = server else { return };
    let site = Site::start("postgres", 2, Some(server.create("kill")));
    under("two processes on PostgreSQL", site, |site, number| site.kill(number % 2)).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed() {
    let server = tokio::task::spawn_blocking(|| Postgres::start(true)).await.unwrap();
    let Some(mut server) = server else { return };
    let site = Site::start("server", 2, Some(server.create("kill")));
    under("PostgreSQL under two processes", site, move |_, _| {
        server.kill();
        server.begin();
    })
    .await;
}
