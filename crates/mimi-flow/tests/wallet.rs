//! What the wallet does when something is wrong: KeyPackages and pseudonyms that come a second time, two devices with one
//! pseudonym, clocks that jump, credentials that end in the middle of a flow, records that cannot be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{A1, A2, ALL, B1, B2, DAY, World};
use mimi_flow::{
    Command, CommandError, Delays, Device, Entry, Event, FailureReason, PseudonymState, RestoreError, Stock, Vault,
};
use mimi_pseudonym::{CipherSuite, UserUri};
use mimi_wire::{
    Problem,
    local::{InboxBody, InboxEvent},
};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

fn receive(world: &mut World, device: usize, body: InboxBody) {
    world.put(device, body);
    world.run();
}

fn rooms(world: &World, device: usize) -> usize {
    world.devices[device].rooms().count()
}

/// The pseudonyms that a device has, by where they stand.
fn pseudonyms(world: &World, device: usize, state: PseudonymState) -> Vec<UserUri> {
    let saved = world.devices[device].save();
    let users = saved.iter().filter_map(|entry| entry.key.strip_prefix("held/")?.parse::<UserUri>().ok());
    users.filter(|user| world.devices[device].pseudonym_state(user) == Some(state)).collect()
}

#[test]
fn a_second_welcome_for_a_key_package_leads_nowhere() {
    let mut world = World::ready(SUITE);
    let key_package = world.key_package(B1, false);
    let (first, second) = (world.welcome(A1, B1, &key_package, false), world.welcome(A1, B1, &key_package, false));
    receive(&mut world, B1, first.clone());
    assert_eq!(rooms(&world, B1), 1);
    let before = world.devices[B1].save();
    receive(&mut world, B1, second);
    receive(&mut world, B1, first);
    assert!(world.devices[B1].save() == before, "nothing has changed");
}

#[test]
fn a_second_welcome_for_a_pseudonym_leads_nowhere() {
    let mut world = World::ready(SUITE);
    let key_packages = [world.key_package(B1, true), world.key_package(B1, true)];
    let welcomes = key_packages.map(|key_package| world.welcome(A1, B1, &key_package, true));
    for welcome in welcomes {
        receive(&mut world, B1, welcome);
        assert_eq!(rooms(&world, B1), 1);
    }
    assert_eq!(pseudonyms(&world, B1, PseudonymState::InRoom).len(), 1);
}

