//! Encrypted scores: they add up, the question is answered, and nothing else is.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{entropy, score_operators};
use mimi_pseudonym::{DecodeError, Wire};
use mimi_tie::{
    operators::{Operator, OperatorsKey, ShareError},
    score::{
        Answer, AnswerShares, CohortSize, Confirmation, ConfirmationError, ConfirmationStep, HiddenSeat, Question,
        QuestionError, Round, RoundError, Scores, ScoresError, Seat, UncheckedConfirmation, UncheckedSeat, Weight,
    },
};

const ACCOUNTS: u16 = 4;
const THRESHOLD: u16 = 5;

fn size() -> CohortSize {
    CohortSize::new(ACCOUNTS).unwrap()
}

fn seat(account: u64, key: &OperatorsKey, seed: u8) -> HiddenSeat {
    let hidden = Seat::of(account, size()).hide(key, &mut entropy(seed));
    UncheckedSeat::decode(&hidden.encode()).unwrap().check(size(), key).unwrap()
}

fn weight(weight: i64) -> Weight {
    Weight::new(weight).unwrap()
}

/// Cohort 2 with reports: 3 and 2 against pseudonyms of account 9, 4 against one of account 10.
fn scores(key: &OperatorsKey) -> Scores {
    let mut scores = Scores::new(2, size(), key, &mut entropy(1));
    scores.add(&seat(9, key, 2), weight(3)).unwrap();
    scores.add(&seat(10, key, 3), weight(4)).unwrap();
    scores.add(&seat(9, key, 4), weight(2)).unwrap();
    Scores::decode(&scores.encode()).unwrap()
}

fn first_round(operators: &[&Operator], question: &Question) -> Round {
    operators.iter().fold(Round::new(question), |round, operator| {
        let blinded = operator.blind(&round, &mut entropy(20 + operator.index().number())).unwrap();
        Round::decode(&blinded.encode()).unwrap()
    })
}

fn read(operators: &[&Operator], round: &Round) -> Vec<AnswerShares> {
    let shares = |operator: &&Operator| operator.read_round(round, &mut entropy(30)).unwrap().encode();
    operators.iter().map(|operator| AnswerShares::decode(&shares(operator)).unwrap()).collect()
}

fn ask(operators: &[&Operator], scores: &Scores, place: usize, threshold: u16) -> Answer {
    let question = Question::new(scores, place, threshold).unwrap();
    let round = first_round(operators, &question);
    round.answer(operators[0].key(), &read(operators, &round)).unwrap()
}

fn confirm(operators: &[&Operator], scores: &Scores, place: usize, threshold: u16) -> Answer {
    let key = operators[0].key();
    let mut confirmation = Confirmation::new(Question::new(scores, place, threshold).unwrap());
    for operator in operators {
        let step = operator.step(&confirmation, &mut entropy(40 + operator.index().number())).unwrap();
        confirmation.add(ConfirmationStep::decode(&step.encode()).unwrap(), key).unwrap();
    }
    let shares: Vec<_> =
        operators.iter().map(|operator| operator.read_confirmation(&confirmation, &mut entropy(50)).unwrap()).collect();
    confirmation.answer(key, &shares).unwrap()
}

#[test]
fn weights_of_several_pseudonyms_add_up_at_the_account_alone() {
    let operators = score_operators(2, 3, 1);
    let scores = scores(operators[0].key());
    let quorum = [&operators[2], &operators[0]];
    for (place, score) in [(0, 0), (1, 5), (2, 4), (3, 0)] {
        for threshold in 1..=6 {
            let expected = if score >= threshold { Answer::Reached } else { Answer::Below };
            assert_eq!(ask(&quorum, &scores, place, threshold), expected, "place {place}, threshold {threshold}");
        }
    }
}

#[test]
fn the_second_round_comes_to_the_same_answers() {
    let operators = score_operators(2, 3, 1);
    let scores = scores(operators[0].key());
    let quorum = [&operators[1], &operators[2]];
    assert_eq!(confirm(&quorum, &scores, 1, 5), Answer::Reached);
    assert_eq!(confirm(&quorum, &scores, 1, 6), Answer::Below);
    assert_eq!(confirm(&quorum, &scores, 2, 4), Answer::Reached);
    assert_eq!(confirm(&quorum, &scores, 3, 1), Answer::Below);
}

#[test]
fn a_score_far_above_the_threshold_has_reached_it() {
    let operators = score_operators(1, 1, 1);
    let key = operators[0].key();
    let mut scores = Scores::new(0, size(), key, &mut entropy(1));
    let seat = seat(3, key, 2);
    for _ in 0..20 {
        scores.add(&seat, weight(100)).unwrap();
    }
    assert_eq!(ask(&[&operators[0]], &scores, 3, THRESHOLD), Answer::Reached);
    assert_eq!(ask(&[&operators[0]], &scores, 2, THRESHOLD), Answer::Below);
}

