//! The join-link flow: section 3.2 of the pseudonyms draft.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mimi_flow::{Command, Event};
use mimi_link::RoomLink;
use mimi_pseudonym::{ClaimName, DisclosureFormat, RoomUri};

use super::{
    Report, Story, TWO, Variant, World, report,
    rooms::{self, PATIENCE},
};
use crate::{
    ladder::{HandOver, JOIN_LINK, Mark},
    people::{A1, B1, MovedClock, People, alice, bob},
    record::Actor,
    sight::{
        Expectation::{self, Allowed, Forbidden, OpenDifference},
        Sight,
    },
};

/// Runs the flow between two providers.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant) -> Result<Report> {
    let name = format!("join-link-{}-{}", variant.suite.code(), variant.format);
    let mut world = World::start(&name, &TWO, variant.keep).await?;
    let story = story(&mut world, variant).await.with_context(|| format!("{name} broke off"))?;
    report(name, JOIN_LINK, world, story, variant.keep).await
}

async fn story(world: &mut World, variant: Variant) -> Result<Story> {
    let format = variant.format;
    let mut people = People::register(world.fixture(), variant.suite, Arc::new(MovedClock::new(0))).await?;
    let mut story = Story::default();
    people.command(A1, Command::Prepare { pseudonyms: 1 })?;
    people.command(B1, Command::Prefer { format })?;
    people.command(B1, Command::Prepare { pseudonyms: 1 })?;
    people.settle().await?;

    story.marks.push(Mark::now("room and link"));
    let room = rooms::create(&mut people).await?;
    let text = rooms::create_link(&mut people, &room, Some(1)).await?;
    let handed = Mark::now("");
    let (from, to, label) = (Actor::ClientA1, Actor::ClientB1, "join link".to_owned());
    story.handed.push(HandOver { at_ms: handed.at_ms, from, to, label, octets: text.len() });
    // What is handed over is on paper, as a QR code, and read from there.
    let link: RoomLink = text.parse()?;
    ensure!(link.room() == &room, "the link leads to another room");

    let shown = rooms::look(&mut people, B1, &link).await?;
    if shown.1.name != rooms::NAME || shown.1.identity() != rooms::identity()? {
        story.failures.push("Bob was shown another room than Alice made".into());
    }
    if people.devices.get(B1).is_some_and(|device| device.client.device().rooms().count() > 0) {
        story.failures.push("Bob is in a room before he has decided".into());
    }
    story.marks.push(Mark::now("Bob decides"));
    people.command(B1, Command::JoinSeen { visit: shown.0 })?;
    rooms::until_joined(&mut people, &room, &["ClientB1", "ClientB2"]).await?;
    people.settle().await?;

    let claims = vec![ClaimName::Handle, ClaimName::DisplayName];
    let all = format == DisclosureFormat::X509;
    let claims = if all { ClaimName::ALL.into_iter().filter(|name| rooms::is_issued(*name)).collect() } else { claims };
    people.command(B1, Command::Disclose { room: room.clone(), claims })?;
    let knows = |told: &[(&'static str, Event)], who: &str| {
        told.iter().any(|(name, event)| {
        *name == who && matches!(event, Event::Disclosed { who, .. }
            if who.claims.value(ClaimName::DisplayName) == Some(bob::DISPLAY_NAME) && who.issuer.as_str() == "b.example")
    })
    };
    let everybody = ["ClientA1", "ClientA2", "ClientB2"];
    people.until(PATIENCE, |told| everybody.iter().all(|name| knows(told, name))).await?;
    people.settle().await?;
    rooms::agree(&people, &room, 4)?;

    let RoomLink::Join(join) = link else { bail!("a join link") };
    story.sight = Some(sight(&people, &room, join.code.as_bytes())?);
    Ok(story)
}

/// Who may see what.
fn sight(people: &People, room: &RoomUri, code: &[u8]) -> Result<Sight> {
    let [alice_account, alice_clients, bob_account, bob_clients] = people.accounts();
    let name = |domain: &str| rooms::name_in(people, A1, room, domain);
    let (p1, q1) = (name("a.example")?, name("b.example")?);
    let own = || Allowed("its own user".into());
    let linked = || Forbidden("section 1: the account behind a pseudonym".into());
    let follower = |why: &str| OpenDifference(why.into());
    let mut rows: Vec<(String, Vec<u8>, Expectation, Expectation)> = Vec::new();
    let mut row = |name: &str, value: &[u8], at_a, at_b| rows.push((name.to_owned(), value.to_vec(), at_a, at_b));
    for (who, value) in [
        ("Alice's handle", alice::HANDLE),
        ("Alice's display name", alice::DISPLAY_NAME),
        ("Alice's e-mail address", alice::EMAIL),
    ] {
        row(who, value.as_bytes(), own(), linked());
    }
    for (at, value) in alice_account.iter().chain(&alice_clients).enumerate() {
        let who = if at == 0 { "Alice's account".to_owned() } else { format!("Alice's client {at}") };
        row(&who, value.as_bytes(), own(), linked());
    }
    for (who, value) in
        [("Bob's handle", bob::HANDLE), ("Bob's display name", bob::DISPLAY_NAME), ("Bob's e-mail address", bob::EMAIL)]
    {
        row(who, value.as_bytes(), linked(), own());
    }
    for (at, value) in bob_account.iter().chain(&bob_clients).enumerate() {
        let who = if at == 0 { "Bob's account".to_owned() } else { format!("Bob's client {at}") };
        row(&who, value.as_bytes(), linked(), own());
    }
    let pseudonym = || Allowed("its own pseudonym".into());
    row("P1, Alice in the room", p1.as_bytes(), pseudonym(), follower("a follower sees who else is in the room"));
    row("Q1, Bob in the room", q1.as_bytes(), Allowed("hub of the room".into()), pseudonym());
    row("the room", room.as_str().as_bytes(), Allowed("its hub".into()), Allowed("its user is in it".into()));
    row(
        "the room's name",
        rooms::NAME.as_bytes(),
        Allowed("its hub".into()),
        follower("the GroupInfo that comes with a commit is not sealed"),
    );
    row(
        "the joining code",
        code,
        Allowed("Bob shows it to the hub".into()),
        follower("the request for the GroupInfo is not sealed"),
    );
    rooms::table(["a.example", "b.example"], rows.into_iter().map(|(n, v, a, b)| (n, v, vec![a, b])).collect())
}
