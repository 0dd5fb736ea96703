//! Links, guests, proposals, going back, remedies, profiles, consent, secrets.

use std::{sync::Barrier, time::Duration};

use mimi_abuse::remedy::{HomeRemedy, RemedyRequest, RemedyRequestTbs, Wanted};
use mimi_wire::{
    AppDataDictionary, ConsentEntry, ConsentOperation, ConsentScope,
    local::{ConsentSettings, ProfileEntry, Visibility},
};

use super::*;

contract! {
    a_link_is_used_as_often_as_it_may_be,
    a_room_has_so_many_links_and_those_that_end_make_room,
    guests_are_counted_looked_after_and_forgotten,
    proposals_are_accepted_once_for_each_state_of_a_room,
    a_room_goes_back_and_what_is_void_may_be_sent_again,
    a_room_without_an_old_snapshot_does_not_go_back,
    what_the_operator_does_to_a_user_holds_until_its_end,
    a_request_waits_until_its_time_and_is_kept_once,
    what_is_decided_about_an_account_shows_in_each_name_at_its_moment,
    users_are_found_by_what_they_show,
    consent_is_what_was_said_last_and_for_this_room_first,
    secrets_that_stamp_follow_each_other,
    a_knock_room_belongs_to_one_room,
    an_account_is_opened_once_and_counted,
    an_older_database_is_brought_up_to_date_and_keeps_what_it_has,
}

/// A room's epoch, and how many times proposals were added in it.
fn version(store: &Store, room: &RoomUri) -> Option<(u64, u64)> {
    store.room_version(room).unwrap().map(|(epoch, waiting, _)| (epoch, waiting))
}

/// How often a room has gone back to an earlier epoch.
fn branch(store: &Store, room: &RoomUri) -> Option<u64> {
    store.room_version(room).unwrap().map(|(_, _, branch)| branch)
}

fn bob() -> UserUri {
    UserUri::new(&domain("b.example"), "bob").unwrap()
}

