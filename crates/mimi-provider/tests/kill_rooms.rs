//! Processes are killed without warning while rooms are in use: what a hub has acknowledged reaches its own devices and those of a
//! follower once and in order, whichever process took it and whichever brought it. Each test prints its counts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::Method;
use mimi_pseudonym::RoomUri;
use mimi_wire::{MEDIA_TYPE, local::DeviceToken};
use rustls_pki_types::CertificateDer;
use support::{
    Shown,
    postgres::Postgres,
    proxy::{Mode, Proxy},
    sites::{Person, Sites},
    talk::{Counts, Talk, message},
    try_exchange,
};

const HUB: &str = "a.example";
const FOLLOWER: &str = "b.example";
const ROOMS: usize = 4;
/// The fewest messages in each room; it goes on as long as somebody is killed.
const MESSAGES: usize = 40;
const KILLS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(120);

/// Says something until the hub has acknowledged it, at one of its processes after the other.
#[derive(Clone)]
struct Speaker {
    root: CertificateDer<'static>,
    addresses: Vec<SocketAddr>,
    token: DeviceToken,
}

impl Speaker {
    fn new(sites: &Sites, alice: &Person, addresses: Vec<SocketAddr>) -> Self {
        Self { root: sites.root.clone(), addresses, token: alice.token.clone() }
    }

