//! What is done in each flow. The same story is told twice: undisturbed, and by clients that are killed at every step.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mimi_flow::{Consent, Event, FlowId};
use mimi_pseudonym::CipherSuite;

use super::crew::Crew;
use crate::{people::cathy, scenario::World};

/// A flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// Section 3.1 of the pseudonyms draft, and a message.
    Connection,
    /// Section 3.2, a disclosure in the room, and leaving it.
    JoinLink,
    /// Section 3.3.
    Knock,
    /// Section 6: asked for before the first room, and again for the second one.
    Consent,
    /// Two accounts with two devices each are opened, and connect.
    Registration,
    /// A device is lost, and another one takes it out of the account and of two rooms.
    Lost,
    /// A pseudonym that is tied to nobody and has an inbox of its own: had for a token, and brought into a room by a link.
    Inboxes,
}

/// All of them.
pub const STORIES: [Story; 7] = [
    Story::Registration,
    Story::Inboxes,
    Story::Lost,
    Story::Connection,
    Story::JoinLink,
    Story::Knock,
    Story::Consent,
];

const A1: &str = "ClientA1";
const A2: &str = "ClientA2";
const B1: &str = "ClientB1";
const B2: &str = "ClientB2";
const DAY: i64 = 86_400;

impl Story {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::JoinLink => "join link",
            Self::Knock => "knock",
            Self::Consent => "consent",
            Self::Registration => "registration",
            Self::Inboxes => "inboxes",
            Self::Lost => "lost device",
        }
    }

    /// Seconds by which the clocks are ahead at its beginning, and how long KeyPackages hold. MLS compares lifetimes with the
    /// machine's clock as well.
    pub fn begins(self) -> (i64, Option<Duration>) {
        match self {
            // What is made then ends with the day on which the story goes on.
            Self::Consent => (-60 * DAY, Some(Duration::from_secs(60 * 86_400))),
            _ => (0, None),
        }
    }

    /// Whether all devices are there when it begins.
    pub fn has_people(self) -> bool {
        !matches!(self, Self::Registration | Self::Inboxes)
    }

    /// Tells it.
    ///
    /// # Errors
    /// If it does not come to its end.
    pub async fn tell(self, crew: &mut Crew, world: &mut World, suite: CipherSuite) -> Result<()> {
        match self {
            Self::Registration => registration(crew, suite),
            Self::Inboxes => inboxes(crew, suite),
            Self::Lost => lost(crew),
            Self::Connection => connection(crew),
            Self::JoinLink => join_link(crew),
            Self::Knock => knock(crew),
            Self::Consent => consent(crew, world).await,
        }
    }
}

/// The first event of a client from which something can be read.
fn find<T>(crew: &Crew, name: &str, read: impl Fn(&Event) -> Option<T>) -> Option<T> {
    crew.told(name).ok()?.iter().find_map(read)
}

fn wait<T>(crew: &mut Crew, name: &str, what: &str, read: impl Fn(&Event) -> Option<T>) -> Result<T> {
    crew.until(what, |crew| find(crew, name, &read).is_some())?;
    find(crew, name, &read).with_context(|| what.to_owned())
}

fn wait_all(crew: &mut Crew, names: &[&str], what: &str, is: impl Fn(&Event) -> bool) -> Result<()> {
    crew.until(what, |crew| names.iter().all(|name| find(crew, name, |event| is(event).then_some(())).is_some()))
}

fn number(flow: FlowId) -> Result<String> {
    Ok(serde_json::to_string(&flow)?)
}

fn says(said: &str) -> impl Fn(&Event) -> bool {
    let said = said.as_bytes().to_vec();
    move |event| matches!(event, Event::Message { body, .. } if *body == said)
}

fn requested(event: &Event) -> Option<FlowId> {
    match event {
        Event::ConnectionRequested { request, .. } => Some(*request),
        _ => None,
    }
}

/// Bob accepts, they meet, and Alice writes.
fn accept(crew: &mut Crew, request: FlowId) -> Result<()> {
    crew.command(B1, &["accept", &number(request)?])?;
    wait_all(crew, &[A1, A2, B2], "Bob's greeting", says(crate::people::bob::GREETING))?;
    let room = wait(crew, A1, "the second room", |event| match event {
        Event::Connected { room, .. } => Some(room.to_string()),
        _ => None,
    })?;
    crew.settle()?;
    crew.command(A1, &["send", &room, "hello"])?;
    wait_all(crew, &[A2, B1, B2], "a message", says("hello"))?;
    crew.settle()
}

