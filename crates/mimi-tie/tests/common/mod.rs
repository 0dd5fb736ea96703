//! Operators who share a key, and people.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use mimi_pseudonym::{AccountLink, SeededEntropy, Timestamp, UserUri};
use mimi_tie::operators::{
    Commitment, Committing, Contribution, Operator, OperatorIndex, Purpose, Revealing, SecretForOther, Sharing,
    Threshold,
};

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub fn entropy(seed: u8) -> SeededEntropy {
    SeededEntropy::new([seed; 32])
}

pub fn link(name: &str, bits: u8) -> AccountLink {
    let account: UserUri = format!("mimi://a.example/u/{name}").parse().unwrap();
    let pseudonym = UserUri::pseudonym(account.domain(), [bits; 16]);
    AccountLink::new(account, pseudonym).unwrap()
}

pub fn others<T: Clone>(all: &[(OperatorIndex, T)], own: OperatorIndex) -> Vec<(OperatorIndex, T)> {
    all.iter().filter(|(from, _)| *from != own).cloned().collect()
}

pub fn committing(needed: u8, of: u8, seed: u8) -> Vec<Committing> {
    committing_for(Purpose::Opening, needed, of, seed)
}

fn committing_for(purpose: Purpose, needed: u8, of: u8, seed: u8) -> Vec<Committing> {
    let threshold = Threshold::new(needed, of).unwrap();
    threshold
        .indices()
        .map(|index| Committing::new(threshold, purpose, index, &mut entropy(seed + index.number())).unwrap())
        .collect()
}

pub fn revealing(committing: Vec<Committing>, threshold: Threshold) -> Vec<Revealing> {
    let commitments: Vec<(OperatorIndex, Commitment)> =
        threshold.indices().zip(committing.iter().map(Committing::commitment)).collect();
    let hear = |(index, operator): (OperatorIndex, Committing)| operator.hear(&others(&commitments, index)).unwrap();
    threshold.indices().zip(committing).map(hear).collect()
}

pub fn contributions(revealing: &[Revealing], threshold: Threshold) -> Vec<(OperatorIndex, Contribution)> {
    // As octets, as they go from one operator to the others.
    let octets = |operator: &Revealing| operator.contribution().unwrap().octets().to_vec();
    threshold
        .indices()
        .zip(revealing.iter().map(|operator| Contribution::from_octets(&octets(operator)).unwrap()))
        .collect()
}

pub fn sharing(revealing: Vec<Revealing>, threshold: Threshold) -> Vec<Sharing> {
    let contributions = contributions(&revealing, threshold);
    let hear = |(index, operator): (OperatorIndex, Revealing)| operator.hear(&others(&contributions, index)).unwrap();
    threshold.indices().zip(revealing).map(hear).collect()
}

pub fn secrets(sharing: &[Sharing], threshold: Threshold, to: OperatorIndex) -> Vec<(OperatorIndex, SecretForOther)> {
    let from = threshold.indices().zip(sharing).filter(|(from, _)| *from != to);
    from.map(|(from, operator)| (from, SecretForOther::from_octets(*operator.secret_for(to).unwrap().octets())))
        .collect()
}

/// Operators who share a key for opening accounts, `needed` of `of`.
pub fn operators(needed: u8, of: u8, seed: u8) -> Vec<Operator> {
    operators_for(Purpose::Opening, needed, of, seed)
}

/// Operators who share a key for scores.
pub fn score_operators(needed: u8, of: u8, seed: u8) -> Vec<Operator> {
    operators_for(Purpose::Scores, needed, of, seed)
}

fn operators_for(purpose: Purpose, needed: u8, of: u8, seed: u8) -> Vec<Operator> {
    let threshold = Threshold::new(needed, of).unwrap();
    let sharing = sharing(revealing(committing_for(purpose, needed, of, seed), threshold), threshold);
    let all: Vec<_> = threshold.indices().map(|index| secrets(&sharing, threshold, index)).collect();
    sharing.into_iter().zip(all).map(|(operator, heard)| operator.hear(&heard).unwrap()).collect()
}
