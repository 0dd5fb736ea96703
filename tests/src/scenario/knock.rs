//! The knock flow: section 3.3 of the pseudonyms draft.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mimi_flow::{Command, Event, FlowId};
use mimi_link::RoomLink;
use mimi_pseudonym::{ClaimName, DisclosureFormat, DisclosurePolicy, RoomUri};
use mimi_room::RoomPurpose;

use super::{
    Report, Story, THREE, Variant, World, report,
    rooms::{self, PATIENCE},
};
use crate::{
    ladder::{HandOver, KNOCK, Mark},
    people::{A1, B1, C1, MovedClock, People, alice, bob, cathy},
    record::Actor,
    sight::{
        Expectation::{self, Allowed, Forbidden, OpenDifference},
        Sight,
    },
};

/// Runs the flow between three providers.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant) -> Result<Report> {
    let name = format!("knock-{}-{}", variant.suite.code(), variant.format);
    let mut world = World::start(&name, &THREE, variant.keep).await?;
    let story = story(&mut world, variant).await.with_context(|| format!("{name} broke off"))?;
    report(name, KNOCK, world, story, variant.keep).await
}

/// Seconds of a day.
const DAY: i64 = 86_400;
/// When the moderators decide. MLS compares lifetimes with the machine's clock as well: the story ends around the present.
const BEGIN: i64 = -20 * DAY;
const LATER: i64 = -DAY;