fn after(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn link(code: u8, uses_left: Option<u32>, expires: Option<Timestamp>) -> JoinLink {
    JoinLink { code_hash: [code; 32], role: 2, uses_left, expires, maker: user("alice") }
}

fn visitor(key: u8, code: Option<u8>) -> Visitor {
    Visitor { key_hash: [key; 32], code_hash: code.map(|code| [code; 32]), expires: after(600) }
}

/// Somebody of another provider joins by itself, and leads the room to this epoch.
fn joins(
    store: &Store,
    name: &str,
    epoch: u64,
    who: &UserUri,
    code: Option<&Hash>,
    guest: bool,
) -> Result<Wake, StoreError> {
    let room = room(name);
    let body = InboxBody::RoomDestroyed { room: room.clone() };
    let client = ClientUri::pseudonym(who.domain(), [u8::try_from(epoch).unwrap(); 16]);
    let joined = JoinRecord { user: who, client: &client, key_hash: &[9; 32], code_hash: code, is_guest: guest };
    let record = CommitRecord {
        hash: [u8::try_from(epoch).unwrap() + 100; 32],
        joined: Some(joined),
        ..empty_commit(&room, epoch, &body)
    };
    store.accept_commit(&record).map(|(wake, _)| wake)
}

fn a_link_is_used_as_often_as_it_may_be(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let club = room("club");
    let [one, ever] = [link(1, Some(1), Some(after(60))), link(2, None, None)];
    assert!(store.add_link(&club, &one, NOW).unwrap() && store.add_link(&club, &ever, NOW).unwrap());
    let other = JoinLink { role: 7, ..one.clone() };
    assert!(store.add_link(&club, &other, NOW).unwrap(), "the same code stays as it is");
    assert_eq!(store.links(&club, NOW).unwrap(), [one.clone(), ever.clone()]);
    assert_eq!(store.link(&club, &[1; 32], after(59)).unwrap(), Some(one));
    assert_eq!(store.link(&club, &[1; 32], after(60)).unwrap(), None, "it has ended");
    assert_eq!(store.link(&room("other"), &[1; 32], NOW).unwrap(), None);

    store.add_visitor(&club, &visitor(9, Some(1)), NOW).unwrap();
    assert_eq!(store.visitor(&club, &[9; 32], after(599)).unwrap(), Some(visitor(9, Some(1))));
    assert_eq!(store.visitor(&club, &[9; 32], after(600)).unwrap(), None);
    store.add_visitor(&club, &visitor(9, None), NOW).unwrap();
    assert_eq!(store.visitor(&club, &[9; 32], NOW).unwrap(), Some(visitor(9, None)), "the newest counts");
    joins(&store, "club", 1, &bob(), Some(&[1; 32]), false).unwrap();
    assert_eq!(store.visitor(&club, &[9; 32], NOW).unwrap(), None, "it is in the room");
    assert_eq!(store.link(&club, &[1; 32], NOW).unwrap(), None, "it is used up");
    let again = joins(&store, "club", 2, &bob(), Some(&[1; 32]), false).unwrap_err();
    assert!(again.is_stale() && store.room_epoch(&club).unwrap() == Some(1), "nothing is stored");
    joins(&store, "club", 2, &bob(), Some(&[2; 32]), false).unwrap();
    assert_eq!(store.links(&club, NOW).unwrap(), [ever]);
    assert!(store.revoke_link(&club, &[2; 32]).unwrap() && !store.revoke_link(&club, &[2; 32]).unwrap());
    assert!(store.links(&club, NOW).unwrap().is_empty());
}

fn a_room_has_so_many_links_and_those_that_end_make_room(place: &Place) {
    let store = place.open();
    let club = room("club");
    let numbered = |number: u16| {
        let mut code_hash = [0; 32];
        code_hash[..2].copy_from_slice(&number.to_be_bytes());
        JoinLink { code_hash, ..link(0, Some(1), Some(after(u64::from(number) + 1))) }
    };
    for number in 0..1024 {
        assert!(store.add_link(&club, &numbered(number), NOW).unwrap(), "{number}");
    }
    assert!(!store.add_link(&club, &numbered(2000), NOW).unwrap());
    assert!(store.add_link(&room("other"), &numbered(2000), NOW).unwrap(), "each room for itself");
    assert!(store.add_link(&club, &numbered(2000), after(1)).unwrap(), "one has ended");
}

fn guests_are_counted_looked_after_and_forgotten(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let (club, bob) = (room("club"), bob());
    assert_eq!(store.sent_by_guest(&club, &bob).unwrap(), None);
    joins(&store, "club", 1, &bob, None, true).unwrap();
    assert_eq!(store.sent_by_guest(&club, &bob).unwrap(), Some(0));
    let guest = Guest { room: club.clone(), user: bob.clone() };
    assert!(store.guests_before(NOW, 10).unwrap().is_empty());
    assert_eq!(store.guests_before(after(1), 10).unwrap(), std::slice::from_ref(&guest));
    assert!(store.guests_before(after(1), 0).unwrap().is_empty());
    store.defer_guest(&guest, after(60)).unwrap();
    assert!(store.guests_before(after(60), 10).unwrap().is_empty());
    assert_eq!(store.guests_before(after(61), 10).unwrap(), std::slice::from_ref(&guest));
    store.forget_guest(&guest).unwrap();
    assert_eq!(store.sent_by_guest(&club, &bob).unwrap(), None);
    assert!(store.guests_before(after(1000), 10).unwrap().is_empty());
}

fn propose(store: &Store, epoch: u64, waiting: u64, hash: u8) -> Result<Wake, StoreError> {
    let club = room("club");
    let body = InboxBody::RoomDestroyed { room: club.clone() };
    let record = ProposalsRecord {
        room: &club,
        hash: [hash; 32],
        accepted: NOW,
        epoch,
        waiting,
        log_entry: b"proposals",
        outbox: &[(domain("b.example"), b"proposals".to_vec())],
        body: &body,
    };
    store.accept_proposals(&record)
}

fn proposals_are_accepted_once_for_each_state_of_a_room(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let club = room("club");
    assert_eq!(version(&store, &club), Some((0, 0)));
    let wake = propose(&store, 0, 0, 11).unwrap();
    assert_eq!((wake.devices, wake.peers), ([device.id].into(), [domain("b.example")].into()));
    assert_eq!(version(&store, &club), Some((0, 1)));
    assert!(propose(&store, 0, 0, 12).unwrap_err().is_stale(), "others were added meanwhile");
    assert!(propose(&store, 0, 1, 11).unwrap_err().is_stale(), "the same ones");
    assert!(propose(&store, 1, 1, 13).unwrap_err().is_stale(), "another epoch");
    propose(&store, 0, 1, 12).unwrap();
    assert_eq!(version(&store, &club), Some((0, 2)));
    assert_eq!(store.room(&club).unwrap().unwrap().log, [b"proposals", b"proposals"]);
    assert_eq!(octets(&take(&store, 10, 1000).unwrap()).len(), 2);
}

/// Takes the room back to epoch 1 from another one: `last` is the last log entry that is still good.
fn back(store: &Store, from: u64, last: i64, clients: &[ClientUri], closed: bool) -> Result<Wake, StoreError> {
    let club = room("club");
    let body = InboxBody::RoomDestroyed { room: club.clone() };
    let record = RollbackRecord {
        room: &club,
        now: NOW,
        from,
        to: 1,
        last,
        waiting: 1,
        proposals: Some(b"removal"),
        out: Some(&ClientUri::pseudonym(&domain("b.example"), [66; 16])),
        closed,
        clients,
        outbox: &[(domain("b.example"), b"back".to_vec())],
        bodies: &[body],
    };
    store.roll_back(&record)
}

fn a_room_goes_back_and_what_is_void_may_be_sent_again(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club"));
    let club = room("club");
    commit(&store, "club", 1, true, &[]);
    commit(&store, "club", 2, false, &[(KeyPackageRef::new(&[1]), second.client.clone())]);
    commit(&store, "club", 3, true, &[]);
    let past = store.past_of(&club).unwrap().unwrap();
    assert_eq!((past.snapshot.as_slice(), past.base), (b"snapshot".as_slice(), 1));
    assert_eq!(past.log.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
    let users = |commit: u8, user: &UserUri| store.add_report(&club, &[commit; 32], user).unwrap();
    assert_eq!(users(1, &bob()), [bob()].into());
    assert_eq!(users(1, &bob()), [bob()].into(), "the same once more");
    assert_eq!(users(1, &user("alice")), [bob(), user("alice")].into());
    assert_eq!(users(2, &bob()), [bob()].into());

    assert!(back(&store, 2, 1, &[], false).unwrap_err().is_stale(), "it is in another epoch");
    assert_eq!(branch(&store, &club), Some(0));
    let wake = back(&store, 3, 1, std::slice::from_ref(&first.client), true).unwrap();
    assert_eq!(wake.devices, [first.id, second.id].into(), "who was in it is told");
    assert_eq!(version(&store, &club), Some((1, 1)));
    assert_eq!(branch(&store, &club), Some(1));
    assert!(store.is_closed(&club).unwrap());
    assert!(store.is_in_room(&first, &club).unwrap() && !store.is_in_room(&second, &club).unwrap());
    let stored = store.room(&club).unwrap().unwrap();
    assert_eq!(
        (stored.snapshot.as_slice(), stored.log.as_slice()),
        (b"snapshot".as_slice(), &[b"removal".to_vec()][..])
    );
    assert_eq!(store.accepted_at(&club, &[103; 32]).unwrap(), None, "what is void was never accepted");
    assert_eq!(store.accepted_at(&club, &[101; 32]).unwrap(), Some(NOW));
    let out = ClientUri::pseudonym(&domain("b.example"), [66; 16]);
    assert!(store.holds(&club, out.as_str(), Remedy::Ban, Timestamp::from_secs(1 << 40)).unwrap(), "for good");
    assert_eq!(users(1, &bob()), [bob()].into(), "reports are forgotten");
}

fn a_room_without_an_old_snapshot_does_not_go_back(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "club"));
    for epoch in 1..=4 {
        commit(&store, "club", epoch, true, &[]);
    }
    assert!(back(&store, 4, 1, &[], false).unwrap_err().is_stale());
    assert_eq!(version(&store, &room("club")), Some((4, 0)), "nothing is changed");
    assert!(!store.is_closed(&room("club")).unwrap());
    assert!(store.past_of(&room("nowhere")).unwrap().is_none());
}

