//! An inbox for each pseudonym: a provider that issues tokens and cannot tell whose a pseudonym is, and a user whose account
//! and pseudonyms have a store, a token and connections each.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use mimi_client::{Client, ClientError, PseudonymToken, Surroundings, SystemClock, TransportError};
use mimi_credential::{Issuer, Validity};
use mimi_e2e::{
    alone,
    fixture::Keep,
    people::{MovedClock, surroundings},
    record::read,
    scenario::{TWO, World},
};
use mimi_flow::{Command, Delays, Event, PseudonymState};
use mimi_pseudonym::{CipherSuite, ClaimName, Claims, Clock, Content, RoomUri};
use mimi_wire::{Problem, local::IssuedDisclosure};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const QUIET: Duration = Duration::from_millis(300);
const HOUR: i64 = 3_600;

/// Two providers, of which Alice's ties pseudonyms to nobody.
async fn start(name: &str) -> (World, Arc<MovedClock>, Issuer) {
    let mut world = World::start(name, &TWO, Keep::No).await.unwrap();
    let ties = "[ties]\nway = \"blind\"\nkey = \"tokens.key\"\npseudonyms = 4";
    world.configure("a.example", ties).await.unwrap();
    // Who people of Alice's provider are, is known to an authority that the provider has nothing to do with.
    let issuer = world.fixture().site("a.example").unwrap().other_authority(SystemClock.now()).unwrap();
    (world, Arc::new(MovedClock::new(0)), issuer)
}

fn validity() -> Validity {
    let now = SystemClock.now();
    Validity { not_before: now.before(Duration::from_secs(86_400)), not_after: now.after(Duration::from_secs(864_000)) }
}

fn around(world: &World, domain: &str, clock: &Arc<MovedClock>) -> Surroundings {
    surroundings(world.fixture(), domain, clock).unwrap()
}

fn store(world: &World, name: &str) -> PathBuf {
    alone::store(world.fixture(), name)
}

async fn register(world: &World, clock: &Arc<MovedClock>, domain: &str, handle: &str) -> Client {
    alone::register(world.fixture(), clock, SUITE, domain, handle).await.unwrap()
}

async fn redeem(
    world: &World,
    clock: &Arc<MovedClock>,
    name: &str,
    token: &PseudonymToken,
) -> Result<Client, ClientError> {
    let around = self::around(world, "a.example", clock);
    Client::redeem(&store(world, name), token, SUITE, Delays::default(), around).await
}

async fn until<T>(clients: &mut [&mut Client], read: impl Fn(usize, &Event) -> Option<T>) -> T {
    alone::until(clients, read).await.unwrap()
}

fn said(event: &Event, text: &str) -> Option<()> {
    matches!(event, Event::Message { body, .. } if body == text.as_bytes()).then_some(())
}

fn say(client: &mut Client, room: &RoomUri, text: &str) {
    let content = Content { media_type: "text/plain".into(), body: text.as_bytes().to_vec() };
    client.command(Command::Send { room: room.clone(), content }).unwrap();
}

