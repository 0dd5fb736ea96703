//! Operators make a key together, and one who does not keep to the rules is named.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{committing, contributions, entropy, operators, others, revealing, secrets, sharing};
use mimi_pseudonym::{DecodeError, Wire};
use mimi_tie::operators::{
    CeremonyError, Committing, Contribution, Operator, OperatorIndex, OperatorsKey, Purpose, SecretForOther, Threshold,
    ThresholdError,
};

fn threshold() -> Threshold {
    Threshold::new(2, 3).unwrap()
}

fn index(number: u8) -> OperatorIndex {
    threshold().index(number).unwrap()
}

#[test]
fn all_operators_come_to_the_same_key() {
    let operators = operators(3, 5, 10);
    let key = operators[0].key().clone();
    assert!(operators.iter().all(|operator| *operator.key() == key));
    assert_eq!((key.threshold().needed(), key.threshold().operators()), (3, 5));
    assert_eq!(OperatorsKey::decode(&key.encode()).unwrap(), key);
    assert_ne!(common::operators(3, 5, 30)[0].key(), &key);
    assert_eq!(format!("{:?}", operators[1]), "Operator(1, OperatorsKey(3 of 5))");
}

#[test]
fn a_single_operator_is_a_threshold_too() {
    let operators = operators(1, 1, 10);
    assert_eq!(operators.len(), 1);
}

#[test]
fn thresholds_that_make_no_sense_are_refused() {
    assert_eq!(Threshold::new(0, 3), Err(ThresholdError::Needed));
    assert_eq!(Threshold::new(4, 3), Err(ThresholdError::Needed));
    assert_eq!(Threshold::new(1, 0), Err(ThresholdError::Operators));
    assert_eq!(Threshold::new(1, 33), Err(ThresholdError::Operators));
}

#[test]
fn everybody_must_be_heard_once() {
    let missing = committing(2, 3, 1).remove(0);
    let commitment = missing.commitment();
    assert_eq!(missing.hear(&[(index(1), commitment)]).err(), Some(CeremonyError::NotEverybody));
    let twice = committing(2, 3, 1).remove(0);
    let heard = [(index(1), commitment), (index(1), commitment)];
    assert_eq!(twice.hear(&heard).err(), Some(CeremonyError::NotEverybody));
    let itself = committing(2, 3, 1).remove(0);
    let heard = [(index(0), commitment), (index(1), commitment), (index(2), commitment)];
    assert_eq!(itself.hear(&heard).err(), Some(CeremonyError::NotEverybody));
    let stranger = Threshold::new(2, 4).unwrap().index(3).unwrap();
    assert_eq!(
        Committing::new(threshold(), Purpose::Opening, stranger, &mut entropy(1)).err(),
        Some(CeremonyError::NotEverybody)
    );
}

#[test]
fn a_contribution_other_than_the_committed_one_is_refused() {
    let mut honest = revealing(committing(2, 3, 1), threshold());
    let other = revealing(committing(2, 3, 50), threshold());
    let mut heard = others(&contributions(&honest, threshold()), index(0));
    heard[1].1 = contributions(&other, threshold())[2].1.clone();
    assert_eq!(honest.remove(0).hear(&heard).err(), Some(CeremonyError::Contribution(index(2))));
}

#[test]
fn a_contribution_that_cannot_be_read_is_refused() {
    for junk in [vec![], vec![0xff], vec![0x9f; 64]] {
        let mut honest = revealing(committing(2, 3, 1), threshold());
        let mut heard = others(&contributions(&honest, threshold()), index(0));
        heard[0].1 = Contribution::from_octets(&junk).unwrap();
        assert_eq!(honest.remove(0).hear(&heard).err(), Some(CeremonyError::Unreadable(index(1))));
    }
    let mut honest = revealing(committing(2, 3, 1), threshold());
    let mut heard = others(&contributions(&honest, threshold()), index(0));
    let mut trailing = heard[0].1.octets().to_vec();
    trailing.push(0);
    heard[0].1 = Contribution::from_octets(&trailing).unwrap();
    assert_eq!(honest.remove(0).hear(&heard).err(), Some(CeremonyError::Unreadable(index(1))));
    assert_eq!(Contribution::from_octets(&[0; 8193]), None);
}

#[test]
fn a_secret_that_does_not_fit_is_refused() {
    let mut honest = sharing(revealing(committing(2, 3, 1), threshold()), threshold());
    let mut heard = secrets(&honest, threshold(), index(0));
    heard[1].1 = SecretForOther::from_octets([1; 32]);
    assert_eq!(honest.remove(0).hear(&heard).err(), Some(CeremonyError::Secret(index(2))));
    let honest = sharing(revealing(committing(2, 3, 1), threshold()), threshold());
    assert_eq!(honest[0].secret_for(index(0)).err(), Some(CeremonyError::NotEverybody));
}

#[test]
fn an_operator_is_saved_and_restored_with_its_own_share_alone() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key().clone();
    let secret = operators[0].secret();
    assert_eq!(Operator::restore(key.clone(), index(0), &secret).unwrap().index(), index(0));
    assert!(Operator::restore(key.clone(), index(1), &secret).is_err());
    assert!(Operator::restore(key.clone(), index(0), &[0xff; 32]).is_err());
    let stranger = Threshold::new(2, 4).unwrap().index(3).unwrap();
    assert!(Operator::restore(key, stranger, &secret).is_err());
}

#[test]
fn public_shares_of_different_keys_make_no_key() {
    let key = operators(2, 3, 1)[0].key().encode();
    let other = operators(2, 3, 50)[0].key().encode();
    let mut mixed = key.clone();
    mixed[3 + 64..].copy_from_slice(&other[3 + 64..]);
    assert!(matches!(OperatorsKey::decode(&mixed), Err(DecodeError::Rule { .. })));
    let mut purpose = key.clone();
    purpose[0] = 3;
    assert!(matches!(OperatorsKey::decode(&purpose), Err(DecodeError::Value { field: "purpose", value: 3 })));
    let mut identity = key;
    identity[3..35].fill(0);
    assert!(matches!(OperatorsKey::decode(&identity), Err(DecodeError::Rule { .. })));
}
