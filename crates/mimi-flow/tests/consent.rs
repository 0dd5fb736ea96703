//! Consent: asked for, given, taken back, and as part of the connection flow when KeyPackages have ended.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{A1, A2, ALL, B1, B2, DAY, SUITES, World, text};
use mimi_flow::{Command, CommandError, Consent, Delays, Event, FailureReason, FlowId, PseudonymState};
use mimi_pseudonym::{CipherSuite, Timestamp, UserUri};
use mimi_room::RoomPurpose;
use mimi_wire::{
    AppDataDictionary, ConsentEntry, ConsentOperation, ConsentScope,
    local::{InboxBody, InboxEvent},
};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// MLS compares lifetimes with the machine's clock as well, which stands 60 days behind the world's beginning. KeyPackages of the
/// beginning end with that day; what is made at its end holds by that clock too, as it begins with that day.
const LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// After this the first KeyPackages have ended.
fn ended(world: &World) -> Duration {
    let last = world.now.after(LIFETIME).as_secs().div_ceil(86_400);
    Timestamp::from_secs(last * 86_400 + 60).since(world.now)
}

fn short() -> Delays {
    Delays { key_package_lifetime: LIFETIME, ..Delays::default() }
}

fn ready(suite: CipherSuite) -> World {
    let mut world = World::with_delays(suite, short());
    world.prepare(2);
    world
}

fn user(text: &str) -> UserUri {
    text.parse().unwrap()
}

fn entry(operation: ConsentOperation, requester: &UserUri, target: &UserUri) -> ConsentEntry {
    let scope = ConsentScope { requester: requester.clone(), target: target.clone(), room: None };
    ConsentEntry { scope, operation, extensions: AppDataDictionary::default() }
}

fn accept(world: &mut World, request: FlowId) {
    world.command(B1, Command::Accept { request, greeting: text("hello Alice") }).unwrap();
    world.run();
}

fn is_greeting(event: &Event) -> bool {
    matches!(event, Event::Message { body, .. } if body == b"hello Alice")
}

/// Everybody is in one room of two pseudonyms, and has got the greeting.
fn connected(world: &World) {
    for device in ALL {
        let rooms: Vec<_> =
            world.devices[device].rooms().filter(|(_, state)| state.purpose() == RoomPurpose::Ordinary).collect();
        assert_eq!(rooms.len(), 1, "device {device}");
        assert_eq!(world.devices[device].clients(rooms[0].0).len(), 4);
    }
    assert!([A1, A2].iter().all(|device| world.told[*device].iter().any(is_greeting)));
}

#[test]
fn where_key_packages_have_ended_consent_brings_fresh_ones_and_the_flow_goes_on() {
    for suite in SUITES {
        let mut world = ready(suite);
        world.command(A1, World::connect()).unwrap();
        world.run();
        world.advance(ended(&world));
        assert_eq!(world.hub_rooms(), 0, "the temporary room has gone");
        let request = world.request(B1);
        world.forget();
        accept(&mut world, request);
        connected(&world);
        assert_eq!(world.calls[B1], ["consent", "info", "createRoom", "claimOwn", "update", "submitMessage"]);
        assert_eq!(world.calls[A1], ["keyPackages", "claimOwn", "consent"]);
        let consents = |event: &&Event| format!("{event:?}").starts_with("Consent");
        for device in ALL {
            assert_eq!(world.told[device].iter().filter(consents).count(), 0, "nobody has to decide anything");
        }
        // Nothing is left to happen.
        world.advance(DAY * 20);
        assert!(world.told.iter().flatten().all(|event| !matches!(event, Event::Failed { .. })), "{:?}", world.told);
        connected(&world);
    }
}

#[test]
fn it_makes_no_difference_when_everything_is_saved_comes_twice_or_is_lost_once() {
    for trouble in [
        common::Trouble { restored: true, ..Default::default() },
        common::Trouble { doubled: true, answered_twice: true, ..Default::default() },
        common::Trouble { crashes: true, ..Default::default() },
    ] {
        let mut world = ready(SUITE);
        world.trouble = trouble;
        world.command(A1, World::connect()).unwrap();
        world.run();
        world.advance(ended(&world));
        world.accept(B1);
        world.run();
        connected(&world);
    }
}

