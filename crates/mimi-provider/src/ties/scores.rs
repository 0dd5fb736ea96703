//! Reports add up at the account behind each pseudonym, encrypted, so that the provider does not see at which (the way *score*).

use mimi_abuse::remedy::HomePolicy;
use mimi_pseudonym::{Timestamp, Wire};
use mimi_tie::{
    Tie, TieRow,
    score::{Scores, Weight},
};

use super::Ties;
use crate::{StoreError, clock::OsEntropy, store::Store};

/// What a request that weighs 1 in the policy weighs in a score.
const UNIT: f64 = 4.0;

impl Ties {
    /// Adds what hubs have asked for before a moment to the scores, each request once.
    pub(crate) fn add_up(&self, store: &Store, policy: &HomePolicy, before: Timestamp) -> Result<(), StoreError> {
        let Tie::Score(key, size) = &self.tie else { return Ok(()) };
        for request in store.unscored(before)? {
            let (weight, most) = policy.weight_of(&request.hub, request.with_evidence);
            // Between 0 and 100 by then.
            #[allow(clippy::cast_possible_truncation, reason = "a weight is from 0 to 10")]
            let weight = Weight::new((weight * UNIT).round() as i64);
            let row = store.tie(request.subject.as_str().as_bytes())?;
            let seat = row.and_then(|row| match TieRow::decode(&row) {
                Ok(TieRow::Score(seat)) => seat.check(*size, key).ok(),
                _ => None,
            });
            let (Ok(weight), Some(seat)) = (weight, seat) else {
                store.score_nothing(&request)?;
                continue;
            };
            store.score(&request, most, seat.cohort(), |stored| {
                let mut scores = match stored {
                    Some(scores) => Scores::decode(&scores).map_err(|_| StoreError::damaged("scores"))?,
                    None => Scores::new(seat.cohort(), *size, key, &mut OsEntropy),
                };
                scores.add(&seat, weight).map_err(|_| StoreError::damaged("a seat"))?;
                Ok(scores.encode())
            })?;
        }
        Ok(())
    }
}
