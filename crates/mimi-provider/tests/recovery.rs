//! A hub goes back behind a commit that members refuse (`docs/profile-recovery.md`), over real TLS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use http::Method;
use mimi_mls::{CommitBundle, Identity, Opened, Room, Wanted};
use mimi_pseudonym::PublicKey;
use mimi_room::How;
use mimi_wire::{
    CommitReportTbs, FanoutEvent, GroupInfo, MlsMessage, Problem, ReportReason, SubmitMessageResponse,
    UnverifiedCommitReport, UpdateOutcome, Wire, Writer,
    label::sign_with_label,
    local::{self, *},
};
use support::{SUITE, World, people::*, with_room};

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_back_behind_a_commit_that_its_members_refuse() {
    let mut world = World::start("recovery").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let mut cathy = Person::new(&world, "cathy", false).await;
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    let epoch = alices.epoch();
    // A commit whose membership tag, which stands last, is wrong: the hub cannot see that.
    let mut bundle = bobs.commit(Wanted::default()).unwrap();
    let mut octets = bundle.commit.as_bytes().to_vec();
    *octets.last_mut().unwrap() ^= 1;
    bundle.commit = mimi_wire::MlsMessage::decode(&octets).unwrap();
    let bad = bundle.commit.clone();
    assert!(matches!(bob.commit(&world, &uri, bundle.clone()).await, Ok(UpdateOutcome::Accepted { .. })));
    for (person, room) in [(&mut alice, &mut alices), (&mut cathy, &mut cathys)] {
        let event = person
            .until(&world, |event| matches!(event, FanoutEvent::Commit { commit, .. } if *commit.message() == bad))
            .await;
        let FanoutEvent::Commit { commit, .. } = event else { panic!("no commit") };
        assert!(room.open(commit.message(), &world.trust, world.now).is_err());
        assert_eq!(room.epoch(), epoch);
    }
    let tbs = |room: &Room| CommitReportTbs {
        room: uri.clone(),
        epoch,
        commit_hash: sha256(bad.as_bytes()),
        reason: ReportReason::Mls,
        client: room.identity().client().clone(),
    };
    let path = with_room(local::REPORT_COMMIT_PATH, &uri);
    let report = |room: &Room| UnverifiedCommitReport::sign(tbs(room), room.identity().signer()).unwrap().encode();
    // Nobody reports for another, nor with another key.
    let (status, body) = world.send(bob.shown(), Method::POST, &path, report(&alices)).await;
    assert_eq!(support::problem(status, &body), Problem::ForeignUser);
    let forged = UnverifiedCommitReport::sign(tbs(&alices), bobs.identity().signer()).unwrap();
    let (status, body) = world.send(alice.shown(), Method::POST, &path, forged.encode()).await;
    assert_eq!(support::problem(status, &body), Problem::SignatureInvalid);
    for _ in 0..2 {
        let (status, _) = world.send(alice.shown(), Method::POST, &path, report(&alices)).await;
        assert_eq!(status, 204);
    }
    // One of the two others is not more than half, however often.
    let stuck = alices.commit(Wanted::default()).unwrap();
    let current_epoch = epoch + 1;
    assert_eq!(alice.commit(&world, &uri, stuck).await, Ok(UpdateOutcome::WrongEpoch { current_epoch }));
    alices.commit_refused();
    let (status, _) = world.send(cathy.shown(), Method::POST, &path, report(&cathys)).await;
    assert_eq!(status, 204);

    // It is in the files: the provider ends and starts again.
    world.restart().await;
    let (_, info) = world.send(alice.shown(), Method::GET, local::INFO_PATH, vec![]).await;
    let hub = ProviderInfo::decode(&info).unwrap().hub_senders.into_iter().find(|hub| hub.cipher_suite == SUITE);
    let hub = PublicKey::new(SUITE.signature_scheme(), &hub.unwrap().sender.signature_key).unwrap();
    for (person, room) in [(&mut alice, &mut alices), (&mut cathy, &mut cathys)] {
        let (mut back, mut proposed) = (None, false);
        while back.is_none() || !proposed {
            for event in person.inbox(&world, true).await {
                match event {
                    FanoutEvent::RolledBack { rollback } => back = Some(rollback.verify(&hub).unwrap()),
                    event @ FanoutEvent::Proposal { .. } => {
                        open(room, event, &world);
                        proposed = true;
                    }
                    _ => {}
                }
            }
        }
        let back = back.unwrap();
        assert_eq!((back.room, back.epoch, back.commit_hash), (uri.clone(), epoch, sha256(bad.as_bytes())));
    }
    // The committer is out: its commit, once more, and whatever else it tries.
    assert_ne!(
        bob.commit(&world, &uri, bundle).await.map(|outcome| matches!(outcome, UpdateOutcome::Accepted { .. })),
        Ok(true)
    );
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(matches!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let event = cathy
        .until(&world, |event| matches!(event, FanoutEvent::Commit { commit, .. } if *commit.message() != bad))
        .await;
    assert!(matches!(open(&mut cathys, event, &world), Opened::Commit { .. }));
    assert!(matches!(cathy.say(&world, &mut cathys, b"on we go").await, SubmitMessageResponse::Accepted { .. }));
    assert_eq!(alices.epoch(), epoch + 1);
    let asked = bob.ask(&world, &uri, bobs.identity(), Some(&CODE)).await;
    assert!(matches!(asked, Ok(None)), "its client does not come in again");
}

/// What a member that cannot go along with a commit tells the hub.
fn report_of(room: &Room, epoch: u64, bad: &MlsMessage) -> Vec<u8> {
    let tbs = CommitReportTbs {
        room: room.uri().clone(),
        epoch,
        commit_hash: sha256(bad.as_bytes()),
        reason: ReportReason::Mls,
        client: room.identity().client().clone(),
    };
    UnverifiedCommitReport::sign(tbs, room.identity().signer()).unwrap().encode()
}

async fn report(world: &World, person: &Person, room: &Room, epoch: u64, bad: &MlsMessage) -> Result<(), Problem> {
    let path = with_room(local::REPORT_COMMIT_PATH, room.uri());
    let (status, body) = world.send(person.shown(), Method::POST, &path, report_of(room, epoch, bad)).await;
    if status == 204 { Ok(()) } else { Err(support::problem(status, &body)) }
}

/// The bundle with another confirmation tag, in the commit and in the GroupInfo, which is signed anew.
fn spoilt(bundle: CommitBundle, identity: &Identity) -> CommitBundle {
    let tag = bundle.commit.confirmation_tag().unwrap().to_vec();
    let flip = |octets: &[u8]| {
        let at = octets.windows(tag.len()).rposition(|window| window == tag).unwrap();
        let mut octets = octets.to_vec();
        octets[at] ^= 1;
        (octets, at + tag.len())
    };
    let commit = MlsMessage::decode(&flip(bundle.commit.as_bytes()).0).unwrap();
    let (mut info, end) = flip(bundle.group_info.as_bytes());
    info.truncate(end + 4);
    let mut signature = Writer::default();
    signature.vector(&sign_with_label(identity.signer(), "GroupInfoTBS", &info).unwrap());
    info.extend(signature.into_octets());
    CommitBundle { commit, group_info: GroupInfo::decode(&info).unwrap(), ..bundle }
}

fn is_back(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::RolledBack { .. })
}

