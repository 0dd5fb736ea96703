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
    eight_threads_claim_each_key_package_once,
    the_same_request_gets_the_same_key_package_until_it_is_used,
    only_what_fits_is_handed_out,
    a_commit_is_stored_whole_and_survives_a_restart,
    the_outbox_gives_the_oldest_room_first_within_bounds,
    a_room_that_is_refused_rests_and_it_is_known_since_when,
    notifications_are_taken_once_and_all_or_none,
    a_destroyed_room_leaves_no_trace_in_the_files,
    a_database_of_a_newer_version_is_refused,
    a_hub_key_is_made_once,
    a_room_goes_on_once_from_each_epoch,
    couriers_never_get_the_same_room,
    what_a_courier_left_behind_waits_for_another,
    the_same_message_is_accepted_once_by_two_processes,
    what_fails_changes_nothing,
    a_text_with_nul_is_refused_and_changes_nothing,
    a_quota_is_exact_when_fifty_draw_at_once,
    a_quota_is_for_a_period_and_a_request_for_tokens_counts_once,
    a_token_is_spent_once_whoever_asks,
    a_pseudonym_with_its_own_device_draws_nothing,
    a_device_gets_what_comes_while_it_is_in_a_room,
    an_event_goes_when_all_have_taken_it,
    whoever_gets_a_new_event_is_found_at_once,
    events_are_numbered_from_the_time_at_which_a_provider_starts,
}

mod abuse;
mod deletion;
mod memory;
mod openings;
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
    let told = store.inbox(second.id, 0, 10, 1000).unwrap();
    assert!(told.len() == 1 && told[0].1 == body);
    assert!(store.inbox(first.id, 0, 10, 1000).unwrap().is_empty());
    store.ack(second.id, told[0].0).unwrap();
    store.assign_pseudonyms(&first, &[UserUri::pseudonym(&domain("a.example"), [9; 16])], None, ANY).unwrap();
    let after_ack = store.inbox(second.id, 0, 10, 1000).unwrap();
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

fn eight_threads_claim_each_key_package_once(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let offered: Vec<_> = (0..64).map(|number| key_package(&device, number, later())).collect();
    assert!(store.upload(&device, &offered, NOW).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = place.other(&store);
            std::thread::spawn(move || -> Vec<ClaimedClient> {
                (0..10).flat_map(|_| store.claim(&claim(), NOW).unwrap()).collect()
            })
        })
        .collect();
    let mut given = Vec::new();
    let mut exhausted = 0;
    for claimed in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        match claimed {
            ClaimedClient::KeyPackage(_, octets) => given.push(octets),
            ClaimedClient::Exhausted(_) => exhausted += 1,
            ClaimedClient::Incompatible(_) => panic!("all are compatible"),
        }
    }
    given.sort();
    assert_eq!(given, offered.into_iter().map(|one| one.octets).collect::<Vec<_>>());
    assert_eq!(exhausted, 16);
}

fn the_same_request_gets_the_same_key_package_until_it_is_used(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let stock: Vec<_> = [3, 4, 5].map(|number| key_package(&device, number, later())).into();
    assert!(store.upload(&device, &stock, NOW).unwrap());
    let ask = |request: u8| store.claim(&Claim { request: Some([request; 32]), ..claim() }, NOW).unwrap();
    let given = |number: u8| [ClaimedClient::KeyPackage(device.client.clone(), vec![number; 9])];
    assert_eq!(ask(1), given(3));
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(1), given(3), "its answer may have been lost");
    let welcome = Notification {
        hash: [9; 32],
        sent: NOW,
        body: vec![1],
        kind: NotificationKind::Welcome(vec![KeyPackageRef::new(&[3; 32])]),
    };
    let room = RoomUri::new(&domain("b.example"), "club").unwrap();
    assert!(matches!(store.notify(&room, &[welcome]).unwrap(), NotifyOutcome::Taken(_)));
    assert_eq!(ask(1), given(5), "it has been used");
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(3), [ClaimedClient::Exhausted(device.client.clone())]);
    assert!(store.claim(&claim(), later()).unwrap().iter().all(|one| matches!(one, ClaimedClient::Exhausted(_))));
    assert_eq!(store.claim(&Claim { request: Some([2; 32]), ..claim() }, later()).unwrap(), ask(3), "it has ended");
}

