//! What a pseudonym costs: acquired, kept fresh for thirty days, opened again, and written to, with one account and many
//! of them.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mimi_client::{Account, Client};
use mimi_flow::{Command, Delays, Event};
use mimi_pseudonym::{CipherSuite, ClaimName, Content};

use super::traffic;
use crate::{
    fixture::Keep,
    load::site::used_octets,
    people::{MovedClock, surroundings},
    record::read,
    scenario::{TWO, World},
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Many {
    /// The MLS suite.
    pub suite: CipherSuite,
    /// How many pseudonyms.
    pub count: u32,
    /// Whether databases and logs are left.
    pub keep: Keep,
}

/// What one account with so many pseudonyms costs. `Display` is a row of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ManyCosts {
    /// How many pseudonyms.
    pub count: u32,
    /// Octets on the client's disk for each pseudonym, without its KeyPackages.
    pub idle: f64,
    /// Octets on the client's disk for each pseudonym's KeyPackages.
    pub key_packages: f64,
    /// Octets of the pages in the provider's database for each pseudonym.
    pub provider_disk: f64,
    /// KiB of memory that the client's process has more when the wallet is open than before.
    pub open_kib: i64,
    /// KiB that the provider's process takes.
    pub provider_kib: u64,
    /// Milliseconds to open the wallet: the median of nine times.
    pub open_ms: f64,
    /// Milliseconds to acquire a pseudonym, from request to stored KeyPackage.
    pub acquire_ms: f64,
    /// Requests to acquire all.
    pub acquire_requests: usize,
    /// Milliseconds to renew credential and KeyPackage of a pseudonym.
    pub renew_ms: f64,
    /// Requests in thirty days to keep all fresh, besides those for the inbox.
    pub renew_requests: usize,
    /// Milliseconds from a message's way to the inbox to its being told.
    pub receive_ms: f64,
}

const DAY: i64 = 86_400;
/// The most pseudonyms of one command.
const BATCH: u32 = 1000;

/// KeyPackages that are renewed once in thirty days, at a time between the twentieth and the thirtieth. They begin thirty days
/// ago, since MLS looks at the machine's clock too, and hold until after the present.
fn delays() -> Delays {
    Delays { key_package_lifetime: Duration::from_secs(40 * 86_400 - 3_600), ..Delays::default() }
}

