//! Reputations: for each pseudonym and each period in which no hub asked for anything about it, one is added to the encrypted
//! reputation of the account behind it, so that the provider does not see to which (the way *score*).

use std::collections::{BTreeMap, btree_map::Entry};

use mimi_pseudonym::{Timestamp, Wire};
use mimi_tie::{
    Tie, TieRow,
    score::{Scores, Weight},
};

use super::Ties;
use crate::{StoreError, clock::OsEntropy, store::Store};

impl Ties {
    /// Counts the conduct of all pseudonyms there are, if a period of the quota has ended since it was counted last. What a
    /// pseudonym is dated by would narrow down whose it is, so that all count alike, however old.
    pub(crate) fn count_conduct(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let (Tie::Score(key, size), Some(quota), Some(_)) = (&self.tie, self.quota, self.reputation) else {
            return Ok(());
        };
        let (from, to) = (store.conduct_counted()?, quota.period(now).number());
        if to <= from {
            return Ok(());
        }
        let mut counted: BTreeMap<u64, Scores> = BTreeMap::new();
        // What came before the first look is nobody's conduct.
        if from > 0 {
            let complained = store.complained_about(quota.begin(from), quota.begin(to))?;
            let one = Weight::new(1).map_err(|_| StoreError::damaged("weight"))?;
            for (pseudonym, own) in store.pseudonymous_accounts()? {
                if complained.contains(&pseudonym) || store.is_suspended(own)? {
                    continue;
                }
                let row = store.tie(pseudonym.as_str().as_bytes())?.map(|row| TieRow::decode(&row));
                let Some(Ok(TieRow::Score(seat))) = row else { continue };
                let Ok(seat) = seat.check(*size, key) else { continue };
                let scores = match counted.entry(seat.cohort()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(match store.reputations(seat.cohort())? {
                        Some(stored) => Scores::decode(&stored).map_err(|_| StoreError::damaged("reputations"))?,
                        None => Scores::new(seat.cohort(), *size, key, &mut OsEntropy),
                    }),
                };
                scores.add(&seat, one).map_err(|_| StoreError::damaged("a seat"))?;
            }
        }
        let counted: Vec<_> = counted.iter().map(|(cohort, scores)| (*cohort, scores.encode())).collect();
        // Whoever was faster has counted the same.
        store.count_conduct(from, to, &counted).map(drop)
    }
}
