//! People who come into a room by themselves and should not be there, or not any more, over real TLS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use mimi_mls::{NewKeyPackage, Opened, Room, UnverifiedKeyPackage, Wanted};
use mimi_pseudonym::{RoomUri, UserUri};
use mimi_room::{
    ComponentId, ComponentUpdate, How, KeyPackagePurpose, ParticipantListUpdate, Role, RoleAssignment, RoomState,
};
use mimi_wire::{
    FanoutEvent, GroupInfoOption, PartialGroupInfo, RatchetTreePresence, SubmitMessageResponse, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse, Wire,
};
use support::{World, domain, people::*};

fn is_proposal(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::Proposal { .. })
}

fn may_say(answer: &SubmitMessageResponse) -> bool {
    matches!(answer, SubmitMessageResponse::Accepted { .. })
}

/// A knock room of Alice's.
async fn knock_room(world: &World, alice: &Person) -> (RoomUri, Room) {
    let target = RoomUri::pseudonym(&domain("a.example"), [8; 16]);
    found(world, alice, |room, user| RoomState::knock(room, target, user).unwrap()).await
}

fn role(state: &RoomState, user: &UserUri, role: u32) -> ComponentUpdate {
    let index = state.participants().index_of(user).unwrap();
    let update = ParticipantListUpdate { changed: vec![RoleAssignment { index, role }], ..Default::default() };
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knocker_who_does_not_leave_is_removed_and_says_nothing_more() {
    let world = World::start_on("late", "[rooms]\nguest_seconds = 1").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let (uri, mut alices) = knock_room(&world, &alice).await;
    let (mut bobs, outcome) = bob.join(&world, &uri, None).await.unwrap();
    assert!(is_accepted(&outcome));
    let joined = alice.until(&world, is_commit).await;
    open(&mut alices, joined, &world);
    // Time passes, and the hub wants him out.
    let proposed = alice.until(&world, is_proposal).await;
    let opened = open(&mut alices, proposed, &world);
    assert!(matches!(opened, Opened::Proposal { by: None, own: false }), "it is the hub's: {opened:?}");
    assert!(!may_say(&bob.say(&world, &mut bobs, b"let me in").await), "it is too late to knock");
    let identity = bob.identity(&world).await;
    assert!(bob.ask(&world, &uri, &identity, None).await.unwrap().is_none(), "nor does he come in again meanwhile");
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    assert_eq!(alices.clients().len(), 1);
    let out = loop {
        let event = bob.until(&world, is_commit).await;
        let FanoutEvent::Commit { commit, .. } = &event else { panic!("no commit") };
        // His own comes back to him as well.
        if commit.message().epoch() == Some(bobs.epoch()) {
            break event;
        }
    };
    // The proposal by the hub came before it.
    bob.read = 0;
    for event in bob.inbox(&world, false).await.into_iter().filter(is_proposal) {
        open(&mut bobs, event, &world);
    }
    assert!(matches!(open(&mut bobs, out, &world), Opened::Removed { .. }));
    // He is gone, and may come and knock again.
    assert!(bob.ask(&world, &uri, &identity, None).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knock_room_takes_no_more_guests_than_it_may() {
    let world = World::start_on("cap", "[rooms]\nguests = 2").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut guests = Vec::new();
    for name in ["one", "two", "three", "four"] {
        guests.push(Person::new(&world, name, false).await);
    }
    let (uri, mut alices) = knock_room(&world, &alice).await;
    // The last was given what it needs while there was a place left.
    let late = guests[3].identity(&world).await;
    let late = guests[3].ask(&world, &uri, &late, None).await.unwrap().unwrap();
    let (mut first, outcome) = guests[0].join(&world, &uri, None).await.unwrap();
    assert!(is_accepted(&outcome));
    assert!(is_accepted(&guests[1].join(&world, &uri, None).await.unwrap().1));
    assert_eq!(guests[2].join(&world, &uri, None).await.err(), Some("not authorized"), "it is full");
    let (_, bundle) = late.join(How::ExternalCommit, &world.trust, world.now).unwrap();
    let refused = guests[3].commit(&world, &uri, bundle).await;
    assert_eq!(refused, Ok(UpdateOutcome::NotAllowed), "it is full, whoever was given the GroupInfo");
    // Alice is no guest, nor is what she does hindered.
    alice.follow(&world, &mut alices, 2).await;
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    // One leaves, and another comes in.
    guests[0].follow(&world, &mut first, 3).await;
    let mut leave = first.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
    assert!(is_accepted(&guests[0].update(&world, &uri, &leave).await));
    for message in messages(alice.until(&world, is_proposal).await) {
        alices.open(&message, &world.trust, world.now).unwrap();
    }
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    assert!(is_accepted(&guests[2].join(&world, &uri, None).await.unwrap().1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_makes_again_what_an_external_commit_has_wiped_out() {
    let world = World::start("again").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let (mut bob, mut cathy) = (Person::new(&world, "bob", false).await, Person::new(&world, "cathy", false).await);
    let late = Person::new(&world, "late", false).await;
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    // Bob leaves, and the operator wants Cathy out: both wait for the next commit.
    let mut leave = bobs.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
    assert!(is_accepted(&bob.update(&world, &uri, &leave).await));
    let kick = format!(r#"{{"do":"kick","user":"{}"}}"#, cathy.pseudonym);
    assert_eq!(world.order(&operator(), &uri, &kick).await.0, 204);
    for _ in 0..2 {
        for message in messages(alice.until(&world, is_proposal).await) {
            alices.open(&message, &world.trust, world.now).unwrap();
        }
    }
    // Somebody joins. MLS drops all proposals that wait; the hub makes its own of them, in the same delivery.
    let (_, outcome) = late.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(is_accepted(&outcome));
    let event = alice.until(&world, is_commit).await;
    let FanoutEvent::Commit { external_proposals, .. } = &event else { panic!("no commit") };
    assert_eq!(external_proposals.len(), 2, "of Bob's client and of Cathy's");
    let again = messages(event);
    alices.open(&again[0], &world.trust, world.now).unwrap();
    assert!(!alices.has_pending_proposals());
    let omitting = alices.commit(Wanted::default()).unwrap();
    let refused = UpdateOutcome::InvalidProposal { proposals: Vec::new() };
    assert_eq!(alice.commit(&world, &uri, omitting).await, Ok(refused));
    alices.commit_refused();
    for message in &again[1..] {
        let opened = alices.open(message, &world.trust, world.now).unwrap();
        assert!(matches!(opened, Opened::Proposal { by: None, .. }), "{opened:?}");
    }
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let mut there: Vec<_> = alices.clients().into_iter().map(|(user, _)| user).collect();
    there.sort();
    let mut expected = vec![alice.pseudonym.clone(), late.pseudonym.clone()];
    expected.sort();
    assert_eq!(there, expected);
    let list: Vec<_> = alices.state().participants().iter().map(|(user, _)| user.clone()).collect();
    assert!(!list.contains(&bob.pseudonym), "who left is not on the list either");
    cathy.read = 0;
    let heard = cathy.inbox(&world, false).await;
    let followed = heard.into_iter().filter(|event| is_commit(event) || is_proposal(event)).flat_map(messages);
    let last = followed.filter_map(|message| cathys.open(&message, &world.trust, world.now).ok()).last();
    assert!(matches!(last, Some(Opened::Removed { .. })), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_has_expired_opens_nothing() {
    let mut world = World::start("expired").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, Some(3600))).await.unwrap();
    let identity = bob.identity(&world).await;
    let early = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    world.offset = 3601;
    world.restart().await;
    assert!(bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().is_none());
    // Nor is there anything left of having asked in time.
    let (_, bundle) = early.join(How::JoinCode, &world.trust, world.now).unwrap();
    assert!(!is_accepted(&bob.commit(&world, &uri, bundle).await));
    assert!(alice.links(&world, &uri, local_list()).await.unwrap().is_empty());
}

fn local_list() -> mimi_wire::local::JoinLinkOperation {
    mimi_wire::local::JoinLinkOperation::List
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_room_has_banned_does_not_come_back_with_another_client() {
    let world = World::start("banned").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let registered = world.register("bob").await;
    let bob = Person::of(&world, registered.device_token, false).await;
    let tablet = bob.second_device(&world, registered.enrolment_code).await;
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let (_, outcome) = bob.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(is_accepted(&outcome));
    alice.follow(&world, &mut alices, 1).await;
    // His tablet was given what it needs before.
    let other = tablet.identity(&world).await;
    assert_eq!(other.user(), &bob.pseudonym);
    let early = tablet.ask(&world, &uri, &other, None).await.unwrap().unwrap();
    let client = alices.clients().into_iter().find(|(user, _)| *user == bob.pseudonym).unwrap().1;
    assert_ne!(&client, other.client());
    let updates = vec![role(alices.state(), &bob.pseudonym, Role::BANNED)];
    let bundle = alices.commit(Wanted { updates, remove: vec![client], ..Wanted::default() }).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    for code in [None, Some(CODE.as_slice())] {
        assert!(tablet.ask(&world, &uri, &other, code).await.unwrap().is_none(), "the hub does not let it in");
    }
    let (_, bundle) = early.join(How::ExternalCommit, &world.trust, world.now).unwrap();
    assert!(!is_accepted(&tablet.commit(&world, &uri, bundle).await));
    // Nor may a member who is no moderator bring it in, nor Alice as it stands: the user is banned.
    let key_package = key_package(&world, &other);
    let refused = alices.commit(Wanted { add: vec![key_package], ..Wanted::default() });
    assert!(refused.is_err(), "members know it too");
}

fn key_package(world: &World, identity: &mimi_mls::Identity) -> mimi_mls::VerifiedKeyPackage {
    let not_after = world.now.after(Duration::from_secs(86_400 * 30));
    let before = world.now.before(Duration::from_secs(3600));
    let new = NewKeyPackage::create(identity, KeyPackagePurpose::Any, before, not_after).unwrap();
    let unverified = UnverifiedKeyPackage::new(new.key_package);
    unverified.verify(identity.user(), support::SUITE, &world.trust, world.now).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_hub_has_banned_is_brought_in_by_nobody() {
    let world = World::start("outlaw").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let (bob, cathy) = (Person::new(&world, "bob", false).await, Person::new(&world, "cathy", false).await);
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let identity = bob.identity(&world).await;
    let early = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    let ban = |seconds: &str| format!(r#"{{"do":"ban","user":"{}"{seconds}}}"#, bob.pseudonym);
    assert_eq!(world.order(&operator(), &uri, &ban("")).await.0, 204);
    // He was given the GroupInfo before, and no member knows of the ban.
    let (_, bundle) = early.join(How::JoinCode, &world.trust, world.now).unwrap();
    assert_eq!(bob.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::NotAllowed));
    let add = |room: &RoomState| {
        let add = ParticipantListUpdate::add(bob.pseudonym.clone(), RoomState::PARTICIPANT);
        assert_eq!(room.participants().role_of(&bob.pseudonym), None);
        ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, add.encode())
    };
    let updates = vec![add(alices.state())];
    let key_package = key_package(&world, &identity);
    let wanted = Wanted { updates, add: vec![key_package], ..Wanted::default() };
    let bundle = alices.commit(wanted.clone()).unwrap();
    assert_eq!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::NotAllowed));
    alices.commit_refused();
    // The room goes on, and others come in.
    assert!(is_accepted(&cathy.join(&world, &uri, Some(&CODE)).await.unwrap().1));
    alice.follow(&world, &mut alices, 1).await;
    // A ban for a while ends by itself.
    assert_eq!(world.order(&operator(), &uri, &ban(r#","seconds":0"#)).await.0, 204);
    let bundle = alices.commit(wanted).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_muted_says_nothing_and_still_makes_commits_that_the_room_needs() {
    let world = World::start("muted").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let mut cathy = Person::new(&world, "cathy", false).await;
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    // By the room: a role that may listen.
    let updates = vec![role(alices.state(), &bob.pseudonym, RoomState::MUTED)];
    let bundle = alices.commit(Wanted { updates, ..Wanted::default() }).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let epoch = alices.epoch();
    bob.follow(&world, &mut bobs, epoch).await;
    cathy.follow(&world, &mut cathys, epoch).await;
    assert!(bobs.seal(&mimi_pseudonym::Content { media_type: "text/plain".into(), body: vec![] }).is_err());
    // Cathy leaves. Bob lets her go, and renews his keys: without that, a room of people who are muted would stand still.
    let mut leave = cathys.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
    assert!(is_accepted(&cathy.update(&world, &uri, &leave).await));
    for message in messages(bob.until(&world, is_proposal).await) {
        bobs.open(&message, &world.trust, world.now).unwrap();
    }
    let bundle = bobs.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&bob.commit(&world, &uri, bundle).await));
    bobs.commit_accepted(&world.trust, world.now).unwrap();
    alice.follow(&world, &mut alices, epoch + 1).await;
    assert_eq!(alices.clients().len(), 2, "the others go along with it");
    // What is for others he may not do.
    let updates = vec![role(bobs.state(), &bob.pseudonym, RoomState::PARTICIPANT)];
    assert!(bobs.commit(Wanted { updates, ..Wanted::default() }).is_err());
    // By the hub: the same.
    let mute = format!(r#"{{"do":"mute","user":"{}"}}"#, alice.pseudonym);
    assert_eq!(world.order(&operator(), &uri, &mute).await.0, 204);
    assert!(!may_say(&alice.say(&world, &mut alices, b"hello").await));
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_group_info_is_enough_for_a_member_and_for_who_joins() {
    let world = World::start("partial").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let bob = Person::new(&world, "bob", false).await;
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let partial = |bundle: mimi_mls::CommitBundle, presence: RatchetTreePresence| {
        let partial = bundle.partial_group_info().unwrap();
        let UpdateRequest::Commit { commit, welcome, ratchet_tree, .. } = commit(bundle) else { panic!("a commit") };
        let partial = PartialGroupInfo { ratchet_tree_presence: presence, ..partial };
        UpdateRequest::Commit { commit, welcome, group_info: GroupInfoOption::Partial(partial), ratchet_tree }
    };
    // With the ratchet tree inside it is refused, and it is said why.
    let bundle = alices.commit(Wanted::default()).unwrap();
    let inside = partial(bundle.clone(), RatchetTreePresence::Present);
    let path = support::with_room(mimi_wire::local::UPDATE_PATH, &uri);
    let answer: UpdateRoomResponse = world.post(alice.shown(), &path, &inside).await.unwrap();
    assert_eq!(
        (answer.outcome, answer.description.as_str()),
        (UpdateOutcome::NotAllowed, "the ratchet tree has no place in the GroupInfo",)
    );
    let good = partial(bundle, RatchetTreePresence::NoRatchetTree);
    assert!(is_accepted(&alice.update(&world, &uri, &good).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    // What the hub has put together is good for joining, and the joiner may do the same.
    let identity = bob.identity(&world).await;
    let preview = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    let (_, bundle) = preview.join(How::JoinCode, &world.trust, world.now).unwrap();
    let joins = partial(bundle, RatchetTreePresence::NoRatchetTree);
    assert!(is_accepted(&bob.update(&world, &uri, &joins).await));
    alice.follow(&world, &mut alices, 2).await;
    assert_eq!(alices.clients().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_in_again_in_its_own_place_hears_and_is_heard() {
    let world = World::start("return").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let identity = bob.identity(&world).await;
    for code in [Some(CODE.as_slice()), None] {
        let preview = bob.ask(&world, &uri, &identity, code).await.unwrap().unwrap();
        let how = if code.is_some() { How::JoinCode } else { How::ExternalCommit };
        let (mut room, bundle) = preview.join(how, &world.trust, world.now).unwrap();
        assert!(is_accepted(&bob.commit(&world, &uri, bundle).await));
        assert!(may_say(&bob.say(&world, &mut room, b"here I am").await), "{code:?}");
        alice.follow(&world, &mut alices, room.epoch()).await;
        assert_eq!(alices.clients().len(), 2, "one leaf, however often");
        assert!(may_say(&alice.say(&world, &mut alices, b"so you are").await));
        loop {
            let heard = bob.until(&world, is_message).await;
            let FanoutEvent::Application { message, .. } = heard else { panic!("no message") };
            if let Ok(Opened::Content { .. }) = room.open(message.message(), &world.trust, world.now) {
                break;
            }
        }
    }
}
