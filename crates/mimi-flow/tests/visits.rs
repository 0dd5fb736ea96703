//! Coming in by a link or to knock, and leaving.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{A1, A2, B1, B2, DAY, SUITES, Trouble, World, provider::issuer, text};
use mimi_credential::{Issuer, Validity};
use mimi_flow::{Action, Answer, Command, CommandError, Event, FailureReason, FlowId, NewRoom, SeenRoom};
use mimi_link::RoomLink;
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, DisclosurePolicy, Entropy, IdentityPolicy, PseudonymUse, PublicKey, RoomUri,
    SeededEntropy, SignatureScheme, SigningKey, UserUri, Wire,
};
use mimi_room::{JoinLinkPolicy, Role, RoomPurpose, RoomState};
use mimi_wire::{
    FanoutEvent, FanoutMessage, GroupInfoRatchetTreeTbe, RatchetTreeOption,
    local::{InboxBody, IssuedDisclosure},
};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const ALL_CLAIMS: [ClaimName; 4] = [ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];
/// After this, whoever has something to commit for others has done so.
const SOON: Duration = Duration::from_secs(21);

fn club() -> NewRoom {
    NewRoom {
        name: "Chess".into(),
        description: "Tuesdays at eight".into(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() },
        links: JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() },
        discoverable: true,
    }
}

/// A room of Alice's, with both of her devices in it.
fn shared(world: &mut World) -> RoomUri {
    world.command(A1, Command::CreateRoom { room: club() }).unwrap();
    world.run();
    world.room_of(A1)
}

fn link(world: &mut World, room: &RoomUri, uses: Option<u32>) -> RoomLink {
    world.command(A1, Command::CreateLink { room: room.clone(), role: None, uses, lifetime: None }).unwrap();
    world.run();
    match world.told[A1].last() {
        Some(Event::LinkCreated { link, room: of, .. }) if of == room => link.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn look(world: &mut World, device: usize, link: &RoomLink) -> FlowId {
    let visit = world.command(device, Command::Look { link: link.clone(), as_account: false }).unwrap().unwrap();
    world.run();
    visit
}

fn seen(world: &World, device: usize) -> SeenRoom {
    let seen = world.told[device].iter().rev().find_map(|event| match event {
        Event::RoomSeen { room, .. } => Some(room.clone()),
        _ => None,
    });
    seen.unwrap()
}

fn state(world: &World, device: usize, room: &RoomUri) -> RoomState {
    world.devices[device].rooms().find(|(uri, _)| *uri == room).unwrap().1.clone()
}

fn is_in(world: &World, device: usize, room: &RoomUri) -> bool {
    world.devices[device].rooms().any(|(uri, _)| uri == room)
}

/// Bob's name in a room.
fn bob_in(world: &World, room: &RoomUri) -> Option<UserUri> {
    let participants = world.providers[room.domain()].rooms[room].state().participants().clone();
    participants.iter().map(|(user, _)| user.clone()).find(|user| user.domain().as_str() == "b.example")
}

/// Bob has joined Alice's room by a link.
fn with_bob(suite: CipherSuite) -> (World, RoomUri) {
    let mut world = World::ready(suite);
    let room = shared(&mut world);
    let link = link(&mut world, &room, None);
    let visit = look(&mut world, B1, &link);
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert_eq!(world.refusals, []);
    (world, room)
}

#[test]
fn whoever_has_a_link_sees_the_room_and_joins_it_with_all_devices() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let room = shared(&mut world);
        let link = link(&mut world, &room, Some(1));
        world.forget();
        let visit = look(&mut world, B1, &link);
        let shown = seen(&world, B1);
        assert_eq!(world.told[B1], [Event::RoomSeen { visit, room: shown.clone() }]);
        assert_eq!((shown.name.as_str(), shown.description.as_str()), ("Chess", "Tuesdays at eight"));
        assert_eq!((shown.room.clone(), shown.participants, shown.knock_for.clone()), (room.clone(), 1, None));
        assert_eq!((shown.identity(), shown.purpose()), (club().identity, RoomPurpose::Ordinary));
        assert_eq!(world.devices[B1].rooms().count(), 0, "nothing has been joined");
        let again = world.command(B1, Command::Look { link: link.clone(), as_account: false });
        assert_eq!(again, Err(CommandError::AlreadyThere));
        world.command(B1, Command::JoinSeen { visit }).unwrap();
        world.run();
        assert_eq!(world.told[B1][1..], [Event::Joined { room: room.clone() }]);
        assert_eq!(world.told[B2], [Event::Joined { room: room.clone() }]);
        assert_eq!(world.calls[B1], ["groupInfo", "groupInfo", "update", "claimOwn", "update"]);
        assert_eq!(world.devices_in(&room).len(), 4);
        let bob = bob_in(&world, &room).unwrap();
        assert_eq!(state(&world, A2, &room).participants().role_of(&bob), Some(RoomState::PARTICIPANT));
        for (from, to) in [(B2, A1), (A2, B1)] {
            world.command(from, Command::Send { room: room.clone(), content: text("hello") }).unwrap();
            world.run();
            assert!(matches!(world.told[to].last(), Some(Event::Message { .. })));
        }
        world.command(B1, Command::Disclose { room: room.clone(), claims: ALL_CLAIMS.to_vec() }).unwrap();
        world.run();
        for device in [A1, A2, B2] {
            assert!(matches!(world.told[device].last(), Some(Event::Disclosed { pseudonym, .. }) if *pseudonym == bob));
        }
        assert_eq!(world.refusals, []);
        let again = world.command(B1, Command::Look { link, as_account: false });
        assert_eq!(again, Err(CommandError::AlreadyThere));
    }
}

