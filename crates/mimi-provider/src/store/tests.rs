use mimi_pseudonym::{CipherSuite, Entropy, PublicKey, RoomUri, SeededEntropy, Signer, SigningKey, UserUri, Wire};
use mimi_wire::{KeyPackageRef, QueryElement, SearchField, local::InboxBody};

use super::*;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mimi-provider-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> Store {
        Store::open(&self.0.join("provider.sqlite")).unwrap()
    }

    /// Every octet of every file.
    fn octets(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.0).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

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

#[test]
fn a_name_is_given_once_and_a_code_lets_one_device_in() {
    let folder = Folder::new("accounts");
    let store = folder.open();
    alice(&store);
    assert!(!store.register(&profile("Alice"), &new_device(9)).unwrap(), "the same name in another case");
    assert!(store.device_by_token(&[9; 32]).unwrap().is_none());
    assert!(store.known_device(&[9; 32]).is_none());
    assert_eq!(store.known_device(&[1; 32]).unwrap().client, store.device_by_token(&[1; 32]).unwrap().unwrap().client);
    assert!(folder.open().known_device(&[1; 32]).is_none(), "it has not shown its token yet");
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

#[test]
fn pseudonyms_are_the_accounts_and_other_devices_hear_of_them() {
    let folder = Folder::new("pseudonyms");
    let store = folder.open();
    let (first, second) = (alice(&store), second(&store));
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [7; 16]);
    let (assigned, wake) = store.assign_pseudonyms(&first, std::slice::from_ref(&pseudonym), None).unwrap();
    assert_eq!(assigned, std::slice::from_ref(&pseudonym));
    assert_eq!(wake.devices, [second.id].into());
    assert!(store.owns(first.account, &pseudonym).unwrap() && store.owns(first.account, &user("alice")).unwrap());
    assert!(!store.owns(first.account, &UserUri::pseudonym(&domain("a.example"), [8; 16])).unwrap());
    let body = InboxBody::PseudonymsAssigned { pseudonyms: vec![pseudonym.clone()] }.encode();
    assert_eq!(store.inbox(second.id, 0, 10, 1000).unwrap(), [(1, body)]);
    assert!(store.inbox(first.id, 0, 10, 1000).unwrap().is_empty());
    store.ack(second.id, 1).unwrap();
    store.assign_pseudonyms(&first, &[UserUri::pseudonym(&domain("a.example"), [9; 16])], None).unwrap();
    let after_ack = store.inbox(second.id, 0, 10, 1000).unwrap();
    assert_eq!(after_ack.first().unwrap().0, 2, "numbers go on after they were deleted");
}

#[test]
fn a_client_is_the_same_for_the_same_subject_and_key() {
    let folder = Folder::new("clients");
    let store = folder.open();
    let (first, second) = (alice(&store), second(&store));
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [7; 16]);
    store.assign_pseudonyms(&first, std::slice::from_ref(&pseudonym), None).unwrap();
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
    assert_ne!(client(&second, &pseudonym, &one), given);
    assert_eq!(client(&first, &user("alice"), &one), Some(first.client.clone()));
    assert_eq!(client(&first, &user("bob"), &one), None);
}

#[test]
fn eight_threads_claim_each_key_package_once() {
    let folder = Folder::new("claim");
    let store = folder.open();
    let device = alice(&store);
    let offered: Vec<_> = (0..64).map(|number| key_package(&device, number, later())).collect();
    assert!(store.upload(&device, &offered, NOW).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
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

#[test]
fn the_same_request_gets_the_same_key_package_until_it_is_used() {
    let folder = Folder::new("again");
    let store = folder.open();
    let device = alice(&store);
    let stock: Vec<_> = [3, 4, 5].map(|number| key_package(&device, number, later())).into();
    assert!(store.upload(&device, &stock, NOW).unwrap());
    let ask = |request: u8| store.claim(&Claim { request: Some([request; 32]), ..claim() }, NOW).unwrap();
    let given = |number: u8| [ClaimedClient::KeyPackage(device.client.clone(), vec![number; 9])];
    assert_eq!(ask(1), given(3));
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(1), given(3), "its answer may have been lost");
    let welcome = Notification { hash: [9; 32], body: vec![1], welcome: Some(vec![KeyPackageRef::new(&[3; 32])]) };
    let room = RoomUri::new(&domain("b.example"), "club").unwrap();
    assert!(matches!(store.notify(&room, &[welcome]).unwrap(), NotifyOutcome::Taken(_)));
    assert_eq!(ask(1), given(5), "it has been used");
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(3), [ClaimedClient::Exhausted(device.client.clone())]);
    assert!(store.claim(&claim(), later()).unwrap().iter().all(|one| matches!(one, ClaimedClient::Exhausted(_))));
    assert_eq!(store.claim(&Claim { request: Some([2; 32]), ..claim() }, later()).unwrap(), ask(3), "it has ended");
}

