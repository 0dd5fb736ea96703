use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use mimi_pseudonym::{
    CipherSuite,
    count::{Count, Operation},
};

use super::{Costs, Ledger, Prices, Share, traffic};
use crate::{
    fixture::Keep,
    people::{MovedClock, People},
    process::Usage,
    record::read,
    scenario::{TWO, World},
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bench {
    /// The MLS suite.
    pub suite: CipherSuite,
    /// How many flows, one after the other, each with new accounts.
    pub rounds: u32,
    /// Whether databases and logs are left.
    pub keep: Keep,
}

/// Longer than a provider takes to write what it has counted.
const WRITTEN: Duration = Duration::from_millis(700);
/// Behind the time when the first room is to go.
const LATER: i64 = 9 * 86_400;

/// Runs the connection flow some times between two providers that go on running, and says what it cost.
///
/// # Errors
/// If a flow does not come to its end, or something cannot be measured.
pub async fn run(bench: Bench) -> Result<Costs> {
    let name = format!("bench-{}", bench.suite.code());
    let mut world = World::start(&name, &TWO, bench.keep).await?;
    tokio::time::sleep(WRITTEN).await;
    let begin = State::of(&world)?;
    for round in 1..=bench.rounds {
        flow(&world, bench.suite, round).await.with_context(|| format!("flow {round} broke off"))?;
    }
    let elapsed = begin.at.elapsed()?;
    tokio::time::sleep(WRITTEN).await;
    let end = State::of(&world)?;
    world.stop().await?;

    let begin_ms = u64::try_from(begin.at.duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut lines = Vec::new();
    for site in world.fixture().sites() {
        lines.extend(read(&site.exchanges())?.into_iter().filter(|line| line.at_ms >= begin_ms));
    }
    let shares: Vec<_> = begin.processes.iter().zip(&end.processes).map(|(begin, end)| begin.until(end)).collect();
    let mut all = Ledger::default();
    shares.iter().for_each(|share| all.add_all(&share.ledger));
    let prices = Prices::of(&all)?;
    Ok(Costs { rounds: bench.rounds, elapsed, traffic: traffic(&lines), shares, prices })
}

/// The flow from registration to the end of the first room. Only the clients' clock is moved, to that end: the providers
/// run on.
async fn flow(world: &World, suite: CipherSuite, round: u32) -> Result<()> {
    let clock = Arc::new(MovedClock::default());
    let mut people = People::register_as(world.fixture(), suite, clock, &round.to_string()).await?;
    people.prepare().await?;
    let request = people.connect().await?;
    people.accept(request).await?;
    people.clock.set(LATER);
    people.destroy_first_room().await
}

/// What had been used and done at a moment.
struct State {
    at: SystemTime,
    processes: Vec<Process>,
}

struct Process {
    name: String,
    usage: Usage,
    ledger: Ledger,
}

impl State {
    fn of(world: &World) -> Result<Self> {
        let at = SystemTime::now();
        let mut clients = Ledger::of_this_process();
        let mut ledgers = Vec::new();
        for site in world.fixture().sites() {
            let (ledger, handshakes) = Ledger::read(&site.operations())?;
            add_handshakes(&mut clients, handshakes);
            ledgers.push(ledger);
        }
        ledgers.push(clients);
        let processes = world.usage().into_iter().zip(ledgers);
        let processes = processes.map(|((name, usage), ledger)| Process { name, usage, ledger }).collect();
        Ok(Self { at, processes })
    }
}

/// The clients' side of TLS handshakes, full and resumed. In a full one it checks two signatures: the provider's, and that
/// of the authority under the provider's certificate.
fn add_handshakes(clients: &mut Ledger, [full, resumed]: [u64; 2]) {
    clients.add(Operation::AgreeX25519, Count { times: full + resumed, octets: 0 });
    clients.add(Operation::VerifyP256, Count { times: 2 * full, octets: 2 * full * 265 });
}

impl Process {
    fn until(&self, end: &Self) -> Share {
        Share {
            name: self.name.clone(),
            before: self.usage.cpu_seconds,
            cpu: end.usage.cpu_seconds - self.usage.cpu_seconds,
            peak_kib: end.usage.peak_kib,
            ledger: end.ledger.since(&self.ledger),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_was_added_between_two_moments() {
        let process = |cpu_seconds, times| {
            let mut ledger = Ledger::default();
            ledger.add(Operation::Hash, Count { times, octets: times });
            Process { name: "a.example".into(), usage: Usage { cpu_seconds, peak_kib: 7 }, ledger }
        };
        let share = process(0.5, 2).until(&process(1.75, 5));
        assert_eq!((share.before, share.cpu, share.peak_kib), (0.5, 1.25, 7));
        assert_eq!(share.ledger.count(Operation::Hash), Count { times: 3, octets: 3 });
    }

    #[test]
    fn a_handshake_is_two_signatures_to_check_unless_it_is_resumed() {
        let mut ledger = Ledger::default();
        add_handshakes(&mut ledger, [3, 2]);
        assert_eq!(ledger.count(Operation::AgreeX25519).times, 5);
        assert_eq!(ledger.count(Operation::VerifyP256).times, 6);
    }
}
