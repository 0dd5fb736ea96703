//! `Debug` of what would show contents, private keys, or an account next to its pseudonym.

use std::fmt;

use crate::{Answer, Command, Entry, Event, Request};

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} octets)", self.call.name(), self.body.len())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(body) => write!(f, "Done({} octets)", body.len()),
            Self::Refused(problem) => write!(f, "Refused({})", problem.code()),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.key.split_once('/').map_or(self.key.as_str(), |(kind, _)| kind);
        write!(f, "Entry({kind}, {} octets)", self.value.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { key_packages } => f.debug_struct("Publish").field("key_packages", key_packages).finish(),
            Self::Prepare { pseudonyms } => f.debug_struct("Prepare").field("pseudonyms", pseudonyms).finish(),
            Self::Connect { domain, disclose, .. } => {
                f.debug_struct("Connect").field("domain", domain).field("disclose", disclose).finish_non_exhaustive()
            }
            Self::Accept { request, .. } => f.debug_struct("Accept").field("request", request).finish_non_exhaustive(),
            Self::Decline { request } => f.debug_struct("Decline").field("request", request).finish(),
            Self::Send { content, .. } => f.debug_struct("Send").field("content", content).finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { fresh } => f.debug_struct("Ready").field("fresh", fresh).finish(),
            Self::ConnectionRequested { request, from, .. } => f
                .debug_struct("ConnectionRequested")
                .field("request", request)
                .field("from", from)
                .finish_non_exhaustive(),
            Self::Connected { known_as, .. } => {
                f.debug_struct("Connected").field("known_as", known_as).finish_non_exhaustive()
            }
            Self::Message { media_type, body, .. } => f
                .debug_struct("Message")
                .field("media_type", media_type)
                .field("octets", &body.len())
                .finish_non_exhaustive(),
            Self::Disclosed { who, .. } => f.debug_struct("Disclosed").field("who", who).finish_non_exhaustive(),
            Self::Closed { .. } => f.debug_struct("Closed").finish_non_exhaustive(),
            Self::Failed { flow, reason } => {
                f.debug_struct("Failed").field("flow", flow).field("reason", reason).finish()
            }
        }
    }
}
