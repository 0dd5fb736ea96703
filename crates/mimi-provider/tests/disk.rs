//! The disk is full, over the wire: what was acknowledged stays, what is not is refused as something that may work later,
//! and when there is space again it does, without anybody being asked to start anything. A limit on the size of files
//! stands for the disk: a write beyond it fails in the middle, as on a disk without space.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{collections::BTreeSet, path::Path, process::Command};

use http::Method;
use mimi_mls::Room;
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Content, Entropy, RoomUri};
use mimi_room::RoomState;
use mimi_wire::{
    FanoutEvent, SubmitMessageRequest, SubmitMessageResponse, Wire,
    local::{self, *},
};
use support::{
    SUITE, domain,
    postgres::Postgres,
    sites::{Person, Sites},
    with_room,
};

const SITE: &str = "a.example";
/// Ignores the signal that a write beyond the limit sends, so that the write fails instead.
const IGNORING: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

/// The most octets that a file of a process may have from now on.
fn limit(mut prlimit: Command, process: &str, octets: Option<u64>) -> bool {
    let limit = octets.map_or("unlimited".to_owned(), |octets| octets.to_string());
    let set = prlimit.args(["--pid", process, &format!("--fsize={limit}:unlimited")]).output();
    set.unwrap().status.success()
}

/// The size of the largest file in a folder.
fn largest(folder: &Path) -> u64 {
    let mut largest = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let is_folder = entry.file_type().unwrap().is_dir();
        largest = largest.max(if is_folder { self::largest(&entry.path()) } else { entry.metadata().unwrap().len() });
    }
    largest
}

/// Alice in a room of her own, whose messages come back to her.
struct Talk {
    alice: Person,
    uri: RoomUri,
    room: Room,
    sent: usize,
    acknowledged: BTreeSet<Vec<u8>>,
    refused: Vec<u16>,
}

impl Talk {
    async fn begin(sites: &Sites) -> Self {
        let alice = Person::new(sites, SITE, "alice").await;
        let (_, info) = sites.try_ask(SITE, alice.shown(), Method::GET, local::INFO_PATH, vec![]).await.unwrap();
        let hub = ProviderInfo::decode(&info).unwrap().hub_senders.into_iter().find(|hub| hub.cipher_suite == SUITE);
        let uri = RoomUri::pseudonym(&domain(SITE), OsEntropy.bits128());
        let state = RoomState::private(uri.clone(), alice.user.clone()).unwrap();
        let (room, first) =
            Room::create(alice.identity(sites).await, state, &hub.unwrap().sender, sites.now()).unwrap();
        let create =
            CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
        alice.post::<Accepted>(sites, local::ROOMS_PATH, &create).await.unwrap();
        Self { alice, uri, room, sent: 0, acknowledged: BTreeSet::new(), refused: Vec::new() }
    }

    /// Says something of 60,000 octets; whether it was acknowledged.
    async fn say(&mut self, sites: &Sites) -> bool {
        let content = Content { media_type: "text/plain".into(), body: vec![b'x'; 60_000] };
        let message = self.room.seal(&content).unwrap();
        let octets = message.encode();
        let submit =
            SubmitMessageRequest { message: message.try_into().unwrap(), sending_user: self.alice.user.clone() };
        let path = with_room(local::SUBMIT_MESSAGE_PATH, &self.uri);
        self.sent += 1;
        let (shown, body) = (self.alice.shown(), submit.encode());
        let (status, body) = sites.try_ask(SITE, shown, Method::POST, &path, body).await.unwrap();
        if status == 200 {
            let answer = SubmitMessageResponse::decode(&body).unwrap();
            assert!(matches!(answer, SubmitMessageResponse::Accepted { .. }), "{answer:?}");
            self.acknowledged.insert(octets);
        } else {
            self.refused.push(status);
        }
        status == 200
    }

    /// Everything in Alice's inbox.
    async fn delivered(&mut self, sites: &Sites) -> Vec<Vec<u8>> {
        let mut delivered = Vec::new();
        loop {
            let events = self.alice.events(sites).await;
            if events.is_empty() {
                return delivered;
            }
            delivered.extend(events.into_iter().filter_map(|body| match body {
                InboxBody::Fanout { message, .. } => match message.event {
                    FanoutEvent::Application { message, .. } => Some(message.message().encode()),
                    _ => None,
                },
                _ => None,
            }));
        }
    }
}

