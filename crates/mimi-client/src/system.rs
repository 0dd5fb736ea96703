//! The clock and the generator of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use mimi_pseudonym::{Clock, Entropy, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system's generator.
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl Default for SystemEntropy {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    /// Tries again until the operating system gives random octets: there is nothing else that could be used.
    fn fill(&mut self, buffer: &mut [u8]) {
        while self.0.fill(buffer).is_err() {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_octets_differ() {
        let mut entropy = SystemEntropy::default();
        assert_ne!(entropy.bits256(), entropy.bits256());
    }
}
