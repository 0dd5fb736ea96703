//! Hash tables for digests and map keys.
//!
//! Both come from the token, so the hash has a key that is drawn anew for each table: who makes a token cannot aim for
//! collisions. It folds 64 by 64 bit products, which costs a fraction of the standard library's SipHash on inputs as
//! short as these.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

pub(crate) type Table<K, V> = HashMap<K, V, FoldState>;
pub(crate) type Set<K> = HashSet<K, FoldState>;

/// The key of one table.
#[derive(Debug, Clone)]
pub(crate) struct FoldState {
    seed: u64,
    factor: u64,
}

impl Default for FoldState {
    fn default() -> Self {
        let random = RandomState::new();
        Self { seed: random.hash_one(0u8), factor: random.hash_one(1u8) | 1 }
    }
}

impl BuildHasher for FoldState {
    type Hasher = FoldHasher;

    fn build_hasher(&self) -> FoldHasher {
        FoldHasher { state: self.seed, factor: self.factor }
    }
}

pub(crate) struct FoldHasher {
    state: u64,
    factor: u64,
}

impl FoldHasher {
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.factor.rotate_left(32));
    }
}

impl Hasher for FoldHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let word = rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
            self.fold(word);
        }
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.fold(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.fold(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(self.factor);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_spread_and_depend_on_the_key() {
        let (one, two) = (FoldState::default(), FoldState::default());
        let inputs: Vec<Vec<u8>> = (0..=255u8).flat_map(|byte| [vec![byte], vec![0, byte], vec![byte; 32]]).collect();
        let hashes: HashSet<_> = inputs.iter().map(|input| one.hash_one(input.as_slice())).collect();
        assert_eq!(hashes.len(), inputs.len());
        assert!(inputs.iter().all(|input| one.hash_one(input.as_slice()) != two.hash_one(input.as_slice())));
        let low: HashSet<_> = (0..1000u64).map(|number| one.hash_one(number) & 0xffff).collect();
        assert!(low.len() > 950, "{}", low.len());
    }
}