#[test]
fn a_last_resort_leads_into_room_after_room() {
    let stock = Stock { last_resort: true, ..Stock::default() };
    let mut world = World::with_delays(SUITE, Delays { stock, ..Delays::default() });
    world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.command(B1, Command::Publish { key_packages: 1 }).unwrap();
    world.run();
    let stored = &world.providers[&"b.example".parse().unwrap()].key_packages;
    let uploaded: Vec<_> = stored.iter().map(|stored| stored.as_key_package().clone()).collect();
    world.command(B1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    // One to be used once, and one that stays.
    let (stays, once): (Vec<_>, Vec<_>) = uploaded.into_iter().partition(mimi_wire::KeyPackage::is_last_resort);
    assert_eq!((stays.len(), once.len()), (1, 1));
    for (key_package, expected) in [(&once[0], 1), (&once[0], 1), (&stays[0], 2), (&stays[0], 3)] {
        let welcome = world.welcome(A1, B1, key_package, false);
        receive(&mut world, B1, welcome);
        assert_eq!(rooms(&world, B1), expected);
    }
}

#[test]
fn two_devices_that_choose_at_once_never_choose_the_same() {
    let mut world = World::new(SUITE);
    for device in [B1, B2] {
        world.command(device, Command::Publish { key_packages: 4 }).unwrap();
    }
    for device in [A1, A2] {
        world.command(device, Command::Prepare { pseudonyms: 2 }).unwrap();
    }
    world.run();
    assert_eq!([A1, A2].map(|device| world.devices[device].fresh_pseudonyms()), [2, 2]);
    for device in [A1, A2] {
        world.command(device, World::connect()).unwrap();
    }
    let [one, other] = [A1, A2].map(|device| pseudonyms(&world, device, PseudonymState::Offered));
    assert_eq!((one.len(), other.len()), (2, 2));
    assert!(one.iter().all(|user| !other.contains(user)));
    world.run();
    let asked = world.told[B1].iter().filter(|event| matches!(event, Event::ConnectionRequested { .. })).count();
    assert_eq!(asked, 2);
    for device in ALL {
        assert!(!world.told[device].iter().any(|event| matches!(event, Event::Failed { .. })));
    }
}

#[test]
fn a_pseudonym_that_a_provider_gives_to_two_devices_is_chosen_by_neither() {
    // Whoever hears of the other before its own answer refuses the answer.
    let mut world = World::new(SUITE);
    world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    let same = pseudonyms(&world, A1, PseudonymState::Fresh);
    let flow = world.prepare_as(A2, &same);
    let reason = FailureReason::Answer { call: "pseudonyms".into() };
    assert!(world.told[A2].contains(&Event::Failed { flow, reason }));
    assert_eq!(world.devices[A2].fresh_pseudonyms(), 0);
    // Whoever hears of it afterwards leaves it to the other, which does the same.
    for _ in 0..2 {
        receive(&mut world, A1, InboxBody::PseudonymsAssigned { pseudonyms: same.clone() });
        assert_eq!(world.devices[A1].fresh_pseudonyms(), 0);
    }
    let chosen = world.command(A1, World::connect());
    assert_eq!(chosen, Err(CommandError::TooFewPseudonyms { wanted: 2, fresh: 0 }));
    world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
    world.run();
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 2, "others are not affected");
    world.command(A1, World::connect()).unwrap();
    assert!(!pseudonyms(&world, A1, PseudonymState::Offered).contains(&same[0]));
}

#[test]
fn a_clock_that_jumps_back_makes_nothing_happen_and_nothing_twice() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
    let (calls, told) = (world.calls.clone(), world.told.clone());
    let outline = world.outline();
    for jump in [1, 30, 400] {
        let present = world.now;
        world.now = world.now.before(DAY * jump);
        for device in ALL {
            world.with(device, Device::tick);
            world.take(device);
        }
        world.run();
        assert_eq!((&world.calls, &world.told), (&calls, &told), "{jump} days back");
        assert_eq!(world.outline(), outline);
        world.now = present;
    }
    // Timers that were set are where they were.
    world.advance(DAY * 8);
    assert_eq!(world.hub_rooms(), 1);
    assert_eq!(world.told[A1].iter().filter(|event| matches!(event, Event::Closed { .. })).count(), 1);
}

#[test]
fn a_clock_that_jumps_forward_renews_what_has_ended_and_goes_on() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
    world.forget();
    // Credentials have ended, and KeyPackages, and every timer is over.
    world.advance(DAY * 400);
    assert_eq!(world.hub_rooms(), 1, "the temporary room went");
    for device in ALL {
        assert!(
            !world.told[device].iter().any(|event| matches!(event, Event::Failed { .. })),
            "{:?}",
            world.told[device]
        );
        let calls = world.calls[device].iter().filter(|call| **call == "credentials").count();
        assert!(calls <= 3, "once for each batch, whatever was missed: {calls}");
    }
    // Who was connected still is.
    let (room, _) = world.devices[A1].rooms().next().unwrap();
    let room = room.clone();
    world.command(A1, Command::Send { room, content: common::text("still here") }).unwrap();
    world.run();
    for device in [A2, B1, B2] {
        let heard = world.told[device]
            .iter()
            .filter(|event| matches!(event, Event::Message { body, .. } if body == b"still here"));
        assert_eq!(heard.count(), 1, "device {device}");
    }
}

