use std::time::Duration;

use mimi_pseudonym::{Entropy, Timestamp};
use serde::{Deserialize, Serialize};

/// How long things are made to wait, so that their time says little (draft-mahy-mimi-pseudonyms-00, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delays {
    /// The least time between a connection and the destruction of the room it began in.
    pub destroy_after: Duration,
    /// How much longer it may be, chosen at random.
    pub destroy_spread: Duration,
    /// The most time before a commit that other members may make as well, such as one that lets a user go who has left.
    /// How long it is, is chosen at random: so they do not all make it at once.
    pub commit_spread: Duration,
    /// How long a KeyPackage is valid, at most 84 days. It begins and ends with a day (UTC), as those of everybody else do: it
    /// holds up to a day longer than this, unless that is more than 84 days from its beginning. KeyPackages and credentials of what may still be used are renewed
    /// between half and three quarters of this time after they were made, at a time chosen at random: when they are
    /// renewed says nothing about when one of them is used.
    pub key_package_lifetime: Duration,
    /// The most time between the use of KeyPackages or pseudonyms and the acquisition of others in their place, chosen at
    /// random: who watches the one does not see the other.
    pub refill_spread: Duration,
    /// The most time before another device of the account, one that was added later, is brought into a room that this one is
    /// in. It is chosen at random for each room: whoever sees two rooms does not see one device come into both at once.
    pub sibling_spread: Duration,
    /// The most time before a lost device is removed from a room, chosen at random for each: its provider has ended it at once, and
    /// whoever sees two rooms does not see one device go from both at the same moment.
    pub removal_spread: Duration,
    /// How long a request for consent of this device waits for an answer. It ends unanswered: the other side is told nothing.
    pub consent_wait: Duration,
    /// How long after the end of the KeyPackages that were given with a request to connect an answer may still come, by a
    /// request for fresh ones. The temporary room goes when they end.
    pub late_answer: Duration,
    /// What is kept in stock.
    pub stock: Stock,
}

/// How many pseudonyms and KeyPackages are kept in stock, so that the time at which they are acquired says nothing about
/// their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stock {
    /// As soon as fewer fresh pseudonyms than this are left, others are acquired. 0: only the application acquires any.
    pub pseudonyms_low: u16,
    /// How many are acquired at once; at most 1,000.
    pub pseudonyms_batch: u16,
    /// How many KeyPackages of the account are added when the provider says that few are left; at most 1,000.
    pub key_packages: u16,
    /// Whether the account keeps one KeyPackage that is given when there is no other, again and again: for connection rooms
    /// alone. A provider whose policy is not to have any refuses what it comes with.
    pub last_resort: bool,
}

impl Default for Stock {
    /// Pseudonyms when the application says so; ten KeyPackages of the account, and none as a last resort.
    fn default() -> Self {
        Self { pseudonyms_low: 0, pseudonyms_batch: 100, key_packages: 10, last_resort: false }
    }
}

impl Default for Delays {
    /// Destruction after one to eight days; commits for others within 20 seconds; KeyPackages for twelve weeks; others in
    /// place of used ones within six hours; consent is waited for 30 days, and a late answer 90.
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        let commit_spread = Duration::from_secs(20);
        Self {
            destroy_after: day,
            destroy_spread: day * 7,
            commit_spread,
            key_package_lifetime: day * 84,
            refill_spread: day / 4,
            sibling_spread: day / 4,
            removal_spread: day / 24,
            consent_wait: day * 30,
            late_answer: day * 90,
            stock: Stock::default(),
        }
    }
}

impl Delays {
    pub(crate) fn destroy(&self, entropy: &mut dyn Entropy) -> Duration {
        self.destroy_after + within(self.destroy_spread, entropy)
    }

    /// How long after they were made KeyPackages and credentials are renewed.
    pub(crate) fn renew(&self, entropy: &mut dyn Entropy) -> Duration {
        self.key_package_lifetime / 2 + within(self.key_package_lifetime / 4, entropy)
    }

    pub(crate) fn refill(&self, entropy: &mut dyn Entropy) -> Duration {
        within(self.refill_spread, entropy)
    }

    pub(crate) fn sibling(&self, entropy: &mut dyn Entropy) -> Duration {
        within(self.sibling_spread, entropy)
    }

    pub(crate) fn removal(&self, entropy: &mut dyn Entropy) -> Duration {
        within(self.removal_spread, entropy)
    }

    pub(crate) fn commit(&self, entropy: &mut dyn Entropy) -> Duration {
        within(self.commit_spread, entropy)
    }
}

/// How far a KeyPackage's lifetime reaches back at least, for clocks that are slow.
const BACKDATE: Duration = Duration::from_secs(3_600);
const DAY: u64 = 86_400;
/// The most days of a lifetime.
const LIFETIME_DAYS: u64 = 84;

/// From when to when a KeyPackage is valid: whole days, so that nobody can tell by its times which others were made with it.
pub(crate) fn lifetime(now: Timestamp, wanted: Duration) -> (Timestamp, Timestamp) {
    let first = now.before(BACKDATE).as_secs() / DAY;
    let last = now.after(wanted).as_millis().div_ceil(DAY * 1_000).min(first + LIFETIME_DAYS);
    (Timestamp::from_secs(first * DAY), Timestamp::from_secs(last.saturating_mul(DAY)))
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
    fn key_packages_made_on_one_day_have_the_same_times_and_hold_as_long_as_wanted() {
        let midnight = Timestamp::from_secs(20_000 * DAY);
        let wanted = Delays::default().key_package_lifetime;
        let day = |day: u64| Timestamp::from_secs(day * DAY);
        for hours in [1, 2, 12, 23] {
            let now = midnight.after(Duration::from_secs(hours * 3_600 + 7));
            assert_eq!(lifetime(now, wanted), (day(20_000), day(20_084)), "no more than 84 days");
            assert_eq!(lifetime(now, Duration::from_secs(60 * DAY)), (day(20_000), day(20_061)));
            assert_eq!(lifetime(now, Duration::from_secs(1)), (day(20_000), day(20_001)));
        }
        assert_eq!(lifetime(midnight, wanted), (day(19_999), day(20_083)), "a slow clock shows the day before");
        let end = |now: Timestamp, wanted| lifetime(now, wanted).1.since(now);
        for second in (0..2 * DAY).step_by(977) {
            let now = midnight.after(Duration::from_secs(second));
            let short = Duration::from_secs(3 * DAY + 5);
            assert!(end(now, short) >= short && end(now, short) < short + Duration::from_secs(DAY));
            assert!(end(now, wanted) > wanted - Duration::from_secs(DAY) - BACKDATE);
        }
    }

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
