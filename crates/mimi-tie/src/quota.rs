use std::time::Duration;

use mimi_pseudonym::Timestamp;

/// How many pseudonyms an account may draw in a period of time. Periods follow each other without a gap from 1970 on, the
/// same for all accounts, so that a counter tells nothing of when an account drew.
///
/// This says what is allowed. That the count is exact when many ask at once is for the store: one statement that counts
/// only while the sum stays within [`Quota::allowed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    allowed: u32,
    period: Duration,
}

/// The number of a period since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

/// A quota cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// No pseudonyms at all.
    #[error("a quota allows at least one pseudonym")]
    Nothing,
    /// A period under a second or over ten years.
    #[error("the period of a quota is from a second to ten years")]
    Period,
}

impl Quota {
    /// So many pseudonyms in a period; whole milliseconds count.
    ///
    /// # Errors
    /// [`QuotaError`] if nobody could ever draw one, or the period is not between a second and ten years.
    pub fn new(allowed: u32, period: Duration) -> Result<Self, QuotaError> {
        if allowed == 0 {
            return Err(QuotaError::Nothing);
        }
        if period < Duration::from_secs(1) || period > Duration::from_secs(3652 * 86_400) {
            return Err(QuotaError::Period);
        }
        Ok(Self { allowed, period })
    }

    /// Pseudonyms for each account and period.
    pub const fn allowed(self) -> u32 {
        self.allowed
    }

    /// The period a point in time falls into.
    pub fn period(self, now: Timestamp) -> Period {
        Period(now.as_millis() / self.length())
    }

    /// When the period of a number begins.
    pub fn begin(self, number: u64) -> Timestamp {
        Timestamp::from_millis(number.saturating_mul(self.length()))
    }

    /// Milliseconds of a period.
    fn length(self) -> u64 {
        u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

impl Period {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_follow_each_other() {
        let day = Quota::new(3, Duration::from_secs(86_400)).unwrap();
        let noon = Timestamp::from_secs(86_400 * 100 + 43_200);
        assert_eq!(day.period(noon).number(), 100);
        assert_eq!(day.period(noon.after(Duration::from_secs(43_199))).number(), 100);
        assert_eq!(day.period(noon.after(Duration::from_secs(43_200))).number(), 101);
        assert_eq!(day.allowed(), 3);
        assert_eq!(day.begin(101), noon.after(Duration::from_secs(43_200)));
        assert_eq!(day.period(day.begin(101)).number(), 101);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert_eq!(Quota::new(0, Duration::from_secs(1)), Err(QuotaError::Nothing));
        assert_eq!(Quota::new(1, Duration::from_millis(999)), Err(QuotaError::Period));
        assert_eq!(Quota::new(1, Duration::from_secs(4000 * 86_400)), Err(QuotaError::Period));
    }
}
