//! Prints how often a spent token is tied to its account by time alone, without waiting and with.

#![allow(clippy::print_stdout)]

mod simulation;

use std::time::Duration;

fn main() {
    for accounts in [100, 10_000] {
        for (name, mean) in [
            ("at once", None),
            ("mean of a minute", Some(Duration::from_secs(60))),
            ("mean of an hour", Some(Duration::from_secs(3600))),
            ("mean of six hours", Some(Duration::from_secs(21_600))),
        ] {
            let guessed = simulation::guessed(accounts, mean, 1);
            println!("{accounts:>6} accounts, {name:<18} {:>6.1} %", guessed * 100.0);
        }
    }
}