/// Measures.
///
/// # Errors
/// If a provider refuses something, or does not come to an end.
pub async fn many(bench: Many) -> Result<ManyCosts> {
    let name = format!("pseudonyms-{}-{}", bench.suite.code(), bench.count);
    let mut world = World::start(&name, &TWO, bench.keep).await?;
    world.move_clocks(-30 * DAY).await?;
    let clock = Arc::new(MovedClock::new(-30 * DAY));
    let path = world.fixture().root().join("alice.sqlite");
    let bob_path = world.fixture().root().join("bob.sqlite");
    let account = |handle: &str| Account {
        handle: handle.into(),
        display_name: handle.into(),
        email: String::new(),
        device_name: "first".into(),
    };
    let around = |world: &World, domain| surroundings(world.fixture(), domain, &clock);
    let (mut alice, _) =
        Client::register(&path, account("alice"), bench.suite, delays(), around(&world, "a.example")?).await?;
    let (mut bob, _) =
        Client::register(&bob_path, account("bob"), bench.suite, delays(), around(&world, "b.example")?).await?;
    alice.command(Command::Publish { key_packages: 1 })?;
    bob.command(Command::Publish { key_packages: 2 })?;
    bob.command(Command::Prepare { pseudonyms: 4 })?;
    ready(&mut bob, 4).await?;
    ready(&mut alice, 0).await?;
    let mut costs = ManyCosts { count: bench.count, ..ManyCosts::default() };
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(bench.count);
    let site = world.fixture().site("a.example")?;
    let (database, exchanges) = (site.data().join("provider.sqlite"), site.exchanges());

    let (disk_before, before) = (used_octets(&database)?, requests(&exchanges)?);
    let usage_before = alice.usage()?;
    let begun = Instant::now();
    let mut wanted = 0;
    while wanted < bench.count {
        let batch = BATCH.min(bench.count - wanted);
        wanted += batch;
        alice.command(Command::Prepare { pseudonyms: u16::try_from(batch)? })?;
        ready(&mut alice, usize::try_from(wanted)?).await?;
    }
    costs.acquire_ms = each(begun.elapsed());
    costs.acquire_requests = requests(&exchanges)? - before;
    tokio::time::sleep(Duration::from_secs(3)).await;
    costs.provider_disk = (used_octets(&database)? as f64 - disk_before as f64) / f64::from(bench.count);
    for (kind, (_, octets)) in alice.usage()? {
        let added = octets.saturating_sub(usage_before.get(&kind).map_or(0, |(_, octets)| *octets)) as f64;
        match kind.as_str() {
            "key-package" | "ends" => costs.key_packages += added / f64::from(bench.count),
            _ => costs.idle += added / f64::from(bench.count),
        }
    }

    drop(alice);
    let mut opened = Vec::new();
    let resident = resident_kib();
    for _ in 0..9 {
        let around = around(&world, "a.example")?;
        let begun = Instant::now();
        let client = Client::open(&path, around)?;
        opened.push(begun.elapsed().as_secs_f64() * 1e3);
        costs.open_kib = resident_kib() - resident;
        drop(client);
    }
    opened.sort_by(f64::total_cmp);
    costs.open_ms = opened.get(4).copied().unwrap_or_default();

    let mut alice = Client::open(&path, around(&world, "a.example")?)?;
    let before = requests(&exchanges)?;
    let mut renewing = Duration::ZERO;
    for day in 1..=30 {
        let at = (day - 30) * DAY;
        world.move_clocks(at).await?;
        clock.set(at);
        let begun = Instant::now();
        idle(&mut alice).await?;
        idle(&mut bob).await?;
        renewing += begun.elapsed().saturating_sub(QUIET * 2 * QUIETS);
    }
    costs.renew_requests = requests(&exchanges)? - before;
    costs.renew_ms = each(renewing);
    ensure!(alice.device().fresh_pseudonyms() == usize::try_from(bench.count)?, "a pseudonym is not fresh any more");

    costs.receive_ms = receive(&mut alice, &mut bob).await?;
    costs.provider_kib = world.usage().first().map_or(0, |(_, usage)| usage.peak_kib);
    world.stop().await?;
    Ok(costs)
}

const QUIET: Duration = Duration::from_millis(100);
/// So often in a row a client has to find nothing to do.
const QUIETS: u32 = 3;

/// Goes on until a client has so many fresh pseudonyms.
pub(super) async fn ready(client: &mut Client, fresh: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        match client.next_event(Duration::from_millis(200)).await? {
            Some(Event::Failed { reason, .. }) => bail!("{reason}"),
            Some(Event::Ready { .. }) if client.device().fresh_pseudonyms() >= fresh => {
                return client.told().map_err(Into::into);
            }
            _ => ensure!(Instant::now() < deadline, "it takes too long"),
        }
    }
}

/// Goes on until a client has nothing to do.
async fn idle(client: &mut Client) -> Result<()> {
    // A call that sends something may come back with nothing to tell and more to send.
    let mut quiet = 0;
    while quiet < QUIETS {
        match client.next_event(QUIET).await? {
            Some(Event::Failed { reason, .. }) => bail!("{reason}"),
            Some(_) => quiet = 0,
            None => quiet += 1,
        }
    }
    Ok(())
}

