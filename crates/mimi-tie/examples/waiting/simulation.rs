//! A day in which accounts fetch a token each and spend it; then somebody who saw all times guesses who spent which.

use std::time::Duration;

use mimi_pseudonym::{Entropy, SeededEntropy};
use mimi_tie::blind::waiting_time;

/// The share of spent tokens whose account is guessed rightly. Whoever guesses takes the account that fetched last
/// before the token was spent, which is the best guess for an exponentially distributed wait. `mean` is the mean wait;
/// without one, a token is spent within half a second.
pub fn guessed(accounts: u32, mean: Option<Duration>, seed: u8) -> f64 {
    let mut entropy = SeededEntropy::new([seed; 32]);
    let mut below = |limit: u64| {
        let mut octets = [0; 8];
        entropy.fill(&mut octets);
        u64::from_be_bytes(octets) % limit
    };
    let mut fetched: Vec<u64> = (0..accounts).map(|_| below(86_400_000)).collect();
    fetched.sort_unstable();
    fetched.dedup();
    let at_once: Vec<u64> = fetched.iter().map(|_| below(500)).collect();
    let mut waits = SeededEntropy::new([seed ^ 0x55; 32]);
    let right = fetched.iter().zip(at_once).enumerate().filter(|(account, (fetched_at, soon))| {
        let wait = mean.map_or(*soon, |mean| waiting_time(mean, &mut waits).as_millis() as u64);
        let spent = **fetched_at + wait;
        // The last that had fetched by then.
        fetched.partition_point(|other| *other <= spent) == account + 1
    });
    right.count() as f64 / fetched.len() as f64
}
