//! A device of an account that is lost, and one command that takes it away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{A1, A2, B1, SUITES, Trouble, World};
use mimi_flow::{Answer, Command, CommandError, Event, FailureReason, FlowId};
use mimi_pseudonym::{ClientUri, RoomUri};
use mimi_wire::Problem;

const MINUTE: Duration = Duration::from_secs(60);

/// Rooms of Alice's with both of her devices in them, each under a pseudonym of its own. The second device is lost then.
fn rooms(world: &mut World, count: usize) -> Vec<RoomUri> {
    world.found_rooms(A1, count);
    let rooms: Vec<RoomUri> = world.devices[A1].rooms().map(|(uri, _)| uri.clone()).collect();
    assert!(rooms.iter().all(|room| world.devices[A1].clients(room).len() == 2));
    world.hold_inbox = vec![A2];
    world.forget();
    rooms
}

fn ready(count: usize) -> (World, Vec<RoomUri>) {
    let mut world = World::ready(SUITES[0]);
    world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
    world.run();
    let rooms = rooms(&mut world, count);
    (world, rooms)
}

fn client(world: &World, device: usize) -> ClientUri {
    world.devices[device].profile().client.clone()
}

fn remove(world: &mut World, device: usize) -> Result<FlowId, CommandError> {
    let client = client(world, device);
    let flow = world.command(A1, Command::RemoveDevice { client }).map(|flow| flow.unwrap());
    world.run();
    flow
}

/// The rooms in which Alice has two clients.
fn with_both(world: &World, rooms: &[RoomUri]) -> usize {
    rooms.iter().filter(|room| world.providers[room.domain()].rooms[*room].clients().len() == 2).count()
}

fn count(world: &World, event: &Event) -> usize {
    world.told[A1].iter().filter(|told| *told == event).count()
}

#[test]
fn one_command_takes_a_lost_device_out_of_every_room_each_at_a_time_of_its_own() {
    let (mut world, rooms) = ready(4);
    let flow = remove(&mut world, A2).unwrap();
    assert_eq!(world.calls[A1], ["deviceClients", "removeDevice"]);
    let code = *world.codes[0].as_bytes();
    assert_eq!(world.told[A1], [Event::DeviceRemoved { flow, enrolment_code: code }]);
    assert_eq!(with_both(&world, &rooms), 4, "not from all at once");
    // Said again, it is the same.
    assert_eq!(remove(&mut world, A2), Ok(flow));
    let (mut left, mut times) = (4, BTreeSet::new());
    for minute in 0..60 {
        world.advance(MINUTE);
        let now = with_both(&world, &rooms);
        if now < left {
            times.insert(minute);
        }
        left = now;
        assert_eq!(count(&world, &Event::Done { flow }), usize::from(left == 0));
    }
    assert_eq!(left, 0);
    assert!(times.len() > 1, "{times:?}");
    assert_eq!(world.refusals, []);
    // Nothing is left of it: it has no KeyPackages, and the next room is without it.
    world.forget();
    world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let told = world.told[A1].clone();
    assert!(told.iter().all(|event| matches!(event, Event::Ready { .. })), "{told:?}");
}

#[test]
fn whatever_is_interrupted_is_brought_to_its_end() {
    for trouble in [
        Trouble { restored: true, ..Trouble::default() },
        Trouble { answered_twice: true, doubled: true, ..Trouble::default() },
        Trouble { crashes: true, ..Trouble::default() },
    ] {
        let (mut world, rooms) = ready(3);
        world.trouble = trouble;
        let flow = remove(&mut world, A2).unwrap();
        for _ in 0..30 {
            world.advance(MINUTE * 2);
        }
        assert_eq!(with_both(&world, &rooms), 0);
        assert_eq!(count(&world, &Event::Done { flow }), 1);
        assert_eq!(world.codes.len(), 1, "the provider has done it once");
        let removed = Event::DeviceRemoved { flow, enrolment_code: *world.codes[0].as_bytes() };
        assert_eq!(count(&world, &removed), 1);
    }
}

#[test]
fn a_room_that_refuses_is_asked_again_later_and_one_that_is_gone_is_none() {
    let (mut world, rooms) = ready(2);
    let flow = remove(&mut world, A2).unwrap();
    world.instead = Some((A1, "update", Answer::Refused(Problem::Forbidden)));
    world.advance(MINUTE * 60);
    assert_eq!((with_both(&world, &rooms), count(&world, &Event::Done { flow })), (2, 0));
    assert!(!world.told[A1].iter().any(|event| matches!(event, Event::Failed { .. })), "{:?}", world.told[A1]);
    world.instead = None;
    world.command(A1, Command::DestroyRoom { room: rooms[0].clone() }).unwrap();
    world.run();
    for _ in 0..3 {
        world.advance(MINUTE * 60);
    }
    assert_eq!((with_both(&world, &rooms[1..]), count(&world, &Event::Done { flow })), (0, 1));
}

#[test]
fn no_other_device_is_taken_away() {
    let (mut world, rooms) = ready(1);
    for device in [A1, B1] {
        assert_eq!(remove(&mut world, device), Err(CommandError::NoSuchUser));
    }
    let client = ClientUri::pseudonym(&"a.example".parse().unwrap(), [7; 16]);
    let flow = world.command(A1, Command::RemoveDevice { client }).unwrap().unwrap();
    world.run();
    let reason = FailureReason::Refused { call: "deviceClients".into(), problem: "foreign-user".into() };
    assert_eq!(world.told[A1], [Event::Failed { flow, reason }]);
    assert_eq!(with_both(&world, &rooms), 1);
}
