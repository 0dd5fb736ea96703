use std::time::Duration;

use mimi_wire::{DecodeError, Problem};

use crate::{pace::TooMany, store::StoreError};

/// How long to wait before the same request may be answered, where nothing is known about it.
const SOME_TIME: Duration = Duration::from_secs(60);
/// The same if something here does not work at the moment.
const SHORT_TIME: Duration = Duration::from_secs(5);

/// Why a request has no answer but a problem document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fail {
    /// The requester is told which.
    #[error("{}", .0.code())]
    Problem(Problem),
    /// The requester has asked too often, and is told when it may ask again.
    #[error("too many requests")]
    TooMany(Duration),
    /// Something is wrong here: it is logged, and the requester is told no more than that.
    #[error(transparent)]
    Store(StoreError),
    /// As [`Fail::Store`].
    #[error("{0}")]
    Fault(&'static str),
}

impl Fail {
    /// What the requester is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::TooMany(_) => Problem::RateLimited,
            Self::Store(error) if error.is_temporary() => Problem::Unavailable,
            Self::Store(_) | Self::Fault(_) => Problem::Internal,
        }
    }

    /// After which time the requester may ask again, if it may (`Retry-After`, RFC 9110).
    pub(crate) fn wait(&self) -> Option<Duration> {
        match (self, self.problem()) {
            (Self::TooMany(wait), _) => Some(*wait),
            (_, Problem::RateLimited) => Some(SOME_TIME),
            (_, Problem::Unavailable) => Some(SHORT_TIME),
            _ => None,
        }
    }
}

impl From<Problem> for Fail {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<TooMany> for Fail {
    fn from(TooMany(wait): TooMany) -> Self {
        Self::TooMany(wait)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        // What no database takes cannot have been meant: the fault is the requester's.
        if error.is_of_a_value() { Self::Problem(Problem::Malformed) } else { Self::Store(error) }
    }
}

impl From<DecodeError> for Fail {
    fn from(error: DecodeError) -> Self {
        Self::Problem(match error {
            DecodeError::TooLong { .. } => Problem::TooLarge,
            _ => Problem::Malformed,
        })
    }
}
