use std::{fmt, time::Duration};

/// What one process used.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The provider's domain, with the number of the process if there are several; or the database server.
    pub name: String,
    /// Seconds of processor time while it was measured.
    pub cpu: f64,
    /// The most KiB that were resident at any time.
    pub peak_kib: u64,
}

/// What a run cost. As text, a row of the table that [`Costs::HEAD`] begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Participants of each room.
    pub size: usize,
    /// Rooms.
    pub rooms: usize,
    /// How long was measured.
    pub elapsed: Duration,
    /// Messages that were accepted in that time.
    pub sent: u64,
    /// Messages that clients received in that time, those of their own that came back included.
    pub delivered: u64,
    /// Half of the messages took no longer from being sent to being received.
    pub p50: Duration,
    /// As `p50`, 99 of 100.
    pub p99: Duration,
    /// What each process used.
    pub shares: Vec<Share>,
    /// Octets that the databases grew by, when everything had been received and acknowledged.
    pub disk: u64,
    /// Messages that were accepted before and after it was measured, too: those that `disk` is of.
    pub stored: u64,
    /// What was not received once and in order.
    pub faults: Vec<String>,
}

impl Costs {
    /// The head of the table, in Markdown.
    pub const HEAD: &str = "\
| participants | rooms | messages/s | delivered/s | CPU µs per delivered message | of which | p50 ms | p99 ms | peak RSS MiB | octets kept per message |
|---:|---:|---:|---:|---:|:---|---:|---:|:---|---:|";

    /// Microseconds of processor time of all processes for each delivered message.
    pub fn micros(&self) -> f64 {
        self.each(self.shares.iter().map(|share| share.cpu).sum())
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn each(&self, seconds: f64) -> f64 {
        seconds * 1e6 / (self.delivered.max(1) as f64)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let of = |share: &Share| format!("{} {:.1}", share.name, self.each(share.cpu));
        let rss = |share: &Share| format!("{} {:.1}", share.name, share.peak_kib as f64 / 1024.0);
        let list = |one: &dyn Fn(&Share) -> String| self.shares.iter().map(one).collect::<Vec<_>>().join(", ");
        write!(
            f,
            "| {} | {} | {:.0} | {:.0} | {:.1} | {} | {:.1} | {:.1} | {} | {:.0} |",
            self.size,
            self.rooms,
            self.sent as f64 / seconds,
            self.delivered as f64 / seconds,
            self.micros(),
            list(&of),
            self.p50.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
            list(&rss),
            self.disk as f64 / (self.stored.max(1) as f64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_what_its_head_says() {
        let share = |name: &str, cpu| Share { name: name.to_owned(), cpu, peak_kib: 2048 };
        let costs = Costs {
            size: 2,
            rooms: 7,
            elapsed: Duration::from_secs(2),
            sent: 1000,
            delivered: 2000,
            p50: Duration::from_micros(1500),
            p99: Duration::from_millis(20),
            shares: vec![share("a.example", 0.2), share("b.example", 0.1)],
            disk: 600_000,
            stored: 1200,
            faults: Vec::new(),
        };
        let expected = "| 2 | 7 | 500 | 1000 | 150.0 | a.example 100.0, b.example 50.0 | 1.5 | 20.0 \
                        | a.example 2.0, b.example 2.0 | 500 |";
        assert_eq!(costs.to_string(), expected);
        let columns = |line: &str| line.matches('|').count();
        assert!(Costs::HEAD.lines().all(|line| columns(line) == columns(expected)));
        let nothing = Costs { delivered: 0, ..costs };
        assert!(nothing.micros().is_finite());
    }
}
