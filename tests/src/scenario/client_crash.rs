//! Every flow with clients that are processes of their own and are killed at every step: right before it is on disk, and
//! right after. What comes of it has to be what comes of the same story undisturbed.
#![allow(clippy::print_stderr, reason = "long work says how far it is")]

pub mod child;
mod crew;
mod steps;
mod stories;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mimi_flow::{Delays, PseudonymState};
use mimi_pseudonym::{CipherSuite, UserUri};
use rusqlite::Connection;

use self::{
    crew::{Crew, Deaths},
    stories::{STORIES, Story},
};
use super::{TWO, World};
use crate::{
    fixture::{Fixture, Keep},
    people::{MovedClock, People},
};

/// What came of one flow.
#[derive(Debug)]
pub struct Told {
    /// Which flow.
    pub name: &'static str,
    /// How often clients were killed.
    pub before: usize,
    /// Steps that were written, each of them the last thing that a process did.
    pub steps: usize,
    /// Kills at other moments, when the application had a client do something.
    pub anywhere: usize,
    /// Events that applications were told.
    pub told: usize,
    /// How long it took, undisturbed and killed.
    pub elapsed: [Duration; 2],
}

/// What came of it.
#[derive(Debug, Default)]
pub struct ClientCrashReport {
    /// The flows.
    pub flows: Vec<Told>,
    /// What is not as after an undisturbed run.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The clients, by name and provider.
const CLIENTS: [(&str, &str); 4] =
    [("ClientA1", "a.example"), ("ClientA2", "a.example"), ("ClientB1", "b.example"), ("ClientB2", "b.example")];

/// Tables of the providers of which everything is compared that does not depend on chance.
const TABLES: [&str; 13] = [
    "tie_counted",
    "tie_spent",
    "accounts",
    "devices",
    "enrolments",
    "pseudonyms",
    "client_pseudonyms",
    "key_packages",
    "key_packages WHERE claimed > 0",
    "room_clients",
    "hub_rooms",
    "outbox",
    "consents",
];

/// What is there when a story is over: names, and how many.
type State = BTreeMap<String, usize>;

/// Runs all flows, each undisturbed and killed.
///
/// # Errors
/// If one cannot be run to its end. What is found wrong is in the report.
pub async fn run(suite: CipherSuite, keep: Keep) -> Result<ClientCrashReport> {
    let begun = Instant::now();
    let mut report = ClientCrashReport::default();
    for story in STORIES {
        let name = story.name();
        let (expected, _, quick) =
            once(story, suite, keep, false).await.with_context(|| format!("{name}, undisturbed"))?;
        let (found, deaths, slow) = once(story, suite, keep, true).await.with_context(|| format!("{name}, killed"))?;
        report.failures.extend(compare(name, &expected, &found));
        if deaths.after == 0 || deaths.before == 0 {
            report.failures.push(format!("{name}: nobody was killed"));
        }
        let told = expected.iter().filter(|(name, _)| name.contains(": ")).map(|(_, count)| count).sum();
        let Deaths { before, after, anywhere } = deaths;
        report.flows.push(Told { name, before, steps: after, anywhere, told, elapsed: [quick, slow] });
        eprintln!("client-crash: {name} after {:.1} s", begun.elapsed().as_secs_f64());
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

async fn once(story: Story, suite: CipherSuite, keep: Keep, kills: bool) -> Result<(State, Deaths, Duration)> {
    let word = if kills { "killed" } else { "whole" };
    let name = format!("client-crash-{}-{word}", story.name().replace(' ', "-"));
    let mut world = World::start(&name, &TWO, keep).await?;
    let (offset, lifetime) = story.begins();
    if offset != 0 {
        crate::people::away_from_midnight().await;
        world.move_clocks(offset).await?;
    }
    if story == Story::Inboxes {
        let ties = "[ties]\nway = \"blind\"\nkey = \"tokens.key\"\npseudonyms = 4";
        world.configure("a.example", ties).await?;
    }
    if story.has_people() {
        let clock = Arc::new(MovedClock::new(offset));
        drop(People::register_with(world.fixture(), suite, clock, "", delays(lifetime)).await?);
    }
    let begun = Instant::now();
    let mut crew = Crew::start(world.fixture(), &CLIENTS, offset, kills)?;
    story.tell(&mut crew, &mut world, suite).await?;
    let elapsed = begun.elapsed();
    crew.settle()?;
    let mut state = crew.summary();
    for (name, domain) in CLIENTS {
        let pseudonyms = pseudonyms(world.fixture(), domain)?;
        for (what, count) in crew.inspect(name, |device| look(device, &pseudonyms))? {
            state.insert(format!("{name}, {what}"), count);
        }
    }
    let deaths = crew.deaths();
    crew.stop()?;
    world.stop().await?;
    for (_, domain) in CLIENTS.into_iter().step_by(2) {
        let database = database(world.fixture(), domain)?;
        for table in TABLES {
            let count: i64 = database.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?;
            state.insert(format!("{domain}, {table}"), usize::try_from(count)?);
        }
    }
    Ok((state, deaths, elapsed))
}

/// What is waited for, short enough to see its end.
fn delays(key_packages: Option<Duration>) -> Delays {
    let day = Duration::from_secs(86_400);
    Delays {
        destroy_after: day,
        destroy_spread: day,
        commit_spread: Duration::from_secs(1),
        removal_spread: Duration::from_secs(1),
        key_package_lifetime: key_packages.unwrap_or(Delays::default().key_package_lifetime),
        ..Delays::default()
    }
}

fn database(fixture: &Fixture, domain: &str) -> Result<Connection> {
    Ok(Connection::open(fixture.site(domain)?.data().join("provider.sqlite"))?)
}

/// The pseudonyms that a provider has given.
fn pseudonyms(fixture: &Fixture, domain: &str) -> Result<Vec<UserUri>> {
    let database = database(fixture, domain)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let mut statement = database.prepare("SELECT pseudonym FROM pseudonyms")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| Ok(row?.parse()?)).collect()
}

/// What a device has: its rooms by purpose, users and clients, and its pseudonyms by where they stand.
fn look(device: &mimi_flow::Device, pseudonyms: &[UserUri]) -> State {
    let mut state = State::new();
    for (room, of) in device.rooms() {
        let (users, clients) = (of.participants().iter().count(), device.clients(room).len());
        *state.entry(format!("rooms: {:?} of {users} users and {clients} clients", of.purpose())).or_default() += 1;
    }
    for pseudonym in pseudonyms {
        let stands = match device.pseudonym_state(pseudonym) {
            Some(PseudonymState::Fresh) => "fresh",
            Some(PseudonymState::Offered) => "offered",
            Some(PseudonymState::InRoom) => "in a room",
            Some(PseudonymState::Retired) => "retired",
            _ => "not there",
        };
        *state.entry(format!("pseudonyms: {stands}")).or_default() += 1;
    }
    state.insert("pseudonyms to choose from".into(), device.fresh_pseudonyms());
    state
}

fn compare(name: &str, expected: &State, found: &State) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differ = all.into_iter().filter(|what| expected.get(*what) != found.get(*what));
    let count = |state: &State, what: &str| state.get(what).copied().unwrap_or_default();
    differ
        .map(|what| format!("{name}: {what}: {} undisturbed, {} killed", count(expected, what), count(found, what)))
        .collect()
}

/// The counts. The verdict is in the failures.
impl fmt::Display for ClientCrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| flow | steps, each killed after | killed before | killed elsewhere | told | s | s killed |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for Told { name, before, steps, anywhere, told, elapsed: [quick, slow] } in &self.flows {
            let (quick, slow) = (quick.as_secs_f64(), slow.as_secs_f64());
            writeln!(f, "| {name} | {steps} | {before} | {anywhere} | {told} | {quick:.1} | {slow:.1} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let state =
            |entries: &[(&str, usize)]| entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let (one, other): (State, State) = (state(&[("a", 1), ("b", 2)]), state(&[("a", 1), ("b", 3), ("c", 1)]));
        assert!(compare("flow", &one, &one).is_empty());
        let expected = ["flow: b: 2 undisturbed, 3 killed", "flow: c: 0 undisturbed, 1 killed"];
        assert_eq!(compare("flow", &one, &other), expected);
        assert_eq!(compare("flow", &other, &one).len(), 2);
    }
}
