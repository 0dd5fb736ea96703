//! What operators sign of the log of openings.

use mimi_tie::{
    break_glass::{Entry, Log, OwnerMark, SignedCheckpoint, Witness},
    operators::{Operator, Purpose, Threshold, deal},
};

use super::*;

contract! {
    what_operators_have_signed_is_kept_once_and_stays,
}

fn signed(operator: &Operator, reasons: &[&str]) -> SignedCheckpoint {
    let mark = OwnerMark::restore([7; 16], pseudonym(1));
    let entry = |reason: &&str| Entry::new(mark.subject(), "desk", reason, NOW).unwrap();
    let log = Log::from_entries(reasons.iter().map(entry));
    let evidence = log.evidence(reasons.len() as u64 - 1, 0).unwrap();
    let entry = Witness::NEW.clone().check(&evidence, NOW).unwrap();
    operator.sign_checkpoint(&entry, &mut SeededEntropy::new([operator.index().number(); 32]))
}

fn what_operators_have_signed_is_kept_once_and_stays(place: &Place) {
    let operators = deal(Threshold::new(1, 2).unwrap(), Purpose::Opening, &mut SeededEntropy::new([1; 32])).unwrap();
    let keep = |store: &Store, signed: &SignedCheckpoint| {
        let checkpoint = signed.check(operators[0].key()).unwrap();
        store.keep_checkpoint(signed, checkpoint).unwrap();
    };
    let store = place.open();
    let (one, two) = (signed(&operators[0], &["a"]), signed(&operators[1], &["a"]));
    let (longer, forked) = (signed(&operators[0], &["a", "b"]), signed(&operators[1], &["a", "c"]));
    for signed in [&one, &two, &one, &longer, &forked] {
        keep(&store, signed);
    }
    drop(store);
    let expected: Vec<_> = [&longer, &forked, &one, &two].map(Wire::encode).into();
    assert_eq!(place.open().checkpoints().unwrap(), expected, "the longest first, both of a fork");
}
