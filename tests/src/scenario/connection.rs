//! The connection flow: section 3.1 of the pseudonyms draft.

mod expected;
mod format;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use mimi_pseudonym::{ClientUri, UserUri};

pub use self::{
    expected::{Met, sight},
    format::issued,
};
use super::{Report, Story, TWO, Variant, World, report};
use crate::{
    ladder::{CONNECTION, Mark},
    people::{MovedClock, People},
    record::read,
};

/// Runs the flow between two providers.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant) -> Result<Report> {
    let name = format!("connection-{}-{}", variant.suite.code(), variant.format);
    let mut world = World::start(&name, &TWO, variant.keep).await?;
    let story = story(&mut world, variant).await.with_context(|| format!("{name} broke off"))?;
    report(name, CONNECTION, world, story, variant.keep).await
}

/// Seconds of a day.
const DAY: i64 = 86_400;
/// When the story begins, is accepted, and ends, in days from the present by the machine's clock. MLS compares lifetimes of
/// KeyPackages with that clock as well, which is why the story ends around the present.
const BEGIN: i64 = -60 * DAY;
const LATER: i64 = -DAY;
const MUCH_LATER: i64 = 9 * DAY;

/// What Alice's and Bob's clients do. The providers run, and answer each other.
///
/// The order of registration says who is who in the diagram: at each provider the first client first.
async fn story(world: &mut World, variant: Variant) -> Result<Story> {
    let clock = Arc::new(MovedClock::new(BEGIN));
    world.move_clocks(BEGIN).await?;
    let mut people = People::register(world.fixture(), variant.suite, clock).await?;
    let mut story = Story::default();

    people.prefer(variant.format)?;
    people.prepare().await?;
    story.marks.push(Mark::now("time passes"));
    let request = people.connect().await?;
    let (room_1, p1) = people.first_room()?;

    // Everybody's process ends and begins again, two months later.
    world.move_clocks(LATER).await?;
    people = people.reopen(world.fixture())?;
    people.clock.set(LATER);
    story.marks.push(Mark::now("59 days pass"));
    let room_2 = people.accept(request).await?;
    let [p2, q1] = people.pseudonyms_in(&room_2)?;

    world.move_clocks(MUCH_LATER).await?;
    people.clock.set(MUCH_LATER);
    story.marks.push(Mark::now("10 days pass"));
    people.destroy_first_room().await?;
    let hub = world.fixture().site("a.example")?.data();
    if !forgotten(&hub, room_1.as_str()).await? {
        story.failures.push("the hub of the first room has not forgotten it".into());
    }

    // Whatever the clients say, the providers know what they issued.
    for site in world.fixture().sites() {
        let issued = issued(&read(&site.exchanges())?)?;
        if issued.keys().ne([&variant.format]) {
            story.failures.push(format!("{} issued {issued:?} instead of {}", site.domain(), variant.format));
        }
    }
    let [alice, alice_clients, bob, bob_clients] = people.accounts();
    let user = |users: Vec<String>| -> Result<UserUri> { Ok(users.first().context("an account")?.parse()?) };
    let clients = |clients: Vec<String>| -> Result<[ClientUri; 2]> {
        let parsed: Vec<ClientUri> = clients.iter().map(|client| client.parse()).collect::<Result<_, _>>()?;
        parsed.try_into().map_err(|_| anyhow!("two clients"))
    };
    let met = Met {
        alice: user(alice)?,
        alice_clients: clients(alice_clients)?,
        p1,
        p2,
        bob: user(bob)?,
        bob_clients: clients(bob_clients)?,
        q1,
        room_1,
        room_2,
    };
    story.sight = Some(sight(TWO.map(str::to_owned), &met)?);
    Ok(story)
}

/// Whether a text leaves the files of a folder in time.
pub(super) async fn forgotten(folder: &Path, text: &str) -> Result<bool> {
    for _ in 0..100 {
        if !holds(folder, text)? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Whether a file in a folder has this text in it.
fn holds(folder: &Path, text: &str) -> Result<bool> {
    for file in std::fs::read_dir(folder)? {
        let octets = std::fs::read(file?.path())?;
        if octets.windows(text.len()).any(|window| window == text.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}