#[test]
fn joining_survives_restarts_losses_and_disorder() {
    for seed in 0..10 {
        let mut world = World::ready(SUITE);
        let room = shared(&mut world);
        let link = link(&mut world, &room, None);
        world.forget();
        world.order = Some(SeededEntropy::new([seed; 32]));
        let crashes = seed % 2 == 0;
        world.trouble = Trouble { doubled: true, answered_twice: true, crashes, restored: seed % 3 == 0 };
        let visit = look(&mut world, B1, &link);
        world.command(B1, Command::JoinSeen { visit }).unwrap();
        world.command(A2, Command::Send { room: room.clone(), content: text("is someone there?") }).unwrap();
        world.run();
        let joined = world.told[B1].iter().filter(|event| matches!(event, Event::Joined { .. })).count();
        assert_eq!((joined, world.refusals.as_slice()), (1, [].as_slice()), "seed {seed}");
        world.outline();
        assert_eq!(world.devices_in(&room).len(), 4);
        world.command(B1, Command::Leave { room: room.clone() }).unwrap();
        world.run();
        world.advance(SOON);
        assert_eq!(world.devices_in(&room).len(), 2, "seed {seed}");
        assert!(!is_in(&world, B1, &room) && !is_in(&world, B2, &room));
    }
}

#[test]
fn a_link_that_was_taken_back_used_up_or_guessed_opens_nothing() {
    let mut world = World::ready(SUITE);
    let room = shared(&mut world);
    let one = link(&mut world, &room, Some(1));
    let RoomLink::Join(join) = one.clone() else { panic!() };
    world.command(A1, Command::ListLinks { room: room.clone() }).unwrap();
    world.run();
    let Some(Event::Links { links, .. }) = world.told[A1].last() else { panic!() };
    assert_eq!((links.len(), links[0].uses_left, links[0].code_hash), (1, Some(1), *join.code.hash().as_bytes()));
    let revoke = Command::RevokeLink { room: room.clone(), code_hash: *join.code.hash().as_bytes() };
    let flow = world.command(A1, revoke).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[A1].last(), Some(&Event::Done { flow }));
    let visit = look(&mut world, B1, &one);
    let refused = |flow| Event::Failed { flow, reason: FailureReason::NotAllowed };
    assert_eq!(world.told[B1], [refused(visit)]);

    // Taken back between looking and joining.
    let two = link(&mut world, &room, Some(1));
    let visit = look(&mut world, B1, &two);
    let RoomLink::Join(join) = two.clone() else { panic!() };
    let revoke = Command::RevokeLink { room: room.clone(), code_hash: *join.code.hash().as_bytes() };
    world.command(A1, revoke).unwrap();
    world.run();
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert_eq!(world.told[B1].last(), Some(&refused(visit)));
    assert_eq!(world.devices[B1].rooms().count(), 0);
    assert_eq!(world.command(B1, Command::JoinSeen { visit }), Err(CommandError::NoSuchVisit));

    let nobody = Command::CreateLink { room: room.clone(), role: None, uses: Some(0), lifetime: None };
    assert_eq!(world.command(A1, nobody), Err(CommandError::NotAllowed));
}

#[test]
fn a_link_grants_the_role_that_it_was_made_for_and_no_other() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let room = shared(&mut world);
        let create = |role| Command::CreateLink { room: room.clone(), role: Some(role), uses: None, lifetime: None };
        for role in [RoomState::MODERATOR, RoomState::ADMIN, Role::NONE, Role::BANNED, 99] {
            assert_eq!(world.command(A1, create(role)), Err(CommandError::NotAllowed), "{role}");
        }
        world.command(A1, create(RoomState::MUTED)).unwrap();
        world.run();
        let Some(Event::LinkCreated { link, .. }) = world.told[A1].last().cloned() else { panic!("no link") };
        let good: RoomLink = link.parse().unwrap();
        // Whoever strikes the role out of the link, or writes another, is not let in.
        let RoomLink::Join(join) = good.clone() else { panic!("no join link") };
        assert_eq!(join.role, Some(RoomState::MUTED));
        let other = RoomLink::Join(mimi_link::JoinLink { role: None, ..join.clone() });
        let visit = look(&mut world, B1, &other);
        world.command(B1, Command::JoinSeen { visit }).unwrap();
        world.run();
        let refused = FailureReason::NotAllowed;
        assert_eq!(world.told[B1].last(), Some(&Event::Failed { flow: visit, reason: refused.clone() }));
        assert_eq!((world.refusals.len(), bob_in(&world, &room)), (1, None));
        world.refusals.clear();
        let more = RoomLink::Join(mimi_link::JoinLink { role: Some(RoomState::MODERATOR), ..join });
        world.command(B1, Command::Prepare { pseudonyms: 2 }).unwrap();
        world.run();
        let visit = look(&mut world, B1, &more);
        assert_eq!(world.told[B1].last(), Some(&Event::Failed { flow: visit, reason: refused }));

        let visit = look(&mut world, B1, &good);
        assert_eq!(seen(&world, B1).role.as_deref(), Some("muted"));
        world.command(B1, Command::JoinSeen { visit }).unwrap();
        world.run();
        let bob = bob_in(&world, &room).unwrap();
        for device in [A1, A2, B1, B2] {
            assert_eq!(state(&world, device, &room).participants().role_of(&bob), Some(RoomState::MUTED));
        }
        let said = world.command(B2, Command::Send { room: room.clone(), content: text("hello") });
        assert_eq!(said, Err(CommandError::NotAllowed));
        assert_eq!(world.refusals, []);
    }
}