fn what_the_operator_does_to_a_user_holds_until_its_end(place: &Place) {
    let store = place.open();
    let (club, bob) = (room("club"), bob());
    let holds = |remedy, seconds| store.holds(&club, bob.as_str(), remedy, after(seconds)).unwrap();
    assert!(!holds(Remedy::Mute, 0));
    store.apply(&club, &bob, Remedy::Mute, Some(after(60))).unwrap();
    assert!(holds(Remedy::Mute, 59) && !holds(Remedy::Mute, 60) && !holds(Remedy::Ban, 0));
    store.apply(&club, &bob, Remedy::Mute, None).unwrap();
    assert!(holds(Remedy::Mute, 1 << 40), "the newest counts");
    assert!(!store.holds(&room("other"), bob.as_str(), Remedy::Mute, NOW).unwrap());
    assert!(store.lift(&club, &bob, Remedy::Mute).unwrap() && !store.lift(&club, &bob, Remedy::Mute).unwrap());
    assert!(!holds(Remedy::Mute, 0));
}

fn asks(id: u8, about: &UserUri, wanted: Wanted) -> RemedyRequest {
    let suite = CipherSuite::X25519Aes128Ed25519;
    let key = SigningKey::from_secret(suite.signature_scheme(), &[3; 32]).unwrap();
    let tbs = RemedyRequestTbs {
        id: [id; 16],
        hub: domain("b.example"),
        subject: about.clone(),
        wanted,
        related: false,
        made_at: NOW,
        note: String::new(),
        evidence: vec![],
    };
    RemedyRequest::sign(tbs, suite, &key).unwrap()
}

