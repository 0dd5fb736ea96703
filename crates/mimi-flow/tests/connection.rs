//! The connection flow (draft-mahy-mimi-pseudonyms-00, section 3.1) with both ends in one process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{A1, A2, ALL, B1, B2, DAY, SUITES, Trouble, World, provider::claims_of};
use mimi_flow::{Event, FailureReason};
use mimi_pseudonym::{CipherSuite, SeededEntropy, UserUri};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// The flow up to the greeting.
fn connected(world: &mut World) {
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
}

/// What everyone sees when the flow is over.
fn end(world: &World) {
    let room = ("Ordinary".to_owned(), 1, 2, 4);
    assert_eq!(world.outline(), vec![vec![room]; 4]);
    assert_eq!(world.hub_rooms(), 1);
    assert_eq!(world.refusals, []);
    assert!(!world.told.iter().flatten().any(|event| matches!(event, Event::Failed { .. })));
}

fn is_greeting(event: &Event) -> bool {
    matches!(event, Event::Message { body, media_type, .. } if body == b"hello Alice" && media_type == "text/plain")
}

#[test]
fn two_people_connect() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        world.command(A1, World::connect()).unwrap();
        world.run();
        let alice: UserUri = "mimi://a.example/u/alice".parse().unwrap();
        for bob in [B1, B2] {
            let [Event::ConnectionRequested { from, note, .. }] = world.told[bob].as_slice() else {
                panic!("{:?}", world.told[bob]);
            };
            assert_eq!(from.claims, claims_of(&alice));
            assert_eq!(from.issuer.as_str(), "a.example");
            assert_eq!(note, "it is me");
        }
        assert_eq!(world.outline(), vec![vec![("Connection".to_owned(), 2, 2, 4)]; 4]);
        world.accept(B1);
        world.run();
        for device in ALL {
            let known: Vec<_> = world.told[device]
                .iter()
                .filter_map(|event| match event {
                    Event::Connected { known_as, peer, .. } => Some((known_as, peer)),
                    _ => None,
                })
                .collect();
            let [(known_as, peer)] = known.as_slice() else { panic!("connected once") };
            assert!(peer.is_pseudonym());
            // Bob knows whom he has accepted; to Alice nothing but a pseudonym is said.
            assert_eq!(known_as.is_some(), [B1, B2].contains(&device));
            assert_eq!(world.told[device].iter().filter(|event| is_greeting(event)).count(), usize::from(device != B1));
        }
        assert_eq!(world.hub_rooms(), 2);
        world.advance(DAY);
        assert!(world.hub_rooms() == 2 || world.hub_rooms() == 1);
        world.advance(DAY * 7);
        end(&world);
        let alice = [
            "createRoom",
            "claimOwn",
            "update",
            "identifierQuery",
            "keyMaterial",
            "update",
            "claimOwn",
            "submitMessage",
            "update",
            "destroyRoom",
        ];
        assert_eq!(world.calls[A1], alice);
        assert_eq!(world.calls[B1], ["createRoom", "claimOwn", "update", "submitMessage", "destroyRoom"]);
        // Alice's other device learns from the hub that the room is gone; Bob's say that they have left.
        assert_eq!((world.calls[A2].len(), &*world.calls[B2]), (0, &["destroyRoom"][..]));
    }
}

#[test]
fn the_greeting_comes_back_to_its_sender_as_nothing_new() {
    let mut world = World::ready(SUITE);
    connected(&mut world);
    assert!(!world.told[B1].iter().any(is_greeting));
}

#[test]
fn getting_ready_is_two_calls_for_each_device() {
    let mut world = World::new(SUITE);
    world.command(A1, mimi_flow::Command::Prepare { pseudonyms: 2 }).unwrap();
    world.run();
    assert_eq!(world.calls[A1], ["pseudonyms", "keyPackageBatch"]);
    assert_eq!(world.calls[A2], ["credentials", "keyPackageBatch"]);
    assert_eq!(world.told[A1], [Event::Ready { fresh: 2 }]);
    assert_eq!(world.told[A2], [], "they are for the other device to choose");
    assert_eq!((world.devices[A1].fresh_pseudonyms(), world.devices[A2].fresh_pseudonyms()), (2, 0));
}