fn only_what_fits_is_handed_out(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(store.claim(&claim(), NOW).unwrap().is_empty());
    let expired = key_package(&first, 1, NOW);
    let other_suite = StoredKeyPackage { suite: 2, ..key_package(&second, 2, later()) };
    let ordinary = StoredKeyPackage { initial_only: false, ..key_package(&second, 3, later()) };
    assert!(store.upload(&first, &[expired], NOW).unwrap());
    assert!(!store.upload(&first, std::slice::from_ref(&ordinary), NOW).unwrap(), "another device's client");
    assert!(store.upload(&second, &[other_suite, ordinary], NOW).unwrap());
    let (one, two) = (first.client.clone(), second.client.clone());
    let expected = [ClaimedClient::Exhausted(one.clone()), ClaimedClient::Incompatible(two.clone())];
    assert_eq!(store.claim(&claim(), NOW).unwrap(), expected);
    let own = Claim { kind: Kind::Ordinary, except: Some(one), ..claim() };
    assert_eq!(store.claim(&own, NOW).unwrap(), [ClaimedClient::KeyPackage(two.clone(), vec![3; 9])]);
    let except = Claim { kind: Kind::Ordinary, except: Some(two), ..claim() };
    assert!(store.claim(&except, NOW).unwrap().is_empty());
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
        assert_eq!(store.inbox(*device, 0, 10, 1000).unwrap().len(), 1);
    }
    commit(&store, "club", 2, true, &[]);
    let stored = store.room(&room("club")).unwrap().unwrap();
    assert_eq!((stored.snapshot.as_slice(), stored.log.len()), (b"snapshot".as_slice(), 0));
    let parcel = take(&store, 10, 1000).unwrap();
    assert_eq!(octets(&parcel), [b"commit 1", b"commit 2"]);
    deliver(&store, &parcel);
    assert_eq!(take(&store, 10, 1000), None);
}

fn the_outbox_gives_the_oldest_room_first_within_bounds(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "one") && create(&store, &first, "two"));
    for (name, epoch) in [("one", 1), ("two", 1), ("one", 2), ("one", 3)] {
        commit(&store, name, epoch, false, &[]);
    }
    for (count, octets, expected) in [(10, 1000, 3), (2, 1000, 2), (10, 1, 1)] {
        let parcel = take(&store, count, octets).unwrap();
        assert_eq!((&parcel.room, parcel.messages.len()), (&room("one"), expected), "one is always given");
        assert!(parcel.more);
        assert_eq!(super::tests::octets(&parcel), [b"commit 1", b"commit 2", b"commit 3"][..expected]);
        // Without a second room in between, it would be behind it.
        store.outbox_later(&parcel, NOW).unwrap();
    }
    let one = take(&store, 10, 1000).unwrap();
    store.outbox_later(&one, later()).unwrap();
    assert_eq!(take(&store, 10, 1000).unwrap().room, room("two"), "a room that could not be brought is behind others");
    assert_eq!(store.outbox_take(&domain("c.example"), 10, 1000, NOW).unwrap(), None);
    // One of the rooms has no courier, and then none.
    assert_eq!(store.outbox_peers(NOW).unwrap(), [domain("b.example")].into());
    assert!(take(&store, 10, 1000).is_some());
    if store.is_shared() {
        assert!(store.outbox_peers(NOW).unwrap().is_empty());
        let over = NOW.after(std::time::Duration::from_secs(15));
        assert_eq!(store.outbox_peers(over).unwrap(), [domain("b.example")].into(), "a courier that is not heard of");
    }
}

fn whoever_gets_a_new_event_is_found_at_once(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    let (before, nobody) = store.devices_behind(None).unwrap();
    assert!(nobody.is_empty());
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    let (newest, devices) = store.devices_behind(Some(before)).unwrap();
    assert!(newest > before && devices == [first.id].into(), "an event of a room: {devices:?}");
    assert_eq!(store.devices_behind(Some(newest)).unwrap(), (newest, BTreeSet::new()));
    store.write(|db| mail::put_in_inbox(db, second.id, None, b"for one")).unwrap();
    let (last, devices) = store.devices_behind(Some(newest)).unwrap();
    assert!(last > newest && devices == [second.id].into(), "an event for one: {devices:?}");
    assert_eq!(store.devices_behind(Some(before)).unwrap().1, [first.id, second.id].into());
}

