//! Accounts that are deleted, and KeyPackages that stay.

use std::time::Duration;

use mimi_wire::{AppDataDictionary, ConsentEntry, ConsentOperation, ConsentScope};

use super::*;

contract! {
    a_deleted_account_leaves_nothing_behind_but_hashes,
    what_stands_beside_a_pseudonym_goes_with_it_wherever_it_is_found,
    a_name_is_not_given_again_and_other_processes_ask_for_tokens_again,
    a_last_resort_is_given_when_there_is_no_other_and_stays,
}

fn scope(requester: &UserUri, target: &UserUri) -> ConsentScope {
    ConsentScope { requester: requester.clone(), target: target.clone(), room: None }
}

fn grant(requester: &UserUri, target: &UserUri) -> ConsentEntry {
    let operation = ConsentOperation::Grant { key_packages: Vec::new() };
    ConsentEntry { scope: scope(requester, target), operation, extensions: AppDataDictionary::default() }
}

fn ask(requester: &UserUri, target: &UserUri) -> ConsentEntry {
    let operation = ConsentOperation::Request;
    ConsentEntry { scope: scope(requester, target), operation, extensions: AppDataDictionary::default() }
}

/// How many rows each table has, without those that count.
fn rows(store: &Store) -> Vec<(String, i64)> {
    const TABLES: [&str; 22] = [
        "accounts",
        "devices",
        "enrolments",
        "profile_fields",
        "pseudonyms",
        "client_pseudonyms",
        "key_packages",
        "consents",
        "consent_requests",
        "room_clients",
        "mail_rooms",
        "audience_users",
        "tie_quota",
        "tie_counted",
        "tie_rows",
        "tie_seats",
        "tie_lists",
        "tie_list_marks",
        "tie_questions",
        "tie_waiting",
        "tie_granted",
        "account_decisions",
    ];
    store
        .read(|db| {
            let count = |table: &str| db.one(&format!("SELECT COUNT(*) FROM {table}"), [0_i64; 0])?.get(0);
            TABLES.into_iter().map(|table| Ok((table.to_owned(), count(table)?))).collect()
        })
        .unwrap()
}

/// Bob with one device, who is to notice nothing.
fn bob(store: &Store) -> Device {
    assert!(store.register(&profile("bob"), &new_device(20)).unwrap());
    store.device_by_token(&[20; 32]).unwrap().unwrap()
}

