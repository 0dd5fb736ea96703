//! The connection flow while both providers are killed over and over, and clients as well: it has to end as if nothing
//! had happened.
#![allow(clippy::print_stderr, reason = "long work says how far it is")]

mod chaos;
mod count;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mimi_flow::{Command, Event};
use mimi_pseudonym::{ClaimName, Content, RoomUri};
use tokio::time::{Instant, timeout_at};

pub use self::{
    chaos::{Chaos, Dice},
    count::{Counts, rows, rows_at},
};
use super::{TWO, Variant, World, connection::forgotten};
use crate::{
    fixture::{Fixture, Keep, Site},
    load::Store,
    people::{A1, B1, B2, Device, MovedClock, People, alice, bob},
    postgres::Postgres,
    record::read,
};

/// What came of it.
#[derive(Debug, Default)]
pub struct CrashReport {
    /// The scenario and its variant.
    pub name: String,
    /// How often the flow was gone through, each time with new providers and accounts.
    pub rounds: u8,
    /// How often a provider was killed, and how many of those at once after an exchange had been written down.
    pub kills: [u64; 2],
    /// How often a provider was started again.
    pub restarts: u64,
    /// How often a client was cut off and opened again from its store.
    pub reopened: u64,
    /// What the recordings say.
    pub counts: Counts,
    /// Events that applications were told.
    pub told: usize,
    /// What went wrong.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Where databases and logs of the last round were left.
    pub kept: Option<PathBuf>,
}