fn a_room_that_is_refused_rests_and_it_is_known_since_when(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    let at = |seconds: u64| NOW.after(Duration::from_secs(seconds));
    assert!(create(&store, &first, "one") && create(&store, &first, "two"));
    commit(&store, "one", 1, false, &[]);
    commit(&store, "one", 2, false, &[]);
    let one = take(&store, 1, 1000).unwrap();
    assert_eq!(store.outbox_refused(&one, at(0)).unwrap(), at(0));
    assert_eq!(take(&place.other(&store), 1, 1000), None, "its courier is away");
    store.outbox_rest(&one, at(0), Duration::from_secs(10)).unwrap();
    commit(&store, "two", 1, false, &[]);
    let peer = domain("b.example");
    let two = place.other(&store).outbox_take(&peer, 1, 1000, at(9)).unwrap().unwrap();
    assert_eq!((&two.room, two.more), (&room("two"), false), "the one rests");
    place.other(&store).outbox_later(&two, at(30)).unwrap();
    store.outbox_rested(&one);
    let take = |seconds| store.outbox_take(&peer, 1, 1000, at(seconds)).unwrap().unwrap();
    let again = take(10);
    assert_eq!(again, Parcel { more: true, ..one.clone() });
    assert_eq!(store.outbox_refused(&again, at(60)).unwrap(), at(0), "and the time is that of the first refusal");
    store.outbox_drop(&again, again.messages[0].0, at(10)).unwrap();
    let again = take(11);
    assert_eq!(octets(&again), [b"commit 2"]);
    assert_eq!(store.outbox_refused(&again, at(70)).unwrap(), at(0), "nothing was taken");
    assert_eq!(
        store.outbox_refused(&again, NOW.before(Duration::from_secs(9))).unwrap(),
        NOW.before(Duration::from_secs(9))
    );
    commit(&store, "one", 3, false, &[]);
    let waits = |since| [Waiting { peer: "b.example".to_owned(), rooms: 2, since }];
    assert_eq!(store.outbox_waiting().unwrap(), waits(NOW), "since the first that is not taken");
    store.outbox_done(&again, again.messages[0].0, at(12)).unwrap();
    let again = take(13);
    assert_eq!(octets(&again), [b"commit 3"]);
    assert_eq!(store.outbox_refused(&again, at(80)).unwrap(), at(80), "something was taken meanwhile");
    store.outbox_done(&again, again.messages[0].0, at(81)).unwrap();
    let two = take(82);
    store.outbox_done(&two, two.messages[0].0, at(83)).unwrap();
    assert_eq!(store.outbox_waiting().unwrap(), []);
    commit(&store, "one", 4, false, &[]);
    let four = take(90);
    commit(&store, "one", 5, false, &[]);
    store.outbox_done(&four, four.messages[0].0, at(91)).unwrap();
    let [waiting] = store.outbox_waiting().unwrap().try_into().unwrap();
    assert_eq!((waiting.rooms, waiting.since), (1, at(91)), "the first of both was taken then");
}

fn events_are_numbered_from_the_time_at_which_a_provider_starts(place: &Place) {
    let store = place.open();
    let device = alice(&store).id;
    let next = || {
        store.write(|db| mail::put_in_inbox(db, device, None, b"event")).unwrap();
        store.inbox(device, 0, 100, 10_000).unwrap().last().unwrap().0
    };
    let number = |time: Timestamp| time.as_millis() << 16;
    let first = next();
    assert!(first < number(NOW));
    let start = |time| place.other(&store).number_from(time).unwrap();
    start(NOW);
    assert_eq!(next(), number(NOW) + 1);
    start(NOW.before(Duration::from_secs(86_400)));
    assert_eq!(next(), number(NOW) + 2, "a clock that was set back");
    let later = NOW.after(Duration::from_millis(1));
    start(later);
    assert_eq!(next(), number(later) + 1);
    // However wrong a clock is, there are numbers left.
    start(Timestamp::from_secs(u64::MAX / 1000));
    assert!(next() < 1 << 62);
    assert!(next() < 1 << 62);
    store.ack(device, first).unwrap();
    assert_eq!(store.inbox(device, first, 100, 10_000).unwrap().len(), 5);
}

fn notification(number: u8, welcome: Option<u8>) -> Notification {
    let references = |reference| vec![KeyPackageRef::new(&[99]), KeyPackageRef::new(&[reference; 32])];
    let kind = welcome.map_or(NotificationKind::Handshake, |one| NotificationKind::Welcome(references(one)));
    Notification { hash: [number; 32], sent: NOW, body: vec![number], kind }
}

