//! No sequence of allowed changes breaks a rule of the room.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{cell::Cell, time::Instant};

use common::{Member, World, client, member, members_after, user};
use mimi_pseudonym::Wire;
use mimi_room::{
    Actor, BaseRoomPolicy, Capability, Change, ClientRef, ComponentId, ComponentUpdate, How, Participant,
    ParticipantListUpdate, Role, RoleAssignment, RoomPurpose, RoomState,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

const NAMES: [&str; 6] = ["alice", "bob", "cathy", "u3", "u4", "u5"];

#[derive(Debug, Clone)]
struct Attempt {
    actor: usize,
    sender: u8,
    how: How,
    added: Vec<(usize, u32)>,
    changed: Vec<(u32, u32)>,
    removed: Vec<u32>,
    clients: Vec<(usize, u8)>,
    dropped: Vec<(usize, u8)>,
    /// Drops the clients of all who are removed or banned.
    tidy: bool,
    /// What is done instead of all that: one likely thing, to the user or client of this number.
    likely: Option<(u8, usize)>,
    base: Option<(Option<u32>, Option<u32>, bool)>,
}

prop_compose! {
    fn attempt()(
        actor in prop_oneof![3 => Just(0usize), 2 => 0..NAMES.len()],
        sender in 0u8..2,
        how in prop_oneof![4 => Just(How::Commit), 2 => Just(How::Proposal), 1 => Just(How::ExternalCommit),
                           1 => Just(How::JoinCode), 1 => Just(How::Hub)],
        added in prop::collection::vec((0..NAMES.len(), 0u32..5), 0..2),
        changed in prop::collection::vec((0u32..6, 0u32..5), 0..2),
        removed in prop::collection::vec(0u32..6, 0..2),
        clients in prop::collection::vec((0..NAMES.len(), 0u8..2), 0..2),
        dropped in prop::collection::vec((0..NAMES.len(), 0u8..2), 0..2),
        parts in 0u8..64,
        tidy in prop::bool::weighted(0.8),
        likely in prop::option::weighted(0.7, (0u8..6, 0usize..12)),
        base in prop::option::weighted(0.05, (prop::option::of(1u32..6), prop::option::of(1u32..8), any::<bool>())),
    ) -> Attempt {
        let keep = |bit: u8| parts & (1 << bit) != 0;
        Attempt {
            actor, sender, how, tidy, likely, base,
            added: if keep(0) { added } else { vec![] },
            changed: if keep(1) { changed } else { vec![] },
            removed: if keep(2) { removed } else { vec![] },
            clients: if keep(3) { clients } else { vec![] },
            dropped: if keep(4) { dropped } else { vec![] },
        }
    }
}

prop_compose! {
    /// Limits that a room of one administrator keeps.
    fn start()(
        max_users in prop::option::of(2u32..6),
        max_clients in prop::option::of(2u32..9),
        multi_device: bool,
        open: bool,
        max_participants in prop::option::of(0u32..4),
        max_active in prop::option::of(0u32..4),
        least in 0u32..2,
    ) -> World {
        let every: Vec<_> = Capability::ALL.iter().copied().filter(|capability| *capability != Capability::OpenJoin).collect();
        let all: Vec<u32> = (0..5).collect();
        let changes = |from: std::ops::Range<u32>| from.map(|from| (from, all.as_slice())).collect::<Vec<_>>();
        let member = [Capability::AddParticipant, Capability::AddOwnClient, Capability::RemoveOwnClient, Capability::RemoveSelf];
        let stranger = if open { vec![Capability::OpenJoin, Capability::UseJoinCode] } else { vec![] };
        let roles = vec![
            Role::new(0, "no_role").with_capabilities(stranger).with_role_changes(changes(0..1)),
            Role { max_active: Some(0), ..Role::new(1, "banned") },
            Role { max_participants, max_active, ..Role::new(2, "member") }
                .with_capabilities(member).with_role_changes(changes(0..3)),
            Role { min_participants: least, min_active: least, ..Role::new(3, "admin") }
                .with_capabilities(every).with_role_changes(changes(0..5)),
            Role::new(4, "silent"),
        ];
        let base = BaseRoomPolicy { max_users, max_clients, multi_device, ..BaseRoomPolicy::default() };
        World::new(roles, base, &[("alice", 3)])
    }
}

fn change<'a>(world: &'a World, attempt: &Attempt) -> Change<'a> {
    let list = ParticipantListUpdate {
        changed: attempt.changed.iter().map(|(index, role)| RoleAssignment { index: *index, role: *role }).collect(),
        removed: attempt.removed.clone(),
        added: attempt.added.iter().map(|(at, role)| Participant { user: user(NAMES[*at]), role: *role }).collect(),
    };
    let mut removed: Vec<Member> = attempt.dropped.iter().map(|(at, number)| member(NAMES[*at], *number)).collect();
    if attempt.tidy {
        let banned = attempt.changed.iter().filter(|(_, role)| *role == 1).map(|(index, _)| index);
        for index in attempt.removed.iter().chain(banned) {
            let Some((gone, _)) = world.state.participants().at(*index) else { continue };
            let clients = world.members.of(gone).map(|client| (gone.clone(), client.clone()));
            let clients: Vec<_> = clients.filter(|member| !removed.contains(member)).collect();
            removed.extend(clients);
        }
    }
    let mut updates = vec![];
    if list != ParticipantListUpdate::default() {
        updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode()));
    }
    if let Some((max_users, max_clients, multi_device)) = attempt.base {
        let base = BaseRoomPolicy { max_users, max_clients, multi_device, ..world.state.base().clone() };
        updates.push(ComponentUpdate::update(ComponentId::BASE_ROOM_POLICY, base.encode()));
    }
    let added = attempt.clients.iter().map(|(at, number)| ClientRef {
        user: user(NAMES[*at]),
        client: client(NAMES[*at], *number),
        initial_only: false,
    });
    Change { updates, added: added.collect(), removed, members: &world.members }
}