/// Bob writes to one of the pseudonyms: the median of the times until it is told.
async fn receive(alice: &mut Client, bob: &mut Client) -> Result<f64> {
    bob.command(Command::Connect {
        handle: "im:alice@a.example".into(),
        domain: "a.example".parse()?,
        disclose: vec![ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName],
        note: String::new(),
    })?;
    let mut room = None;
    for _ in 0..100 {
        if let Some(Event::ConnectionRequested { request, .. }) = alice.next_event(QUIET).await? {
            let greeting = Content { media_type: "text/plain".into(), body: b"hello".to_vec() };
            alice.command(Command::Accept { request, greeting })?;
        }
        match bob.next_event(QUIET).await? {
            Some(Event::Failed { reason, .. }) => bail!("{reason}"),
            Some(Event::Message { room: of, .. }) => room = Some(of),
            _ => {}
        }
        if room.is_some() {
            break;
        }
    }
    let room = room.context("they are not connected")?;
    idle(alice).await?;
    let mut times = Vec::new();
    for _ in 0..9 {
        let content = Content { media_type: "text/plain".into(), body: b"again".to_vec() };
        bob.command(Command::Send { room: room.clone(), content })?;
        idle(bob).await?;
        let begun = Instant::now();
        while !matches!(alice.next_event(Duration::from_secs(5)).await?, Some(Event::Message { .. })) {
            ensure!(begun.elapsed() < Duration::from_secs(60), "the message does not come");
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times.get(4).copied().context("nine times")
}

/// Requests of clients besides those for the inbox.
fn requests(exchanges: &Path) -> Result<usize> {
    let lines = read(exchanges)?;
    let counted = traffic(&lines);
    let inbox = [crate::call::Call::Inbox, crate::call::Call::Ack];
    Ok(counted.iter().filter(|(call, _)| !inbox.contains(call)).map(|(_, traffic)| traffic.requests).sum())
}

/// KiB of this process that are resident. Zero where the system has no `/proc`.
pub(super) fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

impl ManyCosts {
    /// The heading of the table.
    pub const HEAD: &str = "\
| pseudonyms | client B idle | client B KeyPackages | provider B | open ms | open KiB | acquire ms | acquire requests | \
30 days ms | 30 days requests | receive ms | provider KiB |
|---|---|---|---|---|---|---|---|---|---|---|---|";

    /// What is not as it should be: the goals for one account with many pseudonyms.
    pub fn failures(&self) -> Vec<String> {
        let hundreds = usize::try_from(self.count.div_ceil(100)).unwrap_or(usize::MAX);
        let batches = usize::try_from(self.count.div_ceil(BATCH)).unwrap_or(usize::MAX);
        let mut failures = Vec::new();
        if self.idle > 4096.0 {
            failures.push(format!("an idle pseudonym takes {:.0} octets besides its KeyPackages", self.idle));
        }
        // Two requests are the least there can be: a KeyPackage is signed over the certificate that the first one brings.
        if self.acquire_requests > hundreds.max(2 * batches) {
            failures.push(format!("{} requests to acquire {} pseudonyms", self.acquire_requests, self.count));
        }
        // Two for a batch and two for the account.
        if self.renew_requests > hundreds.max(2 * batches + 2) {
            failures.push(format!("{} requests to keep {} pseudonyms fresh", self.renew_requests, self.count));
        }
        failures
    }
}

impl fmt::Display for ManyCosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, idle, key_packages, provider_disk, open_ms, open_kib, .. } = self;
        write!(f, "| {count} | {idle:.0} | {key_packages:.0} | {provider_disk:.0} | {open_ms:.1} | {open_kib} ")?;
        write!(f, "| {:.2} | {} ", self.acquire_ms, self.acquire_requests)?;
        write!(f, "| {:.2} | {} ", self.renew_ms, self.renew_requests)?;
        write!(f, "| {:.1} | {} |", self.receive_ms, self.provider_kib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goals_are_held() {
        let good =
            ManyCosts { count: 1000, idle: 4000.0, acquire_requests: 2, renew_requests: 4, ..ManyCosts::default() };
        assert_eq!(good.failures(), Vec::<String>::new());
        let bad = ManyCosts { idle: 4097.0, acquire_requests: 11, renew_requests: 11, ..good };
        assert_eq!(bad.failures().len(), 3);
        assert_eq!(bad.to_string().matches('|').count(), ManyCosts::HEAD.lines().next().unwrap().matches('|').count());
    }
}
