//! What a hub and a member pay in rooms of several sizes: `cargo bench -p mimi-mls --bench rooms`. It prints a table, and the
//! table in docs/measurements.md is made by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use common::{
    World, domain,
    rogue::{Founding, Rogue, Wild},
};
use mimi_mls::{Admission, CommitBundle, HpkeKeyPair, HubRoom, Identity, seal_with_label};
use mimi_pseudonym::{CipherSuite, UserUri};
use mimi_room::{
    Actor, Change, ComponentId, ComponentUpdate, How, KeyPackagePurpose, Members, Participant, ParticipantListUpdate,
    RoleAssignment, RoomState,
};
use mimi_wire::{GROUP_INFO_ENCRYPTION_LABEL, GroupInfoRatchetTreeTbe, RatchetTreeOption, Wire};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = work();
    (begun.elapsed(), value)
}

/// The mean of so many runs.
fn mean(times: u32, mut work: impl FnMut()) -> Duration {
    work();
    timed(|| (0..times).for_each(|_| work())).0 / times
}

fn micros(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e6)
}

fn list(update: ParticipantListUpdate) -> ComponentUpdate {
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())
}

fn main() {
    // Only `cargo bench` says so; where tests are run, nothing of this is.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    authorise();
    let sizes: Vec<usize> = match std::env::var("ROOM_SIZES") {
        Ok(sizes) => sizes.split(',').map(|size| size.parse().unwrap()).collect(),
        Err(_) => vec![10, 100, 1_000, 10_000],
    };
    join(&sizes);
    knocks(1_000);
}

/// A change of one role, in rooms of several sizes, beside one signature check.
fn authorise() {
    println!("\n| participants | a change judged, µs |\n|---|---|");
    let mut world = World::new(SUITE);
    for size in [10_usize, 100, 1_000, 10_000] {
        let alice = world.pseudonym("a.example");
        let state = RoomState::private(world.room_uri(), alice.clone()).unwrap();
        let users: Vec<UserUri> = (1..size).map(|_| world.pseudonym("b.example")).collect();
        let added = users.iter().map(|user| Participant { user: user.clone(), role: RoomState::PARTICIPANT }).collect();
        let state =
            state.with_updates(&[list(ParticipantListUpdate { added, ..ParticipantListUpdate::default() })]).unwrap();
        let clients = users.iter().chain([&alice]).zip(0_u128..).map(|(user, number)| {
            (user.clone(), mimi_pseudonym::ClientUri::pseudonym(user.domain(), number.to_be_bytes()))
        });
        let members = Members::new(clients).unwrap();
        let changed = vec![RoleAssignment { index: 1, role: RoomState::MUTED }];
        let update = list(ParticipantListUpdate { changed, ..ParticipantListUpdate::default() });
        let change = Change { updates: vec![update], members: &members, ..Change::default() };
        let actor = Actor::user(alice);
        let took = mean(1_000, || drop(black_box(state.apply(&actor, How::Commit, &change).unwrap())));
        println!("| {size} | {} |", micros(took));
    }
    println!("\n| one signature check | µs |\n|---|---|");
    for suite in CipherSuite::ALL {
        let world = &mut World::new(suite);
        let user = world.pseudonym("a.example");
        let identity = world.client(&user);
        let signature = identity.signer().sign(b"a commit").unwrap();
        let key = identity.signer().public_key();
        println!("| {suite:?} | {} |", micros(mean(200, || key.verify(b"a commit", &signature).unwrap())));
    }
}

/// Fills a room with so many clients, each of a user of its own, by commits of a thousand.
fn filled(world: &mut World, size: usize) -> (Rogue, HubRoom) {
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let state = RoomState::by_link(world.room_uri(), alice, mimi_room::JoinLinkPolicy::default()).unwrap();
    let mut rogue = Rogue::with(identity, &Founding::of(world, &state));
    let mut hub = rogue.hub(world, state.room());
    let mut left = size.saturating_sub(1);
    while left > 0 {
        let count = left.min(1_000);
        left -= count;
        let (mut add, mut added) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let user = world.pseudonym("b.example");
            let identity = world.client(&user);
            add.push(world.key_package(&identity, KeyPackagePurpose::Any).key_package);
            added.push(Participant { user, role: RoomState::PARTICIPANT });
        }
        let update = list(ParticipantListUpdate { added, ..ParticipantListUpdate::default() });
        let bundle = rogue.commit(Wild { add, ..Wild::updates(hub.state(), vec![update]) });
        common::accept(world, &mut hub, &bundle, "a.example");
        rogue.merge();
    }
    (rogue, hub)
}