fn a_request_waits_until_its_time_and_is_kept_once(place: &Place) {
    let store = place.open();
    let request = asks(1, &bob(), Wanted::Reversal);
    store.ask(&request, after(10)).unwrap();
    assert!(store.asked(after(9)).unwrap().is_empty());
    let due = store.asked(after(10)).unwrap();
    assert_eq!((due.len(), &due[0].id, &due[0].peer), (1, &[1; 16], &domain("b.example")));
    assert_eq!(due[0].body, request.encode());
    store.asked_until(&[1; 16], Some(after(20))).unwrap();
    assert!(store.asked(after(19)).unwrap().is_empty() && store.asked(after(20)).unwrap().len() == 1);
    store.asked_until(&[1; 16], None).unwrap();
    assert!(store.asked(after(1000)).unwrap().is_empty());

    let comes = |id: u8, at| store.requested(&asks(id, &user("alice"), Wanted::Reversal), 2, at).unwrap();
    assert_eq!([comes(1, NOW), comes(1, NOW), comes(2, NOW)], [Taken::Kept; 3], "the same one does not count twice");
    assert_eq!(comes(3, NOW), Taken::OverBudget);
    assert_eq!(comes(3, after(86_401)), Taken::Kept, "a new day");
}

fn what_is_decided_about_an_account_shows_in_each_name_at_its_moment(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let (account, names) = (device.account, [pseudonym(1), pseudonym(2)]);
    store.assign_pseudonyms(&device, &names, None, ANY).unwrap();
    for (id, about) in [(1, &names[0]), (2, &user("alice")), (3, &bob())] {
        store.requested(&asks(id, about, Wanted::Reversal), 9, NOW).unwrap();
    }
    assert!(store.accounts_asked_about(NOW).unwrap().is_empty(), "not before that moment");
    assert_eq!(store.accounts_asked_about(after(1)).unwrap(), [account], "once, by whatever name");
    let (requests, of) = store.asked_about(account, after(1)).unwrap();
    assert_eq!((requests.len(), of.len()), (2, 3));
    assert_eq!((&requests[0].hub, requests[0].at, requests[0].with_evidence), (&domain("b.example"), NOW, false));
    store.all_decided(after(1)).unwrap();
    assert!(store.accounts_asked_about(after(1)).unwrap().is_empty());

    assert!(!store.is_suspended(account).unwrap());
    let moments = [(names[0].clone(), after(10)), (user("alice"), after(20))];
    let decide = |moments: &[(UserUri, Timestamp)]| {
        let (remedy, explanation) = (HomeRemedy::Suspend, "because".to_owned());
        let moments =
            |names: Vec<UserUri>| moments.iter().filter(|(name, _)| names.contains(name)).cloned().collect::<Vec<_>>();
        let decision = crate::store::Decision { account, remedy, explanation, moments: &moments };
        store.decide_about(crate::store::Cause::Asked(account), &[decision], NOW).unwrap();
    };
    decide(&moments);
    let earlier = [(names[0].clone(), after(1)), (names[1].clone(), after(30))];
    decide(&earlier);
    assert!(store.is_suspended(account).unwrap());
    let silenced = |name: &UserUri, seconds| store.is_silenced(name, after(seconds)).unwrap();
    assert!(!silenced(&names[0], 9) && silenced(&names[0], 10), "a name keeps its moment");
    assert!(!silenced(&user("alice"), 19) && silenced(&user("alice"), 20));
    assert!(!silenced(&names[1], 29) && silenced(&names[1], 30) && !silenced(&bob(), 99));
    store.decide_about(crate::store::Cause::Asked(account), &[], NOW).unwrap();
    assert!(!store.is_suspended(account).unwrap() && !silenced(&names[0], 99) && !silenced(&user("alice"), 99));
}

