use std::time::Duration;

use mimi_pseudonym::Entropy;
use serde::{Deserialize, Serialize};

/// How long things are made to wait, so that their time says little (draft-mahy-mimi-pseudonyms-00, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// The least time between a connection and the destruction of the room it began in.
    pub destroy_after: Duration,
    /// How much longer it may be, chosen at random.
    pub destroy_spread: Duration,
    /// The most time before a commit that other members may make as well, such as one that lets a user go who has left.
    /// How long it is, is chosen at random: so they do not all make it at once.
    pub commit_spread: Duration,
    /// How long a KeyPackage is valid. At most 84 days.
    pub key_package_lifetime: Duration,
}

impl Default for Delays {
    /// Destruction after one to eight days; commits for others within 20 seconds; KeyPackages for twelve weeks.
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        let commit_spread = Duration::from_secs(20);
        Self { destroy_after: day, destroy_spread: day * 7, commit_spread, key_package_lifetime: day * 84 }
    }
}

impl Delays {
    pub(crate) fn destroy(&self, entropy: &mut dyn Entropy) -> Duration {
        self.destroy_after + within(self.destroy_spread, entropy)
    }

    pub(crate) fn commit(&self, entropy: &mut dyn Entropy) -> Duration {
        within(self.commit_spread, entropy)
    }
}

/// A random time, at most this long.
fn within(spread: Duration, entropy: &mut dyn Entropy) -> Duration {
    let mut octets = [0; 8];
    entropy.fill(&mut octets);
    let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(u64::from_be_bytes(octets) % spread.saturating_add(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::SeededEntropy;

    #[test]
    fn destruction_is_spread_over_the_whole_range() {
        let delays = Delays::default();
        let mut entropy = SeededEntropy::new([5; 32]);
        let drawn: Vec<_> = (0..200).map(|_| delays.destroy(&mut entropy)).collect();
        assert!(drawn.iter().all(|delay| (1..=8).contains(&(delay.as_secs() / 86_400))));
        let early = drawn.iter().filter(|delay| delay.as_secs() < 86_400 * 4).count();
        assert!((40..160).contains(&early), "{early} of 200 in the first half");
    }
}
