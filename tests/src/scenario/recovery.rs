//! Rooms that go on though somebody in them makes commits that nobody can go along with (`docs/profile-recovery.md`).

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use mimi_flow::{Action, Command, Event};
use mimi_pseudonym::{CipherSuite, Content, RoomUri};
use tokio::time::Instant;

use super::{
    TWO, Variant, World,
    rooms::{self, PATIENCE},
};
use crate::{
    faulty::{Faulty, Quality},
    fixture::{Fixture, Keep},
    people::{A1, A2, B1, B2, MovedClock, People},
};

/// What came of it.
#[derive(Debug, Default)]
pub struct RecoveryReport {
    /// The scenario and its variant.
    pub name: String,
    /// What happened, in order.
    pub steps: Vec<String>,
    /// What went wrong.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Where databases and logs were left.
    pub kept: Option<PathBuf>,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "{:>3}. {step}", number + 1))
    }
}

const EVERYBODY: [usize; 4] = [A1, A2, B1, B2];

/// Runs it.
///
/// # Errors
/// If it cannot be run to its end.
pub async fn run(variant: Variant) -> Result<RecoveryReport> {
    let begun = Instant::now();
    let name = format!("recovery-{}", variant.suite.code());
    let mut world = World::start(&name, &TWO, variant.keep).await?;
    let mut report = RecoveryReport { name: name.clone(), ..RecoveryReport::default() };
    story(world.fixture(), variant.suite, &mut report).await.with_context(|| format!("{name} broke off"))?;
    world.stop().await?;
    report.elapsed = begun.elapsed();
    report.kept = (variant.keep == Keep::Yes).then(|| world.fixture().root().to_owned());
    Ok(report)
}

async fn story(fixture: &Fixture, suite: CipherSuite, report: &mut RecoveryReport) -> Result<()> {
    let mut people = People::register(fixture, suite, Arc::new(MovedClock::new(0))).await?;
    people.command(A1, Command::Prepare { pseudonyms: 2 })?;
    people.command(B1, Command::Prepare { pseudonyms: 1 })?;
    people.settle().await?;
    let room = rooms::create(&mut people).await?;
    let link = rooms::create_link(&mut people, &room, None).await?;
    let (visit, _) = rooms::look(&mut people, B1, &link.parse()?).await?;
    people.command(B1, Command::JoinSeen { visit })?;
    rooms::until_joined(&mut people, &room, &["ClientB1", "ClientB2"]).await?;
    people.settle().await?;
    rooms::agree(&people, &room, 4)?;
    report.steps.push("Alice and Bob are in a room, with two clients each".into());

    let mut member = Faulty::register(fixture, "b.example", "faulty.member", suite).await?;
    member.join(&link, Quality::Good).await?;
    until_there(&mut people, &room, 5).await?;
    let epochs = Heard::of(&people);
    member.commit(Quality::Bad).await.context("the hub cannot see what is wrong")?;
    all_go_back(&mut people, &room, &EVERYBODY, epochs).await?;
    until_there(&mut people, &room, 4).await?;
    report
        .steps
        .push("a member's commit has a wrong confirmation tag; the hub takes it back, and the member is out".into());
    ensure!(member.ask(&room, None).await?.is_none(), "the faulty member is let in again");
    ensure!(!member.say("I am still here").await.unwrap_or(false), "the faulty member may still speak");
    talk(&mut people, &room, A1, "on we go").await?;
    report.steps.push("Alice and Bob write on, in the same room".into());

    let mut joiner = Faulty::register(fixture, "b.example", "faulty.joiner", suite).await?;
    let before = Heard::of(&people);
    joiner.join(&link, Quality::Bad).await.context("the hub cannot see what is wrong")?;
    all_go_back(&mut people, &room, &EVERYBODY, before).await?;
    until_there(&mut people, &room, 4).await?;
    ensure!(joiner.ask(&room, None).await?.is_none(), "the faulty joiner is let in");
    report.steps.push(
        "somebody joins by a commit with a wrong confirmation tag; the hub takes it back, and nobody has come in"
            .into(),
    );
    talk(&mut people, &room, B1, "and on").await?;

    // What closed the room to others is over with the next commit, which one of the members makes.
    let mut late = Faulty::register(fixture, "b.example", "late.joiner", suite).await?;
    joins_in_time(&mut people, &mut late, &link).await?;
    until_there(&mut people, &room, 5).await?;
    report.steps.push("the next one comes in by the same link".into());

    one_against_the_other(fixture, suite, &mut people, report).await?;
    let same = people.devices.iter().all(|device| device.client.device().rooms().any(|(one, _)| *one == room));
    ensure!(same, "somebody is not in the room any more");
    Ok(())
}