#[test]
fn of_two_for_the_last_place_exactly_one_gets_in() {
    let mut world = World::ready(SUITE);
    let room = shared(&mut world);
    let cathy = world.add_device("mimi://b.example/u/cathy");
    world.command(cathy, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let link = link(&mut world, &room, Some(1));
    let visits = [B1, cathy].map(|device| (device, look(&mut world, device, &link)));
    for (device, visit) in visits {
        world.command(device, Command::JoinSeen { visit }).unwrap();
    }
    world.run();
    let joined = [B1, cathy].into_iter().filter(|device| is_in(&world, *device, &room)).count();
    assert_eq!(joined, 1, "{:?}", world.told);
    let failed = |event: &Event| matches!(event, Event::Failed { reason: FailureReason::NotAllowed, .. });
    assert_eq!([B1, cathy].into_iter().filter(|device| world.told[*device].iter().any(failed)).count(), 1);
    assert_eq!(world.providers[room.domain()].rooms[&room].state().participants().len(), 2);
}

#[test]
fn a_room_that_is_not_the_one_the_link_leads_to_is_not_shown() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let room = shared(&mut world);
        let good = link(&mut world, &room, None);
        let stale = {
            let hub = &world.providers[room.domain()].rooms[&room];
            (hub.group_info().unwrap(), hub.ratchet_tree().unwrap())
        };
        let moderate = |world: &mut World| world.commit_rogue(A1, &room);
        moderate(&mut world);
        world.run();
        let mut other = World::ready(suite);
        other.entropy.bits128();
        let elsewhere = shared(&mut other);
        let foreign = {
            let hub = &other.providers[elsewhere.domain()].rooms[&elsewhere];
            (hub.group_info().unwrap(), hub.ratchet_tree().unwrap())
        };
        let now = {
            let hub = &world.providers[room.domain()].rooms[&room];
            (hub.group_info().unwrap(), hub.ratchet_tree().unwrap())
        };
        let wrong = |flow| Event::Failed { flow, reason: FailureReason::WrongRoom };
        world.forget();
        // Another room; a tree of another epoch, either way round.
        let cases = [foreign, (stale.0.clone(), now.1.clone()), (now.0, stale.1.clone())];
        for (at, (group_info, tree)) in cases.into_iter().enumerate() {
            world.command(B1, Command::Prepare { pseudonyms: 1 }).unwrap();
            world.run();
            let ratchet_tree = RatchetTreeOption::Full(tree);
            world.swap = Some(GroupInfoRatchetTreeTbe { group_info, ratchet_tree, pending_proposals: Vec::new() });
            let visit = look(&mut world, B1, &good);
            assert_eq!(world.told[B1].last(), Some(&wrong(visit)), "{at}");
        }
        // A room as it was: it is shown, and whoever joins there is told by the hub that it is too late.
        let (group_info, tree) = stale;
        let ratchet_tree = RatchetTreeOption::Full(tree);
        world.swap = Some(GroupInfoRatchetTreeTbe { group_info, ratchet_tree, pending_proposals: Vec::new() });
        let visit = look(&mut world, B1, &good);
        world.command(B1, Command::JoinSeen { visit }).unwrap();
        world.run();
        let failed = Event::Failed { flow: visit, reason: FailureReason::NotAllowed };
        assert_eq!(world.told[B1].last(), Some(&failed), "it gives up after a while");
        assert_eq!(world.devices[B1].rooms().count(), 0);
        world.swap = None;
        // Another hub than the link names.
        let RoomLink::Join(mut join) = good else { panic!() };
        join.hub = mimi_link::HubFingerprint::from_bytes([7; 32]);
        world.command(B1, Command::Prepare { pseudonyms: 1 }).unwrap();
        world.run();
        let visit = look(&mut world, B1, &RoomLink::Join(join));
        assert_eq!(world.told[B1].last(), Some(&wrong(visit)));
        // Nonsense, and the answer to somebody else.
        world.instead = Some((B1, "groupInfo", Answer::Done(vec![1, 2, 3])));
        world.command(B1, Command::Prepare { pseudonyms: 1 }).unwrap();
        world.run();
        let again = link(&mut world, &room, None);
        let visit = look(&mut world, B1, &again);
        let reason = FailureReason::Answer { call: "groupInfo".into() };
        assert_eq!(world.told[B1].last(), Some(&Event::Failed { flow: visit, reason }));
    }
}

