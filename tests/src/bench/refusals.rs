//! How long it takes to be refused a GroupInfo, by the reason: who asks should not learn from it whether there is such a room.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mimi_flow::Command;
use mimi_pseudonym::{CipherSuite, Entropy as _, RoomUri};

use crate::{
    faulty::Faulty,
    fixture::Keep,
    people::{A1, MovedClock, People},
    scenario::{TWO, World, rooms},
};

/// How often each is asked for.
const TIMES: usize = 60;
/// How often one key asks: more would be refused as too many.
const EACH: usize = 15;

/// Why a GroupInfo is refused.
const REASONS: [&str; 4] =
    ["there is no such room", "no code where one is needed", "a wrong code", "the room has to be read first"];

/// Milliseconds from a question to its refusal, by reason, each list sorted.
#[derive(Debug)]
pub struct RefusalTimes(Vec<(&'static str, Vec<f64>)>);

impl RefusalTimes {
    /// By how many milliseconds the medians of two reasons differ at most.
    pub fn spread(&self) -> f64 {
        let medians: Vec<f64> = self.0.iter().map(|(_, times)| quantile(times, 0.5)).collect();
        let highest = medians.iter().copied().fold(f64::MIN, f64::max);
        highest - medians.iter().copied().fold(f64::MAX, f64::min)
    }
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let index = ((sorted.len().saturating_sub(1)) as f64 * at).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

impl fmt::Display for RefusalTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| reason | times | 10 % | median, ms | 90 % |\n|---|---|---|---|---|")?;
        for (reason, times) in &self.0 {
            let [low, middle, high] = [0.1, 0.5, 0.9].map(|at| quantile(times, at));
            writeln!(f, "| {reason} | {} | {low:.1} | {middle:.1} | {high:.1} |", times.len())?;
        }
        writeln!(f, "\nmedians differ by {:.1} ms at most", self.spread())
    }
}

/// Asks and asks.
///
/// # Errors
/// If a provider does not run, or one who asks is let in.
pub async fn refusals(suite: CipherSuite, keep: Keep) -> Result<RefusalTimes> {
    let name = format!("refusals-{}", suite.code());
    let mut world = World::start(&name, &TWO, keep).await?;
    let mut people = People::register(world.fixture(), suite, Arc::new(MovedClock::new(0))).await?;
    people.command(A1, Command::Prepare { pseudonyms: 1 })?;
    people.settle().await?;
    let room = rooms::create(&mut people).await?;
    drop(people);
    let mut entropy = mimi_client::SystemEntropy::default();
    let nowhere = RoomUri::pseudonym(room.domain(), entropy.bits128());
    let mut times: [Vec<f64>; 4] = Default::default();
    for number in 0..TIMES.div_ceil(EACH) * 3 {
        let handle = format!("visitor.{number}");
        let mut visitor = Faulty::register(world.fixture(), "b.example", &handle, suite).await?;
        for at in 0..EACH {
            let reason = (at + number) % 3;
            let (asked, code): (_, Option<&[u8]>) = match reason {
                0 => (&nowhere, Some(&[7; 16])),
                1 => (&room, None),
                _ => (&room, Some(&[7; 16])),
            };
            let took = refused(&mut visitor, asked, code).await?;
            times.get_mut(reason).context("a reason")?.push(took);
        }
    }
    // The room is read from the database when it is asked for first.
    let mut visitor = Faulty::register(world.fixture(), "b.example", "visitor.cold", suite).await?;
    for _ in 0..EACH {
        let hub = world.process(room.domain().as_str())?;
        hub.stop().await?;
        hub.restart(0).await?;
        let took = refused(&mut visitor, &room, None).await?;
        times.get_mut(3).context("a reason")?.push(took);
    }
    world.stop().await?;
    for list in &mut times {
        list.sort_by(f64::total_cmp);
    }
    Ok(RefusalTimes(REASONS.into_iter().zip(times).collect()))
}

async fn refused(visitor: &mut Faulty, room: &RoomUri, code: Option<&[u8]>) -> Result<f64> {
    let begun = Instant::now();
    let given = visitor.ask(room, code).await?;
    let took: Duration = begun.elapsed();
    ensure!(given.is_none(), "a visitor is let in");
    Ok(took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_spread() {
        let times = RefusalTimes(vec![("one", vec![1.0, 2.0, 3.0]), ("other", vec![2.5, 4.5, 9.0])]);
        assert!((times.spread() - 2.5).abs() < 1e-9);
        let text = times.to_string();
        assert!(text.contains("| one | 3 | 1.0 | 2.0 | 3.0 |") && text.contains("differ by 2.5 ms"), "{text}");
        assert!((quantile(&[], 0.5)).abs() < 1e-9);
    }
}
