//! A provider is restored from a copy of its database, and devices that were connected all the time go on: they get everything that
//! the restored provider has for them and all that comes, on both databases.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::path::Path;

use http::Method;
use mimi_wire::{
    Wire,
    local::{self, *},
};
use support::{
    postgres::Postgres,
    sites::{Person, Sites},
    talk::{Counts, Talk, message},
};

const SITE: &str = "a.example";

/// Reads until so many messages have come, and then looks for more.
async fn hear(person: &mut Person, sites: &Sites, heard: &mut Vec<Vec<u8>>, count: usize) {
    for _ in 0..60 {
        if heard.len() >= count {
            break;
        }
        heard.extend(person.events(sites).await.into_iter().filter_map(message).map(|(_, message)| message));
    }
    heard.extend(person.events(sites).await.into_iter().filter_map(message).map(|(_, message)| message));
}

async fn acknowledge(person: &Person, sites: &Sites) {
    let body = AckRequest { up_to: person.read }.encode();
    let answer = sites.try_ask(SITE, person.shown(), Method::POST, local::ACK_PATH, body).await;
    assert_eq!(answer.unwrap().0, 204);
}

async fn say(talk: &mut Talk, sites: &Sites, alice: &Person, what: &str, times: usize) {
    for number in 0..times {
        assert_eq!(talk.say(sites, alice, format!("{what} {number}").into()).await, 200);
    }
}

/// Puts a copy in the place of a SQLite database, as the operator's page says.
fn put_back(data: &Path, copy: &Path) {
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("provider.sqlite{ending}")));
    }
    std::fs::rename(copy, data.join("provider.sqlite")).unwrap();
}

async fn restored(on_postgres: bool) {
    let server = if on_postgres {
        let Some(server) = tokio::task::spawn_blocking(|| Postgres::start(false)).await.unwrap() else { return };
        Some(server)
    } else {
        None
    };
    let name = if on_postgres { "restored-postgres" } else { "restored-sqlite" };
    let mut sites = Sites::new(name, &[(SITE, server.as_ref().map(|server| server.create("first")))]);
    sites.start(SITE, 0);
    let alice = Person::new(&sites, SITE, "alice").await;
    let (mut bob, mut cathy) = (Person::new(&sites, SITE, "bob").await, Person::new(&sites, SITE, "cathy").await);
    let mut talk = Talk::begin(&sites, &alice, &[&bob, &cathy]).await;
    let (mut at_bob, mut at_cathy) = (Vec::new(), Vec::new());
    say(&mut talk, &sites, &alice, "before", 10).await;
    hear(&mut bob, &sites, &mut at_bob, 10).await;

    // While it runs.
    let copy = sites.folder.join("copy.sqlite");
    let restored = server.as_ref().map(|server| server.copy("first", "second"));
    if restored.is_none() {
        let output = sites.command(SITE, &["backup", copy.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let copied = talk.said.len();
    say(&mut talk, &sites, &alice, "between", 20).await;
    hear(&mut bob, &sites, &mut at_bob, 30).await;
    acknowledge(&bob, &sites).await;
    sites.kill(SITE);
    match restored {
        Some(database) => sites.choose_database(SITE, database),
        None => put_back(&sites.folder.join(SITE).join("data"), &copy),
    }
    sites.start(SITE, 0);

    say(&mut talk, &sites, &alice, "after", 10).await;
    // What it has taken before says nothing of what is new, under whatever number.
    acknowledge(&bob, &sites).await;
    let mut stream = sites.stream(&bob).await;
    while at_bob.len() < 40 {
        at_bob.extend(message(stream.next().await.unwrap().body).map(|(_, message)| message));
    }
    say(&mut talk, &sites, &alice, "live", 5).await;
    while at_bob.len() < 45 {
        at_bob.extend(message(stream.next().await.unwrap().body).map(|(_, message)| message));
    }
    assert!(stream.is_quiet().await);
    assert_eq!(at_bob, talk.said, "everything once and in order");
    // Who has not been there in between gets what was copied and what came after.
    hear(&mut cathy, &sites, &mut at_cathy, 25).await;
    let there = [&talk.said[..copied], &talk.said[30..]].concat();
    assert_eq!(at_cathy, there);
    eprintln!(
        "{name}: {} acknowledged, of which {} are not in the copy; connected: {:?}, not connected: {:?} of {}",
        talk.said.len(),
        30 - copied,
        Counts::of(&talk.said, &at_bob),
        Counts::of(&there, &at_cathy),
        there.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_go_on_with_a_restored_provider() {
    restored(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_go_on_with_a_restored_provider_on_postgres() {
    restored(true).await;
}
