//! Commits that cross, refusals, garbage: a flow goes on or ends, and leaves nothing lying about.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{A1, A2, ALL, B1, B2, DAY, World, text};
use mimi_flow::{Answer, Command, Device, Entry, Event, FailureReason, FlowId};
use mimi_pseudonym::{CipherSuite, UserUri};
use mimi_room::RoomPurpose;
use mimi_wire::Problem;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// Goes on until the device is about to make this call once more after it has made `before`.
fn held(world: &mut World, device: usize, before: Option<&'static str>, name: &'static str) {
    if let Some(before) = before {
        world.hold_request = Some((device, before));
        world.run();
    }
    world.hold_request = Some((device, name));
    world.run();
    assert_eq!(world.sending[device].front().unwrap().1.call.name(), name);
}

fn ordinary(world: &World, device: usize) -> mimi_pseudonym::RoomUri {
    let mut rooms = world.devices[device].rooms();
    rooms.find(|(_, state)| state.purpose() == RoomPurpose::Ordinary).unwrap().0.clone()
}

fn failures(world: &World, device: usize) -> Vec<(FlowId, FailureReason)> {
    let events = world.told[device].iter();
    let failed = events.filter_map(|event| match event {
        Event::Failed { flow, reason } => Some((*flow, reason.clone())),
        _ => None,
    });
    failed.collect()
}

/// Lets the request go, where the hub's answer is here before (`true`) or after what made it late.
fn released(world: &mut World, device: usize, answer_first: bool) {
    if answer_first {
        world.hold_inbox = vec![device];
        world.hold_request = None;
    }
    world.run();
    world.hold_inbox.clear();
    world.hold_request = None;
    world.run();
}

#[test]
fn a_commit_that_loses_is_made_again() {
    for answer_first in [false, true] {
        let mut world = World::ready(SUITE);
        world.command(A1, World::connect()).unwrap();
        held(&mut world, A1, Some("keyMaterial"), "update");
        let room = world.room_of(A1);
        world.commit_rogue(A2, &room);
        released(&mut world, A1, answer_first);
        assert_eq!(world.outline(), vec![vec![("Connection".to_owned(), 3, 2, 4)]; 4]);
        assert!(matches!(world.told[B1].as_slice(), [Event::ConnectionRequested { .. }]));
        assert_eq!(world.calls[A1].iter().filter(|name| **name == "update").count(), 3);
    }
}

#[test]
fn a_removal_that_loses_is_made_again() {
    for answer_first in [false, true] {
        let mut world = World::ready(SUITE);
        world.command(A1, World::connect()).unwrap();
        world.run();
        let room = world.room_of(A1);
        world.accept(B1);
        world.run();
        world.hold_request = Some((A1, "update"));
        world.advance(DAY * 8);
        world.commit_rogue(B1, &room);
        released(&mut world, A1, answer_first);
        assert_eq!(world.hub_rooms(), 1);
        assert!(world.outline().iter().all(|rooms| rooms.len() == 1));
    }
}

#[test]
fn a_message_that_is_late_is_sealed_again() {
    for answer_first in [false, true] {
        let mut world = World::ready(SUITE);
        world.command(A1, World::connect()).unwrap();
        held(&mut world, A1, None, "submitMessage");
        let room = world.room_of(A1);
        world.commit_rogue(A2, &room);
        released(&mut world, A1, answer_first);
        assert!(matches!(world.told[B2].as_slice(), [Event::ConnectionRequested { .. }]));

        world.accept(B1);
        held(&mut world, B1, None, "submitMessage");
        let room = ordinary(&world, B2);
        world.commit_rogue(B2, &room);
        released(&mut world, B1, answer_first);
        assert!(matches!(world.told[A2].as_slice(), [Event::Connected { .. }, Event::Message { .. }]));

        world.command(A2, Command::Send { room: room.clone(), content: text("hello Bob") }).unwrap();
        held(&mut world, A2, None, "submitMessage");
        world.commit_rogue(B2, &room);
        released(&mut world, A2, answer_first);
        for device in [A1, B1, B2] {
            let body = |event: &&Event| matches!(event, Event::Message { body, .. } if body == b"hello Bob");
            assert_eq!(world.told[device].iter().filter(body).count(), 1);
        }
    }
}