#[test]
fn rules_that_change_meanwhile_are_shown_before_anything_is_joined() {
    let mut world = World::ready(SUITE);
    let room = shared(&mut world);
    let link = link(&mut world, &room, None);
    let visit = look(&mut world, B1, &link);
    let policy =
        IdentityPolicy { disclosure: DisclosurePolicy::new([ClaimName::Email], [], []).unwrap(), ..club().identity };
    let update = mimi_room::ComponentUpdate::update(mimi_room::ComponentId::IDENTITY_POLICY, policy.encode());
    world.commit_wanted(A1, &room, mimi_mls::Wanted { updates: vec![update], ..Default::default() });
    world.forget();
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert_eq!(world.told[B1], [Event::RoomSeen { visit, room: seen(&world, B1) }]);
    assert_eq!(seen(&world, B1).identity(), policy);
    assert!(!is_in(&world, B1, &room));
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert!(is_in(&world, B1, &room) && is_in(&world, B2, &room));

    // And whoever does not like them goes.
    let cathy = world.add_device("mimi://b.example/u/cathy");
    world.command(cathy, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let visit = look(&mut world, cathy, &link);
    world.command(cathy, Command::TurnAway { visit }).unwrap();
    world.run();
    assert_eq!(world.command(cathy, Command::JoinSeen { visit }), Err(CommandError::NoSuchVisit));
    assert_eq!(world.devices[cathy].rooms().count(), 0);
}

#[test]
fn a_room_that_moves_on_is_joined_at_the_next_attempt() {
    let mut world = World::ready(SUITE);
    let room = shared(&mut world);
    let link = link(&mut world, &room, None);
    let visit = look(&mut world, B1, &link);
    world.hold_request = Some((B1, "update"));
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    world.commit_rogue(A1, &room);
    world.hold_request = None;
    world.run();
    assert_eq!(world.calls[B1].iter().filter(|call| **call == "groupInfo").count(), 3);
    assert!(is_in(&world, B1, &room) && is_in(&world, B2, &room));
    world.outline();
    assert_eq!(world.refusals, []);
}

#[test]
fn a_banned_pseudonym_does_not_come_back_by_a_link() {
    let (mut world, room) = with_bob(SUITE);
    let link = link(&mut world, &room, None);
    let bob = bob_in(&world, &room).unwrap();
    let ban = Command::Moderate { room: room.clone(), user: bob, action: Action::Ban { until: None } };
    world.command(A1, ban).unwrap();
    world.run();
    assert!(!is_in(&world, B1, &room));
    // Another pseudonym of the same account is another matter: here it may, and what ties them together is not the room's.
    let visit = look(&mut world, B1, &link);
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert!(is_in(&world, B1, &room));
    let banned = state(&world, A1, &room).participants().count(Role::BANNED);
    assert_eq!(banned, 1);
}

#[test]
fn whoever_leaves_is_let_go_by_those_who_stay() {
    for suite in SUITES {
        let (mut world, room) = with_bob(suite);
        world.forget();
        let flow = world.command(B2, Command::Leave { room: room.clone() }).unwrap().unwrap();
        assert_eq!(world.command(B2, Command::Leave { room: room.clone() }), Err(CommandError::NotAllowed));
        world.run();
        assert_eq!(world.told[B2], [Event::Done { flow }]);
        for device in [B1, B2] {
            let send = Command::Send { room: room.clone(), content: text("bye") };
            assert_eq!(world.command(device, send), Err(CommandError::NotAllowed));
        }
        // What is said now does not reach them.
        world.command(A1, Command::Send { room: room.clone(), content: text("finally") }).unwrap();
        world.run();
        assert!(matches!(world.told[A2].last(), Some(Event::Message { .. })));
        assert!(world.calls[A1].contains(&"update"), "before anything is said, the leave is committed");
        assert!(world.told[B2].iter().all(|event| !matches!(event, Event::Message { .. })));
        world.advance(SOON);
        for device in [B1, B2] {
            assert_eq!(world.told[device].last(), Some(&Event::Closed { room: room.clone() }));
            assert!(!is_in(&world, device, &room));
        }
        assert_eq!(world.devices_in(&room), [A1, A2].into());
        assert_eq!(bob_in(&world, &room), None);
        assert_eq!((world.refusals.as_slice(), world.proposals_refused.as_slice()), ([].as_slice(), [].as_slice()));
        let nowhere = "mimi://a.example/r/nowhere".parse().unwrap();
        assert_eq!(world.command(B1, Command::Leave { room: nowhere }), Err(CommandError::NoSuchRoom));
    }
}

#[test]
fn a_leave_that_a_join_makes_void_is_made_again() {
    let (mut world, room) = with_bob(SUITE);
    let cathy = world.add_device("mimi://b.example/u/cathy");
    world.command(cathy, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let link = link(&mut world, &room, None);
    let visit = look(&mut world, cathy, &link);
    world.command(B1, Command::Leave { room: room.clone() }).unwrap();
    world.run();
    world.forget();
    world.command(cathy, Command::JoinSeen { visit }).unwrap();
    world.run();
    assert!(is_in(&world, cathy, &room));
    assert!(world.calls[B1].contains(&"update"), "it proposes again: {:?}", world.calls[B1]);
    world.advance(SOON);
    assert_eq!(world.devices_in(&room), [A1, A2, cathy].into());
    assert!(!is_in(&world, B1, &room) && !is_in(&world, B2, &room));
    assert_eq!(world.refusals, []);
}

#[test]
fn a_commit_that_lacks_a_proposal_is_made_again_with_it() {
    for early in [true, false] {
        let (mut world, room) = with_bob(SUITE);
        let cathy = UserUri::pseudonym(&"c.example".parse().unwrap(), [9; 16]);
        world.hold_request = Some((A1, "update"));
        let ban = Command::Moderate { room: room.clone(), user: cathy.clone(), action: Action::Ban { until: None } };
        let flow = world.command(A1, ban).unwrap().unwrap();
        // The proposals are here before the hub's answer, or come after it.
        if !early {
            world.hold_inbox = vec![A1];
        }
        world.command(B1, Command::Leave { room: room.clone() }).unwrap();
        world.run();
        world.hold_request = None;
        world.run();
        world.hold_inbox.clear();
        world.run();
        assert_eq!(world.told[A1].last(), Some(&Event::Done { flow }), "early: {early}");
        assert_eq!(world.devices_in(&room), [A1, A2].into());
        assert_eq!(state(&world, A2, &room).participants().role_of(&cathy), Some(Role::BANNED));
        assert_eq!(world.refusals, []);
    }
}

/// A room of Alice's and its knock room.
fn knock_room(world: &mut World) -> (RoomUri, RoomUri, RoomLink) {
    world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let target = shared(world);
    let disclosure =
        DisclosurePolicy::new([ClaimName::Handle], ALL_CLAIMS.into_iter().filter(|c| *c != ClaimName::Handle), []);
    let create = Command::CreateKnockRoom { target: target.clone(), disclosure: disclosure.unwrap() };
    world.command(A1, create).unwrap();
    world.run();
    let room = world.devices[A1].knock_rooms(&target).next().unwrap().clone();
    let link = RoomLink::Knock(world.devices[A1].knock_link(&room).unwrap());
    world.forget();
    (target, room, link)
}

fn knock(world: &mut World, device: usize, link: &RoomLink) -> FlowId {
    let visit = look(world, device, link);
    let command = Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: "let me in".into() };
    world.command(device, command).unwrap();
    world.run();
    visit
}

fn knocked(world: &World, device: usize) -> Option<FlowId> {
    world.told[device].iter().rev().find_map(|event| match event {
        Event::Knocked { knock, .. } => Some(*knock),
        _ => None,
    })
}

#[test]
fn whoever_knocks_is_let_in_under_another_name_whenever_the_moderators_like() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let (target, room, link) = knock_room(&mut world);
        let visit = look(&mut world, B1, &link);
        let shown = seen(&world, B1);
        assert_eq!((shown.purpose(), shown.knock_for.as_ref()), (RoomPurpose::Knock, Some(&target)));
        assert!(shown.identity().disclosure.required().contains(&ClaimName::Handle));
        assert_eq!(world.command(B1, Command::JoinSeen { visit }), Err(CommandError::NotAllowed), "it is for knocking");
        let short = Command::Knock { visit, disclose: vec![ClaimName::Email], note: String::new() };
        assert_eq!(world.command(B1, short), Err(CommandError::Disclosure));
        let long = Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: "n".repeat(1_025) };
        assert_eq!(world.command(B1, long), Err(CommandError::NoteTooLong(1_025)));
        world.forget();
        let command = Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: "let me in".into() };
        world.command(B1, command).unwrap();
        world.run();
        assert_eq!(world.told[B1], [Event::KnockSent { knock: visit }]);
        assert_eq!(world.calls[B1], ["groupInfo", "update", "claimOwn", "submitMessage", "update"]);
        for device in [A1, A2] {
            match world.told[device].as_slice() {
                [Event::Knocked { room, from, note, .. }] => {
                    assert_eq!((room, note.as_str()), (&target, "let me in"));
                    assert!(from.claims.iter().any(|claim| claim == (ClaimName::Handle, "im:bob@b.example")));
                }
                other => panic!("{other:?}"),
            }
        }
        let first = bob_in(&world, &room).unwrap();
        // The moderators let it go.
        world.advance(SOON);
        assert_eq!(world.devices_in(&room), [A1, A2].into());
        assert_eq!(world.devices[B1].rooms().count(), 0);
        assert_eq!(world.told[B1].last(), Some(&Event::Closed { room: room.clone() }));
        let decision = knocked(&world, A2).unwrap();
        world.forget();
        // Weeks later.
        world.advance(DAY * 20);
        world.command(A2, Command::AdmitKnock { knock: decision }).unwrap();
        world.run();
        assert_eq!(world.told[B1], [Event::LetIn { knock: visit, room: target.clone() }]);
        assert_eq!(world.told[B2], [Event::Joined { room: target.clone() }]);
        for device in [A1, A2] {
            assert!(matches!(world.told[device].as_slice(), [Event::KnockDecided { admitted: true, .. }]));
        }
        assert_eq!(world.devices_in(&target).len(), 4);
        let second = bob_in(&world, &target).unwrap();
        assert_ne!(first, second);
        assert_eq!((world.refusals.as_slice(), world.proposals_refused.as_slice()), ([].as_slice(), [].as_slice()));
    }
}