/// What the provider's database says of something: the tables it stands in, with the other columns of its row.
fn rows_with(world: &World, needles: &[&str]) -> Vec<String> {
    let path = world.fixture().site("a.example").unwrap().data().join("provider.sqlite");
    let database = rusqlite::Connection::open(path).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut found = Vec::new();
    for table in tables {
        let mut rows = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut text = format!("{table}:");
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                match value {
                    rusqlite::types::Value::Blob(octets) => text += &format!(" {}", String::from_utf8_lossy(&octets)),
                    rusqlite::types::Value::Text(value) => text += &format!(" {value}"),
                    other => text += &format!(" {other:?}"),
                }
            }
            if needles.iter().all(|needle| text.contains(needle)) {
                found.push(text);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonym_that_is_tied_to_nobody_joins_a_room_and_hears_it_by_an_inbox_of_its_own() {
    let (mut world, clock, issuer) = start("inboxes").await;
    let mut alice = register(&world, &clock, "a.example", "alice.wonder").await;
    let mut bob = register(&world, &clock, "b.example", "bob.builder").await;

    alice.fetch_tokens(3, Duration::from_secs(600)).await.unwrap();
    assert_eq!(alice.tokens().unwrap(), 3);
    let refused = alice.fetch_tokens(2, Duration::ZERO).await;
    assert!(
        matches!(&refused, Err(ClientError::Transport(TransportError::Refused(Problem::OverQuota)))),
        "the quota: {refused:?}"
    );
    // Their time has not come; nor is it forgotten when the device is opened again.
    assert_eq!(alice.token_for("pseudonym").unwrap(), None);
    drop(alice);
    let around = self::around(&world, "a.example", &clock);
    let mut alice = Client::open(&store(&world, "alice.wonder"), around).unwrap();
    clock.set(2 * HOUR);
    let token = alice.token_for("pseudonym").unwrap().unwrap();
    // One that was taken is nobody else's, and the same again after a crash.
    assert!(matches!(alice.token_for(""), Err(ClientError::TokenName)));
    let other = alice.token_for("another").unwrap().unwrap();
    assert_ne!(other, token);
    drop(alice);
    let around = self::around(&world, "a.example", &clock);
    let mut alice = Client::open(&store(&world, "alice.wonder"), around).unwrap();
    assert_eq!(alice.token_names().unwrap(), ["pseudonym", "another"]);
    assert_eq!(alice.token_for("pseudonym").unwrap(), Some(token.clone()));
    assert_eq!(PseudonymToken::from_bytes(token.as_bytes().to_vec()), token);
    let mut pseudonym = redeem(&world, &clock, "pseudonym", &token).await.unwrap();
    alice.forget_token(&token).unwrap();
    assert_eq!((alice.tokens().unwrap(), alice.token_names().unwrap().len()), (2, 1));
    // The same once more is for nobody else.
    let again = redeem(&world, &clock, "another", &token).await;
    assert!(matches!(again, Err(ClientError::Transport(TransportError::Refused(Problem::Forbidden)))));

    let user = pseudonym.device().profile().user.clone();
    assert!(user.is_pseudonym());
    alone::prepare(&mut pseudonym).await.unwrap();
    alone::prepare(&mut bob).await.unwrap();
    assert_eq!((pseudonym.device().fresh_pseudonyms(), alice.device().fresh_pseudonyms()), (1, 0));

    let room = alone::found(&mut bob, "The canary chess club").await.unwrap();
    alone::let_in(&mut bob, &room, &mut pseudonym).await.unwrap();
    assert_eq!(pseudonym.device().pseudonym_state(&user), Some(PseudonymState::InRoom));
    assert_eq!(pseudonym.device().rooms().count(), 1);

    // What Bob writes comes to the pseudonym's inbox, and what it writes to him; the account's inbox stays empty.
    say(&mut bob, &room, "hello");
    until(&mut [&mut bob, &mut pseudonym], |at, event| said(event, "hello").filter(|()| at == 1)).await;
    say(&mut pseudonym, &room, "who is there");
    until(&mut [&mut pseudonym, &mut bob], |at, event| said(event, "who is there").filter(|()| at == 1)).await;
    assert_eq!(alice.next_event(QUIET).await.unwrap(), None);

    // Who it is, is said inside the encryption by whoever knows it, which is not the provider that certifies the pseudonym.
    let mut claims = Claims::default();
    claims.insert(ClaimName::UserUri, "mimi://a.example/u/alice.wonder");
    claims.insert(ClaimName::DisplayName, "Alice");
    let key = pseudonym.device().key_of(&user).unwrap();
    let chain = issuer.issue_identity(&claims, &key, [0x41; 16], validity()).unwrap();
    let identity = IssuedDisclosure::X509(chain.certificates().to_vec());
    pseudonym.command(Command::TakeIdentity { pseudonym: user.clone(), identity }).unwrap();
    let claims = vec![ClaimName::UserUri, ClaimName::DisplayName];
    pseudonym.command(Command::Disclose { room: room.clone(), claims }).unwrap();
    let who = until(&mut [&mut pseudonym, &mut bob], |at, event| match event {
        Event::Disclosed { pseudonym, who, .. } if at == 1 && *pseudonym == user => Some(who.clone()),
        _ => None,
    })
    .await;
    assert_eq!(who.claims.value(ClaimName::DisplayName), Some("Alice"));

    // A crash: everything is in the pseudonym's own store.
    drop(pseudonym);
    let around = self::around(&world, "a.example", &clock);
    let mut pseudonym = Client::open(&store(&world, "pseudonym"), around).unwrap();
    say(&mut bob, &room, "still here");
    until(&mut [&mut bob, &mut pseudonym], |at, event| said(event, "still here").filter(|()| at == 1)).await;

    // Nothing at the provider stands beside both, and no connection was for both.
    assert_eq!(rows_with(&world, &["alice.wonder", user.name()]), [""; 0]);
    assert!(!rows_with(&world, &[user.name()]).is_empty() && !rows_with(&world, &["alice.wonder"]).is_empty());
    world.stop().await.unwrap();
    let lines = read(&world.fixture().site("a.example").unwrap().exchanges()).unwrap();
    let holds = |octets: &[u8], text: &str| octets.windows(text.len()).any(|window| window == text.as_bytes());
    let who = |text: &str| {
        let of_clients = lines.iter().filter(|line| line.server && line.peer.starts_with("client:"));
        let naming = of_clients.filter(|line| holds(&line.request, text) || holds(&line.response, text));
        naming.map(|line| line.peer.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    let (of_alice, of_pseudonym) = (who("alice.wonder"), who(user.name()));
    assert_eq!(of_pseudonym.len(), 1, "{of_pseudonym:?}");
    assert!(of_alice.is_disjoint(&of_pseudonym));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_for_tokens_is_not_believed() {
    let (mut world, clock, _) = start("inboxes-key").await;
    let mut alice = register(&world, &clock, "a.example", "alice.wonder").await;
    alice.fetch_tokens(1, Duration::ZERO).await.unwrap();
    for count in [0, 101] {
        assert!(matches!(alice.fetch_tokens(count, Duration::ZERO).await, Err(ClientError::Command(_))), "{count}");
    }
    let site = world.fixture().site("a.example").unwrap();
    std::fs::remove_file(site.config().parent().unwrap().join("tokens.key")).unwrap();
    let process = world.process("a.example").unwrap();
    process.stop().await.unwrap();
    process.restart(0).await.unwrap();
    let refused = alice.fetch_tokens(1, Duration::ZERO).await;
    assert!(matches!(refused, Err(ClientError::TokenKey)), "{refused:?}");
    // A provider that ties directly issues none.
    let mut bob = register(&world, &clock, "b.example", "bob.builder").await;
    let refused = bob.fetch_tokens(1, Duration::ZERO).await;
    assert!(matches!(refused, Err(ClientError::Transport(TransportError::Refused(Problem::Forbidden)))), "{refused:?}");
}
