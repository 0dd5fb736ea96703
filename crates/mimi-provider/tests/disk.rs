//! The disk is full, over the wire: what was acknowledged stays, what is not is refused as something that may work later,
//! and when there is space again it does, without anybody being asked to start anything. A limit on the size of files
//! stands for the disk: a write beyond it fails in the middle, as on a disk without space.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use http::Method;
use mimi_wire::local;
use support::{
    postgres::Postgres,
    sites::{Person, Sites},
    talk::{Counts, Talk, message},
};

const SITE: &str = "a.example";
const FOLLOWER: &str = "b.example";
const PATIENCE: Duration = Duration::from_secs(120);
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

/// Whether the files of a provider on SQLite have an end.
fn restrict_provider(sites: &Sites, site: &str, full: bool) {
    let most = largest(&sites.folder.join(site).join("data")) + 300_000;
    assert!(limit(Command::new("prlimit"), &sites.process(site).to_string(), full.then_some(most)));
}

/// The same of PostgreSQL.
fn restrict_server(server: &Postgres, full: bool) {
    let most = largest(server.folder()).max(1 << 20) + 300_000;
    // The processes that it starts later have the limit of the first; some may have ended meanwhile.
    let prlimit = || server.owners(Path::new("/usr/bin/prlimit"));
    let processes = server.processes();
    let set: Vec<_> = processes.iter().map(|process| limit(prlimit(), process, full.then_some(most))).collect();
    assert!(set[0] && set.iter().filter(|set| **set).count() > 3, "{set:?}");
}

/// Alice says something of 60,000 octets; the status of the answer.
async fn say(talk: &mut Talk, sites: &Sites, alice: &Person) -> u16 {
    talk.say(sites, alice, vec![b'x'; 60_000]).await
}

/// Everything in somebody's inbox.
async fn delivered(person: &mut Person, sites: &Sites) -> Vec<Vec<u8>> {
    let mut delivered = Vec::new();
    loop {
        let events = person.events(sites).await;
        if events.is_empty() {
            return delivered;
        }
        delivered.extend(events.into_iter().filter_map(message).map(|(_, message)| message));
    }
}

async fn full(name: &str, sites: &mut Sites, restrict: impl Fn(&Sites, bool)) {
    let mut alice = Person::new(sites, SITE, "alice").await;
    let mut talk = Talk::begin(sites, &alice, &[]).await;
    for _ in 0..5 {
        assert_eq!(say(&mut talk, sites, &alice).await, 200);
    }
    restrict(sites, true);
    // What fits still goes, until nothing does.
    let mut refused = Vec::new();
    while refused.len() < 5 {
        refused.extend(Some(say(&mut talk, sites, &alice).await).filter(|status| *status != 200));
        assert!(talk.sent < 400, "it is never full");
    }
    assert!(refused.iter().all(|status| *status >= 500), "it may work later: {refused:?}");
    let (_, health) = sites.try_ask(SITE, alice.shown(), Method::GET, local::INFO_PATH, vec![]).await.unwrap();
    assert!(!health.is_empty(), "what writes nothing goes on");
    restrict(sites, false);
    let mut again = 0;
    while say(&mut talk, sites, &alice).await != 200 {
        again += 1;
        assert!(again < 100, "it does not go on when there is space");
    }
    for _ in 0..5 {
        assert_eq!(say(&mut talk, sites, &alice).await, 200);
    }
    // And it is all there for a process that has not seen it before.
    sites.kill(SITE);
    sites.start(SITE, 0);
    let delivered = delivered(&mut alice, sites).await;
    let counts = Counts::of(&talk.said, &delivered);
    let (sent, acknowledged, refused) = (talk.sent, talk.said.len(), refused.len() + again);
    eprintln!("{name}: {sent} sent, {acknowledged} acknowledged, {refused} refused, {counts:?}");
    assert_eq!((counts.duplicated, counts.lost), (0, 0));
    assert!(acknowledged >= 11);
}

/// The disk of a room's follower is full for a while: its hub keeps everything and brings it afterwards.
async fn full_follower(name: &str, sites: &mut Sites, restrict: impl Fn(&Sites, bool)) {
    for (site, other) in [(SITE, FOLLOWER), (FOLLOWER, SITE)] {
        sites.introduce(site, other, sites.address(other));
    }
    sites.start(SITE, 0);
    sites.start_by(FOLLOWER, 0, &IGNORING);
    let (alice, mut bob) = (Person::new(sites, SITE, "alice").await, Person::new(sites, FOLLOWER, "bob").await);
    let mut talk = Talk::begin(sites, &alice, &[&bob]).await;
    for _ in 0..5 {
        assert_eq!(say(&mut talk, sites, &alice).await, 200);
    }
    let mut heard = Vec::new();
    while heard.len() < 5 {
        heard.extend(delivered(&mut bob, sites).await);
    }
    restrict(sites, true);
    // 6 million octets: many times what there is space for.
    for _ in 0..100 {
        assert_eq!(say(&mut talk, sites, &alice).await, 200, "it is not the hub's disk");
    }
    // The follower has been asked again and again.
    let mut waiting = 0;
    for _ in 0..10 {
        heard.extend(delivered(&mut bob, sites).await);
        waiting = sites.waiting(SITE, FOLLOWER);
    }
    assert!(waiting > 80, "{waiting} wait");
    assert!(heard.len() + waiting >= talk.said.len(), "what was not taken waits");
    restrict(sites, false);
    let until = Instant::now() + PATIENCE;
    while heard.len() < talk.said.len() {
        assert!(Instant::now() < until, "{} of {} have come", heard.len(), talk.said.len());
        heard.extend(delivered(&mut bob, sites).await);
    }
    heard.extend(delivered(&mut bob, sites).await);
    let counts = Counts::of(&talk.said, &heard);
    eprintln!(
        "{name}: {} sent, {} acknowledged, {waiting} waited for the follower, {counts:?}",
        talk.sent,
        talk.said.len()
    );
    assert_eq!(heard, talk.said, "everything once and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_under_sqlite() {
    let mut sites = Sites::new("disk-sqlite", &[(SITE, None)]);
    sites.start_by(SITE, 0, &IGNORING);
    full("full disk under SQLite", &mut sites, |sites, full| restrict_provider(sites, SITE, full)).await;
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
    full("full disk under PostgreSQL", &mut sites, |_, full| restrict_server(&server, full)).await;
    drop(sites);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_a_follower_is_full_under_sqlite() {
    let mut sites = Sites::new("disk-follower-sqlite", &[(SITE, None), (FOLLOWER, None)]);
    let name = "a follower's full disk under SQLite";
    full_follower(name, &mut sites, |sites, full| restrict_provider(sites, FOLLOWER, full)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_a_follower_is_full_under_postgres() {
    // The hub has a server of its own.
    let start = || {
        let hub = Postgres::start(false)?;
        Some((hub, Postgres::start_with(true, false, &["--wal-segsize=1"], &[], &[])?))
    };
    let Some((hub, server)) = tokio::task::spawn_blocking(start).await.unwrap() else { return };
    let databases = [(SITE, Some(hub.create("hub"))), (FOLLOWER, Some(server.create("disk")))];
    let mut sites = Sites::new("disk-follower-postgres", &databases);
    let name = "a follower's full disk under PostgreSQL";
    full_follower(name, &mut sites, |_, full| restrict_server(&server, full)).await;
    drop(sites);
}
