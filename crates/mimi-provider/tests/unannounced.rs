//! On PostgreSQL, what nobody is told of is found all the same: by streams, by those who wait with a request, and by couriers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::time::{Duration, Instant};

use http::Method;
use mimi_wire::{
    FanoutMessage, Wire,
    local::{self, InboxBody, InboxResponse},
};
use support::{
    postgres::Postgres,
    sites::{Person, Sites},
    talk::{Talk, message},
};

const HUB: &str = "a.example";
const FOLLOWER: &str = "b.example";
const PATIENCE: Duration = Duration::from_secs(60);

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The next message that is fanned out to somebody.
async fn next(person: &mut Person, sites: &Sites) -> (mimi_pseudonym::RoomUri, FanoutMessage) {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nothing comes");
        for body in person.events(sites).await {
            if message(body.clone()).is_some()
                && let InboxBody::Fanout { room, message } = body
            {
                return (room, message);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_announced_is_found() {
    let Some(server) = tokio::task::spawn_blocking(|| Postgres::start(false)).await.unwrap() else { return };
    let databases = [(HUB, Some(server.create("hub"))), (FOLLOWER, Some(server.create("follower")))];
    let mut sites = Sites::new("unannounced", &databases);
    for (site, other) in [(HUB, FOLLOWER), (FOLLOWER, HUB)] {
        sites.introduce(site, other, sites.address(other));
    }
    sites.start(HUB, 0);
    sites.start(FOLLOWER, 0);
    let alice = Person::new(&sites, HUB, "alice").await;
    let (cathy, mut bob) = (Person::new(&sites, HUB, "cathy").await, Person::new(&sites, FOLLOWER, "bob").await);
    let mut talk = Talk::begin(&sites, &alice, &[&cathy, &bob]).await;
    assert_eq!(talk.say(&sites, &alice, b"announced".to_vec()).await, 200);
    let (room, said) = next(&mut bob, &sites).await;
    let mut stream = sites.stream(&cathy).await;
    let mut heard = Vec::new();
    while heard.is_empty() {
        heard.extend(message(stream.next().await.unwrap().body));
    }

    // As if another process had written it, and had been killed before it told anybody.
    let unannounced = |number: u64| {
        let timestamp = said.timestamp.after(Duration::from_millis(number));
        FanoutMessage { timestamp, event: said.event.clone() }
    };
    let run = |statement: &str| server.psql("hub", statement).unwrap();
    let put = |number: u64| {
        let (message, room) = (unannounced(number), room.clone());
        let uri = room.as_str().to_owned();
        let octets = hex(&message.encode());
        let body = hex(&InboxBody::Fanout { room, message }.encode());
        run(&format!(
            "BEGIN; INSERT INTO events (room, body) VALUES ('{uri}', '\\x{body}'); \
             INSERT INTO outbox (peer, room, position, message) VALUES ('{FOLLOWER}', '{uri}', {}, '\\x{octets}'); \
             INSERT INTO outbox_rooms (peer, room, since) VALUES ('{FOLLOWER}', '{uri}', 1) ON CONFLICT DO NOTHING; \
             COMMIT",
            1_000_000 + number
        ));
    };
    let mut waiting = Person { read: 0, site: HUB.into(), user: alice.user.clone(), token: alice.token.clone() };
    while !waiting.events(&sites).await.is_empty() {}
    for number in 1..=3 {
        let path = format!("{}?after={}&wait=20000", local::INBOX_PATH, waiting.read);
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            put(number);
        };
        let asked = sites.try_ask(HUB, waiting.shown(), Method::GET, &path, vec![]);
        let (answer, ()) = tokio::join!(asked, later);
        let event = InboxResponse::decode(&answer.unwrap().1).unwrap().events.remove(0);
        waiting.read = event.sequence;
        let InboxBody::Fanout { message, .. } = event.body else { panic!("something else") };
        assert_eq!(message, unannounced(number), "with a request that waits");
        let InboxBody::Fanout { message, .. } = stream.next().await.unwrap().body else { panic!("something else") };
        assert_eq!(message, unannounced(number), "on the stream");
        assert_eq!(next(&mut bob, &sites).await.1, unannounced(number), "by a courier");
        if number == 2 {
            // From here on the connections on which news are heard are others.
            let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%LISTEN%' \
                       AND pid <> pg_backend_pid()";
            assert_ne!(server.psql("hub", cut).unwrap(), "0", "nobody listens");
        }
    }
    eprintln!(
        "unannounced: 3 stored without notice, 3 delivered on a stream, 3 to a request that waits, 3 by a courier"
    );
    assert_eq!(sites.waiting(HUB, FOLLOWER), 0);
    drop(sites);
    drop(server);
}
