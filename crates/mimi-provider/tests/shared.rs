//! Two processes of one provider on one PostgreSQL database.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use http::Method;
use mimi_wire::{
    Wire,
    local::{self, *},
};
use support::{Shown, World, postgres};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_stores_wakes_whoever_waits_at_another() {
    let Some(database) = tokio::task::spawn_blocking(|| postgres::database("shared")).await.unwrap() else { return };
    let world = World::start_on("shared", &format!("[database]\npostgres = \"{database}\"\n")).await;
    let (second, running) = world.start_another().await;
    let registered = world.register("alice").await;
    let request =
        AddDeviceRequest { enrolment_code: registered.enrolment_code.clone(), device_name: "computer".into() };
    let (status, body) =
        world.send_to(second, Shown::default(), Method::POST, local::DEVICE_PATH, request.encode()).await;
    assert_eq!(status, 200, "the second process knows what the first has stored");
    let added = RegisterResponse::decode(&body).unwrap();
    // The new device waits at the second process, for what the first one gives to the other device.
    let waiting = Shown { token: Some(&added.device_token), ..Shown::default() };
    let path = format!("{}?after=0&wait=20000", local::INBOX_PATH);
    let wait = async { (world.send_to(second, waiting, Method::GET, &path, Vec::new()).await, Instant::now()) };
    let give = async {
        // Long enough that it waits, and that it has looked by itself not long ago.
        tokio::time::sleep(Duration::from_millis(5700)).await;
        let begun = Instant::now();
        let shown = Shown { token: Some(&registered.device_token), ..Shown::default() };
        let given: PseudonymsResponse =
            world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
        (given.pseudonyms, begun)
    };
    let (((status, body), ended), (pseudonyms, begun)) = tokio::join!(wait, give);
    assert_eq!(status, 200);
    let events = InboxResponse::decode(&body).unwrap().events;
    let expected = InboxBody::PseudonymsAssigned { pseudonyms };
    assert_eq!(events.into_iter().map(|event| event.body).collect::<Vec<_>>(), [expected]);
    assert!(ended - begun < Duration::from_secs(3), "it was woken, and has not looked by itself");
    running.end().await;
}
