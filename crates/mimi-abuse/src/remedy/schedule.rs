use std::time::Duration;

use mimi_pseudonym::{Entropy, Timestamp};

/// When a remedy may show. What is done to one account shows in every room in which it has a pseudonym; done at one moment,
/// it tells whoever looks which pseudonyms belong together. So each pseudonym has a moment of its own within a window, and
/// moments are rounded up to ticks that all accounts of the provider share.
///
/// This hides among the other accounts that something is done to in the same window, and in nothing else: of a provider that
/// removes one account a year, whatever leaves within a window of each other belongs together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    window: Duration,
    tick: Duration,
}

/// Window and tick make no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A tick is a millisecond or longer.
    #[error("a tick is at least a millisecond")]
    Tick,
    /// A window is at least one tick and at most 366 days.
    #[error("a window is between one tick and 366 days")]
    Window,
}

impl Default for Plan {
    /// Fourteen days, in ticks of an hour.
    fn default() -> Self {
        Self { window: Duration::from_secs(14 * 86_400), tick: Duration::from_secs(3600) }
    }
}

impl Plan {
    /// A window and its ticks.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn new(window: Duration, tick: Duration) -> Result<Self, PlanError> {
        if tick.as_millis() == 0 {
            return Err(PlanError::Tick);
        }
        if window < tick || window > Duration::from_secs(366 * 86_400) {
            return Err(PlanError::Window);
        }
        Ok(Self { window, tick })
    }

    /// A moment for each pseudonym of an account, independent of each other: after `decided`, at most a window and a tick
    /// later, on a tick.
    pub fn moments<T>(
        &self,
        pseudonyms: impl IntoIterator<Item = T>,
        decided: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Vec<(T, Timestamp)> {
        let (window, tick) = (millis(self.window), millis(self.tick).max(1));
        let moment = |entropy: &mut dyn Entropy| {
            let at = decided.as_millis().saturating_add(below(window, entropy));
            Timestamp::from_millis((at / tick + 1).saturating_mul(tick))
        };
        pseudonyms.into_iter().map(|pseudonym| (pseudonym, moment(entropy))).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number below a limit. Of 2^64 numbers the lowest are more likely by one in billions.
fn below(limit: u64, entropy: &mut dyn Entropy) -> u64 {
    let mut bits = [0; 8];
    entropy.fill(&mut bits);
    u64::from_be_bytes(bits).checked_rem(limit).unwrap_or_default()
}
