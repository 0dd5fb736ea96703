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
use mimi_mls::{
    Admission, CommitBundle, HpkeKeyPair, HubRoom, Identity, Room, UnverifiedRoom, Wanted, seal_with_label,
};
use mimi_pseudonym::{CipherSuite, Content, UserUri};
use mimi_room::{
    Actor, Change, ComponentId, ComponentUpdate, How, KeyPackagePurpose, Members, Participant, ParticipantListUpdate,
    RoleAssignment, RoomState,
};
use mimi_wire::{GROUP_INFO_ENCRYPTION_LABEL, GroupInfoRatchetTreeTbe, ProposalMessage, RatchetTreeOption, Wire};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// How long this thread has been on a processor, where the system tells, so that what else the machine does is not counted;
/// elsewhere the time that has passed.
fn spent() -> Duration {
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let begun = BEGUN.get_or_init(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = spent();
    let value = work();
    (spent().saturating_sub(begun), value)
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
    for count in [10, 100, 1_000] {
        knocks_that_leave(count);
    }
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
         takes it, µs | log, octets | a member follows, µs | read from its snapshot, ms |\n|---|---|---|---|---|---|---|---|---|---|"
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
        // Anybody's next commit, with a snapshot, of which the room is read again.
        let bundle = alice.commit(Wild::default());
        let snapshot = hub.accept(&bundle, &domain("a.example"), true, trust, now).unwrap().snapshot.unwrap();
        let (read, _) = timed(|| black_box(HubRoom::restore(snapshot.as_bytes(), []).unwrap()));
        println!(
            "| {size} | {} | {} | {} | {} | {:.1} | {} | {} | {} | {:.1} |",
            octets.len(),
            micros(ready),
            micros(sealed),
            bundle.commit.as_bytes().len(),
            made.as_secs_f64() * 1e3,
            micros(took),
            accepted.log_entry.len(),
            micros(followed),
            read.as_secs_f64() * 1e3,
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

/// So many come to a knock room one after another, knock, and leave; a moderator lets each go. Another of the moderators
/// comes back when all is over.
fn knocks_that_leave(count: u32) {
    let world = &mut World::new(SUITE);
    let alice = world.pseudonym("a.example");
    let (first, second) = (world.client(&alice), world.client(&alice));
    let target = world.room_uri();
    let state = RoomState::knock(world.room_uri(), target, alice.clone()).unwrap();
    let (mut moderator, begun) = Room::create(first, state, &world.hub, world.now).unwrap();
    let uri = moderator.uri().clone();
    let mut hub = world.hub(&uri, &begun);
    let new = world.key_package(&second, KeyPackagePurpose::Any);
    let add = vec![world.verify(&new, &alice)];
    let bundle = moderator.commit(Wanted { add, ..Wanted::default() }).unwrap();
    let tree = common::accept(world, &mut hub, &bundle, "a.example").ratchet_tree;
    moderator.commit_accepted(&world.trust, world.now).unwrap();
    let welcome = bundle.welcome.unwrap();
    let mut late = Room::join(second, &new.secret, &uri, &welcome, &tree, &world.trust, world.now).unwrap();

    let peer = domain("b.example");
    let (mut hubs, mut moderators, mut missed) = (Duration::ZERO, Duration::ZERO, Vec::new());
    for _ in 0..count {
        let user = world.pseudonym("b.example");
        let identity = world.client(&user);
        let unverified = UnverifiedRoom::new(hub.group_info().unwrap(), hub.ratchet_tree().unwrap());
        let preview = unverified.verify(&uri, &world.hub, identity, &world.trust, world.now).unwrap();
        let (mut knocker, bundle) = preview.join(How::ExternalCommit, &world.trust, world.now).unwrap();
        let (trust, now) = (&world.trust, world.now);
        hubs += timed(|| hub.accept_join(&bundle, &peer, &Admission::Open, false, trust, now).unwrap()).0;
        let knock = knocker.seal(&Content { media_type: "text/plain".into(), body: vec![7; 2_000] }).unwrap();
        let leave: Vec<ProposalMessage> =
            knocker.leave().unwrap().into_iter().map(|one| one.try_into().unwrap()).collect();
        hubs += timed(|| hub.propose(&leave, &peer, now).unwrap()).0;
        let mut seen = vec![bundle.commit, knock];
        seen.extend(leave.into_iter().map(ProposalMessage::into_message));
        moderators += timed(|| {
            for message in &seen {
                moderator.open(message, trust, now).unwrap();
            }
        })
        .0;
        let (made, bundle) = timed(|| moderator.commit(Wanted::default()).unwrap());
        hubs += timed(|| common::accept(world, &mut hub, &bundle, "a.example")).0;
        moderators += made + timed(|| moderator.commit_accepted(&world.trust, world.now).unwrap()).0;
        seen.push(bundle.commit);
        missed.extend(seen);
    }
    assert_eq!(hub.clients().len(), 2);
    let (trust, now) = (&world.trust, world.now);
    let (caught_up, ()) = timed(|| {
        for message in &missed {
            late.open(message, trust, now).unwrap();
        }
    });
    assert_eq!(late.epoch(), hub.epoch());
    let octets: usize = missed.iter().map(|message| message.as_bytes().len()).sum();
    println!(
        "\n| knocks, each leaves | hub, for one, µs | the moderator who is there, for one, µs | one who was away, for one, µs | octets to catch up on, for one |\n|---|---|---|---|---|"
    );
    println!(
        "| {count} | {} | {} | {} | {} |",
        micros(hubs / count),
        micros(moderators / count),
        micros(caught_up / count),
        octets / count as usize,
    );
}