fn joiner(hub: &HubRoom, identity: Identity, role: u32) -> (Rogue, CommitBundle) {
    let update = list(ParticipantListUpdate::add(identity.user().clone(), role));
    let wild = Wild::updates(hub.state(), vec![update]);
    Rogue::join(identity, &hub.group_info().unwrap(), &hub.ratchet_tree().unwrap(), wild)
}

/// One external join, step by step.
fn join(sizes: &[usize]) {
    println!(
        "\n| clients | GroupInfo and tree, octets | made ready, µs | sealed, µs | external commit, octets | joiner, ms | hub \
         takes it, µs | log, octets | a member follows, µs |\n|---|---|---|---|---|---|---|---|---|"
    );
    for size in sizes {
        let world = &mut World::new(SUITE);
        let (mut alice, mut hub) = filled(world, *size);
        let keys = HpkeKeyPair::generate(SUITE, &mut world.entropy).unwrap();
        let answer = |hub: &HubRoom| {
            let tree = RatchetTreeOption::Full(hub.ratchet_tree().unwrap());
            let group_info = hub.group_info().unwrap();
            GroupInfoRatchetTreeTbe { group_info, ratchet_tree: tree, pending_proposals: vec![] }.encode()
        };
        let ready = mean(5, || drop(black_box(answer(&hub))));
        let octets = answer(&hub);
        let sealed = mean(5, || {
            let made = seal_with_label(SUITE, keys.public_key(), GROUP_INFO_ENCRYPTION_LABEL, b"room", &octets);
            drop(black_box(made.unwrap()));
        });
        let user = world.pseudonym("b.example");
        let identity = world.client(&user);
        let key = identity.signer().public_key().clone();
        let (made, (_, bundle)) = timed(|| joiner(&hub, identity, RoomState::PARTICIPANT));
        let admission = Admission::Code { key, role: RoomState::PARTICIPANT };
        let (trust, now) = (&world.trust, world.now);
        let (took, accepted) =
            timed(|| hub.accept_join(&bundle, &domain("b.example"), &admission, false, trust, now).unwrap());
        let (followed, ()) = timed(|| alice.follow(hub.state(), &bundle.commit));
        println!(
            "| {size} | {} | {} | {} | {} | {:.1} | {} | {} | {} |",
            octets.len(),
            micros(ready),
            micros(sealed),
            bundle.commit.as_bytes().len(),
            made.as_secs_f64() * 1e3,
            micros(took),
            accepted.log_entry.len(),
            micros(followed),
        );
    }
}

/// So many come to a knock room one after another, and none leaves.
fn knocks(count: usize) {
    println!("\n| knocks | hub takes one, µs | a moderator follows one, µs |\n|---|---|---|");
    let world = &mut World::new(SUITE);
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let target = world.room_uri();
    let state = RoomState::knock(world.room_uri(), target, alice).unwrap();
    let mut moderator = Rogue::with(identity, &Founding::of(world, &state));
    let mut hub = moderator.hub(world, state.room());
    let (mut taken, mut followed, mut since) = (Duration::ZERO, Duration::ZERO, 0_u32);
    for number in 1..=count {
        let user = world.pseudonym("b.example");
        let identity = world.client(&user);
        let (mut knocker, bundle) = joiner(&hub, identity, RoomState::KNOCKER);
        let (trust, now) = (&world.trust, world.now);
        let peer = domain("b.example");
        taken += timed(|| hub.accept_join(&bundle, &peer, &Admission::Open, false, trust, now).unwrap()).0;
        let knock = knocker.say(&[7; 2_000]);
        followed += timed(|| {
            moderator.follow(hub.state(), &bundle.commit);
            moderator.hear(&knock);
        })
        .0;
        since += 1;
        if [10, 100, 500, 1_000].contains(&number) {
            println!("| {number} | {} | {} |", micros(taken / since), micros(followed / since));
            (taken, followed, since) = (Duration::ZERO, Duration::ZERO, 0);
        }
    }
}
