//! Saved rooms and snapshots that are damaged: an error, never a panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::OnceLock;

use common::World;
use mimi_mls::{HubRoom, Identity, KeyPackageSecret, Room, Wanted};
use mimi_pseudonym::{CipherSuite, Content};
use mimi_room::KeyPackagePurpose;
use proptest::prelude::*;

struct Saved {
    room: Vec<u8>,
    snapshot: Vec<u8>,
    log: Vec<u8>,
    identity: Vec<u8>,
    secret: Vec<u8>,
}

/// A room of two clients with a pending commit; its hub with a snapshot and a log entry.
fn saved(suite: CipherSuite) -> &'static Saved {
    static SAVED: OnceLock<[Saved; 2]> = OnceLock::new();
    let both = SAVED.get_or_init(|| CipherSuite::ALL.map(make));
    &both[CipherSuite::ALL.iter().position(|one| *one == suite).unwrap()]
}

fn make(suite: CipherSuite) -> Saved {
    let mut world = World::new(suite);
    let (mut room, mut hub) = common::alice_alone(&mut world);
    let alice = room.identity().user().clone();
    let identity = world.client(&alice);
    let new = world.key_package(&identity, KeyPackagePurpose::Any);
    let bundle = room.commit(Wanted { add: vec![world.verify(&new, &alice)], ..Wanted::default() }).unwrap();
    let domain = common::domain("a.example");
    let accepted = hub.accept(&bundle, &domain, true, &world.trust, world.now).unwrap();
    room.commit_accepted(&world.trust, world.now).unwrap();
    room.seal(&Content { media_type: "text/plain".into(), body: vec![1] }).unwrap();
    let bundle = room.commit(Wanted::default()).unwrap();
    let log = hub.accept(&bundle, &domain, false, &world.trust, world.now).unwrap().log_entry;
    Saved {
        room: room.save(),
        snapshot: accepted.snapshot.unwrap().as_bytes().to_vec(),
        log,
        identity: identity.save(),
        secret: new.secret.as_bytes().to_vec(),
    }
}

#[test]
fn what_is_whole_is_restored() {
    for suite in CipherSuite::ALL {
        let saved = saved(suite);
        let room = Room::restore(&saved.room).unwrap();
        assert_eq!(room.save(), saved.room);
        assert!(room.has_pending_commit());
        assert_eq!(HubRoom::restore(&saved.snapshot, [saved.log.as_slice()]).unwrap().epoch(), 2);
        assert_eq!(Identity::restore(&saved.identity).unwrap().save(), saved.identity);
        assert_eq!(KeyPackageSecret::from_bytes(saved.secret.clone()).as_bytes(), saved.secret);
    }
}

#[test]
fn a_log_out_of_order_is_damaged() {
    for suite in CipherSuite::ALL {
        let saved = saved(suite);
        let twice = [saved.log.as_slice(), saved.log.as_slice()];
        assert_eq!(HubRoom::restore(&saved.snapshot, twice).unwrap_err(), mimi_mls::HubRestoreError::Damaged);
    }
}

fn suite() -> impl Strategy<Value = CipherSuite> {
    any::<bool>().prop_map(|first| CipherSuite::ALL[usize::from(first)])
}

fn damaged(whole: &[u8], at: prop::sample::Index, bit: Option<u8>) -> Vec<u8> {
    let at = at.index(whole.len());
    match bit {
        Some(bit) => {
            let mut octets = whole.to_vec();
            octets[at] ^= 1 << bit;
            octets
        }
        None => whole[..at].to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_room_is_refused(suite in suite(), at: prop::sample::Index) {
        let octets = damaged(&saved(suite).room, at, None);
        prop_assert!(Room::restore(&octets).is_err());
    }

    #[test]
    fn a_room_with_a_changed_bit_is_read_or_refused(suite in suite(), at: prop::sample::Index, bit in 0..8_u8) {
        let octets = damaged(&saved(suite).room, at, Some(bit));
        if let Ok(room) = Room::restore(&octets) {
            // What was read can be written and read again. A host in capitals is read as one in small letters.
            let again = room.save();
            prop_assert_eq!(again.len(), octets.len());
            prop_assert_eq!(Room::restore(&again).unwrap().save(), again);
        }
    }

    #[test]
    fn a_truncated_snapshot_is_refused(suite in suite(), at: prop::sample::Index) {
        let octets = damaged(&saved(suite).snapshot, at, None);
        prop_assert!(HubRoom::restore(&octets, []).is_err());
    }

    #[test]
    fn a_snapshot_with_a_changed_bit_is_read_or_refused(suite in suite(), at: prop::sample::Index, bit in 0..8_u8) {
        let saved = saved(suite);
        let octets = damaged(&saved.snapshot, at, Some(bit));
        if let Ok(hub) = HubRoom::restore(&octets, [saved.log.as_slice()]) {
            prop_assert_eq!(hub.epoch(), 2);
        }
    }

    #[test]
    fn a_damaged_log_entry_is_refused_or_leads_to_the_same_epoch(
        suite in suite(), at: prop::sample::Index, bit in prop::option::of(0..8_u8)
    ) {
        let saved = saved(suite);
        let entry = damaged(&saved.log, at, bit);
        if let Ok(hub) = HubRoom::restore(&saved.snapshot, [entry.as_slice()]) {
            prop_assert_eq!(hub.epoch(), 2);
        }
    }

    #[test]
    fn a_damaged_identity_is_read_or_refused(
        suite in suite(), at: prop::sample::Index, bit in prop::option::of(0..8_u8)
    ) {
        let octets = damaged(&saved(suite).identity, at, bit);
        if let Ok(identity) = Identity::restore(&octets) {
            let again = identity.save();
            prop_assert_eq!(again.len(), octets.len());
            prop_assert_eq!(Identity::restore(&again).unwrap().save(), again);
        }
    }

    #[test]
    fn octets_at_random_are_nothing(octets: Vec<u8>) {
        prop_assert!(Room::restore(&octets).is_err());
        prop_assert!(HubRoom::restore(&octets, []).is_err());
        prop_assert!(Identity::restore(&octets).is_err());
    }
}