#[test]
fn fresh_key_packages_are_given_a_few_times_and_no_more() {
    let mut world = ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.advance(ended(&world));
    world.hold_request = Some((A1, "consent"));
    world.accept(B1);
    world.run();
    let InboxBody::Consent { entry } = world.history[A1].last().unwrap().body.clone() else { panic!() };
    for number in 0..50 {
        let mut again = entry.clone();
        again.scope.requester = UserUri::pseudonym(&"b.example".parse().unwrap(), [number; 16]);
        world.put(A1, InboxBody::Consent { entry: again });
    }
    world.hold_request = None;
    world.run();
    assert_eq!(world.calls[A1].iter().filter(|call| **call == "consent").count(), 4);
    connected(&world);
}

#[test]
fn key_packages_that_end_while_the_room_is_made_are_replaced() {
    let mut world = ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.hold_request = Some((B1, "claimOwn"));
    world.accept(B1);
    world.run();
    world.advance(ended(&world));
    world.hold_request = None;
    world.run();
    connected(&world);
    // Besides, what had to be renewed was.
    let of_the_flow = ["createRoom", "claimOwn", "consent", "update", "submitMessage"];
    let calls = world.calls[B1].iter().filter(|call| of_the_flow.contains(call));
    assert_eq!(calls.collect::<Vec<_>>(), of_the_flow.iter().collect::<Vec<_>>());
}

#[test]
fn consent_without_key_packages_lets_them_be_fetched() {
    let mut world = ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.advance(ended(&world));
    world.hold_inbox = vec![A1, A2];
    let request = world.request(B1);
    world.forget();
    accept(&mut world, request);
    assert_eq!(world.calls[B1], ["consent", "info"]);
    let InboxBody::Consent { entry: asked } = world.history[A1].last().unwrap().body.clone() else { panic!() };
    let (requester, target) = (asked.scope.requester.clone(), asked.scope.target.clone());
    let home = world.providers.get_mut(target.domain()).unwrap();
    home.consents.insert((requester, target));
    let granted = ConsentEntry { operation: ConsentOperation::Grant { key_packages: vec![] }, ..asked };
    world.put(B1, InboxBody::Consent { entry: granted });
    world.run();
    world.hold_inbox.clear();
    world.run();
    connected(&world);
    assert_eq!(
        world.calls[B1],
        ["consent", "info", "createRoom", "claimOwn", "keyMaterial", "update", "submitMessage"]
    );
}

#[test]
fn whoever_gets_no_consent_in_time_gives_up() {
    let mut world = ready(SUITE);
    let flow = world.command(A1, World::connect()).unwrap().unwrap();
    world.run();
    world.advance(ended(&world));
    let request = world.request(B1);
    world.hold_inbox = vec![A1, A2];
    world.accept(B1);
    world.run();
    let given_up = Event::Failed { flow: request, reason: FailureReason::NoConsent };
    world.advance(DAY * 29);
    assert!(!world.told[B1].contains(&given_up));
    world.advance(DAY * 2);
    assert!(world.told[B1].contains(&given_up));
    assert_eq!(world.hub_rooms(), 0);
    world.advance(DAY * 60);
    assert!(world.told[A1].contains(&Event::Failed { flow, reason: FailureReason::KeyPackageExpired }));
}

#[test]
fn who_does_not_let_everybody_connect_is_asked_and_decides() {
    let mut world = ready(SUITE);
    world.command(B1, Command::ConsentToConnections { allowed: false }).unwrap();
    world.run();
    world.forget();
    let flow = world.command(A1, World::connect()).unwrap().unwrap();
    world.run();
    let asked = world.told[B1].iter().find_map(|event| match event {
        Event::ConsentRequested { consent } => Some(consent.clone()),
        _ => None,
    });
    let consent = asked.unwrap();
    assert_eq!(consent.target, user("mimi://b.example/u/bob"));
    assert!(consent.requester.is_pseudonym(), "Bob's provider does not learn who it is");
    assert_eq!(world.told[B2], world.told[B1]);
    world.command(B2, Command::GrantConsent { consent: consent.clone() }).unwrap();
    world.run();
    assert!(world.told[B1].contains(&Event::ConsentDecided { consent: consent.clone(), granted: true }));
    assert!(world.told[B1].iter().any(|event| matches!(event, Event::ConnectionRequested { .. })));
    assert!(!world.told[A1].iter().any(|event| matches!(event, Event::Failed { .. })));
    world.accept(B1);
    world.run();
    connected(&world);

    // Whoever is denied is told nothing, and gives up.
    let mut world = ready(SUITE);
    world.command(B1, Command::ConsentToConnections { allowed: false }).unwrap();
    world.run();
    world.forget();
    let other = world.command(A1, World::connect()).unwrap().unwrap();
    assert_eq!(other, flow);
    world.run();
    let Some(Event::ConsentRequested { consent }) = world.told[B1].last().cloned() else { panic!("{:?}", world.told) };
    world.command(B1, Command::RevokeConsent { consent }).unwrap();
    world.run();
    assert_eq!(world.told[A1], []);
    world.advance(DAY * 31);
    assert_eq!(world.told[A1], [Event::Failed { flow, reason: FailureReason::NoConsent }]);
    assert_eq!(world.hub_rooms(), 0);
}

