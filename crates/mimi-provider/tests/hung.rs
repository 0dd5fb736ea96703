//! PostgreSQL hangs: it takes connections, holds those that there are, and answers nothing. A provider says so, ends when
//! it is asked to, acknowledges nothing that it does not know to be stored, and goes on by itself when the database does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::Method;
use mimi_wire::{
    Wire,
    local::{self, PseudonymsRequest, PseudonymsResponse, RegisterAccountRequest, RegisterResponse},
};
use support::{
    Shown, free_address,
    postgres::Postgres,
    sites::{Person, Sites},
};

const SITE: &str = "a.example";
/// For what has to come at some time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A provider on a server of its own, with an address for tools.
async fn start(name: &str) -> Option<(Postgres, Sites, SocketAddr)> {
    let server = tokio::task::spawn_blocking(|| Postgres::start(true)).await.unwrap()?;
    let mut sites = Sites::new(name, &[(SITE, Some(server.create("hung")))]);
    let admin = free_address();
    let config = sites.folder.join(SITE).join("provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[admin]\nlisten = \"{admin}\"\n")).unwrap();
    sites.start(SITE, 0);
    Some((server, sites, admin))
}

/// What is answered to tools; nothing if that takes as long as nobody waits.
fn asked(admin: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(admin).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = tcp.read_to_string(&mut answer);
    answer
}

/// Opens an account. The status of the answer, and who it is if it was opened.
async fn register(sites: &Sites, handle: String) -> (Option<u16>, Option<Person>) {
    let request = RegisterAccountRequest {
        handle,
        display_name: String::new(),
        email: String::new(),
        device_name: "telephone".into(),
    };
    let path = local::REGISTER_PATH;
    match sites.try_ask(SITE, Shown::default(), Method::POST, path, request.encode()).await {
        Some((200, body)) => {
            let registered = RegisterResponse::decode(&body).unwrap();
            let (user, token) = (registered.user, registered.device_token);
            (Some(200), Some(Person { site: SITE.into(), user, token, read: 0 }))
        }
        Some((status, _)) => (Some(status), None),
        None => (None, None),
    }
}

