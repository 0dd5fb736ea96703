use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::store::Waiting;

/// Counts for Prometheus. The labels are names of endpoints, directions, limits and peers: nothing that says who a user is.
#[derive(Default)]
pub(crate) struct Metrics {
    exchanges: Mutex<BTreeMap<(&'static str, String, u16), Spent>>,
    /// Messages that a peer will never get, by what it says of them.
    dropped: Mutex<BTreeMap<&'static str, u64>>,
    connections: Arc<AtomicU64>,
    /// In seconds since 1970; 0 if it is not known.
    certificate_ends: AtomicU64,
}

/// A connection that counts as long as this exists.
pub(crate) struct Open(Arc<AtomicU64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What is looked at when somebody asks.
pub(crate) struct Present {
    /// What waits for peers; none if the database does not say.
    pub(crate) outbox: Option<Vec<Waiting>>,
    /// Each limit with how often something was refused because of it.
    pub(crate) refused: Vec<(&'static str, u64)>,
    /// In milliseconds since 1970.
    pub(crate) now: u64,
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

    /// A connection that has begun.
    pub(crate) fn connection(&self) -> Open {
        self.connections.fetch_add(1, Relaxed);
        Open(Arc::clone(&self.connections))
    }

    /// The certificate that is used ends then, in seconds since 1970.
    pub(crate) fn certificate_ends(&self, at: Option<u64>) {
        self.certificate_ends.store(at.unwrap_or_default(), Relaxed);
    }

    /// Everything as text.
    pub(crate) fn text(&self, present: &Present) -> String {
        let mut text = Text(String::new());
        let counts = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let labels = |(direction, endpoint, status): &(&str, String, u16)| {
            format!("{{direction=\"{direction}\",endpoint=\"{endpoint}\",status=\"{status}\"}}")
        };
        text.begin("mimi_exchanges_total", "counter", "Requests in and out; status 0 had no answer.");
        for (of, spent) in &counts {
            text.line("mimi_exchanges_total", &labels(of), spent.count);
        }
        text.begin("mimi_exchange_seconds_total", "counter", "Time from requests to the beginning of their answers.");
        for (of, spent) in &counts {
            text.line("mimi_exchange_seconds_total", &labels(of), format_args!("{:.6}", spent.time.as_secs_f64()));
        }
        text.begin("mimi_connections", "gauge", "Connections of devices and providers that are open.");
        text.line("mimi_connections", "", self.connections.load(Relaxed));
        text.begin("mimi_refused_total", "counter", "What was refused because of a limit, by its key in [limits].");
        for (limit, count) in &present.refused {
            text.line("mimi_refused_total", &format!("{{limit=\"{limit}\"}}"), count);
        }
        text.begin(
            "mimi_database_up",
            "gauge",
            "1 if the database answers, 0 if not; then nothing is said of the outbox.",
        );
        text.line("mimi_database_up", "", u8::from(present.outbox.is_some()));
        let outbox = present.outbox.as_deref().unwrap_or_default();
        text.begin("mimi_outbox_rooms", "gauge", "Rooms of which something waits for a peer.");
        for Waiting { peer, rooms, .. } in outbox {
            text.line("mimi_outbox_rooms", &format!("{{peer=\"{peer}\"}}"), rooms);
        }
        text.begin(
            "mimi_outbox_oldest_seconds",
            "gauge",
            "For how long a peer has taken nothing of a room of which something waits for it: of the room that waits longest.",
        );
        for Waiting { peer, since, .. } in outbox {
            let seconds = present.now.saturating_sub(since.as_millis()) / 1000;
            text.line("mimi_outbox_oldest_seconds", &format!("{{peer=\"{peer}\"}}"), seconds);
        }
        text.begin(
            "mimi_dropped_messages_total",
            "counter",
            "Messages that a peer will never get, by what it says of them.",
        );
        for (reason, count) in &*self.dropped.lock().unwrap_or_else(PoisonError::into_inner) {
            text.line("mimi_dropped_messages_total", &format!("{{reason=\"{reason}\"}}"), count);
        }
        text.begin(
            "mimi_certificate_expires_seconds",
            "gauge",
            "When the certificate for TLS ends, or one that it stands on: in seconds since 1970.",
        );
        match self.certificate_ends.load(Relaxed) {
            0 => {}
            ends => text.line("mimi_certificate_expires_seconds", "", ends),
        }
        text.0
    }
}

struct Text(String);

impl Text {
    // Writing into memory does not fail.
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
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
        metrics.certificate_ends(Some(4_000_000_000));
        let (one, _two) = (metrics.connection(), metrics.connection());
        drop(one);
        let since = mimi_pseudonym::Timestamp::from_millis(500);
        let outbox = Some(vec![Waiting { peer: "b.example".into(), rooms: 2, since }]);
        let text = metrics.text(&Present { outbox, refused: vec![("requests", 7)], now: 9_500 });
        assert_eq!(text.matches("# HELP ").count(), text.matches("# TYPE ").count());
        for line in [
            "mimi_exchanges_total{direction=\"in\",endpoint=\"update\",status=\"200\"} 2",
            "mimi_exchanges_total{direction=\"out\",endpoint=\"notify\",status=\"0\"} 1",
            "mimi_exchange_seconds_total{direction=\"in\",endpoint=\"update\",status=\"200\"} 0.005000",
            "mimi_connections 1",
            "mimi_refused_total{limit=\"requests\"} 7",
            "mimi_database_up 1",
            "mimi_outbox_oldest_seconds{peer=\"b.example\"} 9",
            "mimi_certificate_expires_seconds 4000000000",
            "mimi_outbox_rooms{peer=\"b.example\"} 2",
            "mimi_dropped_messages_total{reason=\"unknown-room\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
