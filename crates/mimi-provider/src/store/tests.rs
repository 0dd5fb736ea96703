use std::time::Duration;

use mimi_pseudonym::{CipherSuite, Entropy, PublicKey, RoomUri, SeededEntropy, Signer, SigningKey, UserUri, Wire};
use mimi_wire::{KeyPackageRef, Problem, QueryElement, SearchField, local::InboxBody};

use super::*;
use crate::fail::Fail;

#[path = "../../tests/support/postgres.rs"]
mod postgres_server;

/// Where a store is.
enum Place {
    Folder(std::path::PathBuf),
    Postgres(Box<Address>),
}

impl Place {
    fn folder(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mimi-provider-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self::Folder(path)
    }

    fn postgres() -> Option<Self> {
        let address = postgres_server::database("store")?;
        Some(Self::Postgres(Box::new(Address::new(&address, None, None, 16).unwrap())))
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Folder(path) => Store::open(&path.join("provider.sqlite"), Opening::Serve),
            Self::Postgres(address) => Store::connect(address, Opening::Serve),
        }
    }

    /// As another process would see the store: not with a single file.
    fn other(&self, store: &Store) -> Store {
        match self {
            Self::Folder(_) => store.clone(),
            Self::Postgres(_) => self.open(),
        }
    }

    /// Every octet of every file, if the files are ours.
    fn octets(&self) -> Option<Vec<u8>> {
        let Self::Folder(path) = self else { return None };
        let files = std::fs::read_dir(path).unwrap();
        Some(files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Folder(path) = self {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// What every store has to do: each is a test on SQLite and one on PostgreSQL.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use super::Place;

            $(#[test]
            fn $name() {
                super::$name(&Place::folder(stringify!($name)));
            })*
        }

        mod postgres {
            use super::Place;

            $(#[test]
            fn $name() {
                if let Some(place) = Place::postgres() {
                    super::$name(&place);
                }
            })*
        }
    };
}

#[path = "tests/transitions.rs"]
mod transitions;

contract! {
    a_name_is_given_once_and_a_code_lets_one_device_in,
    pseudonyms_are_the_accounts_and_other_devices_hear_of_them,
    a_client_is_the_same_for_the_same_subject_and_key,
    a_commit_is_stored_whole_and_survives_a_restart,
    a_destroyed_room_leaves_no_trace_in_the_files,
    a_database_of_a_newer_version_is_refused,
    a_hub_key_is_made_once,
    a_room_goes_on_once_from_each_epoch,
    the_same_message_is_accepted_once_by_two_processes,
    what_fails_changes_nothing,
    a_text_with_nul_is_refused_and_changes_nothing,
}

mod abuse;
mod deletion;
mod draws;
mod inboxes;
mod key_packages;
mod memory;
mod openings;
mod outbox;
mod questions;
mod remedies;

const ANY: Draw = Draw { period: 0, allowed: None };
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn user(name: &str) -> UserUri {
    UserUri::new(&domain("a.example"), name).unwrap()
}

fn profile(name: &str) -> AccountProfile {
    AccountProfile { user: user(name), display_name: name.into(), email: String::new() }
}

fn new_device(number: u8) -> NewDevice {
    NewDevice {
        client: ClientUri::pseudonym(&domain("a.example"), [number; 16]),
        token_hash: [number; 32],
        name: "telephone".into(),
        enrolment_hash: [number; 32],
    }
}

/// Alice with one device.
fn alice(store: &Store) -> Device {
    assert!(store.register(&profile("alice"), &new_device(1)).unwrap());
    store.device_by_token(&[1; 32]).unwrap().unwrap()
}

fn second(store: &Store) -> Device {
    assert_eq!(store.add_device(&[1; 32], &new_device(2)).unwrap(), Some(user("alice")));
    store.device_by_token(&[2; 32]).unwrap().unwrap()
}