#[test]
fn a_false_accusation_is_refused_in_the_second_round() {
    // An operator puts blinded ones in place of the differences, so that no zero is among them.
    let operators = score_operators(2, 3, 1);
    let key = operators[0].key();
    let scores = scores(key);
    let question = Question::new(&scores, 3, THRESHOLD).unwrap();
    let mut falsified = Scores::new(2, size(), key, &mut entropy(9));
    falsified.add(&seat(11, key, 10), weight(50)).unwrap();
    let other = Question::new(&falsified, 3, THRESHOLD).unwrap();
    let round = first_round(&[&operators[0], &operators[1]], &other);
    assert_eq!(round.answer(key, &read(&[&operators[0], &operators[1]], &round)), Ok(Answer::Reached));
    // In the second round its step is not proved.
    let mut confirmation = Confirmation::new(question);
    let step = operators[0].step(&Confirmation::new(other), &mut entropy(3)).unwrap();
    assert_eq!(confirmation.add(step, key), Err(ConfirmationError::Proof(operators[0].index())));
    assert_eq!(confirm(&[&operators[0], &operators[1]], &scores, 3, THRESHOLD), Answer::Below);
}

#[test]
fn a_step_that_is_changed_is_not_proved() {
    let operators = score_operators(2, 3, 1);
    let key = operators[0].key();
    let question = Question::new(&scores(key), 1, 2).unwrap();
    let mut confirmation = Confirmation::new(question);
    let step = operators[0].step(&confirmation, &mut entropy(3)).unwrap();
    let octets = step.encode();
    // The operator's number; the proofs' last octets; a pair of differences in another order; one left out.
    let mut other_operator = octets.clone();
    other_operator[0] = 1;
    let mut proof = octets.clone();
    let last = proof.len() - 40;
    proof[last] ^= 1;
    let mut swapped = octets.clone();
    let (one, two) = (octets[3..67].to_vec(), octets[67..131].to_vec());
    swapped[3..67].copy_from_slice(&two);
    swapped[67..131].copy_from_slice(&one);
    for (changed, by) in [(other_operator, 1), (proof, 0), (swapped, 0)] {
        let step = ConfirmationStep::decode(&changed).unwrap();
        let refused = ConfirmationError::Proof(operators[by].index());
        assert_eq!(confirmation.add(step, key), Err(refused));
    }
    let mut shorter = octets.clone();
    shorter[1..3].copy_from_slice(&1_u16.to_be_bytes());
    shorter.drain(67..131);
    let shorter = ConfirmationStep::decode(&shorter).unwrap();
    assert_eq!(confirmation.add(shorter, key), Err(ConfirmationError::Proof(operators[0].index())));
    confirmation.add(ConfirmationStep::decode(&octets).unwrap(), key).unwrap();
    let again = ConfirmationStep::decode(&octets).unwrap();
    assert_eq!(confirmation.add(again, key), Err(ConfirmationError::Twice(operators[0].index())));
    assert_eq!(operators[0].read_confirmation(&confirmation, &mut entropy(1)).err(), Some(ConfirmationError::Order));
}

#[test]
fn a_second_round_goes_from_hand_to_hand_and_is_checked_from_the_question_on() {
    let operators = score_operators(2, 3, 1);
    let key = operators[0].key();
    let question = Question::new(&scores(key), 1, 3).unwrap();
    let question = Question::decode(&question.encode()).unwrap();
    assert_eq!((question.threshold(), question.id()), (3, Question::decode(&question.encode()).unwrap().id()));
    assert_ne!(question.id(), Question::new(&scores(key), 1, 4).unwrap().id());
    let mut sent = UncheckedConfirmation::from(Confirmation::new(question.clone())).encode();
    for operator in &operators[1..] {
        let mut round = UncheckedConfirmation::decode(&sent).unwrap().check(key).unwrap();
        let step = operator.step(&round, &mut entropy(40 + operator.index().number())).unwrap();
        round.add(step, key).unwrap();
        sent = UncheckedConfirmation::from(round).encode();
    }
    let round = UncheckedConfirmation::decode(&sent).unwrap().check(key).unwrap();
    assert_eq!(round.question().id(), question.id());
    let shares = [1, 2].map(|at: usize| operators[at].read_confirmation(&round, &mut entropy(50)).unwrap());
    assert_eq!(round.answer(key, &shares), Ok(Answer::Reached));
    // Under the steps of one question another one, of the same threshold; and one of another threshold.
    let other = Question::new(&scores(key), 2, 3).unwrap();
    let mut swapped = sent.clone();
    swapped[..66].copy_from_slice(&other.encode());
    let refused = UncheckedConfirmation::decode(&swapped).unwrap().check(key);
    assert_eq!(refused.err(), Some(ConfirmationError::Proof(operators[1].index())));
    let mut lower = sent.clone();
    lower[65] = 2;
    let refused = UncheckedConfirmation::decode(&lower).unwrap().check(key);
    assert_eq!(refused.err(), Some(ConfirmationError::Proof(operators[1].index())));
    // The last octet is one of the last proof.
    let mut proof = sent.clone();
    let last = proof.len() - 40;
    proof[last] ^= 1;
    let refused = UncheckedConfirmation::decode(&proof).unwrap().check(key);
    assert_eq!(refused.err(), Some(ConfirmationError::Proof(operators[2].index())));
    for threshold in [0, 1001_u16] {
        let mut senseless = sent.clone();
        senseless[64..66].copy_from_slice(&threshold.to_be_bytes());
        let refused = UncheckedConfirmation::decode(&senseless);
        assert!(matches!(refused, Err(DecodeError::Value { field: "threshold", .. })));
    }
}

