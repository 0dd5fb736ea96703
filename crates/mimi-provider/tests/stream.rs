//! Streams of events over real TLS: what waits, what comes, what was acknowledged, and who may listen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use http::Method;
use mimi_pseudonym::UserUri;
use mimi_wire::{
    Wire,
    local::{self, *},
};
use support::{Events, Shown, World, postgres};

/// Two devices of one account: what the first one is given, the second one hears of.
async fn two_devices(world: &World) -> [DeviceToken; 2] {
    let first = world.register("alice").await;
    let request = AddDeviceRequest { enrolment_code: first.enrolment_code, device_name: "computer".into() };
    let second: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &request).await.unwrap();
    [first.device_token, second.device_token]
}

async fn draw(world: &World, token: &DeviceToken, count: u16) -> Vec<UserUri> {
    let shown = Shown { token: Some(token), ..Shown::default() };
    let request = PseudonymsRequest { count };
    world.post::<PseudonymsResponse>(shown, local::PSEUDONYMS_PATH, &request).await.unwrap().pseudonyms
}

async fn heard(events: &mut Events) -> (u64, Vec<UserUri>) {
    let event = events.next().await.unwrap();
    let InboxBody::PseudonymsAssigned { pseudonyms } = event.body else { panic!("{:?}", event.body) };
    (event.sequence, pseudonyms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_hears_what_waits_and_what_comes_until_it_says_that_it_has_it() {
    let mut world = World::start("stream").await;
    let [first, second] = two_devices(&world).await;
    let waits = draw(&world, &first, 1).await;
    let mut events = world.events(world.address, &second, 0).await.unwrap();
    let (one, told) = heard(&mut events).await;
    assert_eq!(told, waits);
    let comes = draw(&world, &first, 2).await;
    let (two, told) = heard(&mut events).await;
    assert!(two > one && told == comes);
    assert!(events.is_quiet().await, "each comes once");
    drop(events);
    let missed = draw(&world, &first, 3).await;
    let mut events = world.events(world.address, &second, two).await.unwrap();
    assert_eq!(heard(&mut events).await.1, missed, "what comes meanwhile waits");
    // Nothing was acknowledged: all of it comes again, also from a provider that was started again.
    world.restart().await;
    assert!(events.next().await.is_none(), "a stream ends with its provider");
    let mut events = world.events(world.address, &second, 0).await.unwrap();
    let again = [heard(&mut events).await, heard(&mut events).await, heard(&mut events).await];
    assert_eq!(again.clone().map(|(_, told)| told), [waits, comes, missed.clone()]);
    let shown = Shown { token: Some(&second), ..Shown::default() };
    let (status, _) = world.send(shown, Method::POST, local::ACK_PATH, AckRequest { up_to: two }.encode()).await;
    assert_eq!(status, 204);
    let mut events = world.events(world.address, &second, 0).await.unwrap();
    assert_eq!(heard(&mut events).await, (again[2].0, missed));
    assert!(events.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_one_stream_and_nobody_else_has_it() {
    let world = World::start("stream-one").await;
    let [first, second] = two_devices(&world).await;
    let mut before = world.events(world.address, &second, 0).await.unwrap();
    let mut own = world.events(world.address, &first, 0).await.unwrap();
    let mut after = world.events(world.address, &second, 0).await.unwrap();
    assert!(before.next().await.is_none(), "the new one ends the one before");
    let given = draw(&world, &first, 1).await;
    assert_eq!(heard(&mut after).await.1, given);
    assert!(own.is_quiet().await, "whoever asked is not told once more");
    assert_eq!(world.events(world.address, &DeviceToken::from_bytes([7; 32]), 0).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_once_and_in_order() {
    let world = World::start("stream-slow").await;
    let [first, second] = two_devices(&world).await;
    let mut events = world.events(world.address, &second, 0).await.unwrap();
    // More than fits into the windows of the connection and into what is kept in memory for a listener.
    let mut given = Vec::new();
    for _ in 0..400 {
        given.push(draw(&world, &first, 100).await);
    }
    let mut last = 0;
    for (at, expected) in given.into_iter().enumerate() {
        let (number, told) = heard(&mut events).await;
        assert!(number > last && told == expected, "the {at}th");
        last = number;
    }
    assert!(events.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_stores_is_heard_at_once() {
    let Some(database) = tokio::task::spawn_blocking(|| postgres::database("stream")).await.unwrap() else { return };
    let world = World::start_on("stream-shared", &format!("[database]\npostgres = \"{database}\"\n")).await;
    let (other, running) = world.start_another().await;
    let [first, second] = two_devices(&world).await;
    let mut events = world.events(other, &second, 0).await.unwrap();
    assert!(events.is_quiet().await);
    // Long enough that it has looked by itself not long ago.
    tokio::time::sleep(Duration::from_millis(5200)).await;
    for _ in 0..20 {
        let begun = Instant::now();
        let given = draw(&world, &first, 1).await;
        assert_eq!(heard(&mut events).await.1, given);
        assert!(begun.elapsed() < Duration::from_secs(3), "it was woken, and has not looked by itself");
    }
    running.end().await;
}