fn connection(crew: &mut Crew) -> Result<()> {
    crew.command(B1, &["publish", "2"])?;
    crew.command(B2, &["publish", "2"])?;
    crew.command(A1, &["prepare", "3"])?;
    crew.command(B1, &["prepare", "2"])?;
    crew.settle()?;
    crew.command(A1, &["connect"])?;
    let request = wait(crew, B1, "Bob is asked", requested)?;
    wait_all(crew, &[B2], "Bob is asked", |event| requested(event).is_some())?;
    crew.settle()?;
    accept(crew, request)?;
    crew.stop()?;
    crew.go_on(3 * DAY)?;
    crew.settle()
}

fn registration(crew: &mut Crew, suite: CipherSuite) -> Result<()> {
    let suite = suite.code().to_string();
    register(crew, A1, A2, &suite)?;
    register(crew, B1, B2, &suite)?;
    crew.settle()?;
    connection(crew)
}

fn lost(crew: &mut Crew) -> Result<()> {
    crew.command(A1, &["prepare", "2"])?;
    crew.command(B1, &["prepare", "1"])?;
    crew.settle()?;
    create(crew, A1, A2)?;
    let room = create(crew, B1, B2)?;
    enter(crew, B1, A1, &room)?;
    crew.settle()?;
    let there = |crew: &mut Crew, name: &str| crew.inspect(name, |device| device.rooms().count());
    ensure!(there(crew, A2)? == 2, "both rooms have the device that is to be lost");
    let client = crew.inspect(A2, |device| device.profile().client.to_string())?;
    crew.lose(A2)?;
    crew.command(A1, &["remove-device", &client])?;
    let flow = wait(crew, A1, "it is removed", |event| match event {
        Event::DeviceRemoved { flow, .. } => Some(*flow),
        _ => None,
    })?;
    wait_all(crew, &[A1], "it is in no room", |event| *event == Event::Done { flow })?;
    crew.settle()?;
    crew.command(A1, &["send", &room, "safe again"])?;
    wait_all(crew, &[B1, B2], "a message", says("safe again"))?;
    crew.settle()
}

/// An account with two devices.
fn register(crew: &mut Crew, first: &str, second: &str, suite: &str) -> Result<()> {
    crew.command(first, &["register", suite])?;
    let code = crew.inspect_client(first, |client| client.enrolment_code()?.context("no code for the next device"))?;
    crew.command(second, &["add-device", suite, &serde_json::to_string(code.as_bytes())?])?;
    Ok(())
}

/// Alice's second client is her pseudonym's, which nothing at her provider ties to her.
fn inboxes(crew: &mut Crew, suite: CipherSuite) -> Result<()> {
    const NAME: &str = "chess";
    let suite = suite.code().to_string();
    crew.command(A1, &["register", &suite])?;
    register(crew, B1, B2, &suite)?;
    crew.command(A1, &["fetch-tokens", "3"])?;
    crew.command(A1, &["take-token", NAME])?;
    let token = crew.inspect_client(A1, |client| client.token_for(NAME)?.context("no token"))?;
    let token = serde_json::to_string(token.as_bytes())?;
    crew.command(A2, &["redeem", &suite, &token])?;
    crew.command(A1, &["forget-token", &token])?;
    let left = crew.inspect_client(A1, |client| Ok((client.tokens()?, client.token_names()?.len())))?;
    ensure!(left == (2, 0), "of three tokens one has been spent: {left:?}");
    crew.command(B1, &["prepare", "1"])?;
    crew.command(A2, &["prepare", "1"])?;
    crew.settle()?;
    let room = create(crew, B1, B2)?;
    enter(crew, B1, A2, &room)?;
    wait_all(crew, &[A2], "the pseudonym has joined", has_come_in)?;
    crew.settle()?;
    crew.command(A2, &["send", &room, "who is there"])?;
    wait_all(crew, &[B1, B2], "a message", says("who is there"))?;
    crew.command(B1, &["send", &room, "welcome"])?;
    wait_all(crew, &[A2, B2], "a message", says("welcome"))?;
    crew.settle()?;
    crew.command(A2, &["leave", &room])?;
    wait_all(crew, &[A2], "the pseudonym has left", |event| matches!(event, Event::Closed { .. }))?;
    crew.settle()
}

fn room_of(event: &Event) -> Option<String> {
    match event {
        Event::RoomCreated { room, .. } => Some(room.to_string()),
        _ => None,
    }
}

fn seen(event: &Event) -> Option<FlowId> {
    match event {
        Event::RoomSeen { visit, .. } => Some(*visit),
        _ => None,
    }
}