fn notifications_are_taken_once_and_all_or_none(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(store.upload(&device, &[key_package(&device, 5, later())], NOW).unwrap());
    let other: RoomUri = "mimi://b.example/r/club".parse().unwrap();
    let notify = |messages: &[Notification]| store.notify(&other, messages).unwrap();
    let inbox = || store.inbox(device.id, 0, 10, 1000).unwrap();
    assert_eq!(notify(&[notification(1, None)]), NotifyOutcome::UnknownRoom);
    let unknown = [notification(2, Some(5)), notification(3, Some(6))];
    assert_eq!(notify(&unknown), NotifyOutcome::UnknownKeyPackageRef);
    assert!(inbox().is_empty() && !store.is_in_room(&device, &other).unwrap(), "nothing was taken");
    let wake = Wake { devices: [device.id].into(), ..Wake::default() };
    assert_eq!(notify(&[notification(2, Some(5)), notification(1, None)]), NotifyOutcome::Taken(wake));
    assert_eq!(notify(&[notification(1, None)]), NotifyOutcome::Taken(Wake::default()), "a repetition");
    let again = notify(&[notification(7, Some(5))]);
    assert_eq!(again, NotifyOutcome::UnknownKeyPackageRef, "another Welcome for a KeyPackage that was used");
    let bodies: Vec<_> = inbox().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [[2], [1]]);
    assert!(store.leave_room(&device, &other).unwrap() && !store.leave_room(&device, &other).unwrap());
    assert_eq!(notify(&[notification(4, None)]), NotifyOutcome::UnknownRoom);
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
        let events = store.inbox(device, 0, 1000, 1 << 20).unwrap();
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
    let delivered = store.inbox(first.id, 0, 1000, 1 << 20).unwrap();
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
    let numbers: Vec<_> = store.inbox(first.id, 0, 1000, 1 << 20).unwrap().iter().map(|(number, _)| *number).collect();
    assert!(numbers.len() == 50 && numbers.is_sorted_by(|one, next| one < next), "each once and in order: {numbers:?}");
    let parcel = take(&store, 1000, 1 << 20).unwrap();
    let positions: Vec<_> = parcel.messages.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (1..=50).collect::<Vec<_>>());
}

fn couriers_never_get_the_same_room(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    let names: Vec<_> = (0..6).map(|number| format!("room-{number}")).collect();
    for name in &names {
        assert!(create(&store, &first, name));
        for number in 0..20 {
            message(&store, name, 0, number).unwrap();
        }
    }
    let busy = Arc::new(Mutex::new(BTreeSet::new()));
    let couriers: Vec<_> = (0..4)
        .map(|_| {
            let (store, busy) = (place.other(&store), Arc::clone(&busy));
            std::thread::spawn(move || {
                let mut brought = Vec::new();
                while let Some(parcel) = take(&store, 3, 1 << 20) {
                    assert!(busy.lock().unwrap().insert(parcel.room.clone()), "a room has two couriers");
                    brought.extend(parcel.messages.iter().map(|(position, _)| (parcel.room.clone(), *position)));
                    busy.lock().unwrap().remove(&parcel.room);
                    deliver(&store, &parcel);
                }
                brought
            })
        })
        .collect();
    let mut brought: Vec<_> = couriers.into_iter().flat_map(|courier| courier.join().unwrap()).collect();
    brought.sort();
    let expected = names.iter().flat_map(|name| (1..=20).map(|position| (room(name), position)));
    assert_eq!(brought, expected.collect::<Vec<_>>(), "each message once");
    assert_eq!(take(&store, 3, 1 << 20), None);
}