#[test]
fn a_refused_call_ends_the_flow_and_leaves_nothing() {
    let calls = ["createRoom", "claimOwn", "update", "identifierQuery", "keyMaterial", "submitMessage"];
    let refused = |call: &str| FailureReason::Refused { call: call.into(), problem: "forbidden".into() };
    let garbage = |call: &str| FailureReason::Answer { call: call.into() };
    let answers = [Answer::Refused(Problem::Forbidden), Answer::Done(vec![0xff; 3])];
    for (answer, reason) in answers.into_iter().zip([&refused as &dyn Fn(&str) -> FailureReason, &garbage]) {
        for call in calls {
            let mut world = World::ready(SUITE);
            world.instead = Some((A1, call, answer.clone()));
            let flow = world.command(A1, World::connect()).unwrap().unwrap();
            world.run();
            assert_eq!(failures(&world, A1), [(flow, reason(call))]);
            assert_eq!(world.devices[A1].fresh_pseudonyms(), 0, "what was chosen stays used");
            assert_eq!(world.devices[A1].rooms().count(), 0, "{call}");
            assert!(world.told[B1].is_empty());
            world.instead = None;
            world.run();
            assert!(world.told[A1].len() == 1);
        }
        for call in ["createRoom", "claimOwn", "update", "submitMessage"] {
            let mut world = World::ready(SUITE);
            world.command(A1, World::connect()).unwrap();
            world.run();
            world.instead = Some((B1, call, answer.clone()));
            let request = world.request(B1);
            world.accept(B1);
            world.run();
            assert_eq!(failures(&world, B1), [(request, reason(call))]);
            assert_eq!(world.devices[B1].fresh_pseudonyms(), 1, "what was chosen stays used");
            // Where the other side is in the room already, it stays.
            let rooms = 1 + usize::from(call == "submitMessage");
            assert_eq!(world.devices[B1].rooms().count(), rooms, "{call}");
        }
        let prepare = Command::Prepare { pseudonyms: 2 };
        let publish = Command::Publish { key_packages: 2 };
        let cases = [("pseudonyms", &prepare), ("keyPackageBatch", &prepare)];
        for (call, command) in cases.into_iter().chain([("credentials", &publish), ("keyPackages", &publish)]) {
            let mut world = World::new(SUITE);
            world.instead = Some((A1, call, answer.clone()));
            let flow = world.command(A1, command.clone()).unwrap().unwrap();
            world.run();
            assert_eq!(failures(&world, A1), [(flow, reason(call))]);
            let asked = |entry: &Entry| entry.key.starts_with("asked/") || entry.key.starts_with("acquire/");
            assert_eq!(world.devices[A1].save().into_iter().filter(asked).count(), 0);
        }
    }
}

#[test]
fn whoever_has_been_let_in_is_removed_when_the_flow_fails() {
    for call in ["claimOwn", "submitMessage"] {
        let mut world = World::ready(SUITE);
        let flow = world.command(A1, World::connect()).unwrap().unwrap();
        held(&mut world, A1, Some("keyMaterial"), call);
        assert_eq!(world.outline()[B1].len(), 1);
        world.instead = Some((A1, call, Answer::Refused(Problem::Forbidden)));
        world.hold_request = None;
        world.run();
        let reason = FailureReason::Refused { call: call.into(), problem: "forbidden".into() };
        assert_eq!(world.told[A1], [Event::Failed { flow, reason }]);
        assert_eq!(world.outline(), vec![vec![]; 4]);
        assert_eq!(world.hub_rooms(), 0);
        assert!([A2, B1, B2].iter().all(|device| world.told[*device].is_empty()));
    }
}

#[test]
fn a_room_that_cannot_be_ended_is_forgotten_all_the_same() {
    for call in ["update", "destroyRoom"] {
        let mut world = World::ready(SUITE);
        let flow = world.command(A1, World::connect()).unwrap().unwrap();
        world.run();
        world.accept(B1);
        world.run();
        world.forget();
        world.instead = Some((A1, call, Answer::Refused(Problem::Forbidden)));
        world.advance(DAY * 8);
        let reason = FailureReason::Refused { call: call.into(), problem: "forbidden".into() };
        assert_eq!(world.told[A1], [Event::Failed { flow, reason }]);
        assert_eq!(world.devices[A1].rooms().count(), 1);
    }
}

