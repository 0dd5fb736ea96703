//! What operators sign of the log, and who is found out by it.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{NOW, entropy, link, operators};
use mimi_pseudonym::{DecodeError, Wire};
use mimi_tie::{
    break_glass::{
        Entry, Log, LogFault, LoggedEntry, OpenError, OwnerMark, PublishedLog, SealedAccount, SignedCheckpoint,
        Witness, open,
    },
    operators::Operator,
};

fn entry(reason: &str) -> Entry {
    let mark = OwnerMark::restore([7; 16], link("alice", 1).pseudonym().clone());
    Entry::new(mark.subject(), "abuse desk", reason, NOW).unwrap()
}

/// A log of so many entries, the last of which say what is said.
fn log(size: usize, last: &[&str]) -> Log {
    let same = (0..size - last.len()).map(|at| entry(&at.to_string()));
    Log::from_entries(same.chain(last.iter().map(|reason| entry(reason))))
}

fn logged(log: &Log) -> LoggedEntry {
    let last = log.entries().len() as u64 - 1;
    Witness::NEW.clone().check(&log.evidence(last, 0).unwrap(), NOW).unwrap()
}

fn signed(operator: &Operator, log: &Log) -> SignedCheckpoint {
    let signed = operator.sign_checkpoint(&logged(log), &mut entropy(operator.index().number()));
    SignedCheckpoint::decode(&signed.encode()).unwrap()
}

#[test]
fn what_was_signed_is_of_the_log_however_long_it_has_become() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let sizes = [(0, 1), (1, 3), (2, 3), (0, 4), (1, 9)];
    let signed: Vec<_> = sizes.map(|(number, size): (usize, usize)| signed(&operators[number], &log(size, &[]))).into();
    assert_eq!(signed[1].check(key), Ok(log(3, &[]).checkpoint()));
    for size in [9, 12] {
        let published = PublishedLog { log: log(size, &[]), signed: signed.clone() };
        let published = PublishedLog::decode(&published.encode()).unwrap();
        assert_eq!(published.log.audit(&published.signed, key), Ok(()));
    }
    assert_eq!(log(5, &[]).audit(&[], key), Ok(()));
    assert_eq!(Log::default().audit(&[], key), Ok(()));
}

#[test]
fn two_logs_of_one_length_are_found_out_by_two_signatures() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let (honest, forked) = (log(4, &[]), log(4, &["never said"]));
    let both = [signed(&operators[2], &honest), signed(&operators[0], &forked)];
    let found = LogFault::Forked { one: operators[0].index(), other: operators[2].index(), size: 4 };
    for shown in [&honest, &forked, &log(9, &[])] {
        assert_eq!(shown.audit(&both, key), Err(found));
    }
    // One operator alone, twice.
    let twice = [signed(&operators[0], &honest), signed(&operators[0], &forked)];
    assert!(matches!(honest.audit(&twice, key), Err(LogFault::Forked { size: 4, .. })));
}

#[test]
fn a_log_that_was_forked_truncated_or_changed_names_who_has_seen_another() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    // Operator 0 was shown one log, operator 1 another one that was longer.
    let (short, long) = (log(4, &[]), log(6, &["never said", "4", "5"]));
    let both = [signed(&operators[0], &short), signed(&operators[1], &long)];
    let by = |number: usize, size: u64| LogFault::Another { by: operators[number].index(), size };
    assert_eq!(long.audit(&both, key), Err(by(0, 4)), "whoever was shown the long one");
    assert_eq!(log(8, &[]).audit(&both, key), Err(by(1, 6)), "whoever was shown the short one");
    let truncated = LogFault::Truncated { by: operators[0].index(), size: 4 };
    assert_eq!(log(3, &[]).audit(&both, key), Err(truncated));
    assert_eq!(Log::default().audit(&both, key), Err(truncated));
    // Each entry in turn is another one than was signed.
    let honest = log(5, &[]);
    let signed = [signed(&operators[2], &honest)];
    for at in 0..5 {
        let mut entries = honest.entries().to_vec();
        entries[at] = entry("changed");
        assert_eq!(Log::from_entries(entries).audit(&signed, key), Err(by(2, 5)), "entry {at}");
    }
    let mut swapped = honest.entries().to_vec();
    swapped.swap(1, 2);
    assert_eq!(Log::from_entries(swapped).audit(&signed, key), Err(by(2, 5)));
}

#[test]
fn a_signature_is_of_one_operator_one_key_and_one_log() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let signed = signed(&operators[1], &log(4, &[]));
    let octets = signed.encode();
    // The operator's number; the size; the root; the proof.
    for (at, by) in [(32, 0), (40, 1), (41, 1), (octets.len() - 1, 1), (octets.len() - 60, 1)] {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        let changed = SignedCheckpoint::decode(&changed).unwrap();
        assert_eq!(changed.check(key), Err(LogFault::Signature(operators[by].index())), "octet {at}");
    }
    let other = common::operators(2, 3, 50);
    assert_eq!(signed.check(other[0].key()), Err(LogFault::OtherKey(operators[1].index())));
    let mut relabelled = octets.clone();
    relabelled[..32].copy_from_slice(other[0].key().id());
    let relabelled = SignedCheckpoint::decode(&relabelled).unwrap();
    assert_eq!(relabelled.check(other[0].key()), Err(LogFault::Signature(operators[1].index())));
    let scores = common::score_operators(2, 3, 1);
    let of_scores = scores[1].sign_checkpoint(&logged(&log(4, &[])), &mut entropy(1));
    assert_eq!(of_scores.check(scores[1].key()), Err(LogFault::OtherKey(operators[1].index())), "for openings alone");
    // Somebody who is no operator.
    let mut stranger = octets.clone();
    stranger[32] = 9;
    let stranger = SignedCheckpoint::decode(&stranger).unwrap();
    assert!(matches!(stranger.check(key), Err(LogFault::Signature(_))));
    let mut long = octets[..73].to_vec();
    long.extend([0x41, 0x01]);
    long.resize(73 + 2 + 257, 0);
    assert!(matches!(SignedCheckpoint::decode(&long), Err(DecodeError::Rule { field: "signature", .. })));
    assert_eq!(signed.by(), operators[1].index());
}

#[test]
fn a_share_without_its_operators_signature_opens_nothing() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let alice = link("alice", 1);
    let seal = SealedAccount::seal(&alice, key, &mut entropy(5)).unwrap().check(alice.pseudonym(), key).unwrap();
    let entry = Entry::new(seal.owner_mark().subject(), "desk", "threat", NOW).unwrap();
    let log = Log::from_entries([entry]);
    let shares = [0, 1].map(|number: usize| operators[number].grant(&seal, &logged(&log), &mut entropy(9)).unwrap());
    assert!(open(&seal, &shares).unwrap() == alice);
    assert_eq!(log.audit(&shares.each_ref().map(|share| share.signed().clone()), key), Ok(()));
    let decode = |octets: Vec<u8>| mimi_tie::break_glass::OpeningShare::decode(&octets).unwrap();
    // Another's signature with the share.
    let borrowed = [&shares[1].encode()[..97], &shares[0].signed().encode()].concat();
    let refused = open(&seal, &[shares[0].clone(), decode(borrowed)]).unwrap_err();
    assert_eq!(refused, OpenError::Anothers(operators[1].index()));
    // One that does not hold.
    let mut broken = shares[1].encode();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let refused = open(&seal, &[shares[0].clone(), decode(broken)]).unwrap_err();
    assert_eq!(refused, OpenError::Log(LogFault::Signature(operators[1].index())));
}