async fn story(world: &mut World, variant: Variant) -> Result<Story> {
    let format = variant.format;
    let clock = Arc::new(MovedClock::new(BEGIN));
    world.move_clocks(BEGIN).await?;
    let mut people = People::register(world.fixture(), variant.suite, clock).await?;
    let mut story = Story::default();
    people.command(A1, Command::Prepare { pseudonyms: 2 })?;
    people.command(B1, Command::Prepare { pseudonyms: 1 })?;
    people.command(C1, Command::Prefer { format })?;
    people.command(C1, Command::Prepare { pseudonyms: 2 })?;
    people.settle().await?;

    story.marks.push(Mark::now("room with Bob"));
    let target = rooms::create(&mut people).await?;
    let link = rooms::create_link(&mut people, &target, Some(1)).await?.parse()?;
    let (visit, _) = rooms::look(&mut people, B1, &link).await?;
    people.command(B1, Command::JoinSeen { visit })?;
    rooms::until_joined(&mut people, &target, &["ClientB1", "ClientB2"]).await?;
    people.settle().await?;

    story.marks.push(Mark::now("knock room"));
    let others = [ClaimName::UserUri, ClaimName::DisplayName, ClaimName::Email];
    let disclosure = DisclosurePolicy::new([ClaimName::Handle], others, [])?;
    people.command(A1, Command::CreateKnockRoom { target: target.clone(), disclosure })?;
    people.settle().await?;
    let device = people.devices.get(A1).context("ClientA1")?.client.device();
    let room = device.knock_rooms(&target).next().context("a knock room")?.clone();
    let text = device.knock_link(&room).context("a knock link")?.to_string();
    rooms::until_joined(&mut people, &room, &["ClientA2"]).await?;
    let (from, to, label) = (Actor::ClientA1, Actor::ClientC1, "knock link".to_owned());
    story.handed.push(HandOver { at_ms: Mark::now("").at_ms, from, to, label, octets: text.len() });

    let link: RoomLink = text.parse()?;
    let (visit, shown) = rooms::look(&mut people, C1, &link).await?;
    ensure!(
        shown.purpose() == RoomPurpose::Knock && shown.knock_for.as_ref() == Some(&target),
        "another room is shown"
    );
    let all = format == DisclosureFormat::X509;
    let wanted = if all { [ClaimName::Handle].into_iter().chain(others).collect() } else { vec![ClaimName::Handle] };
    people.command(C1, Command::Knock { visit, disclose: wanted, note: cathy::NOTE.to_owned() })?;
    let knocks = |told: &[(&'static str, Event)], who: &str| {
        told.iter().any(|(name, event)| *name == who && matches!(event, Event::Knocked { .. }))
    };
    people.until(PATIENCE, |told| ["ClientA1", "ClientA2"].iter().all(|name| knocks(told, name))).await?;
    let first = rooms::name_in(&people, A1, &room, "c.example")?;
    let gone = |told: &[(&'static str, Event)]| {
        told.iter()
            .any(|(name, event)| *name == "ClientC1" && matches!(event, Event::Closed { room: one } if *one == room))
    };
    people.until(PATIENCE, gone).await?;
    people.settle().await?;
    rooms::agree(&people, &room, 2)?;
    let decision = knock(&people)?;

    world.move_clocks(LATER).await?;
    people = people.reopen(world.fixture())?;
    people.clock.set(LATER);
    story.marks.push(Mark::now("19 days pass"));
    people.command(A1, Command::AdmitKnock { knock: decision })?;
    rooms::until_joined(&mut people, &target, &["ClientC1", "ClientC2"]).await?;
    people.settle().await?;
    rooms::agree(&people, &target, 6)?;

    story.sight = Some(sight(&people, &target, &room, &first)?);
    Ok(story)
}

/// The knock that Alice's first device was told of, if it was told what Cathy disclosed.
fn knock(people: &People) -> Result<FlowId> {
    let mut knocks = people.told.iter().filter_map(|(name, event)| match event {
        Event::Knocked { knock, from, note, .. } if *name == "ClientA1" => Some((knock, from, note)),
        _ => None,
    });
    let (knock, from, note) = knocks.next().context("a knock")?;
    ensure!(knocks.next().is_none(), "ClientA1 was told of more than one knock");
    let handle = format!("im:{}@c.example", cathy::HANDLE);
    ensure!(from.claims.value(ClaimName::Handle) == Some(handle.as_str()), "it is somebody else");
    ensure!(from.issuer.as_str() == "c.example" && note == cathy::NOTE, "it is said otherwise");
    Ok(*knock)
}

/// A name, a value, and what is expected at the providers of Alice, Bob and Cathy.
type Row = (String, Vec<u8>, Vec<Expectation>);

/// Who may see what.
fn sight(people: &People, target: &RoomUri, room: &RoomUri, first: &str) -> Result<Sight> {
    let own = || Allowed("its own user".into());
    let linked = || Forbidden("section 1: the account behind a pseudonym".into());
    let sealed = || Forbidden("RFC 9420: sealed for the room's members".into());
    let pseudonym = || Allowed("its own pseudonym".into());
    let stranger = || Forbidden("section 3.3: none of its users is in the knock room".into());
    let hub = |of: &str| Allowed(format!("hub of the {of}"));
    let follower = || OpenDifference("a follower sees who else is in the room".into());
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |name: &str, value: &str, expected: [Expectation; 3]| {
        rows.push((name.to_owned(), value.as_bytes().to_vec(), expected.to_vec()));
    };
    let people_of: [(&str, [&str; 3], [usize; 2]); 3] = [
        ("Alice", [alice::HANDLE, alice::DISPLAY_NAME, alice::EMAIL], [0, 1]),
        ("Bob", [bob::HANDLE, bob::DISPLAY_NAME, bob::EMAIL], [2, 3]),
        ("Cathy", [cathy::HANDLE, cathy::DISPLAY_NAME, cathy::EMAIL], [4, 5]),
    ];
    for (home, (who, values, devices)) in people_of.into_iter().enumerate() {
        let expected = || [0, 1, 2].map(|provider| if provider == home { own() } else { linked() });
        for (what, value) in ["handle", "display name", "e-mail address"].iter().zip(values) {
            row(&format!("{who}'s {what}"), value, expected());
        }
        for (at, device) in devices.into_iter().enumerate() {
            let profile = people.devices.get(device).context("a device")?.client.device().profile();
            if at == 0 {
                row(&format!("{who}'s account"), profile.user.as_str(), expected());
            }
            row(&format!("{who}'s client {}", at + 1), profile.client.as_str(), expected());
        }
    }
    row("what Cathy says", cathy::NOTE, [sealed(), sealed(), sealed()]);
    let name = |room: &RoomUri, domain: &str| rooms::name_in(people, A1, room, domain);
    row("R1, Cathy when she knocks", first, [hub("knock room"), stranger(), pseudonym()]);
    row("R2, Cathy in the room", &name(target, "c.example")?, [hub("room"), follower(), pseudonym()]);
    row("P1, Alice in the room", &name(target, "a.example")?, [pseudonym(), follower(), follower()]);
    row("P2, Alice in the knock room", &name(room, "a.example")?, [pseudonym(), stranger(), follower()]);
    row("Q1, Bob in the room", &name(target, "b.example")?, [hub("room"), pseudonym(), follower()]);
    row(
        "the room",
        target.as_str(),
        [hub("room"), Allowed("its user is in it".into()), Allowed("its user is in it".into())],
    );
    row("the knock room", room.as_str(), [hub("knock room"), stranger(), Allowed("its user was in it".into())]);
    rooms::table(["a.example", "b.example", "c.example"], rows)
}