#[test]
fn an_application_asks_takes_back_and_hears_of_what_it_asked_for() {
    let mut world = World::ready(SUITE);
    let (alice, bob) = (user("mimi://a.example/u/alice"), user("mimi://b.example/u/bob"));
    let consent = Consent { requester: bob.clone(), target: alice.clone(), room: None };
    // Alice has nothing that anybody could be let have before she has published anything.
    world.command(A1, Command::Publish { key_packages: 1 }).unwrap();
    world.command(A2, Command::Publish { key_packages: 1 }).unwrap();
    world.run();
    world.forget();
    let one = world.command(B1, Command::RequestConsent { consent: consent.clone() }).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[B1], [Event::Done { flow: one }]);
    assert_eq!(world.told[A1], [Event::ConsentRequested { consent: consent.clone() }]);
    world.command(B1, Command::CancelConsent { consent: consent.clone() }).unwrap();
    world.run();
    assert_eq!(world.told[A1].last(), Some(&Event::ConsentCancelled { consent: consent.clone() }));
    let again = world.command(B1, Command::CancelConsent { consent: consent.clone() });
    assert_eq!(again, Err(CommandError::NoSuchRequest));
    world.command(B1, Command::RequestConsent { consent: consent.clone() }).unwrap();
    world.run();
    world.command(A1, Command::GrantConsent { consent: consent.clone() }).unwrap();
    world.run();
    assert_eq!(world.told[B1].last(), Some(&Event::ConsentGranted { consent: consent.clone(), asked: true }));
    // Nobody asks for, or speaks for, someone else.
    let foreign = Consent { requester: alice, target: user("mimi://a.example/u/cathy"), room: None };
    let refused = world.command(B1, Command::RequestConsent { consent: foreign.clone() });
    assert_eq!(refused, Err(CommandError::NoSuchUser));
    for command in [Command::GrantConsent { consent: foreign.clone() }, Command::RevokeConsent { consent: foreign }] {
        assert_eq!(world.command(B1, command), Err(CommandError::NoSuchUser));
    }
}

#[test]
fn a_grant_that_comes_once_more_is_told_once_also_after_a_restart() {
    let mut world = World::ready(SUITE);
    let (bob, cathy) = (user("mimi://b.example/u/bob"), user("mimi://a.example/u/cathy"));
    let granted = || entry(ConsentOperation::Grant { key_packages: vec![] }, &bob, &cathy);
    let consent = Consent { requester: bob.clone(), target: cathy.clone(), room: None };
    let told = |world: &World, asked: bool| {
        let event = Event::ConsentGranted { consent: consent.clone(), asked };
        world.told[B1].iter().filter(|told| **told == event).count()
    };
    let come = |world: &mut World| {
        world.put(B1, InboxBody::Consent { entry: granted() });
        world.run();
        let saved = world.devices[B1].save();
        world.restore(B1, saved);
    };
    // Nobody asked for it.
    for _ in 0..3 {
        come(&mut world);
    }
    assert_eq!((told(&world, false), told(&world, true)), (1, 0));
    // Whoever asks hears of it, and of its coming again nothing.
    world.command(B1, Command::RequestConsent { consent: consent.clone() }).unwrap();
    world.run();
    for _ in 0..3 {
        come(&mut world);
    }
    assert_eq!((told(&world, false), told(&world, true)), (1, 1));
    // Much later it is another one.
    world.advance(DAY * 8);
    come(&mut world);
    assert_eq!((told(&world, false), told(&world, true)), (2, 1));
}