#[test]
fn the_first_room_lasts_a_day_at_least_and_eight_at_most() {
    let mut world = World::ready(SUITE);
    connected(&mut world);
    world.advance(DAY - std::time::Duration::from_secs(1));
    assert_eq!(world.hub_rooms(), 2);
    world.advance(DAY * 7 + std::time::Duration::from_secs(1));
    end(&world);
    assert_eq!(world.told[A1].iter().filter(|event| matches!(event, Event::Closed { .. })).count(), 1);
}

#[test]
fn acceptance_may_come_after_two_months() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        world.command(A1, World::connect()).unwrap();
        world.run();
        world.advance(DAY * 59);
        world.accept(B1);
        world.run();
        assert!(world.told[A2].iter().any(is_greeting));
        world.advance(DAY * 8);
        end(&world);
    }
}

#[test]
fn whoever_gets_no_answer_in_time_gives_up() {
    let mut world = World::ready(SUITE);
    let flow = world.command(A1, World::connect()).unwrap().unwrap();
    world.run();
    world.forget();
    // The KeyPackages have ended: the temporary room goes, and a late answer is waited for.
    world.advance(DAY * 85);
    assert_eq!(world.hub_rooms(), 0);
    assert_eq!(world.outline(), vec![vec![]; 4]);
    assert_eq!(world.told[A1], []);
    world.advance(DAY * 90);
    assert_eq!(world.told[A1], [Event::Failed { flow, reason: FailureReason::KeyPackageExpired }]);
}

#[test]
fn saving_and_restoring_after_every_step_changes_nothing() {
    for suite in SUITES {
        let mut world = World::new(suite);
        world.trouble = Trouble { restored: true, ..Trouble::default() };
        world.prepare(2);
        connected(&mut world);
        assert!([A1, A2, B2].iter().all(|device| world.told[*device].iter().any(is_greeting)));
        world.advance(DAY * 8);
        end(&world);
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 0);
        assert_eq!(world.devices[B1].fresh_pseudonyms(), 1);
    }
}

#[test]
fn what_was_done_before_a_crash_is_not_done_twice() {
    for restored in [false, true] {
        let mut world = World::ready(SUITE);
        world.trouble = Trouble { crashes: true, restored, ..Trouble::default() };
        connected(&mut world);
        for device in [A1, A2, B2] {
            assert_eq!(world.told[device].iter().filter(|event| is_greeting(event)).count(), 1);
        }
        world.advance(DAY * 8);
        end(&world);
    }
}

#[test]
fn any_order_leads_to_the_same_end() {
    for seed in 0..30 {
        let mut world = World::ready(SUITE);
        world.order = Some(SeededEntropy::new([seed; 32]));
        world.trouble =
            Trouble { doubled: true, answered_twice: true, crashes: seed % 2 == 0, restored: seed % 3 == 0 };
        connected(&mut world);
        for device in ALL {
            let count = |test: &dyn Fn(&Event) -> bool| world.told[device].iter().filter(|event| test(event)).count();
            assert_eq!(count(&|event| matches!(event, Event::Connected { .. })), 1, "seed {seed}, device {device}");
            assert_eq!(count(&is_greeting), usize::from(device != B1), "seed {seed}, device {device}");
            assert_eq!(count(&|event| matches!(event, Event::Failed { .. })), 0, "seed {seed}, device {device}");
        }
        world.advance(DAY * 8);
        end(&world);
    }
}