/// The kinds of flows that a device has running.
fn flows(world: &World, device: usize) -> Vec<String> {
    let core = world.devices[device].save().into_iter().find(|entry| entry.key == "device").unwrap();
    let core: serde_json::Value = serde_json::from_slice(&core.value).unwrap();
    let flows = core["flows"].as_array().unwrap().iter();
    flows.map(|flow| flow[1].as_object().unwrap().keys().next().unwrap().clone()).collect()
}

#[test]
fn a_credential_that_ends_in_the_middle_of_a_flow_ends_it_with_a_reason() {
    let refused =
        FailureReason::Refused { call: "createRoom".into(), problem: Problem::SignatureInvalid.code().into() };
    for (call, reason) in [
        ("createRoom", refused),
        ("claimOwn", FailureReason::NoKeyPackage),
        ("identifierQuery", FailureReason::NoKeyPackage),
        ("keyMaterial", FailureReason::NoKeyPackage),
        // What counts has been made by then, and goes out. Nobody believes it, and in the end no answer has come.
        ("submitMessage", FailureReason::KeyPackageExpired),
    ] {
        let mut world = World::ready(SUITE);
        world.hold_request = Some((A1, call));
        let flow = world.command(A1, World::connect()).unwrap().unwrap();
        world.run();
        world.now = world.now.after(DAY * 91);
        world.hold_request = None;
        world.run();
        world.advance(DAY * 100);
        let ended = [Event::Failed { flow, reason }];
        assert_eq!(world.told[A1], ended, "{call}");
        // Both sides are where they would be if it had never been, but for the pseudonyms that it has used up.
        assert!([A2, B1, B2].iter().all(|device| world.told[*device].is_empty()), "{call}: {:?}", world.told);
        assert_eq!((world.hub_rooms(), world.outline()), (0, vec![vec![]; 4]), "{call}");
        assert_eq!(
            (world.devices[A1].fresh_pseudonyms(), pseudonyms(&world, A1, PseudonymState::InRoom).len()),
            (0, 0)
        );
        for device in ALL {
            assert!(flows(&world, device).iter().all(|kind| kind == "Keep"), "{call}: {:?}", flows(&world, device));
        }
        // That is final: nothing comes of what comes again, nor of time.
        for device in ALL {
            for event in world.history[device].clone() {
                world.put(device, event.body);
            }
        }
        world.run();
        world.advance(DAY * 100);
        assert_eq!((world.told[A1].as_slice(), world.told[B1].len()), (ended.as_slice(), 0), "{call}");
        // Nothing stands in the way of what comes next.
        world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
        world.run();
        assert!(Device::restore(world.devices[A1].save()).is_ok_and(|device| device.fresh_pseudonyms() == 2), "{call}");
    }
}

/// Records as they are on a disk, and which of them were read.
struct Disk(BTreeMap<String, Vec<u8>>, Arc<Mutex<Vec<String>>>);

impl Vault for Disk {
    fn read(&self, key: &str) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        self.1.lock().unwrap().push(key.to_owned());
        self.0.get(key).cloned().map(zeroize::Zeroizing::new)
    }
}

fn is_live(entry: &Entry) -> bool {
    ["device", "rooms"].contains(&entry.key.as_str()) || entry.key.starts_with("request/")
}