fn a_deleted_account_leaves_nothing_behind_but_hashes(place: &Place) {
    let store = place.open();
    let bob = bob(&store);
    let mine = key_package(&bob, 70, later());
    assert!(store.upload(&bob, &[StoredKeyPackage { owner: user("bob"), ..mine }], NOW).unwrap());
    let before = rows(&store);

    let (first, second) = (alice(&store), second(&store));
    let (one, other) = (pseudonym(7), pseudonym(8));
    let quota = Draw { period: 1, allowed: Some(9) };
    store.assign_pseudonyms(&first, &[one.clone(), other.clone()], None, quota).unwrap();
    store.draw_tokens(&first, 1, &[3; 32], quota).unwrap();
    assert_eq!(store.seat(first.account).unwrap(), 0);
    let number = store.keep_question(first.account, About::Reputation, &[7; 66], NOW).unwrap();
    store.wants_more(first.account).unwrap();
    store.answer_question(number, Answered { reached: true, confirmed: true }, 2).unwrap();
    store.list_mark(first.account, &[5; 16]).unwrap();
    let mut entropy = SeededEntropy::new([3; 32]);
    let scheme = CipherSuite::X25519Aes128Ed25519.signature_scheme();
    let key = SigningKey::generate(scheme, &mut entropy).unwrap();
    let fresh = ClientUri::pseudonym(&domain("a.example"), [9; 16]);
    let client = store.client_for(&first, &one, key.public_key(), &fresh).unwrap().unwrap();
    let of_one = StoredKeyPackage { owner: one.clone(), client, ..key_package(&first, 1, later()) };
    assert!(store.upload(&first, &[of_one, key_package(&first, 2, later())], NOW).unwrap());
    assert!(create(&store, &first, "club"));
    let requester: UserUri = "mimi://b.example/u/cathy".parse().unwrap();
    store.consent_given(&grant(&requester, &one), first.id, NOW).unwrap();
    store.consent_asked(&ask(&requester, &user("alice")), true, NOW).unwrap();
    store.consent_asked(&ask(&user("alice"), &user("bob")), true, NOW).unwrap();
    store.ack(bob.id, u64::MAX).unwrap();

    let deleted = store.delete_account(first.account, by_name).unwrap().unwrap();
    assert_eq!(deleted.devices, [first.id, second.id].into());
    assert_eq!(deleted.rooms, [(room("club"), first.client.clone())]);
    assert_eq!(rows(&store), before, "Bob has what he had, and nobody else has anything");
    assert_eq!(store.delete_account(first.account, by_name).unwrap(), None, "once");
    for token in [[1; 32], [2; 32]] {
        assert!(store.known_device(&token).is_none() && store.device_by_token(&token).unwrap().is_none());
    }
    for user in [&user("alice"), &one, &other] {
        assert_eq!(store.account_of(user).unwrap(), None);
        assert!(!store.owns(first.account, user).unwrap());
    }
    let said = |requester: &UserUri, target: &UserUri| store.consent(&scope(requester, target)).unwrap();
    assert_eq!(said(&requester, &one), Consent::Nobody { deleted: Some(Gone::Known) });
    assert_eq!(said(&requester, &other), Consent::Nobody { deleted: Some(Gone::Unknown) });
    assert_eq!(said(&user("bob"), &one), Consent::Nobody { deleted: Some(Gone::Unknown) });
    assert_eq!(said(&requester, &pseudonym(99)), Consent::Nobody { deleted: None });
    // What was deleted leaves the files too.
    store.truncate_log().unwrap();
    let names = [one.as_str(), other.as_str(), "/u/alice"].map(str::as_bytes);
    if let Some(octets) = place.octets() {
        for name in names {
            assert!(!octets.windows(name.len()).any(|window| window == name), "{}", String::from_utf8_lossy(name));
        }
    }
}

fn what_stands_beside_a_pseudonym_goes_with_it_wherever_it_is_found(place: &Place) {
    let store = place.open();
    let bob = bob(&store);
    let before = rows(&store);
    let alice = alice(&store);
    let detach = |account, number: u8, found_by: Vec<u8>| {
        let listed = Listed { id: [number; 16], sealed: vec![number; 40] };
        let entry = TieEntry { found_by, tie: vec![number; 40], listed: Some(listed) };
        store.detach(account, &pseudonym(number), &new_device(number), &entry, ANY).unwrap();
        store.account_of(&pseudonym(number)).unwrap().unwrap()
    };
    let tag = |name: &UserUri| vec![name.as_str().as_bytes().last().copied().unwrap(); 32];
    let (by_tag, named) = (tag(&pseudonym(30)), by_name(&pseudonym(31)));
    let tagged = detach(alice.account, 30, by_tag.clone());
    let other = detach(alice.account, 31, named.clone());
    let bobs = detach(bob.account, 32, vec![9; 32]);
    for (account, row) in [(tagged, &by_tag), (other, &named)] {
        assert!(store.tie(row).unwrap().is_some());
        assert!(store.delete_account(account, tag).unwrap().is_some());
        assert_eq!(store.tie(row).unwrap(), None);
    }
    assert!(store.delete_account(alice.account, tag).unwrap().is_some());
    assert!(store.tie(&[9; 32]).unwrap().is_some(), "Bob's stays");
    assert!(store.delete_account(bobs, |_| vec![9; 32]).unwrap().is_some());
    let kept = |table: &str| table == "tie_lists";
    let after: Vec<_> = rows(&store).into_iter().filter(|(table, _)| !kept(table)).collect();
    assert_eq!(after, before.into_iter().filter(|(table, _)| !kept(table)).collect::<Vec<_>>());
    assert_eq!(store.list(bob.account).unwrap(), [vec![32; 40]], "nobody knows which of Bob's it was");
    assert_eq!(store.list(alice.account).unwrap(), [[0_u8; 0]; 0]);
    store.truncate_log().unwrap();
    if let Some(octets) = place.octets() {
        for gone in [&by_tag, &vec![30; 40], &vec![31; 40]] {
            assert!(!octets.windows(gone.len()).any(|window| window == *gone), "{gone:?}");
        }
    }
}

