use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use mimi_pseudonym::{Clock, Domain};
use serde_json::{Value, json};

use crate::{KeyFileError, config::LogFormat, fail::Fail, metrics::Metrics, peers::PeerError};

/// Writes a line for each request to standard error: when, in or out, which endpoint, with whom, how it went, how long it
/// took. What else is worth a line is one of [`Note`] or [`Fault`]. These are all the fields there are: no line takes a text that
/// somebody makes up where it is written. Never a URI of a user, client or room, never a token, never a body. Counts the same.
#[derive(Clone)]
pub(crate) struct Logger {
    clock: Arc<dyn Clock>,
    quiet: bool,
    format: LogFormat,
    metrics: Arc<Metrics>,
}

/// Who began an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// Something worth knowing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note<'a> {
    /// It takes connections.
    Listening(SocketAddr),
    /// Connections from now on have other certificates.
    CertificatesRead,
    /// A remedy was decided about somebody.
    Decided(&'static str),
    /// A peer has refused to remove somebody from a room of its own.
    RemovalRefused(&'a Domain, PeerError),
    /// A peer has refused what it was asked to do about a user of its own.
    RemedyRefused(&'a Domain, PeerError),
    /// A peer will never get a message that nobody there waits for.
    Dropped(&'a Domain, PeerError),
    /// A room has gone back to an epoch.
    WentBack { from: u64, to: u64 },
}

/// Something that should not be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault<'a> {
    /// Work could not be done. What the error says is nothing of what stands in the database.
    Work(During, &'a Fail),
    /// A peer will never get a message.
    Dropped(&'a Domain, PeerError),
    /// Other certificates cannot be used.
    Certificates(&'a KeyFileError),
}

/// At which work something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum During {
    /// A request to an endpoint.
    Request(&'static str),
    /// Taking new keys for stamps, and forgetting old ones.
    Franking,
    /// Carrying out what was decided.
    Decisions,
    /// Having somebody removed elsewhere.
    Removals,
    /// Asking for remedies, and deciding about them.
    Remedies,
    /// Reading the largest room.
    LargestRoom,
    /// Removing guests.
    Guests,
    /// Handing out events.
    Events,
    /// Forgetting what is over.
    Forgetting,
    /// Bringing messages to peers.
    Outbox,
    /// Hearing of what other processes have stored.
    News,
}

/// What a line says.
enum Line<'a> {
    Exchange { direction: Direction, endpoint: &'a str, who: &'a str, status: u16, took: Duration },
    Note(Note<'a>),
    Fault(Fault<'a>),
}

impl Logger {
    pub(crate) fn new(clock: Arc<dyn Clock>, quiet: bool, format: LogFormat) -> Self {
        Self { clock, quiet, format, metrics: Arc::default() }
    }

    /// What was counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// One exchange. `who` is a provider's domain or `client`.
    pub(crate) fn exchange(&self, direction: Direction, endpoint: &str, who: &str, status: u16, took: Duration) {
        self.metrics.count(direction.word(), endpoint, status, took);
        if !self.quiet {
            self.write(&Line::Exchange { direction, endpoint, who, status, took });
        }
    }

    /// Something else worth knowing. Where it listens and what certificates it has is said even if the log is quiet.
    pub(crate) fn note(&self, note: Note<'_>) {
        if !self.quiet || matches!(note, Note::Listening(_) | Note::CertificatesRead) {
            self.write(&Line::Note(note));
        }
    }

    /// Something that should not be; written even if the log is quiet.
    pub(crate) fn fault(&self, fault: Fault<'_>) {
        self.write(&Line::Fault(fault));
    }

    fn write(&self, line: &Line<'_>) {
        let text = line.text(self.clock.now().as_millis(), self.format);
        // Where standard error is gone, there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl Note<'_> {
    fn text(self) -> String {
        match self {
            Self::Listening(address) => format!("listening at {address}"),
            Self::CertificatesRead => "certificates were read again".to_owned(),
            Self::Decided(remedy) => format!("abuse: {remedy} decided"),
            Self::RemovalRefused(peer, error) => {
                format!("{} of {peer}: a request for a removal was refused", error.code())
            }
            Self::RemedyRefused(peer, error) => {
                format!("{} of {peer}: a request for a remedy was refused", error.code())
            }
            Self::Dropped(peer, error) => format!("{} of {peer}: a message was dropped", error.code()),
            Self::WentBack { from, to } => format!("a room has gone back from epoch {from} to {to}"),
        }
    }

    /// A code for the kind of note, with its fields.
    fn json(self, time: &str) -> Value {
        match self {
            Self::Listening(address) => json!({ "time": time, "note": "listening", "address": address.to_string() }),
            Self::CertificatesRead => json!({ "time": time, "note": "certificates-read" }),
            Self::Decided(remedy) => json!({ "time": time, "note": "decided", "remedy": remedy }),
            Self::RemovalRefused(peer, error) => of_peer(time, "note", "removal-refused", peer, error),
            Self::RemedyRefused(peer, error) => of_peer(time, "note", "remedy-refused", peer, error),
            Self::Dropped(peer, error) => of_peer(time, "note", "message-dropped", peer, error),
            Self::WentBack { from, to } => json!({ "time": time, "note": "room-went-back", "from": from, "to": to }),
        }
    }
}

impl Fault<'_> {
    fn text(self) -> String {
        match self {
            Self::Work(during, error) => format!("{}: {error}", during.code()),
            Self::Dropped(peer, error) => format!("{} of {peer}: a message was dropped", error.code()),
            Self::Certificates(error) => format!("certificates stay as they were: {error}"),
        }
    }

    /// As [`Note::json`].
    fn json(self, time: &str) -> Value {
        match self {
            Self::Work(during, error) => {
                json!({ "time": time, "fault": "work", "during": during.code(), "error": error.to_string() })
            }
            Self::Dropped(peer, error) => of_peer(time, "fault", "message-dropped", peer, error),
            Self::Certificates(error) => json!({ "time": time, "fault": "certificates", "error": error.to_string() }),
        }
    }
}

fn of_peer(time: &str, kind: &str, code: &str, peer: &Domain, error: PeerError) -> Value {
    json!({ "time": time, kind: code, "peer": peer.as_str(), "why": error.code() })
}

impl During {
    fn code(self) -> &'static str {
        match self {
            Self::Request(endpoint) => endpoint,
            Self::Franking => "franking",
            Self::Decisions => "decisions",
            Self::Removals => "removals",
            Self::Remedies => "remedies",
            Self::LargestRoom => "largest-room",
            Self::Guests => "guests",
            Self::Events => "events",
            Self::Forgetting => "forgetting",
            Self::Outbox => "outbox",
            Self::News => "news",
        }
    }
}

impl Line<'_> {
    fn text(&self, millis: u64, format: LogFormat) -> String {
        let time = format!("{}.{:03}", millis / 1000, millis % 1000);
        match (self, format) {
            (Self::Exchange { direction, endpoint, who, status, took }, LogFormat::Text) => {
                let arrow = if *direction == Direction::In { "<-" } else { "->" };
                format!("{time} {arrow} {endpoint} {who} {status} {}ms", took.as_millis())
            }
            (Self::Note(note), LogFormat::Text) => format!("{time} {}", note.text()),
            (Self::Fault(fault), LogFormat::Text) => format!("{time} fault: {}", fault.text()),
            (Self::Exchange { direction, endpoint, who, status, took }, LogFormat::Json) => json!({
                "time": time, "direction": direction.word(), "endpoint": endpoint, "who": who, "status": status,
                "millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            })
            .to_string(),
            (Self::Note(note), LogFormat::Json) => note.json(&time).to_string(),
            (Self::Fault(fault), LogFormat::Json) => fault.json(&time).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_same_as_text_and_as_json() {
        let (direction, took) = (Direction::In, Duration::from_millis(7));
        let exchange = Line::Exchange { direction, endpoint: "update", who: "b.example", status: 200, took };
        assert_eq!(exchange.text(1_002, LogFormat::Text), "1.002 <- update b.example 200 7ms");
        let json: serde_json::Value = serde_json::from_str(&exchange.text(1_002, LogFormat::Json)).unwrap();
        let expected = json!({ "time": "1.002", "direction": "in", "endpoint": "update", "who": "b.example", "status": 200, "millis": 7 });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_note_or_fault_has_a_code_and_fields_of_its_own() {
        let peer: Domain = "b.example".parse().unwrap();
        let (peer, error) = (&peer, PeerError::Busy);
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        let read = |line: Line<'_>| -> Value { serde_json::from_str(&line.text(0, LogFormat::Json)).unwrap() };
        let of = |code: &str| json!({ "time": "0.000", "note": code, "peer": "b.example", "why": "busy" });
        for (note, json, text) in [
            (
                Note::Listening(address),
                json!({ "time": "0.000", "note": "listening", "address": "127.0.0.1:443" }),
                "0.000 listening at 127.0.0.1:443",
            ),
            (
                Note::CertificatesRead,
                json!({ "time": "0.000", "note": "certificates-read" }),
                "0.000 certificates were read again",
            ),
            (
                Note::Decided("mute"),
                json!({ "time": "0.000", "note": "decided", "remedy": "mute" }),
                "0.000 abuse: mute decided",
            ),
            (
                Note::RemovalRefused(peer, error),
                of("removal-refused"),
                "0.000 busy of b.example: a request for a removal was refused",
            ),
            (
                Note::RemedyRefused(peer, error),
                of("remedy-refused"),
                "0.000 busy of b.example: a request for a remedy was refused",
            ),
            (Note::Dropped(peer, error), of("message-dropped"), "0.000 busy of b.example: a message was dropped"),
            (
                Note::WentBack { from: 3, to: 2 },
                json!({ "time": "0.000", "note": "room-went-back", "from": 3, "to": 2 }),
                "0.000 a room has gone back from epoch 3 to 2",
            ),
        ] {
            assert_eq!(read(Line::Note(note)), json);
            assert_eq!(Line::Note(note).text(0, LogFormat::Text), text);
        }
        let (fail, file) = (Fail::Fault("a task ended early"), KeyFileError::Pem("tls.pem".into()));
        for (fault, json, text) in [
            (
                Fault::Work(During::Franking, &fail),
                json!({ "time": "0.000", "fault": "work", "during": "franking", "error": "a task ended early" }),
                "0.000 fault: franking: a task ended early",
            ),
            (
                Fault::Dropped(peer, error),
                json!({ "time": "0.000", "fault": "message-dropped", "peer": "b.example", "why": "busy" }),
                "0.000 fault: busy of b.example: a message was dropped",
            ),
            (
                Fault::Certificates(&file),
                json!({ "time": "0.000", "fault": "certificates", "error": "tls.pem: not the PEM file it should be" }),
                "0.000 fault: certificates stay as they were: tls.pem: not the PEM file it should be",
            ),
        ] {
            assert_eq!(read(Line::Fault(fault)), json);
            assert_eq!(Line::Fault(fault).text(0, LogFormat::Text), text);
        }
        let all = [
            During::Franking,
            During::Decisions,
            During::Removals,
            During::Remedies,
            During::LargestRoom,
            During::Guests,
            During::Events,
            During::Forgetting,
            During::Outbox,
            During::News,
            During::Request("update"),
        ];
        assert_eq!(all.map(During::code).into_iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
