use std::{io::Write, sync::Arc, time::Duration};

use mimi_pseudonym::Clock;
use serde_json::json;

use crate::{config::LogFormat, metrics::Metrics};

/// Writes a line for each request to standard error: when, in or out, which endpoint, with whom, how it went, how long it
/// took. These are all the fields there are. Never a URI of a user, client or room, never a token, never a body. Counts the
/// same.
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

/// What a line says.
enum Line<'a> {
    Exchange { direction: Direction, endpoint: &'a str, who: &'a str, status: u16, took: Duration },
    Note(std::fmt::Arguments<'a>),
    Fault(std::fmt::Arguments<'a>),
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

    /// Something else worth knowing.
    pub(crate) fn note(&self, text: std::fmt::Arguments<'_>) {
        if !self.quiet {
            self.write(&Line::Note(text));
        }
    }

    /// Something that should not be; written even if the log is quiet.
    pub(crate) fn fault(&self, text: std::fmt::Arguments<'_>) {
        self.write(&Line::Fault(text));
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

impl Line<'_> {
    fn text(&self, millis: u64, format: LogFormat) -> String {
        let time = format!("{}.{:03}", millis / 1000, millis % 1000);
        match (self, format) {
            (Self::Exchange { direction, endpoint, who, status, took }, LogFormat::Text) => {
                let arrow = if *direction == Direction::In { "<-" } else { "->" };
                format!("{time} {arrow} {endpoint} {who} {status} {}ms", took.as_millis())
            }
            (Self::Note(text), LogFormat::Text) => format!("{time} {text}"),
            (Self::Fault(text), LogFormat::Text) => format!("{time} fault: {text}"),
            (Self::Exchange { direction, endpoint, who, status, took }, LogFormat::Json) => json!({
                "time": time, "direction": direction.word(), "endpoint": endpoint, "who": who, "status": status,
                "millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            })
            .to_string(),
            (Self::Note(text), LogFormat::Json) => json!({ "time": time, "note": text.to_string() }).to_string(),
            (Self::Fault(text), LogFormat::Json) => json!({ "time": time, "fault": text.to_string() }).to_string(),
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
        // The order of the members is nobody's business.
        let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let fault = read(Line::Fault(format_args!("a \"b\"")).text(0, LogFormat::Json));
        assert_eq!(fault, json!({ "fault": "a \"b\"", "time": "0.000" }));
        assert_eq!(Line::Fault(format_args!("a")).text(0, LogFormat::Text), "0.000 fault: a");
        assert_eq!(Line::Note(format_args!("a")).text(0, LogFormat::Text), "0.000 a");
        let note = read(Line::Note(format_args!("a")).text(0, LogFormat::Json));
        assert_eq!(note, json!({ "note": "a", "time": "0.000" }));
    }
}