/// Alice and Bob in a room of two.
async fn two(world: &World, alice: &mut Person, bob: &Person) -> (Room, Room) {
    let (uri, mut alices) = found(world, alice, multiuser).await;
    alice.links(world, &uri, create(&CODE, None, None)).await.unwrap();
    let (bobs, outcome) = bob.join(world, &uri, Some(&CODE)).await.unwrap();
    assert!(is_accepted(&outcome));
    alice.follow(world, &mut alices, 1).await;
    (alices, bobs)
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_users_a_commit_is_void_and_nobody_is_put_out() {
    let world = World::start("two").await;
    let (mut alice, mut bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (mut alices, mut bobs) = two(&world, &mut alice, &bob).await;
    let uri = alices.uri().clone();
    // However often: nobody can tell whether the commits are bad, or the reports.
    for round in 0..4 {
        let bundle = bobs.commit(Wanted::default()).unwrap();
        let bundle = spoilt(bundle, bobs.identity());
        bobs.commit_refused();
        let bad = bundle.commit.clone();
        assert!(is_accepted(&bob.commit(&world, &uri, bundle).await), "the hub cannot see it");
        assert_eq!(report(&world, &bob, &bobs, 1, &bad).await, Err(Problem::SignatureInvalid), "not its own");
        report(&world, &alice, &alices, 1, &bad).await.unwrap();
        alice.until(&world, is_back).await;
        let FanoutEvent::RolledBack { rollback } = bob.until(&world, is_back).await else { panic!("no rollback") };
        assert_eq!(bobs.verify_rollback(rollback).unwrap().epoch, 1);
        assert!(
            matches!(bob.say(&world, &mut bobs, b"still here").await, SubmitMessageResponse::Accepted { .. }),
            "{round}"
        );
        assert!(bob.ask(&world, &uri, bobs.identity(), None).await.unwrap().is_some(), "nor is he kept out");
        let heard = alice.inbox(&world, false).await;
        assert!(!heard.iter().any(|event| matches!(event, FanoutEvent::Proposal { .. })), "nor is he to be removed");
    }
    // They go on, in the same room.
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let commit = bob.until(&world, |event| matches!(event, FanoutEvent::Commit { commit, .. } if commit.message().sender_type() == Some(mimi_wire::SenderType::Member(0)))).await;
    assert!(matches!(open(&mut bobs, commit, &world), Opened::Commit { .. }));
    assert_eq!((alices.epoch(), bobs.epoch()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_commit_removes_has_no_say_in_it() {
    let world = World::start("removed").await;
    let (mut alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (mut alices, bobs) = two(&world, &mut alice, &bob).await;
    let uri = alices.uri().clone();
    let index = alices.state().participants().index_of(&bob.pseudonym).unwrap();
    let update = mimi_room::ParticipantListUpdate { removed: vec![index], ..Default::default() };
    let update = mimi_room::ComponentUpdate::update(mimi_room::ComponentId::PARTICIPANT_LIST, update.encode());
    let remove = vec![bobs.identity().client().clone()];
    let bundle = alices.commit(Wanted { updates: vec![update], remove, ..Wanted::default() }).unwrap();
    let commit = bundle.commit.clone();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    // He is of no provider in the room any more, if there is no other user of it.
    assert!(report(&world, &bob, &bobs, 1, &commit).await.is_err());
    assert!(matches!(alice.say(&world, &mut alices, b"alone").await, SubmitMessageResponse::Accepted { .. }));
    assert_eq!(alices.epoch(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_commit_that_nobody_can_follow_is_taken_back() {
    let world = World::start("joiner").await;
    let (mut alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (cathy, late) = (Person::new(&world, "cathy", false).await, Person::new(&world, "late", false).await);
    let (mut alices, mut bobs) = two(&world, &mut alice, &bob).await;
    let uri = alices.uri().clone();
    let identity = cathy.identity(&world).await;
    let preview = cathy.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    let (_, bundle) = preview.join(How::JoinCode, &world.trust, world.now).unwrap();
    let bundle = spoilt(bundle, &identity);
    let bad = bundle.commit.clone();
    assert!(is_accepted(&cathy.commit(&world, &uri, bundle).await), "the hub cannot see it");
    for room in [&mut alices, &mut bobs] {
        assert!(room.open(&bad, &world.trust, world.now).is_err(), "the members can");
    }
    report(&world, &alice, &alices, 1, &bad).await.unwrap();
    report(&world, &bob, &bobs, 1, &bad).await.unwrap();
    alice.until(&world, is_back).await;
    assert!(cathy.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().is_none(), "she is out");
    // The GroupInfo may be the reason: nobody joins by it any more.
    assert_eq!(late.join(&world, &uri, Some(&CODE)).await.err(), Some("not authorized"));
    assert!(matches!(bob.say(&world, &mut bobs, b"on we go").await, SubmitMessageResponse::Accepted { .. }));
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.commit(&world, &uri, bundle).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    assert!(is_accepted(&late.join(&world, &uri, Some(&CODE)).await.unwrap().1), "after the next commit they do");
    assert!(cathy.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().is_none(), "she is still out");
}