#[test]
fn fewer_operators_than_are_needed_learn_nothing() {
    let operators = score_operators(3, 5, 1);
    let key = operators[0].key();
    let question = Question::new(&scores(key), 1, THRESHOLD).unwrap();
    let round = first_round(&[&operators[0], &operators[1]], &question);
    assert_eq!(operators[0].read_round(&round, &mut entropy(1)).err(), Some(RoundError::Order));
    assert_eq!(operators[0].blind(&round, &mut entropy(1)).err(), Some(RoundError::Order));
    let round = first_round(&[&operators[0], &operators[1], &operators[2]], &question);
    // One who has not blinded gives no shares.
    assert_eq!(operators[4].read_round(&round, &mut entropy(1)).err(), Some(RoundError::Order));
    let two = read(&[&operators[0], &operators[1]], &round);
    assert_eq!(round.answer(key, &two), Err(ShareError::TooFew { found: 2, needed: 3 }));
    let twice = [two[0].clone(), two[1].clone(), two[1].clone()];
    assert_eq!(round.answer(key, &twice), Err(ShareError::Twice(operators[1].index())));
    let mut changed = read(&[&operators[2]], &round).remove(0).encode();
    let last = changed.len() - 40;
    changed[last] ^= 1;
    let bad = AnswerShares::decode(&changed).unwrap();
    let shares = [two[0].clone(), two[1].clone(), bad];
    assert_eq!(round.answer(key, &shares), Err(ShareError::Proof(operators[2].index())));
}

#[test]
fn marks_that_are_not_exactly_one_are_refused() {
    let operators = score_operators(2, 3, 1);
    let key = operators[0].key();
    let other = common::score_operators(2, 3, 50);
    let hidden = Seat::of(9, size()).hide(key, &mut entropy(2));
    assert!(hidden.check(size(), key).is_ok());
    assert!(hidden.check(CohortSize::new(5).unwrap(), key).is_err());
    assert!(hidden.check(size(), other[0].key()).is_err());
    // Any octet of the choice changed: it cannot be read any more, or its proof does not hold.
    let octets = hidden.encode();
    for at in (8..octets.len()).step_by(37) {
        let mut changed = octets.clone();
        changed[at] ^= 4;
        let refused = UncheckedSeat::decode(&changed).map_or(true, |seat| seat.check(size(), key).is_err());
        assert!(refused, "octet {at}");
    }
    let mut trailing = octets.clone();
    trailing.push(0);
    assert!(matches!(UncheckedSeat::decode(&trailing), Err(DecodeError::Trailing(1))));
    assert!(matches!(UncheckedSeat::decode(&[0; 9]), Err(DecodeError::Rule { field: "choice", .. })));
}

#[test]
fn questions_and_seats_that_do_not_fit_are_refused() {
    let operators = score_operators(1, 1, 1);
    let key = operators[0].key();
    let mut scores = scores(key);
    assert_eq!(Question::new(&scores, 4, 1).err(), Some(QuestionError::Place));
    assert_eq!(Question::new(&scores, 0, 0).err(), Some(QuestionError::Threshold));
    assert_eq!(Question::new(&scores, 0, 1001).err(), Some(QuestionError::Threshold));
    assert_eq!(scores.add(&seat(0, key, 2), weight(1)), Err(ScoresError));
    assert!(CohortSize::new(1).is_err() && CohortSize::new(257).is_err());
    assert!(matches!(Scores::decode(&[0; 10]), Err(DecodeError::Value { field: "accounts", .. })));
    assert_eq!(format!("{:?}", Seat::of(9, size())), "Seat(..)");
    assert_eq!((Seat::of(9, size()).cohort(), Seat::of(9, size()).place()), (2, 1));
}

#[test]
fn rows_of_all_accounts_look_alike() {
    let operators = score_operators(2, 3, 1);
    let key = operators[0].key();
    let lengths = (8..12).map(|account| Seat::of(account, size()).hide(key, &mut entropy(3)).encode().len());
    let lengths: Vec<_> = lengths.collect();
    assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{lengths:?}");
}

#[test]
fn a_key_for_opening_accounts_answers_no_questions() {
    let operators = common::operators(1, 1, 1);
    let scores = scores(operators[0].key());
    let question = Question::new(&scores, 1, 2).unwrap();
    let round = Round::new(&question);
    assert_eq!(operators[0].blind(&round, &mut entropy(1)).err(), Some(RoundError::Purpose));
    assert_eq!(operators[0].read_round(&round, &mut entropy(1)).err(), Some(RoundError::Purpose));
    let confirmation = Confirmation::new(question);
    let refused = operators[0].read_confirmation(&confirmation, &mut entropy(1));
    assert_eq!(refused.err(), Some(ConfirmationError::Purpose));
}