#[test]
fn a_grant_that_a_flow_has_taken_is_not_told_when_it_comes_once_more() {
    let mut world = ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.advance(ended(&world));
    world.accept(B1);
    world.run();
    connected(&world);
    let granted = |body: &InboxBody| matches!(body, InboxBody::Consent { entry } if matches!(entry.operation, ConsentOperation::Grant { .. }));
    let grant = world.history[B1].iter().map(|event| event.body.clone()).find(granted).unwrap();
    world.put(B1, grant);
    world.run();
    assert!(!world.told[B1].iter().any(|event| matches!(event, Event::ConsentGranted { .. })));
}

#[test]
fn grants_that_are_remembered_are_few_and_the_last_ones() {
    let mut world = World::ready(SUITE);
    let bob = user("mimi://b.example/u/bob");
    let come = |world: &mut World, number: u32| {
        let stranger = user(&format!("mimi://a.example/u/stranger{number}"));
        let entry = entry(ConsentOperation::Grant { key_packages: vec![] }, &bob, &stranger);
        world.put(B1, InboxBody::Consent { entry });
        world.run();
    };
    (0..100).for_each(|number| come(&mut world, number));
    assert_eq!(world.told[B1].len(), 100);
    (36..100).for_each(|number| come(&mut world, number));
    assert_eq!(world.told[B1].len(), 100, "the last 64");
    come(&mut world, 35);
    assert_eq!(world.told[B1].len(), 101);
    let core = world.devices[B1].save().into_iter().find(|entry| entry.key == "device").unwrap();
    let core: serde_json::Value = serde_json::from_slice(&core.value).unwrap();
    assert_eq!(core["consents"]["taken"].as_array().unwrap().len(), 64);
}

#[test]
fn strangers_fill_nothing_with_requests_and_grants() {
    let mut world = World::ready(SUITE);
    let bob = user("mimi://b.example/u/bob");
    let saved = world.devices[B1].save().len();
    for number in 0..1000 {
        let stranger = user(&format!("mimi://a.example/u/stranger{number}"));
        for (operation, requester, target) in [
            (ConsentOperation::Request, &stranger, &bob),
            (ConsentOperation::Grant { key_packages: vec![] }, &bob, &stranger),
            (ConsentOperation::Grant { key_packages: vec![] }, &stranger, &stranger),
            (ConsentOperation::Request, &bob, &stranger),
        ] {
            let body = InboxBody::Consent { entry: entry(operation, requester, target) };
            world.with(B1, |device, cx| device.receive(InboxEvent { sequence: number, body }, cx));
        }
    }
    world.take(B1);
    let asked = world.told[B1].iter().filter(|event| matches!(event, Event::ConsentRequested { .. })).count();
    let granted =
        world.told[B1].iter().filter(|event| matches!(event, Event::ConsentGranted { asked: false, .. })).count();
    assert_eq!((asked, granted, world.told[B1].len()), (256, 16, 272));
    assert_eq!(world.devices[B1].save().len(), saved);
}

#[test]
fn a_pseudonym_is_used_up_by_its_room() {
    let mut world = ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let first = world.devices[A1].rooms().next().map(|(room, _)| room.clone()).unwrap();
    let p1 = world.devices[A1]
        .clients(&first)
        .iter()
        .map(|(user, _)| user.clone())
        .find(|user| user.is_pseudonym())
        .unwrap();
    world.accept(B1);
    world.run();
    let (room, _) = world.devices[A1].rooms().find(|(_, state)| state.purpose() == RoomPurpose::Ordinary).unwrap();
    let users = world.devices[A1].clients(room);
    let p2 = users.iter().map(|(user, _)| user).find(|user| user.domain().as_str() == "a.example").unwrap().clone();
    assert_eq!(world.devices[A1].pseudonym_state(&p2), Some(PseudonymState::InRoom));
    assert_eq!(world.devices[A2].pseudonym_state(&p2), Some(PseudonymState::InRoom));
    world.advance(DAY * 8);
    assert_eq!(world.devices[A1].pseudonym_state(&p1), Some(PseudonymState::Retired));
    let saved = world.devices[A1].save();
    let record = |user: &UserUri| saved.iter().find(|entry| entry.key == format!("held/{user}")).unwrap().value.len();
    assert_eq!(record(&p1), 0, "its keys are gone");
    assert!(record(&p2) > 0);
    let stranger = UserUri::pseudonym(&"a.example".parse().unwrap(), [9; 16]);
    assert_eq!(world.devices[A1].pseudonym_state(&stranger), None);
}
