//! Rooms that others come into, and keeping order in them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{A1, A2, B1, B2, DAY, SUITES, Trouble, World, text};
use mimi_flow::{Action, Answer, Command, CommandError, Event, FailureReason, NewRoom};
use mimi_pseudonym::{
    CipherSuite, ClaimName, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri, SeededEntropy, UserUri,
};
use mimi_room::{JoinLinkPolicy, Role, RoomPurpose, RoomState};
use mimi_wire::Problem;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

fn club() -> NewRoom {
    let disclosure = DisclosurePolicy::new([ClaimName::Handle], [ClaimName::DisplayName], [ClaimName::Email]).unwrap();
    NewRoom {
        name: "Chess".into(),
        description: "Tuesdays at eight".into(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure },
        links: JoinLinkPolicy { multiuser: true, expiration: 86_400, ..JoinLinkPolicy::default() },
        discoverable: true,
    }
}

/// A room of Alice's, with both of her devices in it.
fn shared(world: &mut World) -> RoomUri {
    world.command(A1, Command::CreateRoom { room: club() }).unwrap();
    world.run();
    world.room_of(A1)
}

/// The same, and Bob is a participant.
fn with_bob(suite: CipherSuite) -> (World, RoomUri, UserUri) {
    let mut world = World::ready(suite);
    let room = shared(&mut world);
    let bob = world.bring_in(A1, &room, B1, RoomState::PARTICIPANT);
    world.forget();
    (world, room, bob)
}

fn state(world: &World, device: usize, room: &RoomUri) -> RoomState {
    world.devices[device].rooms().find(|(uri, _)| *uri == room).unwrap().1.clone()
}

fn role(world: &World, device: usize, room: &RoomUri, user: &UserUri) -> Option<u32> {
    state(world, device, room).participants().role_of(user)
}

fn moderate(world: &mut World, device: usize, room: &RoomUri, user: &UserUri, action: Action) {
    let command = Command::Moderate { room: room.clone(), user: user.clone(), action };
    let flow = world.command(device, command).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[device].last(), Some(&Event::Done { flow }), "{action:?}");
}

fn own_name(world: &World, device: usize, room: &RoomUri) -> UserUri {
    let mine: Vec<_> = world.providers[world.profiles[device].domain()].pseudonyms.iter().collect();
    let clients = world.devices[device].clients(room);
    let own = clients.iter().find(|(user, _)| mine.iter().any(|(p, of)| *p == user && **of == world.profiles[device]));
    own.unwrap().0.clone()
}

#[test]
fn a_room_is_made_as_wanted_and_all_of_ones_devices_are_in_it() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let flow = world.command(A1, Command::CreateRoom { room: club() }).unwrap().unwrap();
        world.run();
        let room = world.room_of(A1);
        assert_eq!(world.told[A1], [Event::RoomCreated { flow, room: room.clone() }]);
        assert_eq!(world.told[A2], [Event::Joined { room: room.clone() }]);
        assert_eq!(world.calls[A1], ["createRoom", "claimOwn", "update"]);
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 1);
        for device in [A1, A2] {
            let state = state(&world, device, &room);
            assert_eq!(state.metadata().unwrap().name, "Chess");
            assert_eq!(state.metadata().unwrap().descriptions[0].content, b"Tuesdays at eight");
            assert_eq!(state.identity_policy(), club().identity);
            assert_eq!(state.join_link_policy(), Some(&club().links));
            assert!(state.base().discoverable);
            assert_eq!(state.trust_anchors().unwrap().len(), 2);
            assert_eq!(world.devices[device].clients(&room).len(), 2);
        }
        assert_eq!(world.refusals, []);
    }
}

#[test]
fn a_room_that_cannot_be_made_is_refused_and_nothing_is_chosen() {
    let mut world = World::ready(SUITE);
    let long = NewRoom { name: "n".repeat(30_000), description: "d".repeat(30_001), ..club() };
    let null = NewRoom { name: "a\0b".into(), ..club() };
    let identity = IdentityPolicy { pseudonyms: PseudonymUse::Forbidden, ..club().identity };
    let open = NewRoom { identity, ..club() };
    let cases = [
        (long, CommandError::RoomKind),
        (null, CommandError::RoomKind),
        // Alice's account has no credential here.
        (open, CommandError::TooFewPseudonyms { wanted: 1, fresh: 2 }),
    ];
    for (room, error) in cases {
        let before = world.devices[A1].save();
        assert_eq!(world.command(A1, Command::CreateRoom { room }), Err(error));
        assert!(world.devices[A1].save() == before);
    }
    let mut world = World::new(SUITE);
    let error = CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 };
    assert_eq!(world.command(A1, Command::CreateRoom { room: club() }), Err(error));
}

