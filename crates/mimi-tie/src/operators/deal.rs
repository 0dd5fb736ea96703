use mimi_pseudonym::Entropy;

use super::{CeremonyError, Committing, Operator, OperatorIndex, Purpose, Threshold};

/// Makes a key for operators in one place: the ceremony with all of them played by one process. Whoever runs it could keep
/// what opens everything, so it is for trying things out, and for operators who trust whoever runs it; operators who do not
/// go through the ceremony, each with a process of its own ([`Committing`]).
///
/// # Errors
/// [`CeremonyError`] does not happen among those who keep to the protocol.
pub fn deal(threshold: Threshold, purpose: Purpose, entropy: &mut dyn Entropy) -> Result<Vec<Operator>, CeremonyError> {
    let mut committing = Vec::new();
    for index in threshold.indices() {
        committing.push((index, Committing::new(threshold, purpose, index, entropy)?));
    }
    let commitments: Vec<_> = committing.iter().map(|(index, one)| (*index, one.commitment())).collect();
    let mut revealing = Vec::new();
    for (index, one) in committing {
        revealing.push((index, one.hear(&others(&commitments, index))?));
    }
    let mut contributions = Vec::new();
    for (index, one) in &revealing {
        contributions.push((*index, one.contribution()?));
    }
    let mut sharing = Vec::new();
    for (index, one) in revealing {
        sharing.push((index, one.hear(&others(&contributions, index))?));
    }
    let mut secrets = Vec::new();
    for (index, _) in &sharing {
        let mut told = Vec::new();
        for (from, one) in sharing.iter().filter(|(from, _)| from != index) {
            told.push((*from, one.secret_for(*index)?));
        }
        secrets.push(told);
    }
    sharing.into_iter().zip(secrets).map(|((_, one), told)| one.hear(&told)).collect()
}

fn others<T: Clone>(all: &[(OperatorIndex, T)], own: OperatorIndex) -> Vec<(OperatorIndex, T)> {
    all.iter().filter(|(from, _)| *from != own).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::OperatorsKey;
    use mimi_pseudonym::{SeededEntropy, Wire};

    #[test]
    fn all_hold_a_share_of_one_key() {
        let threshold = Threshold::new(2, 3).unwrap();
        let operators = deal(threshold, Purpose::Opening, &mut SeededEntropy::new([1; 32])).unwrap();
        assert_eq!(operators.len(), 3);
        let key = OperatorsKey::decode(&operators.first().unwrap().key().encode()).unwrap();
        assert_eq!(key.threshold(), threshold);
        for (at, operator) in (0..).zip(&operators) {
            assert_eq!((operator.key(), operator.index().number()), (&key, at));
            let again = Operator::restore(key.clone(), operator.index(), &operator.secret()).unwrap();
            assert_eq!(again.secret(), operator.secret());
        }
    }
}