fn key_package(device: &Device, number: u8, not_after: Timestamp) -> StoredKeyPackage {
    StoredKeyPackage {
        reference: KeyPackageRef::new(&[number; 32]),
        owner: user("alice"),
        client: device.client.clone(),
        suite: 1,
        initial_only: true,
        last_resort: false,
        not_after,
        octets: vec![number; 9],
    }
}

fn claim() -> Claim {
    Claim {
        owner: user("alice"),
        kind: Kind::InitialOnly,
        suites: vec![1],
        required: None,
        except: None,
        request: None,
    }
}

fn room(name: &str) -> RoomUri {
    RoomUri::new(&domain("a.example"), name).unwrap()
}

fn later() -> Timestamp {
    Timestamp::from_secs(2_000_000)
}

fn a_name_is_given_once_and_a_code_lets_one_device_in(place: &Place) {
    let store = place.open();
    alice(&store);
    assert!(!store.register(&profile("Alice"), &new_device(9)).unwrap(), "the same name in another case");
    assert!(store.device_by_token(&[9; 32]).unwrap().is_none());
    assert!(store.known_device(&[9; 32]).is_none());
    assert_eq!(store.known_device(&[1; 32]).unwrap().client, store.device_by_token(&[1; 32]).unwrap().unwrap().client);
    assert!(place.open().known_device(&[1; 32]).is_none(), "it has not shown its token yet");
    second(&store);
    assert_eq!(store.add_device(&[1; 32], &new_device(3)).unwrap(), None, "the code is used up");
    let found = |handle: &str| {
        let element = QueryElement { field: SearchField::Handle, value: handle.into() };
        let found = store.find_users(&[element], "a.example", 9).unwrap();
        found.into_iter().map(|profile| profile.stable_uri).collect::<Vec<_>>()
    };
    assert_eq!(found("im:ALICE@a.example"), [user("alice")]);
    assert_eq!(found("im:bob@a.example"), []);
}

fn pseudonyms_are_the_accounts_and_other_devices_hear_of_them(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [7; 16]);
    let (assigned, wake) = store.assign_pseudonyms(&first, std::slice::from_ref(&pseudonym), None, ANY).unwrap();
    assert_eq!(assigned, std::slice::from_ref(&pseudonym));
    assert_eq!(wake.devices, [second.id].into());
    assert!(store.owns(first.account, &pseudonym).unwrap() && store.owns(first.account, &user("alice")).unwrap());
    assert!(!store.owns(first.account, &UserUri::pseudonym(&domain("a.example"), [8; 16])).unwrap());
    let body = InboxBody::PseudonymsAssigned { pseudonyms: vec![pseudonym.clone()] }.encode();
    let told = store.inbox(second.id, 0, 10, 1000).unwrap().events;
    assert!(told.len() == 1 && told[0].1 == body);
    assert!(store.inbox(first.id, 0, 10, 1000).unwrap().events.is_empty());
    store.ack(second.id, told[0].0).unwrap();
    store.assign_pseudonyms(&first, &[UserUri::pseudonym(&domain("a.example"), [9; 16])], None, ANY).unwrap();
    let after_ack = store.inbox(second.id, 0, 10, 1000).unwrap().events;
    assert!(after_ack.len() == 1 && after_ack[0].0 > told[0].0, "numbers go on after they were deleted");
}

fn a_client_is_the_same_for_the_same_subject_and_key(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [7; 16]);
    store.assign_pseudonyms(&first, std::slice::from_ref(&pseudonym), None, ANY).unwrap();
    let mut entropy = SeededEntropy::new([3; 32]);
    let scheme = CipherSuite::X25519Aes128Ed25519.signature_scheme();
    let mut key = || -> PublicKey { SigningKey::generate(scheme, &mut entropy).unwrap().public_key().clone() };
    let (one, other) = (key(), key());
    let mut entropy = SeededEntropy::new([4; 32]);
    let mut client = |device: &Device, subject: &UserUri, key: &PublicKey| {
        let fresh = ClientUri::pseudonym(&domain("a.example"), entropy.bits128());
        store.client_for(device, subject, key, &fresh).unwrap()
    };
    let given = client(&first, &pseudonym, &one);
    assert!(given.is_some());
    assert_eq!(client(&first, &pseudonym, &one), given);
    assert_ne!(client(&first, &pseudonym, &other), given);
    assert_eq!(client(&second, &pseudonym, &one), None, "a key is on one device");
    assert_eq!(client(&first, &user("alice"), &one), Some(first.client.clone()));
    assert_eq!(client(&first, &user("bob"), &one), None);
}