    async fn say(&self, talk: &mut Talk) {
        let (octets, path, body) = talk.next(format!("message {}", talk.said.len()).into());
        let shown = Shown { token: Some(&self.token), ..Shown::default() };
        for attempt in 0..2000 {
            talk.sent += 1;
            let (address, body) = (self.addresses[attempt % self.addresses.len()], body.clone());
            let sent = try_exchange(&self.root, address, HUB, shown, Method::POST, &path, body, MEDIA_TYPE, HUB);
            match tokio::time::timeout(Duration::from_secs(20), sent).await {
                Ok(Some((200, _, body))) => {
                    assert!(talk.answered(octets, Some((200, body))));
                    return;
                }
                Ok(Some((status @ 400..500, _, body))) => panic!("{status} {}", String::from_utf8_lossy(&body)),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("never acknowledged");
    }
}

/// Alice and Cathy at the hub, Bob at its follower, and rooms with all of them.
struct Crowd {
    alice: Person,
    listeners: [Person; 2],
    talks: Vec<Talk>,
}

impl Crowd {
    async fn meet(sites: &Sites, rooms: usize) -> Self {
        let alice = Person::new(sites, HUB, "alice").await;
        let listeners = [Person::new(sites, HUB, "cathy").await, Person::new(sites, FOLLOWER, "bob").await];
        let mut talks = Vec::new();
        for _ in 0..rooms {
            talks.push(Talk::begin(sites, &alice, &[&listeners[0], &listeners[1]]).await);
        }
        Self { alice, listeners, talks }
    }

    /// Everything has come to both, once and in the order of each room.
    async fn settled(&mut self, sites: &Sites, what: &str) {
        let (sent, all) = self.talks.iter().fold((0, 0), |(sent, all), talk| (sent + talk.sent, all + talk.said.len()));
        for listener in &mut self.listeners {
            let mut heard = BTreeMap::<RoomUri, Vec<Vec<u8>>>::new();
            let (until, mut count, mut quiet) = (Instant::now() + PATIENCE, 0, 0);
            // And a little longer, for more than there should be.
            while count < all || quiet < 2 {
                assert!(Instant::now() < until, "{}: {count} of {all} have come", listener.site);
                let messages: Vec<_> = listener.events(sites).await.into_iter().filter_map(message).collect();
                quiet = if messages.is_empty() { quiet + 1 } else { 0 };
                count += messages.len();
                for (room, message) in messages {
                    heard.entry(room).or_default().push(message);
                }
            }
            let of = |talk: &Talk| heard.get(&talk.uri).cloned().unwrap_or_default();
            let counts: Vec<_> = self.talks.iter().map(|talk| Counts::of(&talk.said, &of(talk))).collect();
            let sum = |part: fn(&Counts) -> usize| counts.iter().map(part).sum::<usize>();
            eprintln!(
                "{what}, {}: {sent} sent, {all} acknowledged, {} delivered, {} duplicated, {} lost",
                listener.site,
                sum(|counts| counts.delivered),
                sum(|counts| counts.duplicated),
                sum(|counts| counts.lost)
            );
            assert_eq!((sum(|counts| counts.duplicated), sum(|counts| counts.lost)), (0, 0));
            for talk in &self.talks {
                assert_eq!(of(talk), talk.said, "in the order in which it was said");
            }
        }
    }
}

/// The hub with so many processes, and its follower, which know each other.
fn set_up(name: &str, processes: usize, databases: [Option<String>; 2]) -> Sites {
    let [hub, follower] = databases;
    let mut sites = Sites::new(name, &[(HUB, hub), (FOLLOWER, follower)]);
    sites.introduce(FOLLOWER, HUB, sites.address(HUB));
    for _ in 1..processes {
        sites.add_process(HUB);
    }
    sites
}

/// Alice speaks in all rooms at the same time, while `disturb` goes on.
async fn under<F: FnMut(&mut Sites, usize) + Send + 'static>(name: &str, mut sites: Sites, disturb: F) {
    sites.introduce(HUB, FOLLOWER, sites.address(FOLLOWER));
    let addresses = sites.addresses(HUB);
    for at in 0..addresses.len() {
        sites.start_process(HUB, at);
    }
    sites.start(FOLLOWER, 0);
    let mut crowd = Crowd::meet(&sites, ROOMS).await;
    let speaker = Speaker::new(&sites, &crowd.alice, addresses);
    let over = Arc::new(AtomicBool::new(false));
    let disturbing = {
        let (over, mut disturb) = (Arc::clone(&over), disturb);
        std::thread::spawn(move || {
            for number in 0..KILLS {
                std::thread::sleep(Duration::from_millis(200 + 130 * (number as u64 % 4)));
                disturb(&mut sites, number);
            }
            over.store(true, Ordering::SeqCst);
            (sites, disturb)
        })
    };
    let speaking: Vec<_> = std::mem::take(&mut crowd.talks)
        .into_iter()
        .map(|mut talk| {
            let (speaker, over) = (speaker.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                while talk.said.len() < MESSAGES || !over.load(Ordering::SeqCst) {
                    speaker.say(&mut talk).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                talk
            })
        })
        .collect();
    for talk in speaking {
        crowd.talks.push(talk.await.unwrap());
    }
    let (sites, disturb) = tokio::task::spawn_blocking(|| disturbing.join().unwrap()).await.unwrap();
    crowd.settled(&sites, &format!("{name}, {KILLS} killed")).await;
    assert_eq!(sites.waiting(HUB, FOLLOWER), 0);
    drop(sites);
    drop(disturb);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_on_sqlite_is_killed_while_rooms_are_in_use() {
    let sites = set_up("kill-rooms-sqlite", 1, [None, None]);
    under("hub on SQLite", sites, |sites, number| {
        let site = if number % 3 == 2 { FOLLOWER } else { HUB };
        sites.kill(site);
        sites.start(site, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_a_hub_on_postgres_are_killed_while_rooms_are_in_use() {
    let server = tokio::task::spawn_blocking(|| Postgres::start(true)).await.unwrap();
    let Some(server) = server else { return };
    let databases = [Some(server.create("hub")), Some(server.create("follower"))];
    let sites = set_up("kill-rooms-postgres", 3, databases);
    under("three processes on PostgreSQL", sites, |sites, number| {
        sites.kill_process(HUB, number % 3);
        sites.start_process(HUB, number % 3);
    })
    .await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed_while_rooms_are_in_use() {
    let server = tokio::task::spawn_blocking(|| Postgres::start(true)).await.unwrap();
    let Some(mut server) = server else { return };
    let databases = [Some(server.create("hub")), Some(server.create("follower"))];
    let sites = set_up("kill-rooms-server", 2, databases);
    under("PostgreSQL under a hub of two processes and its follower", sites, move |_, _| {
        server.kill();
        server.begin();
    })
    .await;
}

/// A process is killed while its couriers are on their way, and is not started again: another one brings what they have left,
/// and what has been said since.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_goes_on_for_couriers_that_were_killed() {
    let server = tokio::task::spawn_blocking(|| Postgres::start(false)).await.unwrap();
    let Some(server) = server else { return };
    let databases = [Some(server.create("hub")), Some(server.create("follower"))];
    let mut sites = set_up("kill-couriers", 2, databases);
    let proxy = Proxy::start(&sites.folder, &sites.root, HUB, FOLLOWER, sites.address(FOLLOWER)).await;
    sites.introduce(HUB, FOLLOWER, proxy.address);
    sites.start(FOLLOWER, 0);
    sites.start_process(HUB, 1);
    sites.start_process(HUB, 0);
    let mut crowd = Crowd::meet(&sites, ROOMS).await;
    sites.kill_process(HUB, 1);
    let addresses = sites.addresses(HUB);
    proxy.set(Mode::Hold);
    let before = proxy.seen();
    let speaker = Speaker::new(&sites, &crowd.alice, addresses.clone());
    for talk in &mut crowd.talks {
        speaker.say(talk).await;
    }
    let until = Instant::now() + PATIENCE;
    while proxy.seen() < before + ROOMS {
        assert!(Instant::now() < until, "the couriers are not on their way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let turns = server.psql("hub", "SELECT COUNT(*) FROM outbox_rooms WHERE until > 0").unwrap();
    assert_eq!(turns, ROOMS.to_string(), "each room has a courier in the process that is killed");
    sites.kill_process(HUB, 0);
    sites.start_process(HUB, 1);
    proxy.set(Mode::Pass);
    for _ in 0..10 {
        for talk in &mut crowd.talks {
            speaker.say(talk).await;
        }
    }
    let until = Instant::now() + PATIENCE;
    while sites.waiting(HUB, FOLLOWER) > 0 {
        assert!(Instant::now() < until, "nobody goes on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Cathy reads where the first process was.
    sites.start_process(HUB, 0);
    crowd.settled(&sites, "couriers killed on their way").await;
    drop(sites);
    drop(server);
}
