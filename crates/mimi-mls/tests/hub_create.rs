//! Every reason for which a hub does not take a new room, by name, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    World, add_participant,
    rogue::{Founding, Info, Rogue, Wild, flipped},
};
use mimi_credential::CredentialError;
use mimi_mls::{FirstEpoch, HubCreateError as Refused, HubRoom};
use mimi_pseudonym::{CipherSuite, RoomUri, Signer, SigningKey};
use mimi_room::{ComponentId, KeyPackagePurpose, Refusal, Role, RoomState, StateError};
use mimi_wire::{ExternalSender, GroupInfo, RatchetTree, Wire};

fn room_of(world: &mut World) -> (RoomState, Rogue) {
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let state = RoomState::private(world.room_uri(), alice).unwrap();
    let rogue = Rogue::found(world, identity, &state);
    (state, rogue)
}

fn asked(world: &World, room: &RoomUri, first: &FirstEpoch) -> Option<Refused> {
    let tree = &first.ratchet_tree;
    HubRoom::create(room, &first.group_info, tree, &world.hub, &world.trust, world.now).map(drop).err()
}

fn founded(world: &World, rogue: &Rogue, founding: &Founding, room: &RoomUri) -> Option<Refused> {
    asked(world, room, &Rogue::with(rogue.identity.clone(), founding).first())
}

#[test]
fn a_room_in_order_is_taken() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let first = rogue.first();
        let (info, tree) = (&first.group_info, &first.ratchet_tree);
        let (hub, snapshot) = HubRoom::create(state.room(), info, tree, &world.hub, &world.trust, world.now).unwrap();
        assert_eq!((hub.epoch(), hub.suite(), hub.state()), (0, suite, &state));
        assert_eq!(hub.ratchet_tree().as_ref(), Some(tree));
        let restored = HubRoom::restore(snapshot.as_bytes(), []).unwrap();
        assert_eq!(restored.clients(), hub.clients());
    }
}

#[test]
fn what_is_no_group() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let (_, other) = room_of(&mut world);
        let first = rogue.first();
        let other_tree = FirstEpoch { ratchet_tree: other.tree(), ..first.clone() };
        assert_eq!(asked(&world, state.room(), &other_tree), Some(Refused::Mls));
        let group_info = GroupInfo::decode(&flipped(first.group_info.as_bytes(), 0)).unwrap();
        let bad_signature = FirstEpoch { group_info, ..first.clone() };
        assert_eq!(asked(&world, state.room(), &bad_signature), Some(Refused::Mls));
        let group_info = Info::read(&first.group_info).sign(&other.identity);
        let foreign_signature = FirstEpoch { group_info, ..first.clone() };
        assert_eq!(asked(&world, state.room(), &foreign_signature), Some(Refused::Mls));
        let ratchet_tree = RatchetTree::decode(&flipped(first.ratchet_tree.as_bytes(), 0)).unwrap();
        let bad_tree = FirstEpoch { ratchet_tree, ..first.clone() };
        assert_eq!(asked(&world, state.room(), &bad_tree), Some(Refused::Mls));
        assert_eq!(asked(&world, state.room(), &first), None);
    }
}

#[test]
fn a_suite_that_is_not_spoken() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let first = rogue.first();
        let mut octets = first.group_info.as_bytes().to_vec();
        octets[3] = 3;
        let group_info = GroupInfo::decode(&octets).unwrap();
        assert_eq!(asked(&world, state.room(), &FirstEpoch { group_info, ..first }), Some(Refused::Suite));
    }
}

#[test]
fn a_group_of_another_room() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let other = world.room_uri();
        assert_eq!(asked(&world, &other, &rogue.first()), Some(Refused::OtherRoom));
        let id = state.room().group().as_str().to_owned();
        let capital = id.replace("a.example", "A.Example");
        for group in [state.room().as_str(), "", "no uri", &capital, &format!("{id}x")] {
            let founding = Founding { group: group.as_bytes().to_vec(), ..Founding::of(&world, &state) };
            assert_eq!(founded(&world, &rogue, &founding, state.room()), Some(Refused::OtherRoom), "{group}");
        }
        let founding = Founding { group: vec![0xff, 0xfe], ..Founding::of(&world, &state) };
        assert_eq!(founded(&world, &rogue, &founding, state.room()), Some(Refused::OtherRoom));
    }
}

#[test]
fn a_room_that_is_not_new() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, mut rogue) = room_of(&mut world);
        rogue.commit(Wild::default());
        rogue.merge();
        assert_eq!(asked(&world, state.room(), &rogue.first()), Some(Refused::NotNew));
        let identity = world.client(rogue.identity.user());
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        rogue.commit(Wild { add: vec![new.key_package], ..Wild::default() });
        rogue.merge();
        assert_eq!(asked(&world, state.room(), &rogue.first()), Some(Refused::NotNew));
    }
}

#[test]
fn a_group_that_does_not_name_the_hub() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let key = SigningKey::generate(suite.signature_scheme(), &mut world.entropy).unwrap();
        let other = ExternalSender { signature_key: key.public_key().as_bytes().to_vec(), ..world.hub.clone() };
        for hub in [None, Some(other)] {
            let founding = Founding { hub, ..Founding::of(&world, &state) };
            assert_eq!(founded(&world, &rogue, &founding, state.room()), Some(Refused::ExternalSender));
        }
    }
}

#[test]
fn a_state_that_is_none() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let mut founding = Founding::of(&world, &state);
        founding.components.retain(|(id, _)| *id != ComponentId::ROLES_LIST);
        let missing = Refused::State(StateError::Missing(ComponentId::ROLES_LIST));
        assert_eq!(founded(&world, &rogue, &founding, state.room()), Some(missing));
        founding.components.push((ComponentId::ROLES_LIST, vec![0xff]));
        let malformed = founded(&world, &rogue, &founding, state.room()).unwrap();
        assert!(
            matches!(malformed, Refused::State(StateError::Malformed { component: ComponentId::ROLES_LIST, .. })),
            "{malformed:?}"
        );
    }
}

#[test]
fn a_creator_whose_credential_does_not_hold() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let identity = world.stranger(rogue.identity.user());
        let stranger = Rogue::found(&world, identity, &state);
        let untrusted = Refused::Credential(CredentialError::UntrustedIssuer);
        assert_eq!(asked(&world, state.room(), &stranger.first()), Some(untrusted));
        let late = World { now: world.now.after(common::DAY * 100), ..world };
        let expired = Refused::Credential(CredentialError::Expired);
        assert_eq!(asked(&late, state.room(), &rogue.first()), Some(expired));
    }
}

#[test]
fn a_creator_who_is_no_participant_or_is_banned() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (state, rogue) = room_of(&mut world);
        let mallory = world.pseudonym("a.example");
        let identity = world.client(&mallory);
        let outsider = Rogue::found(&world, identity.clone(), &state);
        assert_eq!(asked(&world, state.room(), &outsider.first()), Some(Refused::NotParticipant));

        let with_banned = state.with_updates(&[add_participant(&state, &mallory, Role::BANNED)]).unwrap();
        let banned = Rogue::found(&world, identity, &with_banned);
        let refused = Refused::NotAllowed(Refusal::Banned);
        assert_eq!(asked(&world, state.room(), &banned.first()), Some(refused));
        assert_eq!(asked(&world, state.room(), &rogue.first()), None);
    }
}
