use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Counts of exchanges, for Prometheus. The labels are names of endpoints, directions and statuses: nothing that says who.
#[derive(Default)]
pub(crate) struct Metrics {
    exchanges: Mutex<BTreeMap<(&'static str, String, u16), Spent>>,
    /// Messages that a peer will never get, by what it says of them.
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Default, Clone, Copy)]
struct Spent {
    count: u64,
    time: Duration,
}

impl Metrics {
    /// Counts an exchange. Status 0 stands for one without an answer.
    pub(crate) fn count(&self, direction: &'static str, endpoint: &str, status: u16, took: Duration) {
        let mut counts = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = counts.entry((direction, endpoint.to_owned(), status)).or_default();
        spent.count += 1;
        spent.time = spent.time.saturating_add(took);
    }

    /// Counts a message to a peer that was given up, by the code of the reason.
    pub(crate) fn dropped(&self, reason: &'static str) {
        *self.dropped.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// Everything as text.
    pub(crate) fn text(&self, connections: usize, outbox: &[(String, u64)]) -> String {
        let counts = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::from("# TYPE mimi_exchanges_total counter\n");
        for ((direction, endpoint, status), spent) in &counts {
            let labels = format!("direction=\"{direction}\",endpoint=\"{endpoint}\",status=\"{status}\"");
            let _ = writeln!(text, "mimi_exchanges_total{{{labels}}} {}", spent.count);
        }
        text += "# TYPE mimi_exchange_seconds_total counter\n";
        for ((direction, endpoint, status), spent) in &counts {
            let labels = format!("direction=\"{direction}\",endpoint=\"{endpoint}\",status=\"{status}\"");
            let _ = writeln!(text, "mimi_exchange_seconds_total{{{labels}}} {:.6}", spent.time.as_secs_f64());
        }
        let _ = writeln!(text, "# TYPE mimi_connections gauge\nmimi_connections {connections}");
        text += "# TYPE mimi_outbox_rooms gauge\n";
        for (peer, rooms) in outbox {
            let _ = writeln!(text, "mimi_outbox_rooms{{peer=\"{peer}\"}} {rooms}");
        }
        text += "# TYPE mimi_dropped_messages_total counter\n";
        for (reason, count) in &*self.dropped.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(text, "mimi_dropped_messages_total{{reason=\"{reason}\"}} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_are_counted_by_what_they_are() {
        let metrics = Metrics::default();
        metrics.count("in", "update", 200, Duration::from_millis(2));
        metrics.count("in", "update", 200, Duration::from_millis(3));
        metrics.count("out", "notify", 0, Duration::from_millis(1));
        metrics.dropped("unknown-room");
        metrics.dropped("unknown-room");
        let text = metrics.text(3, &[("b.example".into(), 2)]);
        for line in [
            "mimi_exchanges_total{direction=\"in\",endpoint=\"update\",status=\"200\"} 2",
            "mimi_exchanges_total{direction=\"out\",endpoint=\"notify\",status=\"0\"} 1",
            "mimi_exchange_seconds_total{direction=\"in\",endpoint=\"update\",status=\"200\"} 0.005000",
            "mimi_connections 3",
            "mimi_outbox_rooms{peer=\"b.example\"} 2",
            "mimi_dropped_messages_total{reason=\"unknown-room\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
