//! A device that is added to an account later.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{A1, A2, SUITES, World, text};
use mimi_flow::{Command, Event};
use mimi_pseudonym::{RoomUri, UserUri};
use mimi_wire::local::InboxBody;

/// Rooms of Alice's, with both of her devices in each, under a pseudonym of its own.
fn rooms(world: &mut World, count: usize) -> Vec<(RoomUri, UserUri)> {
    world.found_rooms(A1, count);
    let rooms: Vec<RoomUri> = world.devices[A1].rooms().map(|(uri, _)| uri.clone()).collect();
    assert_eq!(rooms.len(), count);
    rooms.into_iter().map(|room| (room.clone(), world.devices[A1].clients(&room)[0].0.clone())).collect()
}

#[test]
fn a_device_that_is_added_later_comes_into_each_room_by_itself_and_at_a_time_of_its_own() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
        world.run();
        let rooms = rooms(&mut world, 3);
        let third = world.add_device("mimi://a.example/u/alice");
        world.forget();
        // Its provider tells it what the account has, and the others that it is there.
        let pseudonyms = rooms.iter().map(|(_, user)| user.clone()).collect();
        world.put(third, InboxBody::PseudonymsAssigned { pseudonyms });
        world.run();
        assert_eq!(world.calls[third], ["credentials", "keyPackageBatch"]);
        for (_, user) in &rooms {
            for device in [A1, A2] {
                // Told twice, it is done once.
                world.put(device, InboxBody::SiblingReady { user: user.clone() });
                world.put(device, InboxBody::SiblingReady { user: user.clone() });
            }
        }
        world.run();
        assert_eq!(world.devices[third].rooms().count(), 0, "not at once");
        let begun = world.now;
        let mut came = std::collections::BTreeMap::new();
        for _ in 0..6 * 60 {
            world.advance(Duration::from_secs(60));
            for (room, _) in world.devices[third].rooms() {
                came.entry(room.clone()).or_insert(world.now.since(begun));
            }
        }
        assert_eq!(came.len(), 3, "into all of them");
        let mut times: Vec<_> = came.values().collect();
        times.sort();
        times.dedup();
        assert_eq!(times.len(), 3, "no two at the same time");
        assert_eq!(world.told[third].iter().filter(|event| matches!(event, Event::Joined { .. })).count(), 3);
        for (room, user) in &rooms {
            let there = world.devices[A2].clients(room);
            assert_eq!(there.len(), 3);
            assert!(there.iter().all(|(of, _)| of == user));
            world.command(third, Command::Send { room: room.clone(), content: text("here I am") }).unwrap();
            world.run();
            assert!(matches!(world.told[A2].last(), Some(Event::Message { .. })));
        }
        assert_eq!(world.refusals, []);
        // What it has learned of is not its to choose: no two devices choose the same.
        assert_eq!(world.devices[third].fresh_pseudonyms(), 0);
    }
}

#[test]
fn a_device_of_a_room_that_is_over_meanwhile_does_nothing() {
    let mut world = World::ready(SUITES[0]);
    let rooms = rooms(&mut world, 1);
    world.put(A1, InboxBody::SiblingReady { user: rooms[0].1.clone() });
    // Nor is anything done for a pseudonym that is the name nowhere.
    world.put(A1, InboxBody::SiblingReady { user: "mimi://a.example/u/alice".parse().unwrap() });
    world.run();
    world.command(A1, Command::DestroyRoom { room: rooms[0].0.clone() }).unwrap();
    world.run();
    world.forget();
    world.advance(Duration::from_secs(6 * 3600));
    assert_eq!((world.calls[A1].len(), world.told[A1].len()), (0, 0));
}
