//! A device that is added to an account later: it comes into the rooms of the account's pseudonyms by itself, and their hubs are
//! told nothing of what belongs together.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mimi_client::{Client, ClientError, TransportError};
use mimi_flow::{Command, Delays, Event};
use mimi_pseudonym::{Content, RoomUri};
use mimi_wire::{Problem, local::EnrolmentCode};
use tokio::time::Instant;

use super::{
    TWO, Variant, World,
    rooms::{self, PATIENCE},
};
use crate::{
    fixture::Keep,
    people::{A1, B1, MovedClock, People, surroundings},
};

/// What came of it.
#[derive(Debug, Default)]
pub struct DevicesReport {
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

impl fmt::Display for DevicesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "{:>3}. {step}", number + 1))
    }
}

/// Runs it.
///
/// # Errors
/// If it cannot be run to its end.
pub async fn run(variant: Variant) -> Result<DevicesReport> {
    let begun = Instant::now();
    let name = format!("devices-{}", variant.suite.code());
    let mut world = World::start(&name, &TWO, variant.keep).await?;
    let mut report = DevicesReport { name: name.clone(), ..DevicesReport::default() };
    story(&world, variant, &mut report).await.with_context(|| format!("{name} broke off"))?;
    world.stop().await?;
    report.elapsed = begun.elapsed();
    report.kept = (variant.keep == Keep::Yes).then(|| world.fixture().root().to_owned());
    Ok(report)
}

async fn story(world: &World, variant: Variant, report: &mut DevicesReport) -> Result<()> {
    let mut people = People::register(world.fixture(), variant.suite, Arc::new(MovedClock::new(0))).await?;
    people.command(A1, Command::Prepare { pseudonyms: 3 })?;
    people.command(B1, Command::Prepare { pseudonyms: 2 })?;
    people.settle().await?;
    // Alice is the maker of one room, at her own provider, and Bob of the other, which Alice has joined.
    let first = rooms::create(&mut people).await?;
    let link = rooms::create_link(&mut people, &first, None).await?;
    join(&mut people, B1, &link, &first, &["ClientB1", "ClientB2"]).await?;
    people.told.clear();
    let second = rooms::create(&mut people).await?;
    ensure!(first != second, "two rooms");
    let names = [&first, &second].map(|room| rooms::name_in(&people, A1, room, "a.example"));
    let [one, other] = names;
    ensure!(one? != other?, "Alice has the same name in two rooms");
    report.steps.push("Alice is in two rooms under two names, with two devices; Bob is in one of them".into());

    let third = people.add_device(world.fixture(), "a.example", "ClientA3").await?;
    let there = |people: &People, room: &RoomUri| {
        people.devices.get(third).is_some_and(|device| !device.client.device().clients(room).is_empty())
    };
    let deadline = Instant::now() + PATIENCE;
    while ![&first, &second].into_iter().all(|room| there(&people, room)) {
        ensure!(Instant::now() < deadline, "the device does not come into its rooms");
        people.settle().await?;
    }
    people.settle().await?;
    rooms::agree(&people, &first, 5)?;
    rooms::agree(&people, &second, 3)?;
    report.steps.push("a third device of Alice's comes into both by itself".into());

    let content = Content { media_type: "text/plain".to_owned(), body: b"from the new one".to_vec() };
    people.command(third, Command::Send { room: first.clone(), content })?;
    let heard = |told: &[(&'static str, Event)]| {
        told.iter().any(|(who, event)| {
            *who == "ClientB1" && matches!(event, Event::Message { body, .. } if body == b"from the new one")
        })
    };
    people.until(PATIENCE, heard).await?;
    report.steps.push("Bob hears what is written there".into());

    // A room that is made later has it from the start.
    people.told.clear();
    let later = rooms::create(&mut people).await?;
    people.settle().await?;
    rooms::agree(&people, &later, 3)?;
    report
        .steps
        .push("a room that Alice makes later, from a pseudonym that she had before, has all three in it".into());
    lost(world, &mut people, third, [(&first, 4), (&second, 2), (&later, 2)], report).await
}

/// The third device is lost: one command, and it is a device no more, in no room, and of no use to whoever has it.
async fn lost(
    world: &World,
    people: &mut People,
    third: usize,
    rooms: [(&RoomUri, usize); 3],
    report: &mut DevicesReport,
) -> Result<()> {
    let mut stolen = people.devices.swap_remove(third);
    let one = people.devices.get(A1).context("Alice's first device")?;
    let client = stolen.client.device().profile().client.clone();
    let listed = one.client.devices().await?;
    ensure!(listed.len() == 3, "Alice has {} devices", listed.len());
    ensure!(listed.iter().any(|(of, name)| *of == client && name == "later"), "the lost one is among them");
    people.told.clear();
    people.command(A1, Command::RemoveDevice { client: client.clone() })?;
    // The process ends before anything has come of it.
    people.reopen_one(world.fixture(), A1)?;
    let done = |told: &[(&'static str, Event)]| told.iter().any(|(_, event)| matches!(event, Event::Done { .. }));
    people.until(PATIENCE, done).await?;
    people.settle().await?;
    for (room, clients) in rooms {
        rooms::agree(people, room, clients)?;
    }
    report.steps.push("the third device is lost: by one command of another one it is in none of these rooms".into());

    match stolen.client.next_event(Duration::from_millis(300)).await {
        Err(ClientError::Transport(TransportError::Refused(Problem::Unauthorized))) => {}
        other => bail!("the lost device still gets something: {other:?}"),
    }
    let one = people.devices.get(A1).context("Alice's first device")?;
    ensure!(one.client.devices().await?.iter().all(|(of, _)| *of != client), "it is listed still");
    let code = people.told.iter().find_map(|(_, event)| match event {
        Event::DeviceRemoved { enrolment_code, .. } => Some(EnrolmentCode::from_bytes(*enrolment_code)),
        _ => None,
    });
    // The code that stood on it lets nobody in; the new one does.
    let old = people.next_code("a.example", code.context("a new code")?).context("an old code")?;
    let path = world.fixture().root().join("thief.sqlite");
    let around = surroundings(world.fixture(), "a.example", &people.clock)?;
    let suite = stolen.client.device().profile().suite;
    match Client::add_device(&path, old, "thief", suite, Delays::default(), around).await {
        Err(ClientError::Transport(TransportError::Refused(Problem::Unauthorized))) => {}
        other => bail!("the old code lets somebody in: {other:?}"),
    }
    people.add_device(world.fixture(), "a.example", "ClientA4").await?;
    report.steps.push("neither its token nor the code on it is of any use; a new code lets the next device in".into());
    Ok(())
}

async fn join(people: &mut People, device: usize, link: &str, room: &RoomUri, names: &[&str]) -> Result<()> {
    let (visit, _) = rooms::look(people, device, &link.parse()?).await?;
    people.command(device, Command::JoinSeen { visit })?;
    rooms::until_joined(people, room, names).await?;
    people.settle().await
}
