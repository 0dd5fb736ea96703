//! What somebody may still do about whose account something was decided: read, report, appeal, and leave rooms.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mimi_abuse::remedy::HomeRemedy;
use mimi_mls::{Room, Wanted};
use mimi_provider::{Config, operate::Operator};
use mimi_pseudonym::Content;
use mimi_wire::{
    FanoutEvent, Problem, SubmitMessageRequest, SubmitMessageResponse, UpdateRequest,
    local::{self, *},
};
use support::{
    World,
    people::{CODE, Person, commit, create, is_accepted, messages, three},
    with_room,
};

fn operator(world: &World, domain: &str) -> Operator {
    Operator::open(Config::load(&world.folder.join(domain).join("provider.toml")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_suspended_lets_nobody_in_and_may_leave() {
    let world = World::start("suspended").await;
    let b = world.run_b().await;
    let mut alice = Person::new(&world, "alice", false).await;
    // One of them at the hub's own provider, one at another.
    let (mut bob, cathy) = (Person::new(&world, "bob", true).await, Person::new(&world, "cathy", false).await);
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    operator(&world, "b.example").set_remedy("bob", Some(HomeRemedy::Suspend), world.present()).unwrap();
    operator(&world, "a.example").set_remedy("cathy", Some(HomeRemedy::Suspend), world.present()).unwrap();
    for (person, room) in [(&bob, &mut bobs), (&cathy, &mut cathys)] {
        // Nobody new is let in, by whatever door, nor does it come in anywhere itself.
        let asked = person.ask(&world, &uri, room.identity(), Some(&CODE)).await;
        assert_eq!(asked.err(), Some(Problem::Forbidden));
        assert_eq!(person.links(&world, &uri, create(&CODE, None, None)).await, Err(Problem::Forbidden));
        let empty = UploadBatch { uploads: vec![] };
        let batch: Result<UploadResponse, _> = world.post(person.shown(), local::KEY_PACKAGE_BATCH_PATH, &empty).await;
        assert_eq!(batch, Err(Problem::Forbidden));
        let none = AcquireRequest { items: vec![] };
        let acquired: Result<AcquireResponse, _> = world.post(person.shown(), local::ACQUIRE_PATH, &none).await;
        assert_eq!(acquired, Err(Problem::Forbidden));
        let mut leave = room.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
        let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
        assert!(is_accepted(&person.update(&world, &uri, &leave).await));
        for message in messages(alice.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await) {
            alices.open(&message, &world.trust, world.now).unwrap();
        }
    }
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&alice.update(&world, &uri, &commit(bundle)).await));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    assert_eq!(alices.clients().len(), 1, "both are out");
    b.end().await;
}

/// What comes of a message.
async fn say(world: &World, person: &Person, room: &mut Room) -> Result<SubmitMessageResponse, Problem> {
    let content = Content { media_type: "text/plain".into(), body: b"hello".to_vec() };
    let message = room.seal(&content).unwrap().try_into().unwrap();
    let request = SubmitMessageRequest { message, sending_user: person.pseudonym.clone() };
    world.post(person.shown(), &with_room(local::SUBMIT_MESSAGE_PATH, room.uri()), &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_its_moment_on_nothing_is_sent_under_a_name() {
    let mut world = World::start("silent").await;
    let b = world.run_b().await;
    let mut alice = Person::new(&world, "alice", false).await;
    let (mut bob, cathy) = (Person::new(&world, "bob", true).await, Person::new(&world, "cathy", false).await);
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    bob.follow(&world, &mut bobs, cathys.epoch()).await;
    operator(&world, "b.example").set_remedy("bob", Some(HomeRemedy::Suspend), world.present()).unwrap();
    operator(&world, "a.example").set_remedy("cathy", Some(HomeRemedy::Suspend), world.present()).unwrap();
    // The moment of a name is to come: nobody can tell from its messages and commits when it was decided.
    let bundle = cathys.commit(Wanted::default()).unwrap();
    assert!(is_accepted(&cathy.commit(&world, &uri, bundle).await));
    cathys.commit_accepted(&world.trust, world.now).unwrap();
    bob.follow(&world, &mut bobs, cathys.epoch()).await;
    alice.follow(&world, &mut alices, cathys.epoch()).await;
    for (person, room) in [(&bob, &mut bobs), (&cathy, &mut cathys), (&alice, &mut alices)] {
        let answer = say(&world, person, room).await;
        assert!(matches!(answer, Ok(SubmitMessageResponse::Accepted { .. })), "{answer:?}");
    }
    b.end().await;
    world.offset = 15 * 86_400;
    world.restart().await;
    let b = world.run_b().await;
    // All moments have come: the door is closed, whether the room is here or at another hub.
    for (person, room) in [(&bob, &mut bobs), (&cathy, &mut cathys)] {
        assert_eq!(say(&world, person, room).await, Err(Problem::Forbidden));
        let bundle = room.commit(Wanted::default()).unwrap();
        assert_eq!(person.commit(&world, &uri, bundle).await, Err(Problem::Forbidden));
        room.commit_refused();
        let mut leave = room.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
        let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
        assert!(is_accepted(&person.update(&world, &uri, &leave).await), "whoever wants to leave may");
    }
    let answer = say(&world, &alice, &mut alices).await;
    assert!(matches!(answer, Ok(SubmitMessageResponse::Accepted { .. })), "{answer:?}");
    b.end().await;
}