fn a_name_is_not_given_again_and_other_processes_ask_for_tokens_again(place: &Place) {
    let store = place.open();
    let other = place.other(&store);
    let device = alice(&store);
    assert!(other.device_by_token(&[1; 32]).unwrap().is_some());
    let before = other.deletions().unwrap();
    assert!(store.delete_account(device.account, by_name).unwrap().is_some());
    assert_eq!(other.deletions().unwrap(), before + 1);
    other.forget_devices();
    assert!(other.known_device(&[1; 32]).is_none() && other.device_by_token(&[1; 32]).unwrap().is_none());
    for name in ["alice", "Alice"] {
        assert!(!store.register(&profile(name), &new_device(3)).unwrap(), "{name}");
        assert!(!store.open_account(&profile(name), &[4; 32]).unwrap(), "{name}");
    }
    assert!(store.register(&profile("alicia"), &new_device(3)).unwrap());
    assert_ne!(
        store.device_by_token(&[3; 32]).unwrap().unwrap().account,
        device.account,
        "numbers are not given again"
    );
}

fn a_last_resort_is_given_when_there_is_no_other_and_stays(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let resort = |number, not_after| StoredKeyPackage { last_resort: true, ..key_package(&device, number, not_after) };
    let soon = NOW.after(Duration::from_secs(10));
    assert!(store.upload(&device, &[resort(1, soon), key_package(&device, 2, later())], NOW).unwrap());
    let given = |request: u8| store.claim(&Claim { request: Some([request; 32]), ..claim() }, NOW).unwrap();
    let octets = |number| vec![ClaimedClient::KeyPackage(device.client.clone(), vec![number; 9])];
    assert_eq!(given(1), octets(2), "though the other ends sooner");
    assert_eq!(given(1), octets(2), "the same request");
    assert_eq!((given(2), given(3)), (octets(1), octets(1)));
    let low = InboxBody::KeyPackagesLow { user: user("alice") }.encode();
    assert_eq!(store.inbox(device.id, 0, 9, 9000).unwrap().events, [(1, low)], "it does not count as one that is left");

    // It lets into room after room, and one that it replaces still does for whoever was given it.
    let welcome = |room: u8, number: u8| {
        let name: RoomUri = format!("mimi://b.example/r/room{room}").parse().unwrap();
        store.notify(&name, &[notification(room, Some(number))]).unwrap()
    };
    let taken = NotifyOutcome::Taken(Wake { devices: [device.id].into(), ..Wake::default() });
    assert_eq!((welcome(1, 1), welcome(2, 1)), (taken.clone(), taken.clone()));
    assert!(store.upload_with(&device, &[resort(3, later())], Others::Withdrawn, NOW).unwrap().is_some());
    assert_eq!((given(4), given(5)), (octets(3), octets(3)));
    assert_eq!((welcome(3, 1), welcome(4, 3)), (taken.clone(), taken));
    assert_eq!(store.claim(&claim(), later()).unwrap(), [ClaimedClient::Exhausted(device.client.clone())], "it ends");

    // As a hub.
    assert!(create(&store, &device, "club"));
    let (reference, client) = (KeyPackageRef::new(&[50; 32]), ClientUri::pseudonym(&domain("b.example"), [1; 16]));
    let added = [(reference.clone(), client)];
    let commit = |epoch, reusable| commit_with(&store, "club", epoch, false, &added, reusable);
    commit(1, std::slice::from_ref(&reference)).unwrap();
    commit(2, std::slice::from_ref(&reference)).unwrap();
    assert!(!store.were_used(std::slice::from_ref(&reference), NOW).unwrap());
    commit(3, &[]).unwrap();
    assert!(store.were_used(&[reference], NOW).unwrap());
}
