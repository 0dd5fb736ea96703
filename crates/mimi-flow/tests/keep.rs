//! What is kept ready ahead of need: renewed in time, refilled away from use, all in few requests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use common::{A1, A2, B1, B2, DAY, World};
use mimi_flow::{Answer, Command, Delays, Event, Stock};
use mimi_pseudonym::{CipherSuite, Timestamp};
use mimi_wire::{Problem, local::InboxBody};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// Half of it are 30 days, three quarters 45. The machine's clock, by which MLS judges as well, stands at 60.
const LIFETIME: Duration = Duration::from_secs(60 * 86_400 + 1_800);

fn world(stock: Stock) -> World {
    World::with_delays(SUITE, Delays { key_package_lifetime: LIFETIME, stock, ..Delays::default() })
}

/// When the last KeyPackages of a device's pseudonyms end, by pseudonym.
fn ends(world: &World) -> Vec<Timestamp> {
    let stored = world.providers[&"a.example".parse().unwrap()].key_packages.iter();
    stored.map(|stored| stored.not_after()).collect()
}

#[test]
fn many_pseudonyms_are_acquired_and_renewed_in_few_requests() {
    let mut world = world(Stock::default());
    world.hold_inbox = vec![A2];
    world.command(A1, Command::Prepare { pseudonyms: 50 }).unwrap();
    world.run();
    assert_eq!(world.calls[A1], ["pseudonyms", "keyPackageBatch"]);
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 50);
    let before = ends(&world);
    assert_eq!(before.len(), 50);
    world.forget();
    world.advance(DAY * 30);
    assert!(world.calls[A1].is_empty(), "not before half of their time");
    world.advance(DAY * 16);
    assert_eq!(world.calls[A1], ["credentials", "keyPackageBatch"]);
    assert_eq!(world.told[A1], [], "nobody is bothered");
    let after = ends(&world);
    assert_eq!(after.len(), 50, "new ones in place of the old");
    assert!(after.iter().min() > before.iter().max());
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 50);
}

#[test]
fn a_renewal_that_is_refused_is_tried_again() {
    let mut world = world(Stock::default());
    world.command(A1, Command::Prepare { pseudonyms: 3 }).unwrap();
    world.run();
    world.forget();
    world.instead = Some((A1, "credentials", Answer::Refused(Problem::Forbidden)));
    world.advance(DAY * 46);
    assert_eq!(world.calls[A1], ["credentials"]);
    world.instead = None;
    world.advance(DAY * 4);
    assert_eq!(world.calls[A1], ["credentials", "credentials", "keyPackageBatch"]);
    assert_eq!(world.told[A1], []);
}

#[test]
fn pseudonyms_are_acquired_some_time_after_others_were_used() {
    let mut world = world(Stock { pseudonyms_low: 2, pseudonyms_batch: 7, ..Stock::default() });
    world.command(B1, Command::Publish { key_packages: 1 }).unwrap();
    world.command(A1, Command::Prepare { pseudonyms: 3 }).unwrap();
    world.run();
    world.forget();
    world.command(A1, World::connect()).unwrap();
    world.run();
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 1);
    assert!(!world.calls[A1].contains(&"pseudonyms"), "not when they are used");
    world.advance(DAY / 4);
    assert_eq!(world.devices[A1].fresh_pseudonyms(), 8);
    assert_eq!(world.calls[A1].iter().filter(|call| **call == "pseudonyms").count(), 1);
    assert!(world.told[A1].contains(&Event::Ready { fresh: 8 }));
}

#[test]
fn key_packages_are_refilled_some_time_after_the_provider_said_that_they_are_few() {
    let mut world = world(Stock { key_packages: 5, ..Stock::default() });
    world.command(B1, Command::Publish { key_packages: 1 }).unwrap();
    world.run();
    world.forget();
    let bob: mimi_pseudonym::UserUri = "mimi://b.example/u/bob".parse().unwrap();
    let stranger = "mimi://b.example/u/stranger".parse().unwrap();
    for user in [bob.clone(), bob.clone(), stranger] {
        for device in [B1, B2] {
            world.put(device, InboxBody::KeyPackagesLow { user: user.clone() });
        }
    }
    world.run();
    assert_eq!((world.calls[B1].len(), world.calls[B2].len()), (0, 0));
    world.advance(DAY / 4);
    assert_eq!(world.calls[B1], ["keyPackages"], "once, however often it was said");
    assert!(world.calls[B2].is_empty(), "a device that has published nothing has nothing to refill");
    let stored = &world.providers[bob.domain()].key_packages;
    assert_eq!(stored.iter().filter(|stored| *stored.owner() == bob).count(), 6);
}

#[test]
fn private_keys_go_some_time_after_their_key_packages_have_ended() {
    let mut world = world(Stock::default());
    world.command(B1, Command::Publish { key_packages: 3 }).unwrap();
    world.run();
    let kept =
        |world: &World| world.devices[B1].save().iter().filter(|entry| entry.key.starts_with("key-package/")).count();
    assert_eq!(kept(&world), 3);
    let first: Vec<_> = world.devices[B1].save().into_iter().map(|entry| entry.key).collect();
    world.advance(DAY * 46);
    assert_eq!(kept(&world), 6, "renewed, and a Welcome may still come for the old ones");
    world.advance(DAY * 40);
    assert!(kept(&world) >= 6);
    world.advance(DAY * 7);
    let old = |entry: &&mimi_flow::Entry| entry.key.starts_with("key-package/") && first.contains(&entry.key);
    assert_eq!(world.devices[B1].save().iter().filter(old).count(), 0);
}