#[test]
fn a_room_that_the_hub_does_not_take_is_forgotten() {
    for call in ["createRoom", "claimOwn", "update"] {
        let mut world = World::ready(SUITE);
        world.instead = Some((A1, call, Answer::Refused(Problem::Forbidden)));
        let flow = world.command(A1, Command::CreateRoom { room: club() }).unwrap().unwrap();
        world.run();
        let reason = FailureReason::Refused { call: call.into(), problem: "forbidden".into() };
        assert_eq!(world.told[A1], [Event::Failed { flow, reason }]);
        assert_eq!(world.devices[A1].rooms().count(), usize::from(call != "createRoom"), "{call}");
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 1, "what was chosen stays used");
    }
}

#[test]
fn everything_survives_restarts_losses_and_disorder() {
    for seed in 0..12 {
        let mut world = World::ready(SUITE);
        world.order = Some(SeededEntropy::new([seed; 32]));
        let crashes = seed % 2 == 0;
        world.trouble = Trouble { doubled: true, answered_twice: true, crashes, restored: seed % 3 == 0 };
        let room = shared(&mut world);
        assert_eq!(world.told[A1].len(), 1, "seed {seed}");
        let bob = world.bring_in(A2, &room, B1, RoomState::PARTICIPANT);
        moderate(&mut world, A2, &room, &bob, Action::Mute);
        moderate(&mut world, A1, &room, &bob, Action::Ban { until: None });
        for device in [A1, A2] {
            assert_eq!(role(&world, device, &room, &bob), Some(Role::BANNED));
            assert_eq!(world.devices[device].clients(&room).len(), 2);
        }
        for device in [B1, B2] {
            assert_eq!(world.told[device].last(), Some(&Event::Closed { room: room.clone() }));
            assert_eq!(world.devices[device].rooms().count(), 0);
        }
        assert_eq!(world.refusals, []);
    }
}

#[test]
fn muted_means_silent_until_unmuted() {
    let (mut world, room, bob) = with_bob(SUITE);
    let send = || Command::Send { room: room.clone(), content: text("hello") };
    moderate(&mut world, A1, &room, &bob, Action::Mute);
    assert_eq!(role(&world, B1, &room, &bob), Some(RoomState::MUTED));
    assert_eq!(world.command(B1, send()), Err(CommandError::NotAllowed));
    world.command(A1, send()).unwrap();
    world.run();
    assert!(matches!(world.told[B2].last(), Some(Event::Message { .. })), "whoever is muted still reads");
    moderate(&mut world, A1, &room, &bob, Action::Unmute);
    world.command(B1, send()).unwrap();
    world.run();
    assert!(matches!(world.told[A2].last(), Some(Event::Message { .. })));
}

#[test]
fn kicked_banned_and_unbanned_are_what_they_say() {
    let until = |world: &World| Some(world.now.after(DAY));
    let (mut world, room, bob) = with_bob(SUITE);
    moderate(&mut world, A1, &room, &bob, Action::Kick);
    assert_eq!(role(&world, A2, &room, &bob), None);
    for device in [B1, B2] {
        assert_eq!(world.told[device], [Event::Closed { room: room.clone() }]);
    }
    let (mut world, room, bob) = with_bob(SUITE);
    let end = until(&world);
    moderate(&mut world, A1, &room, &bob, Action::Ban { until: end });
    assert_eq!(role(&world, A2, &room, &bob), Some(Role::BANNED));
    assert_eq!(state(&world, A2, &room).temporary_bans().unwrap().until(&bob), end);
    // For ever after all.
    moderate(&mut world, A1, &room, &bob, Action::Ban { until: None });
    assert_eq!(role(&world, A2, &room, &bob), Some(Role::BANNED));
    assert!(state(&world, A2, &room).temporary_bans().unwrap().is_empty());
    let epoch = world.outline()[A1][0].1;
    moderate(&mut world, A1, &room, &bob, Action::Ban { until: None });
    assert_eq!(world.outline()[A1][0].1, epoch, "what is so already needs no commit");
    moderate(&mut world, A1, &room, &bob, Action::Ban { until: end });
    moderate(&mut world, A1, &room, &bob, Action::Unban);
    assert_eq!(role(&world, A2, &room, &bob), None);
    assert!(state(&world, A2, &room).temporary_bans().unwrap().is_empty());
    // Whom to keep out need not have been here.
    let cathy = UserUri::pseudonym(&"c.example".parse().unwrap(), [9; 16]);
    moderate(&mut world, A1, &room, &cathy, Action::Ban { until: None });
    assert_eq!(role(&world, A2, &room, &cathy), Some(Role::BANNED));
}