/// Turns the attempt into its likely thing.
fn aim(world: &World, attempt: &mut Attempt) {
    let Some((kind, number)) = attempt.likely else { return };
    let place = u32::try_from(number % world.state.participants().len().max(1)).unwrap();
    let (at, role, client) = (number % NAMES.len(), 2 + place % 3, u8::try_from(number % 2).unwrap());
    let blank = Attempt {
        added: vec![],
        changed: vec![],
        removed: vec![],
        clients: vec![],
        dropped: vec![],
        ..attempt.clone()
    };
    let blank = Attempt { tidy: true, ..blank };
    *attempt = match kind {
        0 => Attempt { added: vec![(at, role)], clients: vec![(at, client)], ..blank },
        1 => Attempt { removed: vec![place], ..blank },
        2 => Attempt { changed: vec![(place, role)], ..blank },
        3 => Attempt { changed: vec![(place, 1)], ..blank },
        4 => Attempt { actor: at, clients: vec![(at, attempt.sender)], how: How::ExternalCommit, ..blank },
        _ => Attempt { dropped: vec![(at, client)], ..blank },
    };
}

fn components(state: &RoomState) -> RoomState {
    let components = state.components();
    let entries = components.iter().map(|(id, data)| (*id, data.as_slice()));
    RoomState::from_components(state.room().clone(), entries).unwrap()
}

#[test]
fn allowed_changes_break_no_rule() {
    let (allowed, refused) = (Cell::new(0u32), Cell::new(0u32));
    let config = ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = (start(), prop::collection::vec(attempt(), 1..40));
    let outcome = runner.run(&strategy, |(mut world, attempts)| {
        prop_assume!(world.state.check(&world.members).is_ok());
        for mut attempt in attempts {
            aim(&world, &mut attempt);
            let change = change(&world, &attempt);
            let actor = if attempt.how == How::Hub {
                Actor::Hub
            } else {
                Actor::client(user(NAMES[attempt.actor]), client(NAMES[attempt.actor], attempt.sender))
            };
            let result = world.state.apply(&actor, attempt.how, &change);
            prop_assert_eq!(
                &components(&world.state).apply(&actor, attempt.how, &change),
                &result,
                "the same everywhere"
            );
            let Ok(after) = result else {
                refused.set(refused.get() + 1);
                continue;
            };
            let members = members_after(&world.members, &change.removed, &change.added);
            prop_assert_eq!(after.check(&members), Ok(()), "after {:?}", attempt);
            prop_assert_eq!(after.purpose(), RoomPurpose::Ordinary);
            prop_assert_eq!(&components(&after), &after);
            let moved = after != world.state || members != world.members;
            allowed.set(allowed.get() + u32::from(moved));
            world = World { state: after, members };
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(allowed.get() > 1000, "only {} of {} were allowed", allowed.get(), allowed.get() + refused.get());
    assert!(refused.get() > 1000);
}

#[test]
fn a_room_of_ten_thousand() {
    let count = 10_000u32;
    let roles: Vec<Role> = RoomState::private(common::room(), user("u0")).unwrap().roles().iter().cloned().collect();
    let names: Vec<String> = (0..count).map(|at| format!("u{at}")).collect();
    let list: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), if name == "u0" { 3 } else { 2 })).collect();
    let mut world = World::new(roles, BaseRoomPolicy::default(), &list);
    let begun = Instant::now();
    for at in 1..=20 {
        let gone = format!("u{at}");
        let new = format!("new{at}");
        world = world.want().remove(&gone).drop(&gone, 1).add(&new, 2).client(&new, 1).committed("u0");
    }
    assert_eq!(world.state.participants().len(), 10_000);
    assert_eq!(world.state.participants().role_of(&user("new20")), Some(2));
    assert_eq!(world.state.check(&world.members), Ok(()));
    // Generous: it is there to notice work that grows with the square of the room.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