#[test]
fn knocking_survives_restarts_losses_and_disorder() {
    for seed in 0..10 {
        let mut world = World::ready(SUITE);
        let (target, room, link) = knock_room(&mut world);
        world.order = Some(SeededEntropy::new([seed; 32]));
        let crashes = seed % 2 == 0;
        world.trouble = Trouble { doubled: true, answered_twice: true, crashes, restored: seed % 3 == 0 };
        let visit = knock(&mut world, B1, &link);
        world.advance(SOON);
        assert_eq!(world.devices_in(&room), [A1, A2].into(), "seed {seed}");
        let waiting = world.told[A1].iter().filter(|event| matches!(event, Event::Knocked { .. })).count();
        assert_eq!(waiting, 1, "seed {seed}");
        world.command(A1, Command::AdmitKnock { knock: knocked(&world, A1).unwrap() }).unwrap();
        world.run();
        let let_in = Event::LetIn { knock: visit, room: target.clone() };
        assert_eq!(world.told[B1].iter().filter(|event| **event == let_in).count(), 1, "seed {seed}");
        assert_eq!(world.devices_in(&target).len(), 4);
        world.outline();
        assert_eq!(world.refusals, [], "seed {seed}");
    }
}

#[test]
fn those_who_knock_hear_nothing_of_each_other() {
    let mut world = World::ready(SUITE);
    let (_, room, link) = knock_room(&mut world);
    let cathy = world.add_device("mimi://b.example/u/cathy");
    world.command(cathy, Command::Prepare { pseudonyms: 2 }).unwrap();
    world.run();
    // Cathy is in the knock room, and does not leave.
    let visit = look(&mut world, cathy, &link);
    world.hold_request = Some((cathy, "submitMessage"));
    let command = Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: "it is Cathy".into() };
    world.command(cathy, command).unwrap();
    world.run();
    let heard = |world: &World, device: usize| {
        let application = |body: &InboxBody| {
            let InboxBody::Fanout { room: of, message } = body else { return false };
            *of == room && matches!(message.event, FanoutEvent::Application { .. })
        };
        world.history[device].iter().filter(|event| application(&event.body)).count()
    };
    knock(&mut world, B1, &link);
    world.advance(SOON);
    assert_eq!((heard(&world, cathy), heard(&world, A1)), (0, 1));
    world.hold_request = None;
    world.run();
    world.advance(SOON);
    assert_eq!((heard(&world, cathy), heard(&world, B1), heard(&world, A1)), (0, 0, 2));
    assert_eq!(world.told[A1].iter().filter(|event| matches!(event, Event::Knocked { .. })).count(), 2);
    assert_eq!(world.devices_in(&room), [A1, A2].into());
}