#[test]
fn roles_are_given_by_those_who_may() {
    let (mut world, room, bob) = with_bob(SUITE);
    let alice = own_name(&world, A1, &room);
    for (action, user) in [
        (Action::Kick, &alice),
        (Action::Mute, &alice),
        (Action::SetRole(RoomState::ADMIN), &bob),
        (Action::Kick, &bob),
    ] {
        let command = Command::Moderate { room: room.clone(), user: user.clone(), action };
        let before = world.devices[B1].save();
        let expected = if action == Action::Kick && *user == bob { "own" } else { "other" };
        assert_eq!(world.command(B1, command), Err(CommandError::NotAllowed), "{action:?} {expected}");
        assert!(world.devices[B1].save() == before);
    }
    moderate(&mut world, A1, &room, &bob, Action::SetRole(RoomState::MODERATOR));
    assert_eq!(role(&world, B2, &room, &bob), Some(RoomState::MODERATOR));
    let kick = Command::Moderate { room: room.clone(), user: alice, action: Action::Kick };
    assert_eq!(world.command(B1, kick), Err(CommandError::NotAllowed), "a moderator is no administrator");
    let stranger = UserUri::pseudonym(&"c.example".parse().unwrap(), [9; 16]);
    let kick = Command::Moderate { room: room.clone(), user: stranger, action: Action::Kick };
    assert_eq!(world.command(A1, kick), Err(CommandError::NoSuchUser));
    let nowhere: RoomUri = "mimi://a.example/r/nowhere".parse().unwrap();
    let kick = Command::Moderate { room: nowhere.clone(), user: bob, action: Action::Kick };
    assert_eq!(world.command(A1, kick), Err(CommandError::NoSuchRoom));
    for command in [
        Command::DestroyRoom { room: nowhere.clone() },
        Command::AddOwnClients { room: nowhere.clone() },
        Command::CreateKnockRoom { target: nowhere, disclosure: DisclosurePolicy::open() },
    ] {
        assert_eq!(world.command(A1, command), Err(CommandError::NoSuchRoom));
    }
}

#[test]
fn two_moderators_at_once_both_come_to_an_end() {
    let (mut world, room, bob) = with_bob(SUITE);
    world.hold_request = Some((A1, "update"));
    let command = |action| Command::Moderate { room: room.clone(), user: bob.clone(), action };
    let first = world.command(A1, command(Action::Kick)).unwrap().unwrap();
    // Another change, and a message, wait for the first.
    let second = world.command(A1, command(Action::Ban { until: None })).unwrap().unwrap();
    world.command(A1, Command::Send { room: room.clone(), content: text("behave") }).unwrap();
    moderate(&mut world, A2, &room, &bob, Action::Kick);
    world.hold_request = None;
    world.run();
    assert_eq!(world.told[A1], [Event::Done { flow: first }, Event::Done { flow: second }]);
    assert_eq!(role(&world, A2, &room, &bob), Some(Role::BANNED));
    assert!(matches!(world.told[A2].last(), Some(Event::Message { .. })), "{:?} {:?}", world.told, world.calls);
    assert_eq!(world.refusals, []);
}

#[test]
fn a_lost_client_is_removed_and_comes_back() {
    let (mut world, room, _) = with_bob(SUITE);
    let clients = world.devices[B1].clients(&room);
    let b2 = clients.iter().find(|(_, client)| world.client_is_of(client, B2, &room)).unwrap().1.clone();
    let b1 = clients.iter().find(|(_, client)| world.client_is_of(client, B1, &room)).unwrap().1.clone();
    let remove = |client| Command::RemoveClient { room: room.clone(), client };
    assert_eq!(world.command(B1, remove(b1)), Err(CommandError::NotAllowed), "a client cannot remove itself");
    let stranger = "mimi://b.example/d/stranger".parse().unwrap();
    assert_eq!(world.command(B1, remove(stranger)), Err(CommandError::NoSuchUser));
    let flow = world.command(B1, remove(b2.clone())).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[B1], [Event::Done { flow }]);
    assert_eq!(world.told[B2], [Event::Closed { room: room.clone() }]);
    assert_eq!(world.devices[A1].clients(&room).len(), 3);
    // Nothing to offer, nothing to do.
    let flow = world.command(B1, Command::AddOwnClients { room: room.clone() }).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[B1].last(), Some(&Event::Done { flow }));
    assert_eq!(world.devices[A1].clients(&room).len(), 3);
}