fn users_are_found_by_what_they_show(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let entry = |field, value: &str, visibility| ProfileEntry { field, value: value.into(), visibility };
    let entries = [
        entry(SearchField::Handle, "", Visibility::Exact),
        entry(SearchField::Email, "Alice@A.example", Visibility::Exact),
        entry(SearchField::OidcStdClaim("name".into()), "Alice 100%_ Liddell", Visibility::Searchable),
        entry(SearchField::Phone, "+1", Visibility::Hidden),
    ];
    store.set_profile(device.account, &entries).unwrap();
    let found = |elements: &[(SearchField, &str)]| {
        let elements: Vec<_> = elements
            .iter()
            .map(|(field, value)| QueryElement { field: field.clone(), value: (*value).into() })
            .collect();
        store.find_users(&elements, "a.example", 9).unwrap()
    };
    let email = (SearchField::Email, "alice@a.EXAMPLE");
    let profiles = found(std::slice::from_ref(&email));
    assert_eq!((profiles.len(), &profiles[0].stable_uri), (1, &user("alice")));
    assert_eq!(
        profiles[0].fields.iter().map(|field| field.value.as_slice()).collect::<Vec<_>>(),
        [b"Alice 100%_ Liddell"]
    );
    assert_eq!(found(&[(SearchField::PartialName, "100%_ lid")]).len(), 1, "signs of patterns stand for themselves");
    assert_eq!(found(&[(SearchField::PartialName, "1%l")]).len(), 0);
    assert_eq!(found(&[email.clone(), (SearchField::PartialName, "alice")]).len(), 1);
    assert_eq!(found(&[email, (SearchField::PartialName, "bob")]).len(), 0, "every element counts");
    assert_eq!(found(&[(SearchField::Phone, "+1")]).len(), 0, "what is hidden leads to nobody");
    assert_eq!(found(&[(SearchField::Nick, "ALICE")]).len(), 1);
    store.set_profile(device.account, &[]).unwrap();
    assert_eq!(found(&[(SearchField::Nick, "alice")]).len(), 0);
}

