//! What opening the wallet costs when the account is in many rooms: they are read one at a time, when they are needed.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mimi_client::{Account, Client};
use mimi_flow::{Command, Delays, Event, NewRoom};
use mimi_pseudonym::{DisclosurePolicy, IdentityPolicy, PseudonymUse};
use mimi_room::JoinLinkPolicy;

use super::pseudonyms::{Many, ready, resident_kib};
use crate::{
    people::{MovedClock, surroundings},
    scenario::{TWO, World},
};

/// What one account in so many rooms costs to open. `Display` is a row of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomCosts {
    /// How many rooms.
    pub count: u32,
    /// Octets on the client's disk for each room.
    pub room: f64,
    /// Octets for each room that are read when the wallet is opened: which rooms there are.
    pub listed: f64,
    /// Rooms that are on disk, each by itself.
    pub kept: usize,
    /// Milliseconds to open the wallet: the median of nine times.
    pub open_ms: f64,
    /// KiB of memory that the client's process has more when the wallet is open than before.
    pub open_kib: i64,
    /// Milliseconds until one room has been read and looked at.
    pub read_ms: f64,
}

/// Makes so many rooms in one account, each with a pseudonym of its own, and opens the wallet again.
///
/// # Errors
/// If a provider refuses something, or does not come to an end.
pub async fn rooms(bench: Many) -> Result<RoomCosts> {
    let name = format!("rooms-{}-{}", bench.suite.code(), bench.count);
    let mut world = World::start(&name, &TWO, bench.keep).await?;
    let clock = Arc::new(MovedClock::new(0));
    let path = world.fixture().root().join("alice.sqlite");
    let [handle, display_name, device_name] = ["alice", "alice", "first"].map(str::to_owned);
    let account = Account { handle, display_name, email: String::new(), device_name };
    let around = || surroundings(world.fixture(), "a.example", &clock);
    let (mut alice, _) = Client::register(&path, account, bench.suite, Delays::default(), around()?).await?;
    let mut wanted = 0;
    while wanted < bench.count {
        let batch = (bench.count - wanted).min(1000);
        wanted += batch;
        alice.command(Command::Prepare { pseudonyms: u16::try_from(batch)? })?;
        ready(&mut alice, usize::try_from(wanted)?).await?;
    }
    for number in 0..bench.count {
        create(&mut alice, number).await?;
    }
    let usage = alice.usage()?;
    let each = |kind: &str| usage.get(kind).copied().unwrap_or_default();
    let per_room = |octets: u64| octets as f64 / f64::from(bench.count);
    let mut costs = RoomCosts {
        count: bench.count,
        room: per_room(each("room").1),
        listed: per_room(each("rooms").1),
        kept: each("room").0,
        ..RoomCosts::default()
    };
    let room = alice.device().rooms().next().context("a room")?.0.clone();
    drop(alice);
    let (mut opened, mut looked) = (Vec::new(), Vec::new());
    let resident = resident_kib();
    for _ in 0..9 {
        let around = around()?;
        let begun = Instant::now();
        let client = Client::open(&path, around)?;
        opened.push(begun.elapsed().as_secs_f64() * 1e3);
        costs.open_kib = resident_kib() - resident;
        let begun = Instant::now();
        ensure!(client.device().clients(&room).len() == 1, "the room has one client in it");
        looked.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    costs.open_ms = median(opened);
    costs.read_ms = median(looked);
    world.stop().await?;
    Ok(costs)
}

async fn create(alice: &mut Client, number: u32) -> Result<()> {
    let room = NewRoom {
        name: format!("Room {number}"),
        description: String::new(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() },
        links: JoinLinkPolicy::default(),
        discoverable: false,
    };
    alice.command(Command::CreateRoom { room })?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match alice.next_event(Duration::from_millis(200)).await? {
            Some(Event::Failed { reason, .. }) => bail!("{reason}"),
            Some(Event::RoomCreated { .. }) => return alice.told().map_err(Into::into),
            _ => ensure!(Instant::now() < deadline, "a room takes too long"),
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl RoomCosts {
    /// The heading of the table.
    pub const HEAD: &str = "\
| rooms | client B per room | of these read on opening | open ms | open KiB | one room read ms |
|---|---|---|---|---|---|";

    /// What is not as it should be.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.kept != usize::try_from(self.count).unwrap_or_default() {
            failures.push(format!("{} rooms are on disk, not {}", self.kept, self.count));
        }
        if self.listed > 512.0 {
            failures.push(format!("{:.0} octets are read for each room before it is needed", self.listed));
        }
        failures
    }
}

impl fmt::Display for RoomCosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, room, listed, open_ms, open_kib, read_ms, .. } = self;
        write!(f, "| {count} | {room:.0} | {listed:.0} | {open_ms:.1} | {open_kib} | {read_ms:.2} |")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_read_when_nobody_needs_it_is_a_failure() {
        let good = RoomCosts { count: 100, listed: 150.0, kept: 100, ..RoomCosts::default() };
        assert_eq!(good.failures(), Vec::<String>::new());
        let bad = RoomCosts { listed: 9_000.0, kept: 99, ..good };
        assert_eq!(bad.failures().len(), 2);
        assert_eq!(bad.to_string().matches('|').count(), RoomCosts::HEAD.lines().next().unwrap().matches('|').count());
    }
}