fn create(store: &Store, device: &Device, name: &str) -> bool {
    let room = room(name);
    let new = NewRoom {
        room: &room,
        snapshot: name.as_bytes(),
        hash: [1; 32],
        accepted: NOW,
        creator: &device.client,
        device,
    };
    store.create_room(&new).unwrap()
}

fn take(store: &Store, count: usize, octets: usize) -> Option<Parcel> {
    store.outbox_take(&domain("b.example"), count, octets, NOW).unwrap()
}

fn octets(parcel: &Parcel) -> Vec<Vec<u8>> {
    parcel.messages.iter().map(|(_, message)| message.clone()).collect()
}

fn deliver(store: &Store, parcel: &Parcel) {
    store.outbox_done(parcel, parcel.messages.last().unwrap().0, NOW).unwrap();
}

/// A message to the room in `epoch`, which goes to one peer.
fn message(store: &Store, name: &str, epoch: u64, number: u16) -> Result<Submitted, StoreError> {
    let room = room(name);
    let mut hash = [200; 32];
    hash[..2].copy_from_slice(&number.to_be_bytes());
    let outbox = vec![(domain("b.example"), format!("message {number}").into_bytes())];
    let body = InboxBody::RoomDestroyed { room: room.clone() }.encode();
    let (receivers, limit, device) = (None, None, None);
    let record = MessageRecord {
        room,
        sender: user("alice"),
        device,
        hash,
        accepted: NOW,
        epoch,
        outbox,
        body,
        receivers,
        limit,
        version: None,
        too_often: TooOften::default(),
    };
    store.submit_now(&record)
}

/// A commit to `epoch` that adds a client of ours, and goes to one peer.
fn commit(store: &Store, name: &str, epoch: u64, snapshot: bool, added: &[(KeyPackageRef, ClientUri)]) -> Wake {
    try_commit(store, name, epoch, snapshot, added).unwrap()
}

fn try_commit(
    store: &Store,
    name: &str,
    epoch: u64,
    snapshot: bool,
    added: &[(KeyPackageRef, ClientUri)],
) -> Result<Wake, StoreError> {
    commit_with(store, name, epoch, snapshot, added, &[])
}

/// A commit that leads the room to this epoch and changes nothing.
fn empty_commit<'a>(room: &'a RoomUri, epoch: u64, commit: &'a InboxBody) -> CommitRecord<'a> {
    CommitRecord {
        room,
        hash: [9; 32],
        accepted: NOW,
        epoch,
        log_entry: b"entry",
        snapshot: None,
        outbox: &[],
        commit,
        welcome: None,
        added: &[],
        reusable: &[],
        removed: &[],
        waiting: 0,
        again: None,
        joined: None,
        gone: &[],
        facts: &[],
        judge: &|_, _| None,
    }
}

fn commit_with(
    store: &Store,
    name: &str,
    epoch: u64,
    snapshot: bool,
    added: &[(KeyPackageRef, ClientUri)],
    reusable: &[KeyPackageRef],
) -> Result<Wake, StoreError> {
    let room = room(name);
    let body = InboxBody::RoomDestroyed { room: room.clone() };
    let hash = [u8::try_from(epoch).unwrap() + 100; 32];
    let outbox = [(domain("b.example"), format!("commit {epoch}").into_bytes())];
    let record = CommitRecord {
        hash,
        snapshot: snapshot.then_some(b"snapshot".as_slice()),
        outbox: &outbox,
        welcome: Some(&body),
        added,
        reusable,
        ..empty_commit(&room, epoch, &body)
    };
    store.accept_commit(&record).map(|(wake, _)| wake)
}

