use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::{Context, Result};
use mimi_pseudonym::count::{Count, Operation, totals};
use serde_json::Value;

/// How often each cryptographic operation was done, and over how many octets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<Operation, Count>);

impl Ledger {
    /// What this process has done so far.
    pub fn of_this_process() -> Self {
        let mut ledger = Self::default();
        totals().into_iter().for_each(|(operation, count)| ledger.add(operation, count));
        ledger
    }

    /// What a provider has done over all its starts, from the counts it writes, and its TLS handshakes with clients: full
    /// and resumed ones. A line that was torn when its process was killed is passed over.
    ///
    /// # Errors
    /// If the file cannot be read, or a whole line is not what it should be.
    pub fn read(path: &Path) -> Result<(Self, [u64; 2])> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<(Self, [u64; 2])> {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // Each line holds everything since the start of its process: the last one counts.
        let mut last = HashMap::new();
        for line in lines {
            let process = line.get("process").and_then(Value::as_str).context("process is missing")?.to_owned();
            last.insert(process, line);
        }
        let (mut ledger, mut handshakes) = (Self::default(), [0; 2]);
        for line in last.values() {
            for operation in Operation::ALL {
                let Some(counted) = line.pointer(&format!("/operations/{operation:?}")) else { continue };
                let [times, octets] = pair(counted).with_context(|| format!("{operation:?} is no pair of numbers"))?;
                ledger.add(operation, Count { times, octets });
            }
            let [full, resumed] = line.get("clients").and_then(pair).context("clients is no pair of numbers")?;
            handshakes = [handshakes[0] + full, handshakes[1] + resumed];
        }
        Ok((ledger, handshakes))
    }

    /// Adds an operation's count.
    pub fn add(&mut self, operation: Operation, count: Count) {
        let entry = self.0.entry(operation).or_default();
        entry.times += count.times;
        entry.octets += count.octets;
    }

    /// Adds everything of another one.
    pub fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(operation, count)| self.add(*operation, *count));
    }

    /// What was added since an earlier one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let since = |(operation, count): (&Operation, &Count)| {
            let before = earlier.0.get(operation).copied().unwrap_or_default();
            let times = count.times.saturating_sub(before.times);
            (*operation, Count { times, octets: count.octets.saturating_sub(before.octets) })
        };
        Self(self.0.iter().map(since).filter(|(_, count)| count.times > 0).collect())
    }

    /// The count of an operation.
    pub fn count(&self, operation: Operation) -> Count {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// Every operation that was done.
    pub fn operations(&self) -> impl Iterator<Item = (Operation, Count)> {
        self.0.iter().map(|(operation, count)| (*operation, *count))
    }
}

fn pair(value: &Value) -> Option<[u64; 2]> {
    match value.as_array()?.as_slice() {
        [one, other] => Some([one.as_u64()?, other.as_u64()?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(process: &str, hashes: u64, full: u64) -> String {
        format!(r#"{{"process":"{process}","operations":{{"Hash":[{hashes},{}]}},"clients":[{full},1]}}"#, hashes * 10)
    }

    #[test]
    fn the_last_line_of_each_start_counts() {
        let torn = line("2", 9, 9).split_at(30).0.to_owned();
        let text = [line("1", 1, 1), line("1", 3, 2), line("2", 5, 4), torn].join("\n");
        let (ledger, handshakes) = Ledger::parse(&text).unwrap();
        assert_eq!(ledger.count(Operation::Hash), Count { times: 8, octets: 80 });
        assert_eq!(ledger.operations().count(), 1);
        assert_eq!(handshakes, [6, 2]);
    }

    #[test]
    fn what_is_whole_and_wrong_is_an_error() {
        for (from, to, why) in [
            ("process", "program", "process is missing"),
            ("[1,10]", "[1]", "Hash is no pair"),
            ("[1,10]", "[1,\"x\"]", "Hash is no pair"),
            ("clients", "guests", "clients is no pair"),
        ] {
            let error = Ledger::parse(&line("1", 1, 1).replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_was_there_before_is_taken_off() {
        let (before, _) = Ledger::parse(&line("1", 2, 0)).unwrap();
        let (mut after, _) = Ledger::parse(&line("1", 5, 0)).unwrap();
        after.add(Operation::Aead, Count { times: 1, octets: 7 });
        let since = after.since(&before);
        assert_eq!(since.count(Operation::Hash), Count { times: 3, octets: 30 });
        assert_eq!(since.count(Operation::Aead), Count { times: 1, octets: 7 });
        assert_eq!(before.since(&after), Ledger::default());
        let mut sum = before.clone();
        sum.add_all(&since);
        assert_eq!(sum, after);
    }
}
