//! What a flow costs: requests and octets by endpoint, processor time, and the cryptography that it cannot do without.

use std::{
    collections::BTreeMap,
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use mimi_pseudonym::{CipherSuite, SeededEntropy, Signer, SigningKey};

use crate::{call::Call, ladder::thousands, process::Usage, record::Exchange};

/// What was exchanged over one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: usize,
    /// Octets of their bodies.
    pub asked: usize,
    /// Octets of the answers' bodies.
    pub answered: usize,
}

/// Counts requests and octets by endpoint.
pub fn traffic(exchanges: &[Exchange]) -> BTreeMap<Call, Traffic> {
    let mut counted: BTreeMap<Call, Traffic> = BTreeMap::new();
    for exchange in exchanges {
        let traffic = counted.entry(exchange.call).or_default();
        traffic.requests += 1;
        traffic.asked += exchange.request.len();
        traffic.answered += exchange.response.len();
    }
    counted
}

/// A kind of operation, how often a flow did it, and what one takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it is, for example `Ed25519 verify`.
    pub name: String,
    /// How often.
    pub count: usize,
    /// Seconds for one.
    pub seconds: f64,
}

/// Seconds that one call of `operation` takes: the median of several rounds, which one interruption does not move.
///
/// # Errors
/// The operation's own, or if it is to be done no times.
pub fn seconds_per_operation(times: u32, mut operation: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..times {
            operation()?;
        }
        rounds.push(start.elapsed());
    }
    rounds.sort_unstable();
    let median = rounds.get(rounds.len() / 2).copied().unwrap_or(Duration::ZERO);
    if times == 0 {
        Err(anyhow!("an operation that is not done has no duration"))
    } else {
        Ok(median.as_secs_f64() / f64::from(times))
    }
}

/// Times signing and verifying with the leaf keys of a suite. The counts are to be filled in.
///
/// # Errors
/// If a key cannot be used.
pub fn signature_operations(suite: CipherSuite, times: u32) -> Result<[Operation; 2]> {
    let scheme = suite.signature_scheme();
    let key = SigningKey::generate(scheme, &mut SeededEntropy::new([7; 32]))?;
    // About the length of a group's context and a commit.
    let payload = vec![7; 1024];
    let signature = key.sign(&payload)?;
    let sign = seconds_per_operation(times, || {
        black_box(key.sign(black_box(&payload))?);
        Ok(())
    })?;
    let verify = seconds_per_operation(times, || {
        key.public_key().verify(black_box(&payload), black_box(&signature))?;
        Ok(())
    })?;
    let operation = |what: &str, seconds| Operation { name: format!("{scheme:?} {what}"), count: 0, seconds };
    Ok([operation("sign", sign), operation("verify", verify)])
}

/// The costs of one flow. `Display` prints them as tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// Wall clock of the whole flow.
    pub elapsed: Duration,
    /// By endpoint.
    pub traffic: BTreeMap<Call, Traffic>,
    /// By process: its name and what it used.
    pub processes: Vec<(String, Usage)>,
    /// The operations that the flow cannot do without.
    pub operations: Vec<Operation>,
}

impl Costs {
    /// Seconds of processor time of all processes.
    pub fn cpu_seconds(&self) -> f64 {
        self.processes.iter().map(|(_, usage)| usage.cpu_seconds).sum()
    }

    /// Seconds of the operations that the flow cannot do without; `None` if none are known.
    pub fn floor_seconds(&self) -> Option<f64> {
        let counted = self.operations.iter().filter(|operation| operation.count > 0);
        let seconds: f64 = counted.map(|operation| operation.seconds * operation.count as f64).sum();
        (seconds > 0.0).then_some(seconds)
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>9} {:>12} {:>12}", "endpoint", "requests", "octets in", "octets out")?;
        let mut sum = Traffic::default();
        for (call, traffic) in &self.traffic {
            row(f, call.name(), traffic)?;
            sum.requests += traffic.requests;
            sum.asked += traffic.asked;
            sum.answered += traffic.answered;
        }
        row(f, "sum", &sum)?;
        writeln!(f, "\n{:<24} {:>9} {:>12}", "process", "CPU s", "peak KiB")?;
        for (name, usage) in &self.processes {
            let peak = usize::try_from(usage.peak_kib).unwrap_or(usize::MAX);
            writeln!(f, "{name:<24} {:>9.2} {:>12}", usage.cpu_seconds, thousands(peak))?;
        }
        writeln!(f, "{:<24} {:>9.2}", "sum", self.cpu_seconds())?;
        writeln!(f, "elapsed                  {:>9.2}", self.elapsed.as_secs_f64())?;
        if !self.operations.is_empty() {
            writeln!(f, "\n{:<24} {:>9} {:>12} {:>12}", "operation", "times", "us each", "ms together")?;
            for Operation { name, count, seconds } in &self.operations {
                let together = seconds * *count as f64 * 1e3;
                writeln!(f, "{name:<24} {:>9} {:>12.1} {together:>12.2}", thousands(*count), seconds * 1e6)?;
            }
        }
        if let Some(floor) = self.floor_seconds() {
            writeln!(f, "CPU of all processes = {:.1} times that of these operations", self.cpu_seconds() / floor)?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, traffic: &Traffic) -> fmt::Result {
    let Traffic { requests, asked, answered } = *traffic;
    writeln!(f, "{name:<24} {:>9} {:>12} {:>12}", thousands(requests), thousands(asked), thousands(answered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{
        Actor::{ClientA1, ServerA},
        sample::exchange,
    };

    #[test]
    fn requests_and_octets_are_counted_by_endpoint() {
        let counted = traffic(&[
            exchange(1, ClientA1, ServerA, Call::Ack, b"123", b"1"),
            exchange(2, ClientA1, ServerA, Call::Ack, b"4", b""),
            exchange(3, ClientA1, ServerA, Call::Inbox, b"", b"12345"),
        ]);
        assert_eq!(counted.get(&Call::Ack), Some(&Traffic { requests: 2, asked: 4, answered: 1 }));
        assert_eq!(counted.get(&Call::Inbox), Some(&Traffic { requests: 1, asked: 0, answered: 5 }));
        assert_eq!(counted.len(), 2);
    }

    #[test]
    fn signatures_of_both_suites_take_time() {
        for suite in CipherSuite::ALL {
            let [sign, verify] = signature_operations(suite, 3).unwrap();
            assert!(sign.seconds > 0.0 && verify.seconds > 0.0);
            assert!(sign.name.ends_with(" sign") && verify.name.ends_with(" verify"));
        }
        assert!(seconds_per_operation(0, || Ok(())).is_err());
        assert!(seconds_per_operation(1, || Err(anyhow!("broken"))).is_err());
    }

    #[test]
    fn costs_are_held_against_the_floor() {
        let usage = |cpu_seconds| Usage { cpu_seconds, peak_kib: 2048 };
        let mut costs = Costs {
            processes: vec![("a.example".into(), usage(0.25)), ("clients".into(), usage(0.5))],
            operations: vec![Operation { name: "sign".into(), count: 0, seconds: 0.01 }],
            ..Costs::default()
        };
        assert_eq!(costs.floor_seconds(), None);
        assert!(!costs.to_string().contains("times that"));
        costs.operations.iter_mut().for_each(|operation| operation.count = 25);
        let text = costs.to_string();
        assert!(text.contains("CPU of all processes = 3.0 times that of these operations"), "{text}");
        assert!(text.contains("a.example                     0.25        2,048"), "{text}");
    }
}
