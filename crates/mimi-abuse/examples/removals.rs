//! How well somebody who sees every removal can tell which pseudonyms belong together. Prints the table that stands in
//! `docs/profile-remedy.md`: `cargo run --release -p mimi-abuse --example removals`.
//!
//! Accounts of one provider are removed at random times within a year, each with ten pseudonyms. For each pseudonym that has
//! gone, the observer guesses that the one that went nearest in time belongs to it. Of those that went at the same moment it
//! picks one at random.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::time::Duration;

use mimi_abuse::remedy::Plan;
use mimi_pseudonym::{Entropy, SeededEntropy, Timestamp};

const PSEUDONYMS: usize = 10;
const YEAR: u64 = 365 * 86_400_000;

fn main() {
    let day = Duration::from_secs(86_400);
    let hour = Duration::from_secs(3600);
    println!("| accounts removed in a year | at once | within 1 day | within 14 days | within 60 days | by chance |");
    println!("|---|---|---|---|---|---|");
    for accounts in [1, 10, 100, 1000] {
        let rate = |plan: Option<Plan>| format!("{:.1} %", 100.0 * linked(accounts, plan));
        let within = |days| rate(Some(Plan::new(day * days, hour).unwrap()));
        let chance = 100.0 * (PSEUDONYMS - 1) as f64 / (accounts * PSEUDONYMS - 1) as f64;
        println!("| {accounts} | {} | {} | {} | {} | {chance:.1} % |", rate(None), within(1), within(14), within(60));
    }
}

/// How often the observer is right.
fn linked(accounts: usize, plan: Option<Plan>) -> f64 {
    let mut entropy = SeededEntropy::new([7; 32]);
    let mut removals: Vec<(u64, usize)> = Vec::new();
    for account in 0..accounts {
        let decided = Timestamp::from_millis(below(YEAR, &mut entropy));
        match plan {
            Some(plan) => {
                let moments = plan.moments([(); PSEUDONYMS], decided, &mut entropy);
                removals.extend(moments.into_iter().map(|((), at)| (at.as_millis(), account)));
            }
            // One removal after the other, as fast as they go out.
            None => removals.extend((0..PSEUDONYMS as u64).map(|at| (decided.as_millis() + at * 10, account))),
        }
    }
    removals.sort_unstable();
    let right: f64 = (0..removals.len()).map(|at| guess(&removals, at)).sum();
    right / removals.len() as f64
}

/// How likely the guess for one removal is right.
fn guess(removals: &[(u64, usize)], at: usize) -> f64 {
    let (when, account) = removals[at];
    let others = || removals.iter().enumerate().filter(|(other, _)| *other != at);
    let nearest = others().map(|(_, (other, _))| other.abs_diff(when)).min().unwrap();
    let candidates: Vec<_> = others().filter(|(_, (other, _))| other.abs_diff(when) == nearest).collect();
    candidates.iter().filter(|(_, (_, of))| *of == account).count() as f64 / candidates.len() as f64
}

fn below(limit: u64, entropy: &mut dyn Entropy) -> u64 {
    let mut bits = [0; 8];
    entropy.fill(&mut bits);
    u64::from_be_bytes(bits) % limit
}