fn a_commit_is_stored_whole_and_survives_a_restart(place: &Place) {
    let wake;
    {
        let store = place.open();
        let (first, second) = (alice(&store), second(&store));
        assert!(create(&store, &first, "club") && !create(&store, &first, "club"));
        wake = commit(&store, "club", 1, false, &[(KeyPackageRef::new(&[1]), second.client.clone())]);
        assert_eq!(wake.devices, [first.id, second.id].into());
        assert_eq!(wake.peers, [domain("b.example")].into());
    }
    let store = place.open();
    let stored = store.room(&room("club")).unwrap().unwrap();
    assert_eq!((stored.snapshot.as_slice(), stored.log.len()), (b"club".as_slice(), 1));
    assert_eq!(store.accepted_at(&room("club"), &[101; 32]).unwrap(), Some(NOW));
    assert_eq!(store.accepted_at(&room("club"), &[102; 32]).unwrap(), None);
    for device in &wake.devices {
        assert_eq!(store.inbox(*device, 0, 10, 1000).unwrap().events.len(), 1);
    }
    commit(&store, "club", 2, true, &[]);
    let stored = store.room(&room("club")).unwrap().unwrap();
    assert_eq!((stored.snapshot.as_slice(), stored.log.len()), (b"snapshot".as_slice(), 0));
    let parcel = take(&store, 10, 1000).unwrap();
    assert_eq!(octets(&parcel), [b"commit 1", b"commit 2"]);
    deliver(&store, &parcel);
    assert_eq!(take(&store, 10, 1000), None);
}

fn notification(number: u8, welcome: Option<u8>) -> Notification {
    let references = |reference| vec![KeyPackageRef::new(&[99]), KeyPackageRef::new(&[reference; 32])];
    let kind = welcome.map_or(NotificationKind::Handshake, |one| NotificationKind::Welcome(references(one)));
    Notification { hash: [number; 32], sent: NOW, body: vec![number], kind }
}

fn a_destroyed_room_leaves_no_trace_in_the_files(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    for number in 0..40 {
        assert!(create(&store, &first, &format!("other-{number}")));
    }
    assert!(create(&store, &first, "secret-club"));
    for epoch in 1..60_u64 {
        let reference = KeyPackageRef::new(&epoch.to_be_bytes());
        commit(&store, "secret-club", epoch, false, &[(reference, second.client.clone())]);
        commit(&store, "other-1", epoch, false, &[]);
    }
    while let Some(parcel) = take(&store, 100, 1 << 20) {
        deliver(&store, &parcel);
    }
    let found = |needle: &[u8]| Some(place.octets()?.windows(needle.len()).any(|window| window == needle));
    assert_ne!(found(b"secret-club"), Some(false));
    let now = Timestamp::from_secs(1_000_000);
    let wake = store.destroy_room(&room("secret-club"), now).unwrap();
    assert_eq!(wake.devices, [first.id, second.id].into());
    for device in wake.devices {
        let events = store.inbox(device, 0, 1000, 1 << 20).unwrap().events;
        let destroyed = InboxBody::RoomDestroyed { room: room("secret-club") }.encode();
        assert_eq!(events.last().unwrap().1, destroyed);
        assert!(!store.forget_destroyed(now).unwrap(), "someone has not been told yet");
        store.ack(device, u64::MAX).unwrap();
    }
    assert!(store.forget_destroyed(now).unwrap());
    assert!(!store.forget_destroyed(now).unwrap(), "once is enough");
    assert!(store.room(&room("secret-club")).unwrap().is_none());
    assert_ne!(found(b"secret-club"), Some(true), "the room's name is still in a file");
    assert_ne!(found(b"other-1"), Some(false));
}

