//! The sender's commitment to a message reaches hub and receiver, in a room with a franking agent, from adding through
//! removing, in both suites; and nobody on the way can change it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{World, accept, add_participant};
use mimi_mls::{OpenError, Opened, Room, SealError, Wanted, with_franking_agent};
use mimi_pseudonym::{CipherSuite, Content, Signer, SigningKey};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState, StateError};
use mimi_wire::{Credential, FRANKING_AGENT_COMPONENT, FrankAad, FrankingAgentData, MlsMessage, SafeAad, Wire};

fn text(body: &str) -> Content {
    Content { media_type: "application/mimi-content".into(), body: body.as_bytes().to_vec() }
}

#[test]
fn the_commitment_is_seen_by_hub_and_receiver_and_by_nobody_changed() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let key = SigningKey::generate(suite.signature_scheme(), &mut world.entropy).unwrap();
        let agent = FrankingAgentData {
            franking_signature_key: key.public_key().as_bytes().to_vec(),
            credential: Credential::basic(b"mimi://a.example"),
        };
        let state = with_franking_agent(RoomState::private(world.room_uri(), alice).unwrap(), &agent).unwrap();
        let (mut alice, first) = Room::create(identity, state, &world.hub, world.now).unwrap();
        let mut hub = world.hub(alice.uri(), &first);
        assert_eq!(hub.franking_agent(), Some(agent.clone()));

        // Commits carry no commitment, and are understood all the same.
        let bob = "mimi://b.example/u/bob".parse().unwrap();
        let identity = world.client(&bob);
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        let wanted = Wanted {
            updates: vec![add_participant(alice.state(), &bob, RoomState::PARTICIPANT)],
            add: vec![world.verify(&new, &bob)],
            remove: vec![],
        };
        let bundle = alice.commit(wanted).unwrap();
        let accepted = accept(&world, &mut hub, &bundle, "a.example");
        alice.commit_accepted(&world.trust, world.now).unwrap();
        let welcome = bundle.welcome.as_ref().unwrap();
        let (uri, trust, now) = (alice.uri().clone(), &world.trust, world.now);
        let mut bob_room =
            Room::join(identity, &new.secret, &uri, welcome, &accepted.ratchet_tree, trust, now).unwrap();
        assert_eq!(bob_room.franking_agent(), Some(agent));

        let tag = FrankAad { franking_tag: [7; 32] };
        let sealed = alice.seal_franked(|_| Ok::<_, SealError>((text("one"), tag))).unwrap();
        assert_eq!(hub.frank_aad(&sealed), Ok(Some(tag)));
        // The commitment is authenticated: with another one nobody opens the message.
        let at = sealed.as_bytes().windows(32).position(|window| window == [7; 32]).unwrap();
        let mut changed = sealed.as_bytes().to_vec();
        changed[at] ^= 1;
        let changed = MlsMessage::decode(&changed).unwrap();
        assert_ne!(hub.frank_aad(&changed), Ok(Some(tag)));
        assert!(matches!(bob_room.open(&changed, &world.trust, world.now), Err(OpenError::Mls)));
        let mut bob_room = Room::restore(&bob_room.save()).unwrap();
        let plain = alice.seal(&text("two")).unwrap();
        assert_eq!(hub.frank_aad(&plain), Ok(None), "the commitment was for one message");
        match bob_room.open(&plain, &world.trust, world.now).unwrap() {
            Opened::Content { content, frank_aad, .. } => assert_eq!((content, frank_aad), (text("two"), None)),
            other => panic!("{other:?}"),
        }
        let sealed = alice.seal_franked(|_| Ok::<_, SealError>((text("three"), tag))).unwrap();
        match bob_room.open(&sealed, &world.trust, world.now).unwrap() {
            Opened::Content { content, frank_aad, .. } => assert_eq!((content, frank_aad), (text("three"), Some(tag))),
            other => panic!("{other:?}"),
        }

        // Who stamps is not changed by a commit, and Bob's removal works as in any room.
        let update = ComponentUpdate::update(FRANKING_AGENT_COMPONENT, vec![1]);
        assert!(alice.commit(Wanted { updates: vec![update], add: vec![], remove: vec![] }).is_err());
        let index = alice.state().participants().index_of(&bob).unwrap();
        let update = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())];
        let gone = bob_room.identity().client().clone();
        let bundle = alice.commit(Wanted { updates, add: vec![], remove: vec![gone] }).unwrap();
        accept(&world, &mut hub, &bundle, "a.example");
        assert!(matches!(bob_room.open(&bundle.commit, &world.trust, world.now).unwrap(), Opened::Removed { .. }));
    }
}

#[test]
fn a_room_without_an_agent_has_no_commitments() {
    let mut world = World::new(CipherSuite::X25519Aes128Ed25519);
    let (mut alice, hub) = common::alice_alone(&mut world);
    assert_eq!((alice.franking_agent(), hub.franking_agent()), (None, None));
    let tag = FrankAad { franking_tag: [7; 32] };
    let sealed = alice.seal_franked(|_| Ok::<_, SealError>((text("one"), tag))).unwrap();
    assert_eq!(sealed.authenticated_data(), Some([].as_slice()));
    assert_eq!(hub.frank_aad(&sealed), Ok(None));
}

#[test]
fn a_message_without_its_prefix_is_none_for_a_room_with_an_agent() {
    let mut world = World::new(CipherSuite::X25519Aes128Ed25519);
    let (mut outside, _) = common::alice_alone(&mut world);
    let bare = outside.seal(&text("one")).unwrap();
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let agent = FrankingAgentData { franking_signature_key: vec![7; 32], credential: Credential::basic(b"x") };
    let state = with_franking_agent(RoomState::private(world.room_uri(), alice).unwrap(), &agent).unwrap();
    let (room, first) = Room::create(identity, state.clone(), &world.hub, world.now).unwrap();
    assert!(world.hub(room.uri(), &first).frank_aad(&bare).is_err());
    assert_eq!(
        state.with_other(ComponentId::PARTICIPANT_LIST, vec![]).unwrap_err(),
        StateError::Repeated(ComponentId::PARTICIPANT_LIST)
    );
    let aad = SafeAad::from(FrankAad { franking_tag: [1; 32] });
    assert_eq!(SafeAad::decode(&aad.encode()), Ok(aad));
}