async fn is_known(sites: &Sites, person: &Person) -> bool {
    let answer = sites.try_ask(SITE, person.shown(), Method::GET, local::DEVICES_PATH, vec![]).await;
    answer.is_some_and(|(status, _)| status == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_told_of_and_used_again_when_it_goes_on() {
    let Some((server, sites, admin)) = start("hung").await else { return };
    let sites = Arc::new(sites);
    let mut people = Vec::new();
    for number in 0..5 {
        people.extend(register(&sites, format!("before-{number}")).await.1);
    }
    assert_eq!(people.len(), 5);
    // Some are on their way when it begins to hang.
    let mut under_way: Vec<_> = (0..4)
        .map(|number| {
            let sites = Arc::clone(&sites);
            tokio::spawn(async move { register(&sites, format!("meanwhile-{number}")).await })
        })
        .collect();
    let halted = server.halt();
    under_way.extend((0..4).map(|number| {
        let sites = Arc::clone(&sites);
        tokio::spawn(async move { register(&sites, format!("after-{number}")).await })
    }));
    for path in ["/ready", "/ready"] {
        let answer = asked(admin, path);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the database does not answer"), "{answer}");
    }
    let metrics = asked(admin, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("mimi_connections "), "{metrics}");
    let ready = sites.command(SITE, &["ready"]).output().unwrap();
    let said = String::from_utf8(ready.stderr).unwrap();
    assert!(!ready.status.success() && said.contains("not ready: the database does not answer"), "{said}");
    let mut refused = 0;
    for registered in under_way {
        // Whoever gets no success gets an answer all the same.
        let (status, person) = tokio::time::timeout(PATIENCE, registered).await.unwrap().unwrap();
        refused += usize::from(status == Some(503));
        assert!(matches!(status, Some(200 | 503)), "{status:?}");
        people.extend(person);
    }
    assert!(refused >= 4, "{refused}: nothing is stored after the last answer of the database");
    drop(halted);
    let until = Instant::now() + PATIENCE;
    while !asked(admin, "/ready").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    people.extend(register(&sites, "at-last".into()).await.1);
    assert!(people.iter().any(|person| person.user.as_str().contains("at-last")));
    for person in &people {
        assert!(is_known(&sites, person).await, "an account was acknowledged and is not there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_end_ends_while_the_database_hangs() {
    let Some((server, mut sites, _)) = start("hung-end").await else { return };
    let person = register(&sites, "alice".into()).await.1.unwrap();
    let halted = server.halt();
    // Somebody waits for an answer.
    let (shown, path) = (person.shown(), local::DEVICES_PATH);
    let waits = tokio::time::timeout(Duration::from_millis(300), sites.try_ask(SITE, shown, Method::GET, path, vec![]));
    assert!(waits.await.is_err());
    let ended = sites.end(SITE, Duration::from_secs(12));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    drop(halted);
    sites.start(SITE, 0);
    assert!(is_known(&sites, &person).await);
}

/// A way to a server on which an answer is lost: once it is told of a table, the first connection that writes to it hears
/// nothing more from the moment at which it ends its transaction. The server hears everything.
struct Way {
    address: SocketAddr,
    table: Arc<OnceLock<&'static str>>,
    lost: Arc<AtomicBool>,
}

impl Way {
    fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let way = Self { address, table: Arc::default(), lost: Arc::default() };
        let (table, lost) = (Arc::clone(&way.table), Arc::clone(&way.lost));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let (mut asks, mut hears) = (client.try_clone().unwrap(), client);
                let (mut told, mut answers) = (server.try_clone().unwrap(), server);
                let (table, lost) = (Arc::clone(&table), Arc::clone(&lost));
                let deaf = Arc::<AtomicBool>::default();
                let is_deaf = Arc::clone(&deaf);
                std::thread::spawn(move || {
                    let (mut octets, mut writes) = ([0; 65_536], false);
                    while let Ok(length @ 1..) = asks.read(&mut octets) {
                        let text = String::from_utf8_lossy(&octets[..length]);
                        writes |= table.get().is_some_and(|table| text.contains(&format!("INSERT INTO {table} ")));
                        if writes && text.contains("COMMIT") && !lost.swap(true, Ordering::SeqCst) {
                            deaf.store(true, Ordering::SeqCst);
                        }
                        if told.write_all(&octets[..length]).is_err() {
                            break;
                        }
                    }
                    let _ = told.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    let mut octets = [0; 65_536];
                    while let Ok(length @ 1..) = answers.read(&mut octets) {
                        if !is_deaf.load(Ordering::SeqCst) && hears.write_all(&octets[..length]).is_err() {
                            break;
                        }
                    }
                    let _ = hears.shutdown(Shutdown::Both);
                });
            }
        });
        way
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_without_an_answer_is_not_acknowledged_and_is_done_once() {
    let port = free_address().port();
    let start = move || {
        let port = format!("port={port}");
        Postgres::start_with(false, false, &[], &[], &["-c", "listen_addresses=127.0.0.1", "-c", &port])
    };
    let Some(server) = tokio::task::spawn_blocking(start).await.unwrap() else { return };
    server.create("lost");
    let way = Way::new(SocketAddr::from(([127, 0, 0, 1], port)));
    let database = format!("host=127.0.0.1 port={} user=mimi dbname=lost", way.address.port());
    let mut sites = Sites::new("lost-answer", &[(SITE, Some(database))]);
    sites.start(SITE, 0);
    let alice = register(&sites, "alice".into()).await.1.unwrap();
    way.table.set("pseudonyms").unwrap();
    let stored = || server.psql("lost", "SELECT count(*) FROM pseudonyms").unwrap();
    assert_eq!(stored(), "0");
    let body = PseudonymsRequest { count: 8 }.encode();
    let shown = Shown { key: Some("\"7\""), ..alice.shown() };
    let ask = || sites.try_ask(SITE, shown, Method::POST, local::PSEUDONYMS_PATH, body.clone());
    let (status, _) = ask().await.unwrap();
    assert_eq!(status, 503, "nobody knows what has become of it");
    assert!(way.lost.load(Ordering::SeqCst));
    assert_eq!(stored(), "8", "and it was stored");
    let (status, given) = ask().await.unwrap();
    assert_eq!((status, stored().as_str()), (200, "8"), "the same once more is done once");
    assert_eq!(PseudonymsResponse::decode(&given).unwrap().pseudonyms.len(), 8);
}

#[test]
fn who_asks_whether_a_provider_is_ready_hears_that_no_answer_came() {
    let sites = Sites::new("no-answer", &[(SITE, None)]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = sites.folder.join(SITE).join("provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let admin = silent.local_addr().unwrap();
    std::fs::write(&config, format!("{text}\n[admin]\nlisten = \"{admin}\"\n")).unwrap();
    let ready = sites.command(SITE, &["ready"]).output().unwrap();
    let said = String::from_utf8(ready.stderr).unwrap();
    assert!(
        !ready.status.success() && said.contains(&format!("not ready: no answer from {admin} in 4 seconds")),
        "{said}"
    );
}

#[test]
fn whoever_is_told_to_end_while_it_starts_ends_well() {
    // A database that takes connections and never says anything: this start would not come to its end by itself.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let database = format!("host=127.0.0.1 port={} user=x dbname=x", silent.local_addr().unwrap().port());
    let sites = Sites::new("starting", &[(SITE, Some(database))]);
    let mut provider = sites.command(SITE, &["run", "--quiet"]).spawn().unwrap();
    let connected = silent.accept().unwrap();
    for signal in ["-HUP", "-TERM"] {
        assert!(Command::new("kill").arg(signal).arg(provider.id().to_string()).status().unwrap().success());
    }
    let ended = provider.wait().unwrap();
    assert!(ended.success(), "{ended}");
    drop(connected);
}