fn has_come_in(event: &Event) -> bool {
    matches!(event, Event::Joined { .. } | Event::LetIn { .. })
}

/// Someone makes a room, with both their clients in it.
fn create(crew: &mut Crew, one: &str, other: &str) -> Result<String> {
    crew.command(one, &["create-room"])?;
    let room = wait(crew, one, "the room", room_of)?;
    wait_all(crew, &[other], "the other client", has_come_in)?;
    crew.settle()?;
    Ok(room)
}

/// One client makes a link into a room, and another comes in by it.
fn enter(crew: &mut Crew, inside: &str, outside: &str, room: &str) -> Result<()> {
    crew.command(inside, &["create-link", room])?;
    let link = wait(crew, inside, "the link", |event| match event {
        Event::LinkCreated { link, .. } => Some(link.clone()),
        _ => None,
    })?;
    crew.command(outside, &["look", &link])?;
    let visit = wait(crew, outside, "the room is seen", seen)?;
    crew.command(outside, &["join", &number(visit)?])?;
    Ok(())
}

fn join_link(crew: &mut Crew) -> Result<()> {
    crew.command(A1, &["prepare", "1"])?;
    crew.command(B1, &["prepare", "1"])?;
    crew.settle()?;
    let room = create(crew, A1, A2)?;
    enter(crew, A1, B1, &room)?;
    wait_all(crew, &[B1, B2], "Bob has joined", has_come_in)?;
    crew.settle()?;
    crew.command(B1, &["disclose", &room])?;
    wait_all(crew, &[A1, A2, B2], "who Bob is", |event| matches!(event, Event::Disclosed { .. }))?;
    crew.settle()?;
    crew.command(A1, &["send", &room, "welcome"])?;
    wait_all(crew, &[A2, B1, B2], "a message", says("welcome"))?;
    crew.settle()?;
    crew.command(B1, &["leave", &room])?;
    wait_all(crew, &[B1, B2], "Bob has left", |event| matches!(event, Event::Closed { .. }))?;
    crew.settle()
}

fn knock(crew: &mut Crew) -> Result<()> {
    crew.command(A1, &["prepare", "2"])?;
    crew.command(B1, &["prepare", "2"])?;
    crew.settle()?;
    let room = create(crew, A1, A2)?;
    crew.command(A1, &["create-knock-room", &room])?;
    crew.settle()?;
    let target = room.parse()?;
    let link = crew.inspect(A1, |device| {
        let knock_room = device.knock_rooms(&target).next()?.clone();
        device.knock_link(&knock_room).map(|link| link.to_string())
    })?;
    crew.command(B1, &["look", &link.context("a knock link")?])?;
    let visit = wait(crew, B1, "Bob sees the knock room", seen)?;
    crew.command(B1, &["knock", &number(visit)?])?;
    let knock = wait(crew, A1, "the knock", |event| match event {
        Event::Knocked { knock, note, .. } if note == cathy::NOTE => Some(*knock),
        _ => None,
    })?;
    wait_all(crew, &[A2], "the knock", |event| matches!(event, Event::Knocked { .. }))?;
    crew.settle()?;
    crew.command(A1, &["admit", &number(knock)?])?;
    wait_all(crew, &[B1, B2], "Bob is let in", has_come_in)?;
    crew.settle()?;
    crew.command(A1, &["send", &room, "come in"])?;
    wait_all(crew, &[A2, B1, B2], "a message", says("come in"))?;
    crew.settle()
}

async fn consent(crew: &mut Crew, world: &mut World) -> Result<()> {
    crew.command(B1, &["publish", "2"])?;
    crew.command(B2, &["publish", "2"])?;
    crew.command(A1, &["prepare", "3"])?;
    crew.command(B1, &["prepare", "2"])?;
    crew.command(B1, &["connections", "false"])?;
    crew.settle()?;
    crew.command(A1, &["connect"])?;
    let asked = |event: &Event| match event {
        Event::ConsentRequested { consent } => Some(consent.clone()),
        _ => None,
    };
    let consent: Consent = wait(crew, B2, "a request for consent", asked)?;
    wait_all(crew, &[B1], "a request for consent", |event| asked(event).is_some())?;
    crew.settle()?;
    crew.command(B2, &["grant", &serde_json::to_string(&consent)?])?;
    let request = wait(crew, B1, "Bob is asked", requested)?;
    crew.settle()?;
    crew.stop()?;
    let ended = crate::people::seconds_to_midnight() + 60;
    world.move_clocks(ended).await?;
    crew.go_on(ended)?;
    crew.settle()?;
    accept(crew, request)
}