#[test]
fn whoever_has_said_something_in_a_knock_room_has_no_second_word() {
    let mut world = World::ready(SUITE);
    let (_, room, link) = knock_room(&mut world);
    let visit = look(&mut world, B1, &link);
    world.hold_request = Some((B1, "submitMessage"));
    let command = Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: "let me in".into() };
    world.command(B1, command).unwrap();
    world.run();
    // A hub that does not count lets one of Alice's devices have something else of Bob's first.
    let message = world.with_room(B1, &room, |room| room.seal(&text("hello there")).unwrap());
    let event = FanoutEvent::Application { message: message.try_into().unwrap(), frank: None };
    let message = FanoutMessage { timestamp: world.now, event };
    world.put(A1, InboxBody::Fanout { room: room.clone(), message });
    world.run();
    assert_eq!(world.told[A1], []);
    world.hold_request = None;
    world.run();
    assert_eq!(knocked(&world, A1), None, "it was the second");
    assert!(knocked(&world, A2).is_some(), "it was the first that this one has seen");
}

#[test]
fn a_knock_that_nobody_answers_lapses() {
    let mut world = World::ready(SUITE);
    let (_, _, link) = knock_room(&mut world);
    let visit = knock(&mut world, B1, &link);
    world.advance(SOON);
    world.advance(DAY * 85);
    assert_eq!(world.told[B1].last(), Some(&Event::KnockLapsed { knock: visit }));
    assert!(matches!(world.told[A1].last(), Some(Event::KnockLapsed { .. })));
}

/// Somebody makes itself an administrator with the commit by which it joins, and the hub lets it through.
fn let_through(world: &mut World, room: &RoomUri, devices: &[usize]) {
    // A commit with a membership tag that is none: it is signed well, and no hub can see that it does not hold.
    let bundle = world.with_room(B1, room, |room| room.commit(Default::default()).unwrap());
    world.with_room(B1, room, |room| room.commit_refused());
    let mut octets = bundle.commit.as_bytes().to_vec();
    let last = octets.len() - 1;
    octets[last] ^= 1;
    let commit = mimi_wire::MlsMessage::decode(&octets).unwrap();
    let commit = mimi_wire::CommitMessage::try_from(commit).unwrap();
    for device in devices {
        let event = FanoutEvent::Commit { commit: commit.clone(), external_proposals: Vec::new() };
        let message = FanoutMessage { timestamp: world.now, event };
        world.put(*device, InboxBody::Fanout { room: room.clone(), message });
    }
    world.run();
}

