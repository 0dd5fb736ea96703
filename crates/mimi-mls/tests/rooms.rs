//! A room of two providers from its first epoch to its last, as members and hub see it, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{World, accept, add_participant, alice_alone};
use mimi_mls::{HubRoom, Opened, Room, Wanted};
use mimi_pseudonym::{CipherSuite, Content};
use mimi_room::{KeyPackagePurpose, RoomState};

fn text(body: &str) -> Content {
    Content { media_type: "text/plain".into(), body: body.as_bytes().to_vec() }
}

#[test]
fn a_room_lives_through_adding_sending_and_removing() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (mut alice, mut hub) = alice_alone(&mut world);
        let bob = "mimi://b.example/u/bob".parse().unwrap();
        let identity = world.client(&bob);
        let new = world.key_package(&identity, KeyPackagePurpose::InitialOnly);

        let wanted = Wanted {
            updates: vec![add_participant(alice.state(), &bob, RoomState::RECIPIENT)],
            add: vec![world.verify(&new, &bob)],
            remove: vec![],
        };
        let bundle = alice.commit(wanted).unwrap();
        assert!(alice.has_pending_commit());
        let accepted = accept(&world, &mut hub, &bundle, "a.example");
        assert_eq!(accepted.added.len(), 1);
        assert_eq!(accepted.added[0].0, new.reference);
        alice.commit_accepted(&world.trust, world.now).unwrap();
        let welcome = bundle.welcome.as_ref().unwrap();
        let uri = alice.uri().clone();
        let (trust, now) = (&world.trust, world.now);
        let mut room = Room::join(identity, &new.secret, &uri, welcome, &accepted.ratchet_tree, trust, now).unwrap();
        assert_eq!((room.epoch(), alice.epoch(), hub.epoch()), (1, 1, 1));
        assert_eq!(room.state(), alice.state());
        assert_eq!(room.state(), hub.state());

        // Both directions, with the same context on both sides.
        let mut sealed_in = None;
        let message = alice
            .seal_with(|context| {
                sealed_in = Some(context.clone());
                Ok::<_, mimi_mls::SealError>(text("hello"))
            })
            .unwrap();
        match room.open(&message, &world.trust, world.now).unwrap() {
            Opened::Content { content, context, .. } => {
                assert_eq!(content, text("hello"));
                assert_eq!(Some(*context), sealed_in, "sender and receiver derive one context");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(room.open(&message, &world.trust, world.now).unwrap(), Opened::Duplicate));
        assert!(matches!(alice.open(&message, &world.trust, world.now).unwrap(), Opened::Duplicate));

        // Saved and restored on both sides, the room goes on.
        let mut room = Room::restore(&room.save()).unwrap();
        let mut alice = Room::restore(&alice.save()).unwrap();
        let answer = room.seal(&text("yes")).unwrap();
        assert!(matches!(alice.open(&answer, &world.trust, world.now).unwrap(), Opened::Content { .. }));

        // Alice removes Bob.
        let participants = alice.state().participants();
        let index = participants.index_of(&bob).unwrap();
        let update = mimi_room::ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let update = mimi_room::ComponentUpdate::update(
            mimi_room::ComponentId::PARTICIPANT_LIST,
            mimi_wire::Wire::encode(&update),
        );
        let gone = room.identity().client().clone();
        let bundle = alice.commit(Wanted { updates: vec![update], add: vec![], remove: vec![gone.clone()] }).unwrap();
        let accepted = accept(&world, &mut hub, &bundle, "a.example");
        assert_eq!(accepted.removed, [gone]);
        assert!(matches!(alice.open(&bundle.commit, &world.trust, world.now).unwrap(), Opened::OwnCommit));
        assert!(matches!(room.open(&bundle.commit, &world.trust, world.now).unwrap(), Opened::Removed { .. }));
        assert!(!room.is_active());
        assert_eq!(hub.clients().len(), 1);
    }
}

#[test]
fn a_hub_is_restored_from_snapshot_and_log() {
    let mut world = World::new(CipherSuite::X25519Aes128Ed25519);
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let state = RoomState::private(world.room_uri(), alice.clone()).unwrap();
    let (mut room, first) = Room::create(identity, state, &world.hub, world.now).unwrap();
    let (mut hub, snapshot) =
        HubRoom::create(room.uri(), &first.group_info, &first.ratchet_tree, &world.hub, &world.trust, world.now)
            .unwrap();
    let mut snapshot = snapshot.as_bytes().to_vec();
    let mut log = Vec::new();
    for round in 0..4 {
        let identity = world.client(&alice);
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        let wanted = Wanted { add: vec![world.verify(&new, &alice)], ..Wanted::default() };
        let bundle = room.commit(wanted).unwrap();
        let accepted = hub.accept(&bundle, &common::domain("a.example"), round == 2, &world.trust, world.now).unwrap();
        room.commit_accepted(&world.trust, world.now).unwrap();
        match accepted.snapshot {
            Some(new) => {
                snapshot = new.as_bytes().to_vec();
                log.clear();
            }
            None => log.push(accepted.log_entry),
        }
        let restored = HubRoom::restore(&snapshot, log.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(restored.epoch(), hub.epoch());
        assert_eq!(restored.clients(), hub.clients());
        assert_eq!(restored.state(), hub.state());
        assert_eq!(restored.ratchet_tree(), hub.ratchet_tree());
    }
    assert_eq!(log.len(), 1);
    let mut damaged = snapshot.clone();
    damaged.truncate(100);
    assert!(HubRoom::restore(&damaged, []).is_err());
}

#[test]
fn two_commits_race_and_one_is_lost() {
    let mut world = World::new(CipherSuite::X25519Aes128Ed25519);
    let (mut one, mut hub) = alice_alone(&mut world);
    let alice = one.identity().user().clone();
    let identity = world.client(&alice);
    let new = world.key_package(&identity, KeyPackagePurpose::Any);
    let bundle = one.commit(Wanted { add: vec![world.verify(&new, &alice)], ..Wanted::default() }).unwrap();
    let accepted = accept(&world, &mut hub, &bundle, "a.example");
    one.commit_accepted(&world.trust, world.now).unwrap();
    let welcome = bundle.welcome.unwrap();
    let uri = one.uri().clone();
    let mut two =
        Room::join(identity, &new.secret, &uri, &welcome, &accepted.ratchet_tree, &world.trust, world.now).unwrap();

    let mine = one.commit(Wanted::default()).unwrap();
    let theirs = two.commit(Wanted::default()).unwrap();
    accept(&world, &mut hub, &theirs, "a.example");
    let refused = hub.accept(&mine, &common::domain("a.example"), false, &world.trust, world.now).unwrap_err();
    assert_eq!(refused, mimi_mls::CommitRefusal::WrongEpoch { current: 2 });
    assert!(matches!(two.open(&theirs.commit, &world.trust, world.now).unwrap(), Opened::OwnCommit));
    let opened = one.open(&theirs.commit, &world.trust, world.now).unwrap();
    assert!(matches!(opened, Opened::Commit { own_lost: true, .. }), "{opened:?}");
    assert!(!one.has_pending_commit());
    assert_eq!(one.epoch(), two.epoch());
}
