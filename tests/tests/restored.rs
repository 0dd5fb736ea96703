//! A provider is restored from a copy while clients are connected, which do not know of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{process::Command as Program, sync::Arc};

use mimi_client::Client;
use mimi_e2e::{
    alone,
    fixture::Keep,
    people::MovedClock,
    process::provider_binary,
    scenario::{TWO, World},
};
use mimi_flow::{Command, Event};
use mimi_pseudonym::{CipherSuite, Content, RoomUri};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const SITE: &str = "a.example";

/// Alice says something, and Bob hears it: nothing else before it, and nothing twice.
async fn say(alice: &mut Client, bob: &mut Client, room: &RoomUri, text: &str) {
    let content = Content { media_type: "text/plain".into(), body: text.as_bytes().to_vec() };
    alice.command(Command::Send { room: room.clone(), content }).unwrap();
    let text_of = |at: usize, event: &Event| match event {
        Event::Message { body, .. } if at == 1 => Some(body.clone()),
        _ => None,
    };
    let heard = alone::until(&mut [alice, bob], text_of).await.unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_connected_go_on_with_a_restored_provider() {
    let mut world = World::start("restored", &TWO, Keep::No).await.unwrap();
    let clock = Arc::new(MovedClock::new(0));
    let mut alice = alone::register(world.fixture(), &clock, SUITE, SITE, "alice").await.unwrap();
    let mut bob = alone::register(world.fixture(), &clock, SUITE, SITE, "bob").await.unwrap();
    alone::prepare(&mut alice).await.unwrap();
    alone::prepare(&mut bob).await.unwrap();
    let room = alone::found(&mut alice, "The canary chess club").await.unwrap();
    alone::let_in(&mut alice, &room, &mut bob).await.unwrap();
    for number in 0..5 {
        say(&mut alice, &mut bob, &room, &format!("before {number}")).await;
    }
    let site = world.fixture().site(SITE).unwrap().clone();
    let copy = world.fixture().root().join("copy.sqlite");
    let mut backup = Program::new(provider_binary().unwrap());
    backup.arg("backup").arg(&copy).arg("--config").arg(site.config());
    assert!(backup.status().unwrap().success());
    for number in 0..20 {
        say(&mut alice, &mut bob, &room, &format!("between {number}")).await;
    }
    let process = world.process(SITE).unwrap();
    process.stop().await.unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(site.data().join(format!("provider.sqlite{ending}")));
    }
    std::fs::rename(&copy, site.data().join("provider.sqlite")).unwrap();
    process.restart(0).await.unwrap();
    for number in 0..20 {
        say(&mut alice, &mut bob, &room, &format!("after {number}")).await;
    }
    say(&mut bob, &mut alice, &room, "and the other way round").await;
}
