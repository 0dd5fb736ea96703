//! Abuse across pseudonyms (section 5 of the pseudonyms draft): at each of six homes, one for each way of tying pseudonyms to
//! accounts, somebody sends spam under two pseudonyms into two rooms of one hub. Receivers report what they can show; the hub
//! goes through its remedies, and asks the homes for theirs. Then it is looked up what everybody has learned.

mod cast;
mod homes;
mod learned;
mod operators;
mod outcome;
mod page;
mod story;

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use mimi_pseudonym::{CipherSuite, UserUri};
use tokio::time::Instant;

use self::homes::{HOMES, Home};
use super::World;
use crate::fixture::Keep;

/// What the spammers say.
const SPAM: &str = "Buy this canary now";
/// What somebody says whom nobody has reason to report.
const HARMLESS: &str = "See you on Tuesday";

/// The spammer of a home.
struct Case {
    home: Home,
    /// The account, its handle, and the tokens of its devices.
    account: UserUri,
    handle: String,
    token: Vec<[u8; 32]>,
    /// The pseudonym in the first room, which is reported, and the one in the second, which is not.
    first: UserUri,
    second: UserUri,
    /// By what the owner recognises openings.
    marks: Vec<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct AbuseReport {
    /// The scenario and its variant.
    pub name: String,
    /// What happened, in order.
    pub steps: Vec<String>,
    /// What was done, and who has learned what.
    pub tables: String,
    /// What went wrong.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Where databases and logs were left.
    pub kept: Option<PathBuf>,
}

impl AbuseReport {
    fn step(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    /// Notes a failure unless this holds.
    fn check(&mut self, holds: bool, failure: impl Into<String>) {
        if !holds {
            self.failures.push(failure.into());
        }
    }
}

impl fmt::Display for AbuseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "{:>3}. {step}", number + 1))?;
        write!(f, "\n{}", self.tables)
    }
}

/// Runs it. With `write`, the tables are put into their page of the documentation; without, they are held against it.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(suite: CipherSuite, keep: Keep, write: bool) -> Result<AbuseReport> {
    let begun = Instant::now();
    let name = format!("abuse-{}", suite.code());
    let mut world = World::start(&name, &homes::domains(), keep).await?;
    let mut report = AbuseReport { name: name.clone(), ..AbuseReport::default() };
    story::tell(&mut world, suite, &mut report).await.with_context(|| format!("{name} broke off"))?;
    let shown = page::is_on_page(&report.tables, write)?;
    report.check(
        shown,
        "docs/abuse-scenario.md shows other tables: `cargo xtask e2e abuse --write` brings it up to date",
    );
    report.elapsed = begun.elapsed();
    report.kept = (keep == Keep::Yes).then(|| world.fixture().root().to_owned());
    Ok(report)
}

/// The names of the ways, as heads of the tables' columns.
fn ways() -> Vec<&'static str> {
    HOMES.iter().map(|home| home.way.name()).collect()
}