/// A room of two users: nobody can tell who of them is right, and so nobody is put out.
async fn one_against_the_other(
    fixture: &Fixture,
    suite: CipherSuite,
    people: &mut People,
    report: &mut RecoveryReport,
) -> Result<()> {
    people.told.clear();
    let room = rooms::create(people).await?;
    let link = rooms::create_link(people, &room, None).await?;
    let mut other = Faulty::register(fixture, "b.example", "faulty.other", suite).await?;
    other.join(&link, Quality::Good).await?;
    until_there(people, &room, 3).await?;
    let before = Heard::of(people);
    other.commit(Quality::Bad).await?;
    all_go_back(people, &room, &[A1, A2], before).await?;
    other.come_back(Quality::Good).await.context("the other one is out")?;
    until_there(people, &room, 3).await?;
    talk(people, &room, A1, "once more").await?;
    report
        .steps
        .push("in a room of two, a commit of the one that the other cannot follow is void, and both stay".into());

    // The other one says of a good commit of Alice's that it cannot go along.
    other.follow().await?;
    people.command(A1, Command::Moderate { room: room.clone(), user: other.user().clone(), action: Action::Mute })?;
    people.settle().await?;
    other.follow().await?;
    let before = Heard::of(people);
    other.lie().await?;
    all_go_back(people, &room, &[A1, A2], before).await?;
    other.come_back(Quality::Good).await?;
    until_there(people, &room, 3).await?;
    talk(people, &room, A1, "nobody has lost the room").await?;
    let said = other.follow().await?;
    ensure!(
        said.iter().any(|text| text.contains("nobody has lost the room")),
        "the other one does not hear Alice: {said:?}"
    );
    report.steps.push("in a room of two, who is accused falsely loses a commit, and comes in again by itself".into());
    // Whom a commit removes has no say in it.
    people.command(A1, Command::Moderate { room: room.clone(), user: other.user().clone(), action: Action::Kick })?;
    until_there(people, &room, 2).await?;
    let before = Heard::of(people);
    other.follow().await?;
    if other.lie().await.is_ok() {
        report.failures.push("who was removed may report the commit that did it".into());
    }
    people.settle().await?;
    ensure!(before.count(people, A1) == 0, "who was removed has made the removal void");
    until_there(people, &room, 2).await?;
    report.steps.push("whom a commit removes cannot have it taken back".into());
    Ok(())
}

/// What had been told when something began.
struct Heard(usize);

impl Heard {
    fn of(people: &People) -> Self {
        Self(people.told.len())
    }

    /// How often a device was told since then that a room has gone back.
    fn count(&self, people: &People, device: usize) -> usize {
        let name = people.devices.get(device).map(|device| device.name);
        let since = people.told.iter().skip(self.0);
        since.filter(|(who, event)| Some(*who) == name && matches!(event, Event::RolledBack { .. })).count()
    }
}

/// All these devices are told that the room has gone back.
async fn all_go_back(people: &mut People, room: &RoomUri, devices: &[usize], before: Heard) -> Result<()> {
    let names: Vec<_> = devices.iter().filter_map(|at| people.devices.get(*at)).map(|device| device.name).collect();
    let told_of = |told: &[(&'static str, Event)], name: &str| {
        let is_it = |event: &Event| matches!(event, Event::RolledBack { room: one } if one == room);
        told.iter().skip(before.0).any(|(who, event)| *who == name && is_it(event))
    };
    people.until(PATIENCE, |told| names.iter().all(|name| told_of(told, name))).await
}

/// Waits until all who are in a room see so many clients there.
async fn until_there(people: &mut People, room: &RoomUri, clients: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        people.settle().await?;
        match rooms::agree(people, room, clients) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
}

/// Somebody joins as soon as the room lets others in again.
async fn joins_in_time(people: &mut People, joiner: &mut Faulty, link: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        people.settle().await?;
        match joiner.join(link, Quality::Good).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
}

/// One device says something, and all others in the room hear it.
async fn talk(people: &mut People, room: &RoomUri, from: usize, text: &str) -> Result<()> {
    let content = Content { media_type: "text/plain".to_owned(), body: text.as_bytes().to_vec() };
    people.command(from, Command::Send { room: room.clone(), content })?;
    let there = |at: &usize| people.devices.get(*at).is_some_and(|one| !one.client.device().clients(room).is_empty());
    let others = EVERYBODY.into_iter().filter(|at| *at != from).filter(there);
    let names: Vec<_> = others.filter_map(|at| people.devices.get(at)).map(|device| device.name).collect();
    ensure!(!names.is_empty(), "nobody is there to listen");
    let heard = |told: &[(&'static str, Event)], name: &str| {
        told.iter()
            .any(|(who, event)| *who == name && matches!(event, Event::Message { body, .. } if body == text.as_bytes()))
    };
    people.until(PATIENCE, |told| names.iter().all(|name| heard(told, name))).await
}
