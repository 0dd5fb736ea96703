use std::{collections::HashMap, hash::Hash, time::Duration};

use mimi_pseudonym::{Timestamp, UserUri};

/// Users whose counts are kept at the same time. Beyond that the idle ones are forgotten, and if none is idle, newcomers are
/// not counted: memory is bounded, whoever sends.
const USERS_MAX: usize = 100_000;

/// Counts how often users do something, in windows of one length. Nothing of it has to be stored: what it forgets is at
/// most what happened within one window. Who stores something by which it becomes too often stores that with it, and says so
/// afterwards: until then, every further time is too often as well, so that nothing is lost when storing fails.
#[derive(Debug, Clone)]
pub struct RateMeter<Who = UserUri> {
    window: Duration,
    most: u32,
    counts: HashMap<Who, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    begun: Timestamp,
    times: u32,
    known: bool,
}

impl<Who: Clone + Eq + Hash> RateMeter<Who> {
    /// Allows so many times within a window.
    pub fn new(most: u32, window: Duration) -> Self {
        Self { window, most, counts: HashMap::new() }
    }

    /// Counts one more. `true` if in this window it is too often, and that is not [`known`](Self::known): then it is a fact.
    pub fn note(&mut self, who: &Who, now: Timestamp) -> bool {
        if let Some(count) = self.counts.get_mut(who) {
            if now.since(count.begun) >= self.window {
                *count = Count { begun: now, times: 0, known: false };
            }
            count.times = count.times.saturating_add(1);
            return count.times > self.most && !count.known;
        }
        if self.counts.len() >= USERS_MAX {
            let window = self.window;
            self.counts.retain(|_, count| now.since(count.begun) < window);
            if self.counts.len() >= USERS_MAX {
                return false;
            }
        }
        self.counts.insert(who.clone(), Count { begun: now, times: 1, known: false });
        self.most == 0
    }

    /// The fact is known: it is said no more in this window.
    pub fn known(&mut self, who: &Who) {
        if let Some(count) = self.counts.get_mut(who) {
            count.known |= count.times > self.most;
        }
    }

    /// What was counted last did not happen.
    pub fn take_back(&mut self, who: &Who) {
        if let Some(count) = self.counts.get_mut(who) {
            count.times = count.times.saturating_sub(1);
        }
    }
}