fn consent_is_what_was_said_last_and_for_this_room_first(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    let scope = |room: Option<&str>| ConsentScope {
        requester: bob(),
        target: user("alice"),
        room: room.map(|name| RoomUri::new(&domain("b.example"), name).unwrap()),
    };
    let says = |operation: ConsentOperation, room| ConsentEntry {
        operation,
        scope: scope(room),
        extensions: AppDataDictionary::default(),
    };
    let known = |room| store.consent(&scope(room)).unwrap();
    assert_eq!(known(None), Consent::Unsaid { initial_connections: true });
    store.set_consent(first.account, ConsentSettings { initial_connections: false }).unwrap();
    assert_eq!(known(None), Consent::Unsaid { initial_connections: false });
    let wake = store.consent_asked(&says(ConsentOperation::Request, Some("club")), true, NOW).unwrap();
    assert_eq!(wake.devices, [first.id, second.id].into());
    let again = store.consent_asked(&says(ConsentOperation::Request, Some("club")), true, NOW).unwrap();
    assert!(again.devices.is_empty(), "the same is told once");
    let grant = |room| says(ConsentOperation::Grant { key_packages: vec![] }, room);
    let wake = store.consent_given(&grant(Some("club")), first.id, NOW).unwrap();
    assert_eq!(wake.devices, [second.id].into(), "the others are told");
    assert_eq!((known(Some("club")), known(None)), (Consent::Granted, Consent::ElsewhereOnly));
    store.consent_given(&says(ConsentOperation::Revoke, None), first.id, NOW).unwrap();
    assert_eq!((known(Some("club")), known(None)), (Consent::Revoked, Consent::Revoked), "for every room");
    let refused = store.consent_asked(&says(ConsentOperation::Request, None), true, NOW).unwrap();
    assert!(refused.devices.is_empty(), "whoever was refused asks in vain");
    let nobody = ConsentScope { target: user("nobody"), ..scope(None) };
    assert_eq!(store.consent(&nobody).unwrap(), Consent::Nobody { deleted: None });
}

fn secrets_that_stamp_follow_each_other(place: &Place) {
    let store = place.open();
    let day = Duration::from_secs(86_400);
    let secrets = |now, fresh: u8| store.franking_secrets(now, (day, day / 2, day * 3), &[fresh; 32]).unwrap();
    assert_eq!(secrets(NOW, 1), [(Timestamp::default(), [1; 32])], "the first is used from the beginning");
    let second = NOW.after(day / 2);
    assert_eq!(secrets(NOW, 2), [(Timestamp::default(), [1; 32]), (second, [2; 32])]);
    assert_eq!(secrets(NOW, 3).len(), 2, "the newest is new");
    let kept = secrets(second.after(day * 4), 4);
    assert_eq!(kept.iter().map(|(_, secret)| secret[0]).collect::<Vec<_>>(), [2, 4], "the first is thrown away");
    assert_eq!(store.secret("name", &[1; 32]).unwrap(), [1; 32]);
    assert_eq!(store.secret("name", &[2; 32]).unwrap(), [1; 32]);
    let signers = |suite, now, fresh: u8| store.franking_signers(suite, now, day, &[fresh; 32]).unwrap();
    assert_eq!(signers(1, NOW, 1), [[1; 32]]);
    assert_eq!(signers(1, NOW, 2), [[1; 32]]);
    assert_eq!(signers(1, NOW.after(day), 3), [[1; 32], [3; 32]]);
    assert_eq!(signers(2, NOW, 4), [[4; 32]]);
}

fn a_knock_room_belongs_to_one_room(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(
        create(&store, &device, "door") && create(&store, &device, "other-door") && create(&store, &device, "club")
    );
    let (door, other, club) = (room("door"), room("other-door"), room("club"));
    assert_eq!(store.knock_room_of(&club).unwrap(), None);
    store.add_knock_room(&door, &club).unwrap();
    assert_eq!(store.knock_room_of(&club).unwrap(), Some(door.clone()));
    store.add_knock_room(&other, &club).unwrap();
    assert_eq!(store.knock_room_of(&club).unwrap(), Some(other.clone()), "the newest");
    assert_eq!(store.knock_room_of(&door).unwrap(), None);
    store.destroy_room(&other, NOW).unwrap();
    assert_eq!(store.knock_room_of(&club).unwrap(), None);
}