#[test]
fn a_commit_that_does_not_hold_is_reported_once_and_the_room_goes_on_when_the_hub_has_gone_back() {
    for suite in SUITES {
        let (mut world, room) = with_bob(suite);
        world.forget();
        let epoch = world.providers[room.domain()].rooms[&room].epoch();
        let_through(&mut world, &room, &[A1, A1, A2]);
        let refused = Event::ChangeRefused { room: room.clone() };
        for device in [A1, A2] {
            assert_eq!(world.told[device], std::slice::from_ref(&refused));
        }
        let reports = &world.providers[room.domain()].reports;
        assert_eq!(reports.len(), 2);
        assert!(reports.iter().all(|report| report.epoch == epoch && report.reason == mimi_wire::ReportReason::Mls));
        // The hub goes back; somebody else's word for it counts nothing.
        let hash = reports[0].commit_hash;
        let rollback = |world: &World, key: &dyn mimi_pseudonym::Signer, epoch| {
            let tbs = mimi_wire::RollbackTbs {
                room: room.clone(),
                epoch,
                commit_hash: hash,
                at: world.now,
                cipher_suite: suite,
            };
            let rollback = mimi_wire::UnverifiedRollback::sign(tbs, key).unwrap();
            let message = FanoutMessage { timestamp: world.now, event: FanoutEvent::RolledBack { rollback } };
            InboxBody::Fanout { room: room.clone(), message }
        };
        let forged = rollback(&world, &world.providers[&"b.example".parse().unwrap()].hub_key, epoch);
        let good = rollback(&world, &world.providers[room.domain()].hub_key, epoch);
        world.forget();
        world.put(A1, forged);
        world.run();
        assert_eq!(world.told[A1], []);
        for device in [A1, A2] {
            world.put(device, good.clone());
        }
        world.run();
        for device in [A1, A2] {
            assert_eq!(world.told[device], [Event::RolledBack { room: room.clone() }]);
        }
        world.command(A1, Command::Send { room: room.clone(), content: text("still here") }).unwrap();
        world.run();
        assert!(matches!(world.told[B2].last(), Some(Event::Message { .. })));
    }
}

#[test]
fn whoever_had_followed_what_the_hub_took_back_comes_in_again() {
    let (mut world, room) = with_bob(SUITE);
    let epoch = world.providers[room.domain()].rooms[&room].epoch();
    world.forget();
    // A device that is an epoch ahead of the room.
    let bundle = world.with_room(B1, &room, |room| room.commit(Default::default()).unwrap());
    let (trust, now) = (world.trust.clone(), world.now);
    world.with_room(B1, &room, |room| room.commit_accepted(&trust, now).unwrap());
    let tbs = mimi_wire::RollbackTbs {
        room: room.clone(),
        epoch,
        commit_hash: *mimi_link::JoinCodeHash::of(bundle.commit.as_bytes()).as_bytes(),
        at: world.now,
        cipher_suite: SUITE,
    };
    let rollback = mimi_wire::UnverifiedRollback::sign(tbs, &world.providers[room.domain()].hub_key).unwrap();
    let message = FanoutMessage { timestamp: world.now, event: FanoutEvent::RolledBack { rollback } };
    world.put(B1, InboxBody::Fanout { room: room.clone(), message });
    world.run();
    assert_eq!(world.told[B1], [Event::RolledBack { room: room.clone() }]);
    assert_eq!(world.calls[B1], ["groupInfo", "update"]);
    world.outline();
    world.command(B1, Command::Send { room: room.clone(), content: text("back again") }).unwrap();
    world.run();
    assert!(matches!(world.told[A1].last(), Some(Event::Message { .. })));
    assert_eq!(world.refusals, []);
    assert_eq!(world.devices_in(&room).len(), 4);
}

