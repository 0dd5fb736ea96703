//! How often one device or one provider may ask for what could be used to try out names or to pester people.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use mimi_pseudonym::{Domain, Timestamp};
use mimi_wire::Problem;

use crate::store::DeviceId;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Device(DeviceId),
    Peer(Domain),
}

/// Requests in a minute, of one device and of one provider with all its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) device: u32,
    pub(crate) peer: u32,
}

/// How many are kept count of; those who have not asked for a minute are forgotten first.
const ASKERS_MAX: usize = 1 << 16;
const MINUTE_MILLIS: u64 = 60_000;

/// Lets everybody ask so many times in a minute: as many at once, and then as fast as that.
pub(crate) struct Pace {
    rate: Rate,
    /// For each, the time at which all it has asked is made up for.
    until: Mutex<HashMap<Asker, u64>>,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, until: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`Problem::RateLimited`] if it is one too many; then it does not count.
    pub(crate) fn check(&self, asker: Asker, now: Timestamp) -> Result<(), Problem> {
        let (now, rate) = (
            now.as_millis(),
            match asker {
                Asker::Device(_) => self.rate.device,
                Asker::Peer(_) => self.rate.peer,
            },
        );
        let cost = MINUTE_MILLIS / u64::from(rate.max(1));
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= ASKERS_MAX && !until.contains_key(&asker) {
            until.retain(|_, until| *until > now);
            if until.len() >= ASKERS_MAX {
                return Err(Problem::RateLimited);
            }
        }
        // A clock that was set back must not shut anybody out for long.
        let known = until.get(&asker).copied().unwrap_or(now).clamp(now, now.saturating_add(MINUTE_MILLIS));
        let next = known.saturating_add(cost);
        let allowed = next <= now.saturating_add(MINUTE_MILLIS);
        until.insert(asker, if allowed { next } else { known });
        if allowed { Ok(()) } else { Err(Problem::RateLimited) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let pace = Pace::new(Rate { device: 3, peer: 60 });
        let (one, peer) = (|| Asker::Device(DeviceId::for_test(1)), || Asker::Peer("b.example".parse().unwrap()));
        let at = |seconds: u64| Timestamp::from_secs(1_000 + seconds);
        let asked: Vec<_> = (0..5).map(|_| pace.check(one(), at(0)).is_ok()).collect();
        assert_eq!(asked, [true, true, true, false, false]);
        assert_eq!(pace.check(Asker::Device(DeviceId::for_test(2)), at(0)), Ok(()), "each for itself");
        assert_eq!((0..100).filter(|_| pace.check(peer(), at(0)).is_ok()).count(), 60);
        assert_eq!(pace.check(one(), at(19)), Err(Problem::RateLimited));
        assert_eq!(pace.check(one(), at(20)), Ok(()));
        assert_eq!(pace.check(one(), at(20)), Err(Problem::RateLimited));
        assert_eq!((0..5).filter(|_| pace.check(one(), at(500)).is_ok()).count(), 3);
        assert_eq!(pace.check(one(), at(0)), Err(Problem::RateLimited), "a clock that was set back");
        assert_eq!(pace.check(one(), at(30)), Ok(()));
    }
}