fn what_a_courier_left_behind_waits_for_another(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    let parcel = take(&store, 10, 1000).unwrap();
    assert!(!parcel.more || store.is_shared());
    assert_eq!(take(&store, 10, 1000), None, "its courier is away");
    message(&store, "club", 0, 2).unwrap();
    assert_eq!(take(&place.other(&store), 10, 1000), None);
    // The process of the courier is killed.
    let other = place.open();
    let at = |seconds: u64| {
        other.outbox_take(&domain("b.example"), 10, 1000, Timestamp::from_secs(1_000_000 + seconds)).unwrap()
    };
    if store.is_shared() {
        assert_eq!(at(14), None, "it may still be on its way");
        store.outbox_busy(&parcel, Timestamp::from_secs(1_000_010)).unwrap();
        assert_eq!(at(24), None, "it has said so");
    } else {
        // Nobody else can have been on the way: whoever starts begins with all of it.
        let parcel = at(0).unwrap();
        assert_eq!(octets(&parcel), [b"message 1", b"message 2"]);
        other.outbox_later(&parcel, NOW).unwrap();
    }
    let again = at(25).unwrap();
    assert_eq!(octets(&again), [b"message 1", b"message 2"]);
    // A clock that goes back by days does not make a room wait for days.
    other.outbox_busy(&again, Timestamp::from_secs(2_000_000)).unwrap();
    let back = place.open().outbox_take(&domain("b.example"), 10, 1000, NOW).unwrap();
    assert_eq!(back.map(|parcel| octets(&parcel)), Some(octets(&again)));
    deliver(&other, &again);
    assert_eq!(take(&place.open(), 10, 1000), None);
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

fn a_quota_is_exact_when_fifty_draw_at_once(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let draw = Draw { period: 3, allowed: Some(7) };
    let drawn: Vec<_> = std::thread::scope(|scope| {
        let draws: Vec<_> = (0..50_u8)
            .map(|number| {
                let (store, alice) = (&store, &alice);
                scope.spawn(move || refused(store.assign_pseudonyms(alice, &[pseudonym(number)], None, draw)))
            })
            .collect();
        draws.into_iter().map(|draw| draw.join().unwrap()).collect()
    });
    assert_eq!(drawn.iter().filter(|refusal| refusal.is_none()).count(), 7);
    assert_eq!(drawn.iter().filter(|refusal| **refusal == Some(Problem::OverQuota)).count(), 43);
    let owned = (0..50_u8).filter(|number| store.owns(alice.account, &pseudonym(*number)).unwrap());
    assert_eq!(owned.count(), 7);
}

fn a_quota_is_for_a_period_and_a_request_for_tokens_counts_once(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let draw = |period: i64| Draw { period, allowed: Some(5) };
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[1; 32], draw(1))), None);
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[1; 32], draw(1))), None, "the same request");
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[2; 32], draw(1))), Some(Problem::OverQuota));
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[2; 32], draw(1))), Some(Problem::OverQuota), "not as known");
    assert_eq!(refused(store.draw_tokens(&alice, 2, &[3; 32], draw(1))), None);
    assert_eq!(refused(store.assign_pseudonyms(&alice, &[pseudonym(1)], None, draw(1))), Some(Problem::OverQuota));
    assert_eq!(refused(store.draw_tokens(&alice, 6, &[4; 32], draw(2))), Some(Problem::OverQuota), "more than all");
    assert_eq!(refused(store.draw_tokens(&alice, 5, &[4; 32], draw(2))), None, "a new period");
    assert_eq!(refused(store.draw_tokens(&alice, 100, &[5; 32], ANY)), None, "no quota");
}

