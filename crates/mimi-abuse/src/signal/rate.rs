use std::{collections::HashMap, hash::Hash, time::Duration};

use mimi_pseudonym::{Timestamp, UserUri};

/// Users whose counts are kept at the same time. Beyond that the idle ones are forgotten, and if none is idle, newcomers are
/// not counted: memory is bounded, whoever sends.
const USERS_MAX: usize = 100_000;

/// Counts how often users do something, in windows of one length. Nothing of it has to be stored: what it forgets is at
/// most what happened within one window.
#[derive(Debug, Clone)]
pub struct RateMeter<Who = UserUri> {
    window: Duration,
    most: u32,
    counts: HashMap<Who, (Timestamp, u32)>,
}

impl<Who: Clone + Eq + Hash> RateMeter<Who> {
    /// Allows so many times within a window.
    pub fn new(most: u32, window: Duration) -> Self {
        Self { window, most, counts: HashMap::new() }
    }

    /// Counts one more. `true` once in each window in which it is too often: then it is a fact.
    pub fn note(&mut self, user: &Who, now: Timestamp) -> bool {
        if !self.counts.contains_key(user) && self.counts.len() >= USERS_MAX {
            let window = self.window;
            self.counts.retain(|_, (begun, _)| now.since(*begun) < window);
            if self.counts.len() >= USERS_MAX {
                return false;
            }
        }
        let (begun, count) = self.counts.entry(user.clone()).or_insert((now, 0));
        if now.since(*begun) >= self.window {
            (*begun, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count == self.most.saturating_add(1)
    }
}