/// How often the flow is gone through.
const ROUNDS: u8 = 5;
/// Seconds after which the first room is gone.
const LATER: i64 = 3 * 86_400;
/// How long a part of the flow may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the flow between two providers that are killed, several times. The seed says when; how far the flow is then,
/// chance says.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant, store: Store, seed: u64) -> Result<CrashReport> {
    let begun = Instant::now();
    let on = if store == Store::Postgres { "-postgres" } else { "" };
    let name = format!("crash{on}-{}", variant.suite.code());
    let server = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Postgres::start(true).context("there is no PostgreSQL on this machine (no initdb)")?),
    };
    let mut report = CrashReport { name: format!("{name}, seed {seed}"), ..CrashReport::default() };
    for number in 1..=ROUNDS {
        report.rounds = number;
        round(variant, server.as_ref(), &name, seed, &mut report)
            .await
            .with_context(|| format!("{name} broke off with seed {seed} in round {number}"))?;
        // The files of a round that went wrong are the ones to look at.
        if !report.wrong().is_empty() {
            break;
        }
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

async fn round(
    variant: Variant,
    server: Option<&Postgres>,
    name: &str,
    seed: u64,
    report: &mut CrashReport,
) -> Result<()> {
    let mut fixture = Fixture::create(name, &TWO, variant.keep)?;
    if let Some(server) = server {
        let round = report.rounds;
        fixture.choose_databases(|domain| {
            let name = domain.as_str().replace('.', "_");
            server.create(&format!("{name}_{}_{round}", variant.suite.code()))
        })?;
    }
    let world = World::of(fixture).await?;
    let (fixture, processes) = world.into_parts();
    let recordings = processes.iter().map(|process| Ok(fixture.site(process.domain())?.exchanges()));
    let recordings = recordings.collect::<Result<Vec<_>>>()?;
    let mut people = People::register(&fixture, variant.suite, Arc::new(MovedClock::new(0))).await?;
    people.prefer(variant.format)?;
    let dice = |what| Dice::new(seed, [report.rounds, what]);
    let chaos = Chaos::start(processes, recordings, dice(1));
    let title = format!("{name}, round {}", report.rounds);
    let mut story = Story { people, chaos, dice: dice(2), reopened: 0, begun: Instant::now(), title };
    let rooms = story.tell(&fixture).await?;
    let Story { mut people, chaos, reopened, .. } = story;
    let counters = chaos.counters();
    let mut processes = chaos.end().await?;
    report.failures.extend(state(&mut people, &fixture, &rooms).await?);
    for process in &mut processes {
        process.stop().await?;
    }
    report.failures.extend(left_over(&fixture, &rooms)?);
    let recordings = fixture.sites().iter().map(|site| read(&site.exchanges())).collect::<Result<Vec<_>>>()?;
    report.counts += Counts::of(&recordings);
    report.kills[0] += counters.kills.load(Ordering::SeqCst);
    report.kills[1] += counters.after_exchange.load(Ordering::SeqCst);
    report.restarts += counters.restarts.load(Ordering::SeqCst);
    report.reopened += reopened;
    report.told += people.told.len();
    report.kept = (variant.keep == Keep::Yes).then(|| fixture.root().to_owned());
    Ok(())
}

/// The first room, which is gone, and the second.
struct Rooms([RoomUri; 2]);

struct Story {
    people: People,
    chaos: Chaos,
    dice: Dice,
    reopened: u64,
    begun: Instant,
    title: String,
}

impl Story {
    /// What Alice's and Bob's clients do.
    async fn tell(&mut self, fixture: &Fixture) -> Result<Rooms> {
        for device in [B1, B2] {
            self.people.command(device, Command::Publish { key_packages: 2 })?;
        }
        self.people.command(A1, Command::Prepare { pseudonyms: 3 })?;
        self.people.command(B1, Command::Prepare { pseudonyms: 2 })?;
        let [a, b] = [fixture.site("a.example")?, fixture.site("b.example")?];
        // Of each of Alice's devices three for her pseudonyms; of each of Bob's two, and two for his account.
        let stock = [(a, 6), (b, 8)];
        self.go_on("all have what they need", fixture, |people| {
            let ready = |name, count| told(people, name, |event| matches!(event, Event::Ready { .. })) == count;
            let there = stock.iter().all(|(site, count)| {
                rows_at(site, "SELECT COUNT(*) FROM key_packages").is_ok_and(|rows| rows == *count)
            });
            ready("ClientA1", 1) && ready("ClientB1", 2) && ready("ClientB2", 1) && there
        })
        .await?;

        let disclose = vec![ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];
        let (handle, domain) = (bob::IM_URI.to_owned(), "b.example".parse()?);
        self.people.command(A1, Command::Connect { handle, domain, disclose, note: alice::NOTE.to_owned() })?;
        let (room_1, _) = self.people.first_room()?;
        self.go_on("Bob is asked", fixture, |people| {
            let asked = |event: &Event| matches!(event, Event::ConnectionRequested { .. });
            ["ClientB1", "ClientB2"].iter().all(|name| told(people, name, asked) == 1)
        })
        .await?;

        let request = self.people.request()?;
        let greeting = Content { media_type: "text/plain".to_owned(), body: bob::GREETING.as_bytes().to_vec() };
        self.people.command(B1, Command::Accept { request, greeting })?;
        self.go_on("Alice is answered", fixture, |people| {
            let greeted = |event: &Event| matches!(event, Event::Message { .. });
            ["ClientA1", "ClientA2", "ClientB2"].iter().all(|name| told(people, name, greeted) == 1)
        })
        .await?;
        let room_2 = self.people.second_room()?;

        self.chaos.move_clocks(LATER);
        self.people.clock.set(LATER);
        self.go_on("the first room goes", fixture, |people| {
            let closed = told(people, "ClientA1", |event| matches!(event, Event::Closed { .. })) == 1;
            closed && people.devices.iter().all(|device| device.client.device().rooms().count() == 1)
        })
        .await?;
        Ok(Rooms([room_1, room_2]))
    }

    /// Lets all clients go on at once, slice by slice, until something is so. Now and then one is cut off at the end of
    /// its slice, whatever it is doing, and opened again from what it has on disk.
    async fn go_on(&mut self, what: &str, fixture: &Fixture, done: impl Fn(&People) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.people) {
            if Instant::now() > deadline || self.chaos.has_failed() {
                let told: Vec<_> = self.people.told.iter().map(|(name, event)| format!("{name}: {event:?}")).collect();
                bail!("not yet so: {what}; told so far:\n{}", told.join("\n"));
            }
            let victim = self.dice.one_in(2).then(|| self.dice.between(0, 3));
            let mut slices = [Duration::ZERO; 4];
            slices.fill_with(|| self.dice.millis(1, 60));
            let [a1, a2, b1, b2] = self.people.devices.as_mut_slice() else { bail!("four devices are needed") };
            let cut = |at| victim == Some(at);
            let told = tokio::join!(
                slice(a1, slices[0], cut(0)),
                slice(a2, slices[1], cut(1)),
                slice(b1, slices[2], cut(2)),
                slice(b2, slices[3], cut(3)),
            );
            for told in [told.0?, told.1?, told.2?, told.3?] {
                self.people.told.extend(told);
            }
            if let Some(victim) = victim {
                self.people.reopen_one(fixture, usize::try_from(victim)?)?;
                self.reopened += 1;
            }
        }
        let (kills, seconds) = (self.chaos.counters().kills.load(Ordering::SeqCst), self.begun.elapsed().as_secs_f64());
        eprintln!("{}: {what} after {seconds:.1} s, {kills} kills, {} clients reopened", self.title, self.reopened);
        Ok(())
    }
}