fn a_token_is_spent_once_whoever_asks(place: &Place) {
    let store = place.open();
    let redeemed: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..50_u8)
            .map(|number| {
                let store = &store;
                scope.spawn(move || store.redeem(&[9; 32], &pseudonym(number), &new_device(number)).unwrap())
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(redeemed.iter().filter(|won| **won).count(), 1);
    drop(store);
    let store = place.open();
    assert!(!store.redeem(&[9; 32], &pseudonym(60), &new_device(60)).unwrap(), "not after a restart either");
    assert!(store.redeem(&[8; 32], &pseudonym(61), &new_device(61)).unwrap());
}

fn a_pseudonym_with_its_own_device_draws_nothing(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let entry = TieEntry { found_by: vec![1; 32], tie: vec![2; 9], listed: None };
    let draw = Draw { period: 1, allowed: Some(1) };
    assert_eq!(refused(store.detach(alice.account, &pseudonym(2), &new_device(2), &entry, draw)), None);
    assert_eq!(store.tie(&[1; 32]).unwrap(), Some(vec![2; 9]));
    assert_eq!(store.tie(&[2; 32]).unwrap(), None);
    let detached = store.device_by_token(&[2; 32]).unwrap().unwrap();
    assert!(detached.account != alice.account);
    assert!(store.owns(detached.account, &pseudonym(2)).unwrap());
    assert!(!store.owns(alice.account, &pseudonym(2)).unwrap());
    assert_eq!(refused(store.draw_tokens(&detached, 1, &[1; 32], ANY)), Some(Problem::Forbidden));
    assert_eq!(refused(store.assign_pseudonyms(&detached, &[pseudonym(3)], None, ANY)), Some(Problem::Forbidden));
    let other = TieEntry { found_by: vec![3; 32], tie: vec![], listed: None };
    let over = store.detach(alice.account, &pseudonym(4), &new_device(4), &other, draw);
    assert_eq!(refused(over), Some(Problem::OverQuota));
    assert!(store.device_by_token(&[4; 32]).unwrap().is_none(), "nothing of it was stored");
    assert_eq!(store.seat(alice.account).unwrap(), 0);
    assert_eq!((store.seat(detached.account).unwrap(), store.seat(alice.account).unwrap()), (1, 0));
}

fn expect(store: &Store, device: &Device, name: &str) {
    assert!(store.expect_in_room(device, &room(name), &device.client).unwrap());
}

/// The numbers of the messages that wait for a device.
fn mail(store: &Store, device: &Device) -> Vec<u64> {
    store.inbox(device.id, 0, 1000, 1 << 20).unwrap().into_iter().map(|(number, _)| number).collect()
}

fn events(store: &Store) -> u64 {
    store.sweep().unwrap();
    store.counts().unwrap().inbox
}

fn a_device_gets_what_comes_while_it_is_in_a_room(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    expect(&store, &second, "club");
    assert!(!store.expect_in_room(&second, &room("club"), &second.client).unwrap(), "it is in there already");
    message(&store, "club", 0, 2).unwrap();
    assert!(store.leave_room(&second, &room("club")).unwrap());
    message(&store, "club", 0, 3).unwrap();
    let all = mail(&store, &first);
    assert_eq!(all.len(), 3);
    assert_eq!(mail(&store, &second), [all[1]], "what has come before it left still waits");
    expect(&store, &second, "club");
    message(&store, "club", 0, 4).unwrap();
    let all = mail(&store, &first);
    assert_eq!(mail(&store, &second), [all[1], all[3]]);
    store.not_in_room(&room("club"), &second.client).unwrap();
    message(&store, "club", 0, 5).unwrap();
    assert_eq!(mail(&store, &second), [all[1], all[3]]);
    store.ack(second.id, all[1]).unwrap();
    assert_eq!(mail(&store, &second), [all[3]]);
    store.ack(second.id, all[0]).unwrap();
    assert_eq!(mail(&store, &second), [all[3]], "what was acknowledged stays so");
}

fn an_event_goes_when_all_have_taken_it(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club") && create(&store, &first, "other"));
    expect(&store, &second, "club");
    for number in 1..=3 {
        message(&store, "club", 0, number).unwrap();
    }
    message(&store, "other", 0, 9).unwrap();
    let all = mail(&store, &first);
    assert_eq!((all.len(), events(&store)), (4, 4));
    store.ack(first.id, all[1]).unwrap();
    assert_eq!(events(&store), 4, "the other one has taken nothing");
    store.ack(second.id, all[0]).unwrap();
    assert_eq!(events(&store), 3);
    assert!(store.leave_room(&second, &room("club")).unwrap());
    assert_eq!(events(&store), 3, "what it was to get before it left is kept for it");
    // Also by a provider that was started again in between.
    let store = place.open();
    store.ack(second.id, u64::MAX).unwrap();
    assert_eq!(events(&store), 2);
    store.ack(first.id, u64::MAX).unwrap();
    assert_eq!(events(&store), 0);
    let left = "SELECT COUNT(*) FROM mail_rooms WHERE device = ?1";
    let left: i64 = store.look(|db| db.one(left, [second.id.0])?.get(0)).unwrap();
    assert_eq!(left, 0, "of a room that a device has left nothing is kept");
    message(&store, "club", 0, 5).unwrap();
    let (new, last) = (mail(&store, &first), all.last().unwrap());
    assert!(new.len() == 1 && new[0] > *last, "no number is given twice");
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
    let found = store.inbox(DeviceId(1), 40, 10, 1000).unwrap();
    assert_eq!(found.iter().take(2).map(|(_, body)| body.as_slice()).collect::<Vec<_>>(), [[7], [8]]);
    assert_eq!(found.len(), 3, "and what comes to a room reaches who was in it: {found:?}");
}
