use std::time::Duration;

use mimi_pseudonym::Timestamp;

use super::{Checkpoint, Entry, Evidence};

/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(300);
/// How old an entry may be for which a share is given.
const FRESH: Duration = Duration::from_secs(7 * 86_400);

/// What an operator remembers of the log: the newest checkpoint it has seen. It is saved whenever it has moved, before a
/// share is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    seen: Checkpoint,
}

/// An entry that an operator has found in the log, which goes on from what the operator has seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    entry: Entry,
    checkpoint: Checkpoint,
}

/// Why an operator does not believe an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The entry does not stand in the log that was shown.
    #[error("the entry is not in the log")]
    NotIncluded,
    /// The log that was shown is shorter than the one seen before.
    #[error("the log has become shorter")]
    Truncated,
    /// The log that was shown does not begin with the one seen before.
    #[error("the log is not the one seen before")]
    Forked,
    /// The entry is from the future, or older than a week.
    #[error("the entry is not of today's date")]
    Time,
}

impl Witness {
    /// An operator who has not seen the log yet.
    pub const NEW: Self = Self { seen: Checkpoint::EMPTY };

    /// An operator who has seen the log up to here.
    pub const fn restore(seen: Checkpoint) -> Self {
        Self { seen }
    }

    /// What to save, and where evidence for this operator has to go on from.
    pub const fn seen(&self) -> Checkpoint {
        self.seen
    }

    /// Checks that an entry stands in the log, and that the log goes on from what was seen before; then remembers how far
    /// the log has gone.
    ///
    /// # Errors
    /// [`WitnessError`]; nothing is remembered then.
    pub fn check(&mut self, evidence: &Evidence, now: Timestamp) -> Result<LoggedEntry, WitnessError> {
        if evidence.checkpoint.size < self.seen.size {
            return Err(WitnessError::Truncated);
        }
        if !evidence.checkpoint.continues(self.seen, &evidence.consistency) {
            return Err(WitnessError::Forked);
        }
        if !evidence.checkpoint.includes(&evidence.entry, evidence.position, &evidence.inclusion) {
            return Err(WitnessError::NotIncluded);
        }
        let at = evidence.entry.at();
        if at > now.after(SKEW) || now.since(at) > FRESH {
            return Err(WitnessError::Time);
        }
        self.seen = evidence.checkpoint;
        Ok(LoggedEntry { entry: evidence.entry.clone(), checkpoint: evidence.checkpoint })
    }
}

impl LoggedEntry {
    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The log it was found in.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }
}
