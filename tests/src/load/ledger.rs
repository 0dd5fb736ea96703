//! What was sent to a room, and whether everybody got it: all of it, once, and in one order.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// By what a message is known: a hash of its octets.
pub(super) type Tag = u64;

/// What was sent to one room.
#[derive(Default)]
pub(super) struct Ledger {
    state: RandomState,
    sent: Mutex<HashMap<Tag, Instant>>,
}

impl Ledger {
    pub(super) fn tag(&self, octets: &[u8]) -> Tag {
        self.state.hash_one(octets)
    }

    fn sent(&self) -> MutexGuard<'_, HashMap<Tag, Instant>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message goes out now.
    pub(super) fn sends(&self, octets: &[u8]) -> Tag {
        let tag = self.tag(octets);
        self.sent().insert(tag, Instant::now());
        tag
    }

    /// How long ago a message went out, in microseconds.
    pub(super) fn micros_since(&self, tag: Tag) -> Option<u32> {
        let at = self.sent().get(&tag).copied()?;
        Some(u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX))
    }
}

/// What is not as it should be in a room: for each sender what was accepted of it, in order; for each receiver what came.
pub(super) fn faults(accepted: &[Vec<Tag>], received: &[Vec<Tag>]) -> Vec<String> {
    let mut faults = Vec::new();
    let expected: HashSet<Tag> = accepted.iter().flatten().copied().collect();
    for (number, got) in received.iter().enumerate() {
        let once: HashSet<Tag> = got.iter().copied().collect();
        let (missing, more) = (expected.difference(&once).count(), once.difference(&expected).count());
        let twice = got.len() - once.len();
        if missing + more + twice > 0 {
            faults
                .push(format!("receiver {number}: {missing} missing, {twice} twice, {more} that nobody acknowledged"));
        }
        if received.first() != Some(got) {
            faults.push(format!("receiver {number} got messages in another order than the first one"));
        }
    }
    for (number, sent) in accepted.iter().enumerate() {
        let own: HashSet<Tag> = sent.iter().copied().collect();
        for got in received {
            if !got.iter().filter(|tag| own.contains(tag)).eq(sent) {
                faults.push(format!("messages of sender {number} are out of order"));
                break;
            }
        }
    }
    faults
}

/// The value below which a part of the values is; 0 if there are none. Sorts them.
pub(super) fn quantile(values: &mut [u32], part: f64) -> u32 {
    values.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let at = (part * values.len() as f64) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_once_and_in_one_order_is_no_fault() {
        assert!(faults(&[vec![1, 2], vec![3]], &[vec![1, 3, 2], vec![1, 3, 2]]).is_empty());
        assert!(faults(&[], &[vec![], vec![]]).is_empty());
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let found = |received: &[Vec<Tag>]| faults(&[vec![1, 2], vec![3]], received).join("; ");
        assert!(found(&[vec![1, 3]]).contains("receiver 0: 1 missing, 0 twice, 0 that"));
        assert!(found(&[vec![1, 2, 3, 2]]).contains("0 missing, 1 twice"));
        assert!(found(&[vec![1, 2, 3, 4]]).contains("1 that nobody acknowledged"));
        assert!(found(&[vec![1, 2, 3], vec![3, 1, 2]]).contains("receiver 1 got messages in another order"));
        assert!(found(&[vec![2, 1, 3]]).contains("sender 0 are out of order"));
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (51, 100));
        assert_eq!(quantile(&mut [7], 0.99), 7);
        assert_eq!(quantile(&mut [], 0.5), 0);
    }

    #[test]
    fn a_message_is_known_by_its_octets() {
        let ledger = Ledger::default();
        let tag = ledger.sends(b"one");
        assert_eq!(ledger.tag(b"one"), tag);
        assert!(ledger.micros_since(tag).is_some());
        assert!(ledger.micros_since(ledger.tag(b"other")).is_none());
    }
}