#[test]
fn nobody_found_and_nothing_to_use_have_their_own_reasons() {
    let cases = [("im:cathy@b.example", FailureReason::NotFound), ("im:bob@b.example", FailureReason::NoKeyPackage)];
    for (handle, reason) in cases {
        let mut world = World::ready(SUITE);
        world.providers.values_mut().for_each(|provider| {
            provider.key_packages.retain(|stored| provider.pseudonyms.contains_key(stored.owner()));
        });
        let Command::Connect { domain, disclose, note, .. } = World::connect() else { panic!() };
        let flow = world.command(A1, Command::Connect { handle: handle.into(), domain, disclose, note }).unwrap();
        world.run();
        assert_eq!(world.told[A1], [Event::Failed { flow: flow.unwrap(), reason }]);
        assert_eq!(world.outline(), vec![vec![]; 4]);
        assert_eq!(world.hub_rooms(), 0);
    }
    let mut world = World::ready(SUITE);
    let Command::Connect { disclose, note, .. } = World::connect() else { panic!() };
    let (handle, domain) = ("im:alice@a.example".into(), "a.example".parse().unwrap());
    let flow = world.command(A1, Command::Connect { handle, domain, disclose, note }).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[A1], [Event::Failed { flow, reason: FailureReason::NotFound }], "oneself");
}

/// First and second pseudonyms of the running flows.
fn chosen(device: &Device) -> Vec<UserUri> {
    let saved = device.save();
    let core = saved.iter().find(|entry| entry.key == "device").unwrap();
    let core: serde_json::Value = serde_json::from_slice(&core.value).unwrap();
    let flows =
        core["flows"].as_array().unwrap().iter().map(|flow| &flow[1]["Connect"]).filter(|flow| flow.is_object());
    flows
        .flat_map(|flow| [&flow["first"], &flow["second"]])
        .map(|user| user.as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_pseudonym_is_chosen_once() {
    let mut world = World::ready(SUITE);
    world.command(A1, Command::Prepare { pseudonyms: 4 }).unwrap();
    world.run();
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let saved = world.devices[A1].save();
        world.restore(A1, saved);
        world.hold_request = Some((A1, "createRoom"));
        let flow = world.command(A1, World::connect()).unwrap().unwrap();
        let saved = world.devices[A1].save();
        world.restore(A1, saved);
        for user in chosen(&world.devices[A1]) {
            assert!(seen.insert(user), "round {round}");
        }
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 4 - 2 * round);
        world.hold_request = None;
        world.instead = Some((A1, "createRoom", Answer::Refused(Problem::Forbidden)));
        world.with(A1, |device, cx| device.tick(cx));
        world.take(A1);
        world.run();
        assert_eq!(failures(&world, A1).last().unwrap().0, flow);
    }
    assert_eq!(seen.len(), 6);
    // A provider that gives out one of them again is not believed, and changes nothing.
    let again = seen.first().unwrap().clone();
    for pseudonyms in [
        vec![again.clone()],
        vec![UserUri::pseudonym(again.domain(), [1; 16]); 2],
        vec![UserUri::pseudonym(&"b.example".parse().unwrap(), [1; 16])],
    ] {
        world.forget();
        let flow = world.prepare_as(A1, &pseudonyms);
        assert_eq!(
            world.told[A1],
            [Event::Failed { flow, reason: FailureReason::Answer { call: "pseudonyms".into() } }]
        );
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 0);
    }
}

#[test]
fn two_commands_to_publish_do_not_disturb_each_other() {
    let mut world = World::new(SUITE);
    for _ in 0..2 {
        world.command(B1, Command::Publish { key_packages: 3 }).unwrap();
    }
    world.run();
    assert_eq!(world.told[B1], [Event::Ready { fresh: 0 }, Event::Ready { fresh: 0 }]);
    assert_eq!(world.providers[&"b.example".parse().unwrap()].key_packages.len(), 6);
}

#[test]
fn private_keys_go_when_their_key_packages_are_long_over() {
    let mut world = World::ready(SUITE);
    let keys =
        |world: &World| world.devices[A1].save().iter().filter(|entry| entry.key.starts_with("key-package/")).count();
    assert_eq!(keys(&world), 4);
    for (days, left) in [(85, 4), (28, 4), (2, 0)] {
        world.now = world.now.after(DAY * days);
        world.with(A1, Device::tick);
        assert_eq!(keys(&world), left);
    }
    assert_eq!(ALL.len(), 4);
}

#[test]
fn over_quota_is_said_as_that_and_changes_nothing() {
    let mut world = World::ready(CipherSuite::X25519Aes128Ed25519);
    world.instead = Some((A1, "pseudonyms", Answer::Refused(Problem::OverQuota)));
    let flow = world.command(A1, Command::Prepare { pseudonyms: 5 }).unwrap().unwrap();
    world.run();
    assert_eq!(world.told[A1].last(), Some(&Event::Failed { flow, reason: FailureReason::OverQuota }));
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 2);
    // Asked once: the provider would say the same again.
    assert_eq!(world.calls[A1].iter().filter(|call| **call == "pseudonyms").count(), 1);
}