/// What a device is told in a while. To be `cut` off means that it is left in the middle of what it does.
async fn slice(device: &mut Device, time: Duration, cut: bool) -> Result<Vec<(&'static str, Event)>> {
    let deadline = Instant::now() + time;
    let mut told = Vec::new();
    let work = async {
        loop {
            let left = if cut { PATIENCE } else { deadline.saturating_duration_since(Instant::now()) };
            match device.client.next_event(left).await? {
                Some(Event::Failed { reason, .. }) => bail!("{}: {reason}", device.name),
                Some(event) => {
                    // The application has it, and says so, before anything else can happen.
                    device.client.told()?;
                    told.push((device.name, event));
                }
                None => {}
            }
            if !cut && Instant::now() >= deadline {
                return Ok(());
            }
        }
    };
    match cut {
        true => timeout_at(deadline, work).await.unwrap_or(Ok(()))?,
        false => work.await?,
    }
    Ok(told)
}

/// How many of the events that an application was told are of some kind.
fn told(people: &People, name: &str, kind: impl Fn(&Event) -> bool) -> usize {
    people.told.iter().filter(|(who, event)| *who == name && kind(event)).count()
}

/// What is not as after a run that nobody disturbed. Nobody is killed any more.
async fn state(people: &mut People, fixture: &Fixture, rooms: &Rooms) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    let Rooms([first, second]) = rooms;
    settle(people, fixture).await?;
    // Each can write to all others: they are in one epoch of one room.
    let names = people.devices.iter().map(|device| device.name).collect::<Vec<_>>();
    for (at, name) in names.iter().enumerate() {
        let content = Content { media_type: "text/plain".to_owned(), body: name.as_bytes().to_vec() };
        people.command(at, Command::Send { room: second.clone(), content })?;
    }
    settle(people, fixture).await?;
    for who in names.iter().copied() {
        for from in names.iter().filter(|from| **from != who) {
            let message = |event: &Event| matches!(event, Event::Message { room, body, .. } if room == second && body == from.as_bytes());
            match told(people, who, message) {
                1 => {}
                count => failures.push(format!("{who} was told {count} times what {from} wrote")),
            }
        }
    }
    if let Err(error) = people.second_room() {
        failures.push(format!("{error:#}"));
    }
    for (at, (who, event)) in people.told.iter().enumerate() {
        let before = people.told.iter().take(at).any(|(other, one)| other == who && one == event);
        // Whoever asks twice for pseudonyms is told so twice.
        if before && !matches!(event, Event::Ready { .. }) {
            failures.push(format!("{who} was told twice: {event:?}"));
        }
    }
    for device in &people.devices {
        let rooms: Vec<_> = device.client.device().rooms().map(|(room, _)| room).collect();
        if rooms != [second] {
            failures.push(format!("{} is in {} rooms", device.name, rooms.len()));
        }
    }
    if !room_is_forgotten(fixture.site("a.example")?, first).await? {
        failures.push("the hub of the first room has not forgotten it".to_owned());
    }
    Ok(failures)
}

/// Lets all go on until nothing waits for the other provider and nobody has anything to do. What a courier was under way with
/// when it was killed is brought by another one when its turn is over, after 15 seconds. What still waits after the patience for a
/// part of the flow is for the caller to find.
async fn settle(people: &mut People, fixture: &Fixture) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let waits = || -> Result<bool> {
        let counts = fixture.sites().iter().map(|site| rows_at(site, "SELECT COUNT(*) FROM outbox"));
        Ok(counts.collect::<Result<Vec<_>>>()?.into_iter().any(|count| count > 0))
    };
    loop {
        people.settle().await?;
        if !waits()? {
            // What has just been brought is still to be taken.
            return people.settle().await;
        }
        if Instant::now() > deadline {
            return Ok(());
        }
    }
}