fn a_database_of_a_newer_version_is_refused(place: &Place) {
    place.open().write(|db| db.execute("UPDATE schema_version SET version = ?1", [99_i64])).unwrap();
    let error = place.try_open().err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "the database was written by a newer version: it has schema 99, and this program has {}",
            schema::NEWEST
        )
    );
}

fn a_hub_key_is_made_once(place: &Place) {
    assert_eq!(place.open().hub_key(1, &[1; 32]).unwrap(), [1; 32]);
    assert_eq!(place.open().hub_key(1, &[2; 32]).unwrap(), [1; 32]);
    assert_eq!(place.open().hub_key(2, &[2; 32]).unwrap(), [2; 32]);
}

fn a_room_goes_on_once_from_each_epoch(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "club"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = place.other(&store);
            std::thread::spawn(move || {
                let accepted: Vec<u64> = (1..=10)
                    .filter(|epoch| match try_commit(&store, "club", *epoch, false, &[]) {
                        Ok(_) => true,
                        Err(error) if error.is_stale() => false,
                        Err(error) => panic!("{error}"),
                    })
                    .collect();
                accepted
            })
        })
        .collect();
    let mut accepted: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    accepted.sort_unstable();
    let reached = store.room_epoch(&room("club")).unwrap().unwrap();
    assert_eq!(accepted, (1..=reached).collect::<Vec<_>>(), "each epoch once, and none without the one before");
    assert!(reached >= 1);
    let delivered = store.inbox(first.id, 0, 1000, 1 << 20).unwrap().events;
    assert_eq!(delivered.len() as u64, reached, "what was refused left nothing behind");
    let reference = KeyPackageRef::new(&[5; 32]);
    commit(&store, "club", reached + 1, false, &[(reference.clone(), first.client.clone())]);
    let again = try_commit(&store, "club", reached + 2, false, &[(reference, first.client.clone())]);
    assert!(again.unwrap_err().is_stale(), "a KeyPackage is used once");
    assert!(message(&store, "club", reached, 1).unwrap_err().is_stale(), "a message of an epoch that is over");
}

/// Not accepted before, not even at the same moment.
fn is_new(submitted: Result<Submitted, StoreError>) -> bool {
    match submitted {
        Ok(Submitted::Accepted(..)) => true,
        Ok(Submitted::Before(NOW)) => false,
        Err(error) if error.is_stale() => false,
        other => panic!("{other:?}"),
    }
}

fn the_same_message_is_accepted_once_by_two_processes(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "club"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = place.other(&store);
            std::thread::spawn(move || (0..50).filter(|number| is_new(message(&store, "club", 0, *number))).count())
        })
        .collect();
    let accepted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(accepted, 50);
    let numbers: Vec<_> =
        store.inbox(first.id, 0, 1000, 1 << 20).unwrap().events.iter().map(|(number, _)| *number).collect();
    assert!(numbers.len() == 50 && numbers.is_sorted_by(|one, next| one < next), "each once and in order: {numbers:?}");
    let parcel = take(&store, 1000, 1 << 20).unwrap();
    let positions: Vec<_> = parcel.messages.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (1..=50).collect::<Vec<_>>());
}

