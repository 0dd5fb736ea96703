use std::{collections::BTreeMap, fmt, time::Duration};

use mimi_pseudonym::count::Operation;

use super::{Ledger, Prices, Traffic};
use crate::{call::Call, ladder::thousands};

const NOTE: &str = "
CPU is counted in ticks of 10 ms over all flows, in user and kernel mode. It has all that a process does: TLS, HTTP,
SQLite, and writing down the exchanges. Start-up came once and is no part of it. Octets of an operation are a mean; it was
timed alone and undisturbed over as many. The cryptography of TLS records is not counted, and so no part of the floor.
";

/// One process' part of the costs, over all flows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Share {
    /// The process.
    pub name: String,
    /// Seconds of processor time before the first flow: a provider's start.
    pub before: f64,
    /// Seconds of processor time of the flows.
    pub cpu: f64,
    /// The most memory that was resident at a time, in KiB.
    pub peak_kib: u64,
    /// The cryptographic operations of the flows.
    pub ledger: Ledger,
}

/// The costs of some flows. `Display` prints them as tables, for one flow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// How many flows.
    pub rounds: u32,
    /// Wall clock of all flows.
    pub elapsed: Duration,
    /// By endpoint, over all flows.
    pub traffic: BTreeMap<Call, Traffic>,
    /// By process.
    pub shares: Vec<Share>,
    /// What each operation takes.
    pub prices: Prices,
}

impl Costs {
    /// Seconds of processor time of one flow, in all processes.
    pub fn cpu(&self) -> f64 {
        self.shares.iter().map(|share| share.cpu).sum::<f64>() / self.rounds()
    }

    /// Seconds that the cryptographic operations of one flow take alone.
    pub fn floor(&self) -> f64 {
        self.shares.iter().map(|share| self.prices.sum(&share.ledger)).sum::<f64>() / self.rounds()
    }

    fn rounds(&self) -> f64 {
        f64::from(self.rounds.max(1))
    }

    fn write_traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>9} {:>12} {:>12}", "endpoint", "requests", "octets in", "octets out")?;
        let mut row = |name: &str, traffic: &Traffic| {
            let Traffic { requests, asked, answered } = *traffic;
            let [asked, answered] = [asked, answered].map(|octets| thousands((octets as f64 / self.rounds()) as usize));
            writeln!(f, "{name:<24} {:>9.1} {asked:>12} {answered:>12}", requests as f64 / self.rounds())
        };
        let mut sum = Traffic::default();
        for (call, traffic) in &self.traffic {
            row(call.name(), traffic)?;
            sum.requests += traffic.requests;
            sum.asked += traffic.asked;
            sum.answered += traffic.answered;
        }
        row("sum", &sum)
    }

    fn write_processes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["CPU ms", "crypto ms", "multiple", "peak KiB", "start-up ms"];
        write!(f, "{:<24}", "process")?;
        head.iter().try_for_each(|head| write!(f, " {head:>11}"))?;
        writeln!(f)?;
        for share in &self.shares {
            let (cpu, floor) = (share.cpu / self.rounds(), self.prices.sum(&share.ledger) / self.rounds());
            let peak = thousands(usize::try_from(share.peak_kib).unwrap_or(usize::MAX));
            write!(f, "{:<24} {:>11.1} {:>11.1} {:>11}", share.name, cpu * 1e3, floor * 1e3, multiple(cpu, floor))?;
            writeln!(f, " {peak:>11} {:>11.0}", share.before * 1e3)?;
        }
        let (cpu, floor) = (self.cpu(), self.floor());
        writeln!(f, "{:<24} {:>11.1} {:>11.1} {:>11}", "sum", cpu * 1e3, floor * 1e3, multiple(cpu, floor))
    }

    fn write_operations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24}", "operation")?;
        self.shares.iter().try_for_each(|share| write!(f, " {:>11}", share.name))?;
        writeln!(f, " {:>11} {:>11} {:>11}", "octets", "us each", "ms")?;
        for operation in Operation::ALL {
            let (mut times, mut octets) = (0.0, 0.0);
            for share in &self.shares {
                times += share.ledger.count(operation).times as f64;
                octets += share.ledger.count(operation).octets as f64;
            }
            if times == 0.0 {
                continue;
            }
            write!(f, "{:<24}", format!("{operation:?}"))?;
            for share in &self.shares {
                write!(f, " {:>11.1}", share.ledger.count(operation).times as f64 / self.rounds())?;
            }
            let seconds = self.prices.seconds(operation);
            let together = seconds * times / self.rounds() * 1e3;
            writeln!(f, " {:>11.0} {:>11.2} {together:>11.2}", octets / times, seconds * 1e6)?;
        }
        Ok(())
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = self.elapsed.as_secs_f64() / self.rounds();
        writeln!(f, "One flow, as the mean of {} in one start of the processes; {elapsed:.1} s each.\n", self.rounds)?;
        self.write_traffic(f)?;
        writeln!(f)?;
        self.write_processes(f)?;
        writeln!(f)?;
        self.write_operations(f)?;
        write!(f, "{NOTE}")
    }
}

fn multiple(cpu: f64, floor: f64) -> String {
    if floor > 0.0 { format!("{:.1}", cpu / floor) } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::count::Count;

    use super::*;

    #[test]
    fn costs_are_for_one_flow_and_held_against_the_floor() {
        let mut ledger = Ledger::default();
        ledger.add(Operation::Hash, Count { times: 20, octets: 800 });
        let share = |name: &str, cpu, ledger: &Ledger| Share {
            name: name.into(),
            before: 0.03,
            cpu,
            peak_kib: 2048,
            ledger: ledger.clone(),
        };
        let costs = Costs {
            rounds: 2,
            elapsed: Duration::from_secs(3),
            traffic: [(Call::Ack, Traffic { requests: 3, asked: 2000, answered: 4 })].into(),
            shares: vec![share("a.example", 0.2, &ledger), share("clients", 0.4, &Ledger::default())],
            prices: Prices::from_known([(Operation::Hash, 0.01)]),
        };
        assert!((costs.cpu() - 0.3).abs() < 1e-9 && (costs.floor() - 0.1).abs() < 1e-9);
        let text = costs.to_string();
        let words = |start: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap();
            line.strip_prefix(start).unwrap().split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(words("client ack"), ["1.5", "1,000", "2"]);
        assert_eq!(words("a.example"), ["100.0", "100.0", "1.0", "2,048", "30"]);
        assert_eq!(words("clients"), ["200.0", "0.0", "-", "2,048", "30"]);
        assert_eq!(words("Hash"), ["10.0", "0.0", "40", "10000.00", "100.00"]);
        let sums: Vec<_> = text.lines().filter(|line| line.starts_with("sum ")).collect();
        assert_eq!(sums.len(), 2);
        assert!(sums.iter().any(|line| line.ends_with("3.0")), "{text}");
        assert!(text.contains("mean of 2 in one start of the processes; 1.5 s each"), "{text}");
    }
}