#[test]
fn a_room_is_read_when_it_is_needed_and_one_that_cannot_be_stops_the_device() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let room = world.room_of(A1);
    let saved = world.devices[A1].save();
    let (live, records): (Vec<_>, Vec<_>) = saved.into_iter().partition(is_live);
    let mut records: BTreeMap<_, _> = records.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let whole = Device::open(live.clone(), Arc::new(Disk(records.clone(), Arc::default()))).unwrap();
    assert_eq!(whole.changes().records.len(), 0, "nothing has changed");
    assert_eq!(whole.clients(&room), world.devices[A1].clients(&room));
    assert_eq!((whole.is_sound(), whole.changes().records.len()), (Ok(()), 0), "nor by looking");

    // Whatever is done in it is written, and nothing else.
    world.devices[A1] = whole;
    world.now = world.now.after(Duration::from_secs(1));
    world.devices[B1] = Device::restore(world.devices[B1].save()).unwrap();
    let key = format!("room/{room}");
    let body = InboxBody::RoomDestroyed { room: room.clone() };
    world.with(A1, |device, cx| device.receive(InboxEvent { sequence: 99, body }, cx));
    let changes = world.devices[A1].changes();
    assert!(changes.records.iter().any(|(of, value)| *of == key && value.is_none()), "it is gone");
    world.devices[A1].kept();
    assert_eq!(world.devices[A1].changes().records.len(), 0);

    let all = |records: &BTreeMap<String, Vec<u8>>| -> Vec<Entry> {
        let records = records.clone().into_iter().map(|(key, value)| Entry { key, value });
        live.clone().into_iter().chain(records).collect()
    };
    // One from a later version, and one without its rooms.
    let mut later = all(&records);
    let core = String::from_utf8(later[0].value.clone()).unwrap();
    later[0].value = core.replace("{\"version\":1,", "{\"version\":2,").into_bytes();
    assert_eq!(Device::restore(later).err(), Some(RestoreError::Version(2)));
    let without = all(&records).into_iter().filter(|entry| entry.key != "rooms");
    assert_eq!(Device::restore(without).err(), Some(RestoreError::Damaged("rooms")));
    records.insert(key, vec![1, 2, 3]);
    let damaged = Device::open(live.clone(), Arc::new(Disk(records.clone(), Arc::default()))).unwrap();
    assert_eq!(damaged.is_sound(), Ok(()), "nobody has looked");
    assert!(damaged.clients(&room).is_empty());
    assert_eq!(damaged.is_sound(), Err(RestoreError::Damaged("room")));
    assert_eq!(Device::restore(all(&records)).err(), Some(RestoreError::Damaged("room")));
}

#[test]
fn neither_opening_nor_a_stranger_has_a_room_read_that_it_does_not_concern() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
    world.advance(DAY * 8);
    // Both of Bob's devices have written down whom he has met, and nobody of connection rooms.
    let met = |world: &World, device: usize| -> Vec<(String, Vec<String>)> {
        let saved = world.devices[device].save().into_iter().find(|entry| entry.key == "rooms").unwrap();
        let rooms: Vec<(String, String, Vec<String>)> = serde_json::from_slice(&saved.value).unwrap();
        rooms.into_iter().map(|(room, _, met)| (room, met)).collect()
    };
    let room = world.room_of(B1);
    let other = world.devices[B1].clients(&room).into_iter().map(|(user, _)| user);
    let other = other.into_iter().find(|user| user.domain().as_str() == "a.example").unwrap();
    for device in [B1, B2] {
        assert_eq!(met(&world, device), [(room.to_string(), vec![other.to_string()])]);
    }

    // Many rooms, on a disk.
    world.command(B1, Command::Prepare { pseudonyms: 8 }).unwrap();
    world.command(B1, Command::Publish { key_packages: 2 }).unwrap();
    world.command(B2, Command::Publish { key_packages: 2 }).unwrap();
    world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
    world.run();
    world.found_rooms(B1, 5);
    let (live, records): (Vec<_>, Vec<_>) = world.devices[B1].save().into_iter().partition(is_live);
    let records: BTreeMap<_, _> = records.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let stored = records.keys().filter(|key| key.starts_with("room/")).count();
    assert_eq!(stored, 6);
    let reads = Arc::new(Mutex::new(Vec::new()));
    world.devices[B1] = Device::open(live, Arc::new(Disk(records, Arc::clone(&reads)))).unwrap();
    assert_eq!(reads.lock().unwrap().as_slice(), [""; 0], "nothing is read on opening");
    while world.devices[B1].poll().is_some() {}
    world.forget();
    world.command(A1, World::connect()).unwrap();
    world.run();
    assert!(world.told[B1].iter().any(|event| matches!(event, Event::ConnectionRequested { .. })));
    let rooms = |key: &&String| key.starts_with("room/");
    assert_eq!(reads.lock().unwrap().iter().filter(rooms).count(), 0, "{stored} rooms are none of its business");
}
