//! Faults between processes, one at a time. The scenario `crash` has many of them at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use mimi_client::{Account, Client};
use mimi_e2e::{
    call::{Call, Kind},
    fixture::Keep,
    people::{A1, A2, B1, B2, MovedClock, People, surroundings},
    record::{Line, read},
    scenario::{TWO, World, crash::rows},
};
use mimi_flow::{Command, Delays, Event};
use mimi_pseudonym::{CipherSuite, Content, RoomUri};
use mimi_wire::{Endpoint, MEDIA_TYPE};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const PATIENCE: Duration = Duration::from_secs(30);

/// Two providers, and Alice and Bob in a room of two pseudonyms, whose hub is Bob's provider.
async fn connected(name: &str) -> (World, People, RoomUri) {
    let world = World::start(name, &TWO, Keep::No).await.unwrap();
    let mut people = People::register(world.fixture(), SUITE, Arc::new(MovedClock::new(0))).await.unwrap();
    people.prepare().await.unwrap();
    let request = people.connect().await.unwrap();
    let room = people.accept(request).await.unwrap();
    (world, people, room)
}

fn say(people: &mut People, device: usize, room: &RoomUri, text: &str) {
    let content = Content { media_type: "text/plain".into(), body: text.as_bytes().to_vec() };
    people.command(device, Command::Send { room: room.clone(), content }).unwrap();
}