#[test]
fn an_answer_may_overtake_the_hubs_word_on_the_disclosure() {
    let mut world = World::ready(SUITE);
    world.hold_answer = Some((A1, "submitMessage"));
    connected(&mut world);
    assert!(world.told[A1].iter().any(is_greeting));
    world.hold_answer = None;
    world.run();
    world.advance(DAY * 8);
    end(&world);
    assert!(!world.told[A1].iter().any(|event| matches!(event, Event::Failed { .. })));
}

#[test]
fn the_echo_of_a_commit_may_overtake_the_hubs_answer() {
    let mut world = World::ready(SUITE);
    world.hold_answer = Some((A1, "update"));
    world.command(A1, World::connect()).unwrap();
    world.run();
    assert_eq!(world.outline()[A1], [("Connection".to_owned(), 1, 1, 2)]);
    world.hold_answer = None;
    world.run();
    world.accept(B2);
    world.run();
    world.advance(DAY * 8);
    end(&world);
}

#[test]
fn what_comes_again_after_the_end_changes_nothing() {
    let mut world = World::ready(SUITE);
    connected(&mut world);
    world.advance(DAY * 8);
    world.forget();
    for device in ALL {
        let before = world.devices[device].save();
        for event in world.history[device].clone() {
            world.with(device, |device, cx| device.receive(event, cx));
        }
        assert!(world.devices[device].save() == before, "device {device}");
        assert!(world.devices[device].poll().is_none());
    }
    end(&world);
}

#[test]
fn what_another_device_has_answered_is_not_answered_again() {
    for call in ["createRoom", "claimOwn", "update"] {
        let mut world = World::ready(SUITE);
        world.command(A1, World::connect()).unwrap();
        world.run();
        world.hold_request = Some((B2, call));
        world.accept(B2);
        world.run();
        world.accept(B1);
        world.run();
        let told = |world: &World| -> Vec<_> {
            let known = |event: &Event| match event {
                Event::Connected { known_as, .. } => Some(known_as.is_some()),
                _ => None,
            };
            world.told[B2].iter().filter_map(known).collect()
        };
        assert_eq!(told(&world), [true]);
        world.hold_request = None;
        world.run();
        world.advance(DAY * 8);
        match call {
            "update" => assert_eq!(told(&world), [true, true], "a commit that is out cannot be taken back"),
            _ => end(&world),
        }
    }
}

#[test]
fn a_room_that_the_hub_ends_ends_what_needs_it() {
    use mimi_wire::local::InboxBody;
    let mut world = World::ready(SUITE);
    let flow = world.command(A1, World::connect()).unwrap().unwrap();
    world.hold_request = Some((A1, "keyMaterial"));
    world.run();
    let room = world.room_of(A1);
    world.put(A1, InboxBody::RoomDestroyed { room });
    world.run();
    assert_eq!(world.told[A1], [Event::Failed { flow, reason: FailureReason::RoomClosed }]);
    world.hold_request = None;
    world.run();
    assert_eq!(world.told[A1].len(), 1);

    // Where the disclosure is out, the answer may still come.
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let room = world.room_of(A1);
    world.put(A1, InboxBody::RoomDestroyed { room: room.clone() });
    world.run();
    assert_eq!(world.told[A1], []);
    world.accept(B1);
    world.run();
    assert!(world.told[A1].iter().any(is_greeting));
    assert_eq!(world.told[A1].iter().filter(|event| **event == Event::Closed { room: room.clone() }).count(), 1);
}

#[test]
fn a_key_package_of_an_account_leads_into_temporary_rooms_alone() {
    let mut world = World::ready(SUITE);
    for ordinary in [true, false] {
        let fanout = world.invite(A1, B1, ordinary);
        let before = world.devices[B1].save();
        world.put(B1, fanout);
        world.run();
        assert!(world.told[B1].is_empty());
        assert_eq!(world.devices[B1].save() == before, ordinary);
        assert_eq!(world.devices[B1].rooms().count(), usize::from(!ordinary));
    }
}
