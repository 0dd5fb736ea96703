use std::{io::Write, sync::Arc, time::Duration};

use mimi_pseudonym::Clock;

/// Writes a line for each request to standard error: when, in or out, which endpoint, with whom, how it went, how long it
/// took. Never a URI of a user, client or room, never a token, never a body.
#[derive(Clone)]
pub(crate) struct Logger {
    clock: Arc<dyn Clock>,
    quiet: bool,
}

/// Who began an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Logger {
    pub(crate) fn new(clock: Arc<dyn Clock>, quiet: bool) -> Self {
        Self { clock, quiet }
    }

    /// One exchange. `who` is a provider's domain or `client`.
    pub(crate) fn exchange(&self, direction: Direction, endpoint: &str, who: &str, status: u16, took: Duration) {
        let arrow = match direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        if !self.quiet {
            self.write(format_args!("{arrow} {endpoint} {who} {status} {}ms", took.as_millis()));
        }
    }

    /// Something else worth knowing.
    pub(crate) fn note(&self, text: std::fmt::Arguments<'_>) {
        if !self.quiet {
            self.write(text);
        }
    }

    /// Something that should not be; written even if the log is quiet.
    pub(crate) fn fault(&self, text: std::fmt::Arguments<'_>) {
        self.write(format_args!("fault: {text}"));
    }

    fn write(&self, text: std::fmt::Arguments<'_>) {
        let millis = self.clock.now().as_millis();
        // Where standard error is gone, there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{}.{:03} {text}", millis / 1000, millis % 1000);
    }
}