/// What a device was told, in order: the messages that begin like this.
fn heard(told: &[(&'static str, Event)], name: &str, beginning: &str) -> Vec<String> {
    let messages = told.iter().filter(|(who, _)| *who == name).filter_map(|(_, event)| match event {
        Event::Message { body, .. } => String::from_utf8(body.clone()).ok(),
        _ => None,
    });
    messages.filter(|text| text.starts_with(beginning)).collect()
}

fn data(world: &World, domain: &str) -> PathBuf {
    world.fixture().site(domain).unwrap().data()
}

/// Notifications that a provider took.
fn notifications(world: &World, domain: &str) -> Vec<Line> {
    let lines = read(&world.fixture().site(domain).unwrap().exchanges()).unwrap();
    let is_notify = |line: &Line| Call::of(&line.method, &line.path) == Call::Peer(Endpoint::Notify);
    lines.into_iter().filter(|line| line.server && line.status == 201 && is_notify(line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_a_hub_repeats_is_delivered_once() {
    let (mut world, mut people, room) = connected("faults-notify").await;
    say(&mut people, B1, &room, "once");
    people.settle().await.unwrap();
    let told = people.told.len();
    let notifications = notifications(&world, "a.example");
    let kinds: Vec<_> = notifications
        .iter()
        .flat_map(|line| Call::Peer(Endpoint::Notify).loads(&line.request))
        .map(|load| load.kind)
        .collect();
    assert!(kinds.contains(&Kind::Welcome) && kinds.contains(&Kind::Message), "{kinds:?}");
    let numbers = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let mut before = rows(&data(&world, "a.example"), numbers).unwrap();
    let hub = world.fixture().peer("b.example").unwrap();
    let site = world.fixture().site("a.example").unwrap().clone();
    for again in [false, true] {
        for line in &notifications {
            let request = hub.post(site.url(&line.path)).header("from", "mimi@b.example");
            let request = request.header("content-type", MEDIA_TYPE).body(line.request.clone());
            assert_eq!(request.send().await.unwrap().status(), 201);
        }
        if !again {
            assert_eq!(rows(&data(&world, "a.example"), numbers).unwrap(), before, "nothing came into an inbox");
            // Also by a process that has not seen them itself, and that counts from its start on.
            world.process("a.example").unwrap().restart(0).await.unwrap();
            before = rows(&data(&world, "a.example"), numbers).unwrap();
        }
    }
    assert_eq!(rows(&data(&world, "a.example"), numbers).unwrap(), before, "nothing came into an inbox");
    people.settle().await.unwrap();
    assert_eq!(people.told.len(), told);
    assert_eq!(heard(&people.told, "ClientA1", "once"), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_down_gets_everything_in_order() {
    let (mut world, mut people, room) = connected("faults-down").await;
    world.process("a.example").unwrap().kill().unwrap();
    let texts: Vec<_> = (0..10).map(|number| format!("line {number}")).collect();
    for text in &texts {
        say(&mut people, B1, &room, text);
        people.settle_where(|device| device == B1).await.unwrap();
    }
    assert_eq!(rows(&data(&world, "b.example"), "SELECT COUNT(*) FROM outbox").unwrap(), 10);
    // The hub forgets nothing either.
    let hub = world.process("b.example").unwrap();
    hub.kill().unwrap();
    hub.restart(0).await.unwrap();
    world.process("a.example").unwrap().restart(0).await.unwrap();
    let all = |told: &[(&'static str, Event)]| {
        ["ClientA1", "ClientA2", "ClientB2"].iter().all(|name| heard(told, name, "line ").len() >= texts.len())
    };
    // An application that says at once what it has been told is told the rest all the same: they come many at a time.
    while heard(&people.told, "ClientA1", "line ").len() < texts.len() {
        let device = &mut people.devices[A1];
        let event = device.client.next_event(PATIENCE).await.unwrap().expect("there is more to tell");
        device.client.told().unwrap();
        device.client.told().unwrap();
        people.told.push(("ClientA1", event));
    }
    people.until(PATIENCE, all).await.unwrap();
    people.settle().await.unwrap();
    for name in ["ClientA1", "ClientA2", "ClientB2"] {
        assert_eq!(heard(&people.told, name, "line "), texts, "{name}");
    }
    assert_eq!(rows(&data(&world, "b.example"), "SELECT COUNT(*) FROM outbox").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_hear_what_was_said_at_once_in_one_order() {
    let (_world, mut people, room) = connected("faults-race").await;
    for number in 0..3 {
        for (device, name) in [(A1, "A1"), (A2, "A2"), (B1, "B1"), (B2, "B2")] {
            say(&mut people, device, &room, &format!("said {name} {number}"));
        }
    }
    let short = Duration::from_millis(500);
    let mut told = Vec::new();
    let [a1, a2, b1, b2] = people.devices.as_mut_slice() else { panic!("four devices") };
    for _ in 0..40 {
        let (a, b, c, d) = tokio::join!(
            a1.client.next_event(short),
            a2.client.next_event(short),
            b1.client.next_event(short),
            b2.client.next_event(short),
        );
        let events = [("ClientA1", a), ("ClientA2", b), ("ClientB1", c), ("ClientB2", d)];
        told.extend(events.into_iter().filter_map(|(name, event)| Some((name, event.unwrap()?))));
        if told.len() >= 4 * 9 {
            break;
        }
    }
    let names = ["A1", "A2", "B1", "B2"];
    let heard = names.map(|name| heard(&told, &format!("Client{name}"), "said "));
    for (name, heard) in names.iter().zip(&heard) {
        assert_eq!(heard.len(), 9, "{name} hears three others, three times each: {heard:?}");
    }
    // What two of them hear of the two others, they hear in the same order.
    for (one, one_heard) in names.iter().zip(&heard) {
        for (other, other_heard) in names.iter().zip(&heard) {
            let common = |text: &&String| !text.contains(one) && !text.contains(other);
            let (first, second): (Vec<_>, Vec<_>) =
                (one_heard.iter().filter(common).collect(), other_heard.iter().filter(common).collect());
            assert_eq!(first, second, "{one} and {other}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_is_cut_off_is_finished_later() {
    let world = World::start("faults-enrolment", &TWO, Keep::No).await.unwrap();
    let clock = Arc::new(MovedClock::new(0));
    let path = world.fixture().root().join("device.sqlite");
    let account = Account {
        handle: "cathy".into(),
        display_name: "Cathy".into(),
        email: String::new(),
        device_name: "first".into(),
    };
    // Cut off a little later each time, until it is through.
    let mut cut_off = 0;
    let (client, code) = loop {
        let around = surroundings(world.fixture(), "a.example", &clock).unwrap();
        let attempt = Client::register(&path, account.clone(), SUITE, Delays::default(), around);
        match tokio::time::timeout(Duration::from_micros(500 * cut_off), attempt).await {
            Ok(registered) => break registered.unwrap(),
            Err(_) => cut_off += 1,
        }
    };
    assert!(cut_off > 1, "it was never cut off");
    drop(client);
    let around = || surroundings(world.fixture(), "a.example", &clock).unwrap();
    let mut client = Client::open(&path, around()).unwrap();
    client.command(Command::Prepare { pseudonyms: 1 }).unwrap();
    assert_eq!(client.next_event(PATIENCE).await.unwrap(), Some(Event::Ready { fresh: 1 }), "its token is known");
    let second = world.fixture().root().join("second.sqlite");
    Client::add_device(&second, code, "second", SUITE, Delays::default(), around()).await.unwrap();
    assert_eq!(rows(&data(&world, "a.example"), "SELECT COUNT(*) FROM devices").unwrap(), 2, "and no other");
}
