use std::time::{SystemTime, UNIX_EPOCH};

use mimi_pseudonym::{Clock, Entropy, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

/// The system's clock, moved by some seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct OffsetClock {
    offset_secs: i64,
}

impl OffsetClock {
    /// A clock that goes ahead of the system's by so many seconds, or behind if that is negative.
    pub const fn new(offset_secs: i64) -> Self {
        Self { offset_secs }
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(millis.saturating_add_signed(self.offset_secs.saturating_mul(1000)))
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        // Without random bytes there are no secrets to be had: better no answer at all than a guessable one. The
        // operating systems this runs on block until they have some, so this does not happen.
        while SystemRandom::new().fill(buffer).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_the_clock() {
        let (now, later) = (OffsetClock::default().now(), OffsetClock::new(86_400).now());
        assert!((86_399..=86_460).contains(&later.since(now).as_secs()));
        assert!(OffsetClock::new(-86_400).now() < now);
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(OsEntropy.bits256(), OsEntropy.bits256());
    }
}
