//! What `Debug` and errors show: never an account next to its pseudonym, never a secret, never content.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{A1, A2, ALL, B1, World, text};
use mimi_flow::{Answer, Command, CommandError, Device, Effect, Entry, Event, FailureReason, RestoreError};
use mimi_pseudonym::CipherSuite;
use mimi_wire::Problem;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

#[test]
fn a_device_shows_numbers_alone() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let shown = "Device { wallet: Wallet { fresh: 0, .. }, rooms: 1, flows: 3, .. }";
    assert_eq!(format!("{:?}", world.devices[A1]), shown);
}

#[test]
fn commands_and_effects_show_no_content() {
    let mut world = World::new(SUITE);
    let shown = "Connect { domain: b.example, disclose: [UserUri, Handle, DisplayName, Email], .. }";
    assert_eq!(format!("{:?}", World::connect()), shown);
    let room = "mimi://a.example/r/somewhere".parse().unwrap();
    let send = Command::Send { room, content: text("secret") };
    assert_eq!(format!("{send:?}"), "Send { content: Content(text/plain, 6 octets), .. }");
    world.with(A1, |device, cx| device.command(Command::Prepare { pseudonyms: 2 }, cx)).unwrap();
    let Some(Effect::Send { request, .. }) = world.devices[A1].poll() else { panic!() };
    assert_eq!(format!("{request:?}"), format!("Request(pseudonyms, {} octets)", request.body.len()));
    assert_eq!(format!("{:?}", Answer::Done(vec![1, 2, 3])), "Done(3 octets)");
    assert_eq!(format!("{:?}", Answer::Refused(Problem::Forbidden)), "Refused(forbidden)");
    let entry = Entry { key: "held/mimi://a.example/u/alice".into(), value: vec![7; 32] };
    assert_eq!(format!("{entry:?}"), "Entry(held, 32 octets)");
}

#[test]
fn events_show_neither_uris_nor_what_was_said() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
    for device in ALL {
        for event in &world.told[device] {
            let shown = format!("{event:?}");
            for secret in ["mimi://", "im:", "it is me", "hello", "104, 101", "alice"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
    let shown = "Connected { known_as: None, .. }";
    assert_eq!(format!("{:?}", world.told[A2][0]), shown);
    let Event::ConnectionRequested { .. } = &world.told[B1][0] else { panic!() };
    let shown = format!("{:?}", world.told[B1][0]);
    assert!(shown.contains("claims: {UserUri, Handle, DisplayName, Email}, issuer: a.example"), "{shown}");
}

#[test]
fn errors_name_no_one() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let saved = world.devices[A1].save();
    assert_eq!(Device::restore([]).unwrap_err(), RestoreError::Missing);
    let mut later = saved.clone();
    let core = later.iter_mut().find(|entry| entry.key == "device").unwrap();
    core.value = String::from_utf8(core.value.clone()).unwrap().replace("\"version\":1", "\"version\":9").into_bytes();
    assert_eq!(Device::restore(later).unwrap_err(), RestoreError::Version(9));
    let mut kinds = std::collections::BTreeSet::new();
    for index in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[index].value.truncate(3);
        let kind = damaged[index].key.split('/').next().unwrap().to_owned();
        let error = Device::restore(damaged).unwrap_err();
        assert_eq!(error.to_string(), format!("an entry of kind {kind} is damaged"));
        kinds.insert(kind);
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["batch", "device", "ends", "held", "key-package", "room", "rooms"]
    );
    let unknown = Entry { key: "mimi://a.example/u/alice".into(), value: Vec::new() };
    let error = Device::restore(saved.into_iter().chain([unknown])).unwrap_err();
    assert_eq!(error, RestoreError::Damaged("unknown"));
    for error in [CommandError::NoSuchRequest, CommandError::Disclosure, CommandError::NotAllowed] {
        assert!(!error.to_string().contains("mimi://"));
    }
    let reason = FailureReason::Refused { call: "update".into(), problem: "forbidden".into() };
    assert_eq!(reason.to_string(), "the provider refused update: forbidden");
}