/// Whether a provider's database no longer has anything of a room within a while. A file is searched octet by octet.
async fn room_is_forgotten(site: &Site, room: &RoomUri) -> Result<bool> {
    if site.database().is_none() {
        return forgotten(&site.data(), room.as_str()).await;
    }
    let tables = ["hub_rooms", "hub_snapshots", "hub_log", "hub_seen", "room_clients", "events", "outbox"];
    let tables = tables.into_iter().chain(["mail_rooms", "destroyed_rooms"]);
    let counts: Vec<_> = tables.map(|table| format!("(SELECT COUNT(*) FROM {table} WHERE room = '{room}')")).collect();
    let query = format!("SELECT {}", counts.join(" + "));
    for _ in 0..100 {
        if rows_at(site, &query)? == 0 {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// What the databases have that they should not have, when everything has been acknowledged.
fn left_over(fixture: &Fixture, rooms: &Rooms) -> Result<Vec<String>> {
    let Rooms([first, second]) = rooms;
    let mut failures = Vec::new();
    for (site, hubs) in fixture.sites().iter().zip([0, 1]) {
        let clients = format!("SELECT COUNT(*) FROM room_clients WHERE room = '{second}'");
        let expected = [
            ("SELECT COUNT(*) FROM outbox".to_owned(), 0),
            ("SELECT COUNT(*) FROM events".to_owned(), 0),
            (format!("SELECT COUNT(*) FROM room_clients WHERE room = '{first}'"), 0),
            (clients, 2),
            ("SELECT COUNT(*) FROM hub_rooms".to_owned(), hubs),
            ("SELECT COUNT(*) FROM accounts".to_owned(), 1),
            ("SELECT COUNT(*) FROM devices".to_owned(), 2),
            ("SELECT COUNT(*) FROM pseudonyms".to_owned(), 3 - hubs),
        ];
        for (query, expected) in expected {
            let found = rows_at(site, &query)?;
            if found != expected {
                let (table, domain) = (query.trim_start_matches("SELECT COUNT(*) FROM "), site.domain());
                failures.push(format!("{domain} has {found} rows instead of {expected} in {table}"));
            }
        }
    }
    Ok(failures)
}

impl CrashReport {
    /// Everything that is not as it should be, each as a line.
    pub fn failures(&self) -> Vec<String> {
        let never = (self.kills[0] == 0).then(|| "nobody was killed".to_owned());
        self.wrong().into_iter().chain(never).collect()
    }

    fn wrong(&self) -> Vec<String> {
        let Counts { forgotten, doubled, lost, .. } = self.counts;
        let wrong = [
            (forgotten, "requests that were not carried out in the end"),
            (doubled, "events that a client was given under two numbers"),
            (lost, "messages that a hub accepted and a client was never given"),
        ];
        let wrong = wrong.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let changed =
            self.counts.changed.iter().map(|request| format!("answered otherwise when sent again: {request}"));
        self.failures.iter().cloned().chain(changed).chain(wrong).collect()
    }
}

/// The counts. The verdict is [`CrashReport::failures`].
impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, kills: [kills, after], restarts, reopened, counts, told, .. } = self;
        let repeated = |count: usize, again: usize| format!("{count:>6}   of which {again} once more");
        writeln!(f, "  flows                 {rounds:>6}")?;
        writeln!(f, "  providers killed      {kills:>6}   of which {after} at once after an exchange")?;
        writeln!(f, "  providers restarted   {restarts:>6}")?;
        writeln!(f, "  clients reopened      {reopened:>6}")?;
        writeln!(f, "  requests sent         {}", repeated(counts.sent, counts.repeated))?;
        writeln!(f, "  acknowledged          {:>6}", counts.acknowledged)?;
        writeln!(f, "  answered otherwise    {:>6}", counts.changed.len())?;
        writeln!(f, "  notifications         {}", repeated(counts.notified, counts.notified_again))?;
        writeln!(f, "  events delivered      {}", repeated(counts.delivered, counts.delivered_again))?;
        writeln!(f, "  delivered twice       {:>6}", counts.doubled)?;
        writeln!(f, "  lost                  {:>6}", counts.lost)?;
        writeln!(f, "  told to applications  {told:>6}")
    }
}