#[test]
fn only_what_fits_is_handed_out() {
    let folder = Folder::new("fits");
    let store = folder.open();
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

/// A commit to `epoch` that adds a client of ours, and goes to one peer.
fn commit(store: &Store, name: &str, epoch: u64, snapshot: bool, added: &[(KeyPackageRef, ClientUri)]) -> Wake {
    let room = room(name);
    let body = InboxBody::RoomDestroyed { room: room.clone() };
    let hash = [u8::try_from(epoch).unwrap() + 100; 32];
    let outbox = [(domain("b.example"), format!("commit {epoch}").into_bytes())];
    let record = CommitRecord {
        room: &room,
        hash,
        accepted: NOW,
        epoch,
        log_entry: b"entry",
        snapshot: snapshot.then_some(b"snapshot".as_slice()),
        outbox: &outbox,
        commit: &body,
        welcome: Some(&body),
        added,
        removed: &[],
    };
    store.accept_commit(&record).unwrap()
}

#[test]
fn a_commit_is_stored_whole_and_survives_a_restart() {
    let folder = Folder::new("commit");
    let wake;
    {
        let store = folder.open();
        let (first, second) = (alice(&store), second(&store));
        assert!(create(&store, &first, "club") && !create(&store, &first, "club"));
        wake = commit(&store, "club", 1, false, &[(KeyPackageRef::new(&[1]), second.client.clone())]);
        assert_eq!(wake.devices, [first.id, second.id].into());
        assert_eq!(wake.peers, [domain("b.example")].into());
    }
    let store = folder.open();
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
    let rows = store.outbox(&domain("b.example"), 10, 1000).unwrap();
    assert_eq!(rows.iter().map(|row| row.message.clone()).collect::<Vec<_>>(), [b"commit 1", b"commit 2"]);
    store.outbox_done(&rows).unwrap();
    assert!(store.outbox(&domain("b.example"), 10, 1000).unwrap().is_empty());
}

#[test]
fn the_outbox_gives_the_oldest_room_first_within_bounds() {
    let folder = Folder::new("outbox");
    let store = folder.open();
    let first = alice(&store);
    assert!(create(&store, &first, "one") && create(&store, &first, "two"));
    for (name, epoch) in [("one", 1), ("two", 1), ("one", 2), ("one", 3)] {
        commit(&store, name, epoch, false, &[]);
    }
    let messages = |count, octets| -> Vec<_> {
        let rows = store.outbox(&domain("b.example"), count, octets).unwrap();
        assert!(rows.iter().all(|row| row.room == room("one")));
        rows.into_iter().map(|row| row.message).collect()
    };
    assert_eq!(messages(10, 1000), [b"commit 1", b"commit 2", b"commit 3"]);
    assert_eq!(messages(2, 1000).len(), 2);
    assert_eq!(messages(10, 1).len(), 1, "one is always given");
    assert!(store.outbox(&domain("c.example"), 10, 1000).unwrap().is_empty());
}

fn notification(number: u8, welcome: Option<u8>) -> Notification {
    let welcome = welcome.map(|reference| vec![KeyPackageRef::new(&[99]), KeyPackageRef::new(&[reference; 32])]);
    Notification { hash: [number; 32], body: vec![number], welcome }
}

#[test]
fn notifications_are_taken_once_and_all_or_none() {
    let folder = Folder::new("notify");
    let store = folder.open();
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
    assert_eq!(inbox(), [(1, vec![2]), (2, vec![1])]);
    assert!(store.leave_room(&device, &other).unwrap() && !store.leave_room(&device, &other).unwrap());
    assert_eq!(notify(&[notification(4, None)]), NotifyOutcome::UnknownRoom);
}

#[test]
fn a_destroyed_room_leaves_no_trace_in_the_files() {
    let folder = Folder::new("destroy");
    let store = folder.open();
    let (first, second) = (alice(&store), second(&store));
    for number in 0..40 {
        assert!(create(&store, &first, &format!("other-{number}")));
    }
    assert!(create(&store, &first, "secret-club"));
    for epoch in 1..60 {
        commit(&store, "secret-club", epoch, false, &[(KeyPackageRef::new(&[1]), second.client.clone())]);
        commit(&store, "other-1", epoch, false, &[]);
    }
    let peer = domain("b.example");
    while let rows @ [_, ..] = store.outbox(&peer, 100, 1 << 20).unwrap().as_slice() {
        store.outbox_done(rows).unwrap();
    }
    let found = |needle: &[u8]| folder.octets().windows(needle.len()).any(|window| window == needle);
    assert!(found(b"secret-club"));
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
    assert!(!found(b"secret-club"), "the room's name is still in a file");
    assert!(found(b"other-1"));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = Folder::new("newer");
    folder.open().connection().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&folder.0.join("provider.sqlite")).err().unwrap();
    assert_eq!(error.to_string(), "the database was written by a newer version: schema 99");
}

#[test]
fn a_hub_key_is_made_once() {
    let folder = Folder::new("key");
    assert_eq!(folder.open().hub_key(1, &[1; 32]).unwrap(), [1; 32]);
    assert_eq!(folder.open().hub_key(1, &[2; 32]).unwrap(), [1; 32]);
    assert_eq!(folder.open().hub_key(2, &[2; 32]).unwrap(), [2; 32]);
}
