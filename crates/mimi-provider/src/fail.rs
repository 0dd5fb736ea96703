use mimi_wire::{DecodeError, Problem};

use crate::store::StoreError;

/// Why a request has no answer but a problem document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fail {
    /// The requester is told which.
    #[error("{}", .0.code())]
    Problem(Problem),
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
            Self::Store(error) if error.is_temporary() => Problem::Unavailable,
            Self::Store(_) | Self::Fault(_) => Problem::Internal,
        }
    }
}

impl From<Problem> for Fail {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
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