#[test]
fn a_room_ends_for_everybody_when_someone_who_may_wants_it() {
    let (mut world, room, _) = with_bob(SUITE);
    let destroy = || Command::DestroyRoom { room: room.clone() };
    assert_eq!(world.command(B1, destroy()), Err(CommandError::NotAllowed));
    world.command(A1, destroy()).unwrap();
    world.run();
    for device in [A1, A2, B1, B2] {
        assert_eq!(world.told[device], [Event::Closed { room: room.clone() }], "device {device}");
    }
    assert_eq!(world.hub_rooms(), 0);
}

#[test]
fn moderators_come_into_a_knock_room_when_they_want() {
    for suite in SUITES {
        let (mut world, target, bob) = with_bob(suite);
        let create = Command::CreateKnockRoom { target: target.clone(), disclosure: DisclosurePolicy::open() };
        assert_eq!(world.command(B1, create.clone()), Err(CommandError::NotAllowed), "Bob keeps no order");
        moderate(&mut world, A1, &target, &bob, Action::SetRole(RoomState::MODERATOR));
        world.forget();
        let flow = world.command(A1, create).unwrap().unwrap();
        world.run();
        let knock_room = world.devices[A1].knock_rooms(&target).next().unwrap().clone();
        assert_eq!(world.told[A1], [Event::RoomCreated { flow, room: knock_room.clone() }]);
        assert_eq!(world.told[A2], [Event::Joined { room: knock_room.clone() }]);
        let offered = Event::KnockRoomOffered { target: target.clone(), room: knock_room.clone() };
        for device in [B1, B2] {
            assert_eq!(world.told[device], std::slice::from_ref(&offered));
        }
        world.forget();
        world.command(B2, Command::Prepare { pseudonyms: 1 }).unwrap();
        world.run();
        world.forget();
        world.command(B2, Command::ModerateKnocks { room: knock_room.clone() }).unwrap();
        world.run();
        let error = CommandError::NoSuchRoom;
        let again = world.command(B2, Command::ModerateKnocks { room: knock_room.clone() });
        assert_eq!(again, Err(error), "once is enough");
        world.advance(std::time::Duration::from_secs(21));
        for device in [B1, B2] {
            assert_eq!(world.told[device], [Event::Joined { room: knock_room.clone() }], "device {device}");
            let state = state(&world, device, &knock_room);
            assert_eq!((state.purpose(), state.participants().len()), (RoomPurpose::Knock, 2));
            assert_eq!(world.devices[device].clients(&knock_room).len(), 4);
        }
        assert_eq!(world.refusals, []);
        // Bob's name there is not his name in the room.
        assert_ne!(own_name(&world, B1, &knock_room), own_name(&world, B1, &target));
    }
}

#[test]
fn those_who_keep_no_order_are_told_of_no_knock_room_and_cannot_offer_one() {
    let (mut world, target, _) = with_bob(SUITE);
    let create = Command::CreateKnockRoom { target: target.clone(), disclosure: DisclosurePolicy::open() };
    world.command(A1, create).unwrap();
    world.run();
    assert!(world.told[B1].is_empty() && world.told[B2].is_empty());
    let knock_room = world.devices[A1].knock_rooms(&target).next().unwrap().clone();
    let command = Command::ModerateKnocks { room: knock_room.clone() };
    assert_eq!(world.command(B1, command), Err(CommandError::NoSuchRoom));
    // A forged offer, and a forged wish to be let in: the messages of someone who keeps no order say nothing.
    world.forget();
    let mut body = vec![1];
    body.extend(mimi_pseudonym::Wire::encode(&knock_room));
    for media_type in
        ["application/mimi-knock-room", "application/mimi-knock-moderator", "application/mimi-knock-decision"]
    {
        let content = mimi_pseudonym::Content { media_type: media_type.into(), body: body.clone() };
        world.send_rogue(B1, &target, |_| content);
    }
    world.run();
    world.advance(DAY);
    assert!(world.told.iter().all(Vec::is_empty), "{:?}", world.told);
    assert_eq!(world.devices[A1].clients(&knock_room).len(), 2);
}