fn an_account_is_opened_once_and_counted(place: &Place) {
    let store = place.open();
    assert!(store.open_account(&profile("bob"), &[7; 32]).unwrap());
    assert!(!store.open_account(&profile("Bob"), &[8; 32]).unwrap());
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    commit(&store, "club", 1, false, &[]);
    let counts = store.counts().unwrap();
    assert_eq!((counts.accounts, counts.devices, counts.rooms), (2, 1, 1));
    assert_eq!(counts.peers, [("b.example".to_owned(), 1, 1)]);
    assert_eq!(store.outbox_rooms().unwrap(), [("b.example".to_owned(), 1)]);
    assert_eq!(store.rooms().unwrap(), [(room("club").to_string(), 1)]);
    let listed: Vec<_> = store.accounts().unwrap().into_iter().map(|row| (row.user, row.devices)).collect();
    assert_eq!(listed, [(user("alice"), 1), (user("bob"), 0)]);
    assert_eq!(store.add_device(&[7; 32], &new_device(4)).unwrap(), Some(user("bob")));
    assert!(counts.octets > 0);
    store.answers().unwrap();
}

fn an_older_database_is_brought_up_to_date_and_keeps_what_it_has(place: &Place) {
    let raw: Box<dyn Database> = match place {
        Place::Folder(path) => {
            Box::new(crate::store::sqlite::Sqlite::open(&path.join("provider.sqlite"), Arc::default(), true).unwrap())
        }
        Place::Postgres(address) => Box::new(crate::store::postgres::Postgres::connect(address).unwrap()),
    };
    for version in 1..schema::NEWEST {
        schema::migrate_to(&*raw, version).unwrap();
        let mut reached = 0;
        let add = raw.write(Isolation::Serializable, &mut |db| {
            reached = db.value("SELECT version FROM schema_version", [0_i64; 0]).unwrap().unwrap_or(0_i64);
            let insert =
                "INSERT INTO accounts (id, user_uri, user_folded, display_name, email) VALUES (?1, ?2, ?2, '', '')";
            let user = format!("mimi://a.example/u/old-{version}");
            db.execute(insert, (-(version as i64), &user)).is_ok()
        });
        add.unwrap();
        assert_eq!(reached, version as i64, "step by step");
    }
    drop(raw);
    let store = place.open();
    let counts = store.counts().unwrap();
    assert_eq!((counts.schema, counts.accounts), (schema::NEWEST as u64, schema::NEWEST as u64 - 1));
    alice(&store);
    assert_eq!(place.open().counts().unwrap().accounts, schema::NEWEST as u64, "once is enough");
}

/// Both have read before either writes: one of them gets in the other's way, and is run again.
#[test]
fn a_transaction_that_gets_in_the_way_of_another_is_run_again() {
    let Some(place) = Place::postgres() else { return };
    let store = place.open();
    assert_eq!(store.hub_key(40, &[0; 32]).unwrap(), [0; 32]);
    let (both_have_read, runs) = (Barrier::new(2), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let store = place.open();
            let (both_have_read, runs) = (&both_have_read, &runs);
            scope.spawn(move || {
                let mut first = true;
                let added: Result<(), StoreError> = store.write(|db| {
                    runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let secret: Hash = db.one("SELECT secret FROM hub_keys WHERE suite = ?1", [40_u16])?.get(0)?;
                    if std::mem::take(&mut first) {
                        both_have_read.wait();
                    }
                    let more = secret.map(|octet| octet + 1);
                    db.execute("UPDATE hub_keys SET secret = ?2 WHERE suite = ?1", (40_u16, &more)).map(|_| ())
                });
                added.unwrap();
            });
        }
    });
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 3, "one of them twice");
    assert_eq!(store.hub_key(40, &[9; 32]).unwrap(), [2; 32], "and neither is lost");
}

#[test]
fn what_another_dialect_lacks_is_told_apart_from_what_is_wrong() {
    let Some(place) = Place::postgres() else { return };
    let store = place.open();
    let fails = |sql: &str| store.look(|db| db.rows(sql, [0_i64; 0]).map(|_| ())).unwrap_err();
    assert!(fails("SELECT no_such_function()").is_of_a_dialect());
    assert!(fails("SHRED").is_of_a_dialect());
    assert!(!fails("SELECT 1 FROM nowhere").is_of_a_dialect());
    store.database.shed(true).unwrap();
}