fn what_fails_changes_nothing(place: &Place) {
    let store = place.open();
    let failed: Result<(), StoreError> = store.write(|db| {
        db.execute("INSERT INTO hub_keys (suite, secret) VALUES (?1, ?2)", (9_u16, &[1; 32]))?;
        Err(StoreError::damaged("on purpose"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "a value in the database is damaged: on purpose");
    assert_eq!(store.hub_key(9, &[2; 32]).unwrap(), [2; 32]);
    let twice = store.write(|db| db.execute("INSERT INTO hub_keys (suite, secret) VALUES (?1, ?2)", (9_u16, &[3; 32])));
    let told = twice.unwrap_err();
    assert!(!told.is_temporary() && told.to_string().starts_with("the database: "), "{told}");
    assert_eq!(store.hub_key(9, &[4; 32]).unwrap(), [2; 32]);
    let wrong: Result<Option<i64>, _> = store.look(|db| db.value("SELECT nothing FROM nowhere", [0_i64; 0]));
    assert!(wrong.is_err());
    assert_eq!(store.hub_key(9, &[4; 32]).unwrap(), [2; 32], "and the connection is still good");
}

fn a_text_with_nul_is_refused_and_changes_nothing(place: &Place) {
    let store = place.open();
    let refused = store.register(&AccountProfile { display_name: "A\0".into(), ..profile("alice") }, &new_device(1));
    let error = refused.unwrap_err();
    assert!(error.is_of_a_value() && !error.is_temporary(), "{error}");
    assert_eq!(Fail::from(error).problem(), Problem::Malformed);
    let device = NewDevice { name: "\0".into(), ..new_device(1) };
    assert!(store.register(&profile("alice"), &device).is_err(), "after the account was written");
    assert!(store.register(&profile("alice"), &new_device(1)).unwrap(), "nothing of it was stored");
}

fn pseudonym(number: u8) -> UserUri {
    UserUri::pseudonym(&domain("a.example"), [number; 16])
}

fn refused<T>(outcome: Result<T, Fail>) -> Option<Problem> {
    match outcome {
        Ok(_) => None,
        Err(fail) => Some(fail.problem()),
    }
}

fn expect(store: &Store, device: &Device, name: &str) {
    assert!(store.expect_in_room(device, &room(name), &device.client).unwrap());
}

/// The numbers of the messages that wait for a device.
fn mail(store: &Store, device: &Device) -> Vec<u64> {
    store.inbox(device.id, 0, 1000, 1 << 20).unwrap().events.into_iter().map(|(number, _)| number).collect()
}

fn events(store: &Store) -> u64 {
    store.sweep().unwrap();
    store.counts().unwrap().inbox
}

/// What a version before this one has left waits in its order, and under numbers that nobody has seen.
#[test]
fn what_waited_before_the_tables_were_changed_still_waits() {
    let place = Place::folder("migration");
    let Place::Folder(folder) = &place else { panic!("a folder") };
    let database = rusqlite::Connection::open(folder.join("provider.sqlite")).unwrap();
    let new = schema::MIGRATIONS.iter().position(|step| step.contains("CREATE TABLE events")).unwrap();
    for step in &schema::MIGRATIONS[..new] {
        database.execute_batch(step).unwrap();
    }
    let script = format!(
        "CREATE TABLE schema_version (one BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
         INSERT INTO schema_version VALUES (1, {new}); \
         INSERT INTO accounts (id, user_uri, user_folded, display_name, email) VALUES (1, 'mimi://a.example/u/alice', 'a', '', ''); \
         INSERT INTO devices (id, account, client, token_hash, name, last_sequence) \
         VALUES (1, 1, 'mimi://a.example/d/one', x'01', '', 40); \
         INSERT INTO room_clients VALUES ('mimi://a.example/r/club', 'mimi://a.example/d/one', 1); \
         INSERT INTO hub_rooms (room, epoch, position) VALUES ('mimi://a.example/r/club', 0, 0); \
         INSERT INTO inbox VALUES (1, 39, NULL, x'07'), (1, 40, 'mimi://a.example/r/club', x'08');"
    );
    database.execute_batch(&script).unwrap();
    drop(database);
    let store = place.open();
    message(&store, "club", 0, 1).unwrap();
    let found = store.inbox(DeviceId(1), 40, 10, 1000).unwrap().events;
    assert_eq!(found.iter().take(2).map(|(_, body)| body.as_slice()).collect::<Vec<_>>(), [[7], [8]]);
    assert_eq!(found.len(), 3, "and what comes to a room reaches who was in it: {found:?}");
}