async fn full(name: &str, sites: &mut Sites, restrict: impl Fn(&Sites, bool)) {
    let mut talk = Talk::begin(sites).await;
    for _ in 0..5 {
        assert!(talk.say(sites).await);
    }
    restrict(sites, true);
    // What fits still goes, until nothing does.
    while talk.refused.len() < 5 {
        talk.say(sites).await;
        assert!(talk.sent < 400, "it is never full");
    }
    assert!(talk.refused.iter().all(|status| *status >= 500), "it may work later: {:?}", talk.refused);
    let (_, health) = sites.try_ask(SITE, talk.alice.shown(), Method::GET, local::INFO_PATH, vec![]).await.unwrap();
    assert!(!health.is_empty(), "what writes nothing goes on");
    restrict(sites, false);
    let mut again = 0;
    while !talk.say(sites).await {
        again += 1;
        assert!(again < 100, "it does not go on when there is space");
    }
    for _ in 0..5 {
        assert!(talk.say(sites).await);
    }
    // And it is all there for a process that has not seen it before.
    sites.kill(SITE);
    sites.start(SITE, 0);
    let delivered = talk.delivered(sites).await;
    let once: BTreeSet<_> = delivered.iter().cloned().collect();
    let (duplicated, lost) = (delivered.len() - once.len(), talk.acknowledged.difference(&once).count());
    eprintln!(
        "{name}: {} sent, {} acknowledged, {} refused, {} delivered, {duplicated} duplicated, {lost} lost",
        talk.sent,
        talk.acknowledged.len(),
        talk.refused.len(),
        delivered.len()
    );
    assert_eq!((duplicated, lost), (0, 0));
    assert!(talk.acknowledged.len() >= 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_under_sqlite() {
    let mut sites = Sites::new("disk-sqlite", &[(SITE, None)]);
    sites.start_by(SITE, 0, &IGNORING);
    full("full disk under SQLite", &mut sites, |sites, full| {
        let most = largest(&sites.folder.join(SITE).join("data")) + 300_000;
        assert!(limit(Command::new("prlimit"), &sites.process(SITE).to_string(), full.then_some(most)));
    })
    .await;
}

#[test]
fn a_copy_for_which_there_is_no_space_leaves_nothing() {
    let mut sites = Sites::new("disk-copy", &[(SITE, None)]);
    sites.start(SITE, 0);
    let folder = sites.folder.join("copies");
    std::fs::create_dir(&folder).unwrap();
    let to = folder.join("copy.sqlite");
    let backup = sites.command(SITE, &["backup", to.to_str().unwrap()]);
    let mut limited = Command::new(IGNORING[0]);
    // As much as SQLite needs beside the database, and less than the database has.
    limited.args(&IGNORING[1..]).args(["prlimit", "--fsize=40000"]).arg(backup.get_program()).args(backup.get_args());
    let output = limited.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(to.to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left of it");
    let again = || sites.command(SITE, &["backup", to.to_str().unwrap()]).output().unwrap();
    assert!(again().status.success(), "the same once more, with space");
    let copy = std::fs::read(&to).unwrap();
    assert!(copy.starts_with(b"SQLite format 3") && copy.len() > 40_000);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let twice = again();
    assert!(!twice.status.success() && String::from_utf8(twice.stderr).unwrap().contains("exists"));
    assert_eq!(std::fs::read(&to).unwrap(), copy, "nothing is written over");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_under_postgres() {
    // Small segments of its log, which are made beforehand: a database that cannot write its log at all stops.
    let start = || Postgres::start_with(true, false, &["--wal-segsize=1"], &[], &[]);
    let Some(server) = tokio::task::spawn_blocking(start).await.unwrap() else { return };
    let mut sites = Sites::new("disk-postgres", &[(SITE, Some(server.create("disk")))]);
    sites.start(SITE, 0);
    full("full disk under PostgreSQL", &mut sites, |_, full| {
        let most = largest(server.folder()).max(1 << 20) + 300_000;
        // The processes that it starts later have the limit of the first; some may have ended meanwhile.
        let prlimit = || server.owners(Path::new("/usr/bin/prlimit"));
        let processes = server.processes();
        let set: Vec<_> = processes.iter().map(|process| limit(prlimit(), process, full.then_some(most))).collect();
        assert!(set[0] && set.iter().filter(|set| **set).count() > 3, "{set:?}");
    })
    .await;
    drop(sites);
}