#[test]
fn whoever_has_refused_what_the_others_went_along_with_comes_back_on_command() {
    for trouble in [Trouble::default(), Trouble { crashes: true, ..Trouble::default() }] {
        let (mut world, room) = with_bob(SUITE);
        let come_back = || Command::ComeBack { room: room.clone() };
        assert_eq!(world.command(A2, come_back()), Err(CommandError::NotAllowed), "nothing was refused");
        world.forget();
        // What the others get is good, and what comes to this device is not.
        world.hold_inbox = vec![A2];
        world.commit_rogue(B1, &room);
        world.run();
        for event in &mut world.inboxes[A2] {
            let InboxBody::Fanout { message, .. } = &mut event.body else { continue };
            let FanoutEvent::Commit { commit, .. } = &mut message.event else { continue };
            let mut octets = commit.clone().into_message().as_bytes().to_vec();
            *octets.last_mut().unwrap() ^= 1;
            *commit = mimi_wire::MlsMessage::decode(&octets).unwrap().try_into().unwrap();
        }
        world.hold_inbox.clear();
        world.run();
        assert_eq!(world.told[A2], [Event::ChangeRefused { room: room.clone() }]);
        world.command(A1, Command::Send { room: room.clone(), content: text("without you") }).unwrap();
        world.run();
        let heard = |world: &World, device: usize, said: &[u8]| {
            let said = |event: &&Event| matches!(event, Event::Message { body, .. } if body == said);
            world.told[device].iter().filter(said).count()
        };
        assert_eq!((heard(&world, B2, b"without you"), heard(&world, A2, b"without you")), (1, 0));
        world.forget();
        world.trouble = trouble;
        world.command(A2, come_back()).unwrap();
        world.run();
        assert!(world.calls[A2].starts_with(&["groupInfo"]) && world.calls[A2].contains(&"update"));
        // Device and hub agree again who is in the room.
        world.outline();
        world.command(A1, Command::Send { room: room.clone(), content: text("there you are") }).unwrap();
        world.command(A2, Command::Send { room: room.clone(), content: text("back again") }).unwrap();
        world.run();
        assert_eq!((heard(&world, A2, b"there you are"), heard(&world, B2, b"back again")), (1, 1));
        assert_eq!((world.refusals.len(), world.devices_in(&room).len()), (0, 4));
        assert_eq!(world.command(A2, come_back()), Err(CommandError::NotAllowed), "once is enough");
    }
}

#[test]
fn who_is_behind_a_pseudonym_of_its_own_is_said_by_whoever_knows_it() {
    let mut world = World::ready(SUITE);
    let room = shared(&mut world);
    let link = link(&mut world, &room, None);
    // Its provider knows nothing but the pseudonym. Another authority, below the same anchor, knows more; a third one has an anchor
    // of its own for the same domain.
    let domain: mimi_pseudonym::Domain = "b.example".parse().unwrap();
    let pseudonym = UserUri::pseudonym(&domain, [5; 16]);
    let lone = world.add_device(pseudonym.as_str());
    let validity = Validity { not_before: world.now.before(DAY), not_after: world.now.after(DAY * 70) };
    let key = SigningKey::generate(SignatureScheme::EcdsaP256Sha256, &mut world.entropy).unwrap();
    let trusted = world.providers[&domain].issuer.delegate(std::sync::Arc::new(key), [0x43; 16], validity).unwrap();
    let stranger = issuer("b.example", &mut world.entropy, world.now);
    world.trust = world.trust.clone().with_anchor(stranger.certificate(), [domain.clone()]).unwrap();
    world.command(lone, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    assert_eq!(world.devices[lone].fresh_pseudonyms(), 1);
    let key = world.devices[lone].key_of(&pseudonym).unwrap();
    let mut claims = Claims::default();
    claims.insert(ClaimName::UserUri, "mimi://b.example/u/dora");
    claims.insert(ClaimName::DisplayName, "Dora");
    let identity = |issuer: &Issuer, key: &PublicKey| {
        let chain = issuer.issue_identity(&claims, key, [0x41; 16], validity).unwrap();
        IssuedDisclosure::X509(chain.certificates().to_vec())
    };
    let take = |pseudonym: &UserUri, identity| Command::TakeIdentity { pseudonym: pseudonym.clone(), identity };
    let other = world.devices[A1].key_of(&world.devices[A1].clients(&room)[0].0).unwrap();
    let good = identity(&trusted, &key);
    for (bad, expected) in [
        (take(&pseudonym, identity(&stranger, &key)), CommandError::Disclosure),
        (take(&pseudonym, identity(&trusted, &other)), CommandError::Disclosure),
        (take(&pseudonym, IssuedDisclosure::SdJwt(b"a token".to_vec())), CommandError::Disclosure),
        (take(&UserUri::pseudonym(&domain, [6; 16]), good.clone()), CommandError::NoSuchUser),
        (take(&"mimi://b.example/u/bob".parse().unwrap(), good.clone()), CommandError::NoSuchUser),
    ] {
        assert_eq!(world.command(lone, bad), Err(expected));
    }
    world.command(lone, take(&pseudonym, good)).unwrap();
    // It outlives a renewal of its provider's credential, which says nothing of it.
    world.advance(DAY * 64);
    assert!(world.calls[lone].iter().filter(|call| **call == "credentials").count() >= 2, "{:?}", world.calls[lone]);
    let visit = look(&mut world, lone, &link);
    world.command(lone, Command::JoinSeen { visit }).unwrap();
    world.run();
    let claims = vec![ClaimName::UserUri, ClaimName::DisplayName];
    world.command(lone, Command::Disclose { room: room.clone(), claims }).unwrap();
    world.run();
    for device in [A1, A2] {
        let said = world.told[device].iter().find_map(|event| match event {
            Event::Disclosed { pseudonym: of, who, .. } if *of == pseudonym => Some(who.clone()),
            _ => None,
        });
        assert_eq!(said.unwrap().claims.value(ClaimName::DisplayName), Some("Dora"));
    }
    assert_eq!(world.refusals, []);
}
