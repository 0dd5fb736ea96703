//! How often one device or one provider may ask for what could be used to try out names or to pester people.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use mimi_pseudonym::{Domain, Timestamp};

use crate::store::DeviceId;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Device(DeviceId),
    Peer(Domain),
    /// Somebody who has not shown who it is.
    Address(IpAddr),
}

impl Asker {
    /// Somebody at an address. With IPv6 one has a network of 64 bits, and can take any address in it.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

/// What stands for all addresses that one may have.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// One request too many: after this time there may be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// Requests in a minute: of one device, of one provider with all its users, and of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) device: u32,
    pub(crate) peer: u32,
    pub(crate) address: u32,
}

/// How many are kept count of; those who have not asked for a minute are forgotten first.
const ASKERS_MAX: usize = 1 << 16;
const MINUTE_MICROS: u64 = 60_000_000;

/// Lets everybody ask so many times in a minute: as many at once, and then as fast as that.
pub(crate) struct Pace {
    rate: Rate,
    /// For each, the microsecond at which all it has asked is made up for.
    until: Mutex<HashMap<Asker, u64>>,
    /// How often a device, a provider and an address asked too often.
    refused: [AtomicU64; 3],
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, until: Mutex::default(), refused: Default::default() }
    }

    /// How often a device, a provider and an address were refused.
    pub(crate) fn refused(&self) -> [u64; 3] {
        self.refused.each_ref().map(|count| count.load(Relaxed))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`TooMany`] if it is one too many; then it does not count.
    pub(crate) fn check(&self, asker: Asker, now: Timestamp) -> Result<(), TooMany> {
        let [device, peer, address] = &self.refused;
        let refused = match asker {
            Asker::Device(_) => device,
            Asker::Peer(_) => peer,
            Asker::Address(_) => address,
        };
        self.count(asker, now).inspect_err(|_| {
            refused.fetch_add(1, Relaxed);
        })
    }

    fn count(&self, asker: Asker, now: Timestamp) -> Result<(), TooMany> {
        let (now, rate) = (
            now.as_millis().saturating_mul(1000),
            match asker {
                Asker::Device(_) => self.rate.device,
                Asker::Peer(_) => self.rate.peer,
                Asker::Address(_) => self.rate.address,
            },
        );
        let cost = MINUTE_MICROS / u64::from(rate.max(1));
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= ASKERS_MAX && !until.contains_key(&asker) {
            until.retain(|_, until| *until > now);
            if until.len() >= ASKERS_MAX {
                return Err(TooMany(Duration::from_micros(MINUTE_MICROS)));
            }
        }
        // A clock that was set back must not shut anybody out for long.
        let known = until.get(&asker).copied().unwrap_or(now).clamp(now, now.saturating_add(MINUTE_MICROS));
        let next = known.saturating_add(cost);
        let allowed = next <= now.saturating_add(MINUTE_MICROS);
        until.insert(asker, if allowed { next } else { known });
        let wait = next.saturating_sub(now.saturating_add(MINUTE_MICROS));
        if allowed { Ok(()) } else { Err(TooMany(Duration::from_micros(wait))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let pace = Pace::new(Rate { device: 3, peer: 60, address: 2 });
        let (one, peer) = (|| Asker::Device(DeviceId::for_test(1)), || Asker::Peer("b.example".parse().unwrap()));
        let at = |seconds: u64| Timestamp::from_secs(1_000 + seconds);
        let asked: Vec<_> = (0..5).map(|_| pace.check(one(), at(0)).is_ok()).collect();
        assert_eq!(asked, [true, true, true, false, false]);
        assert_eq!(pace.check(Asker::Device(DeviceId::for_test(2)), at(0)), Ok(()), "each for itself");
        assert_eq!((0..100).filter(|_| pace.check(peer(), at(0)).is_ok()).count(), 60);
        let wait = |seconds| Err(TooMany(Duration::from_secs(seconds)));
        assert_eq!(pace.check(one(), at(0)), wait(20));
        assert_eq!(pace.check(one(), at(19)), wait(1));
        assert_eq!(pace.check(one(), at(20)), Ok(()));
        assert_eq!(pace.check(one(), at(20)), wait(20));
        assert_eq!((0..5).filter(|_| pace.check(one(), at(500)).is_ok()).count(), 3);
        assert_eq!(pace.check(one(), at(0)), wait(20), "a clock that was set back");
        assert_eq!(pace.check(one(), at(30)), Ok(()));
        assert_eq!(pace.refused(), [8, 40, 0]);
    }
    #[test]
    fn an_address_stands_for_all_that_one_may_have() {
        let pace = Pace::new(Rate { device: 1, peer: 1, address: 2 });
        let ask = |address: &str| pace.check(Asker::at(address.parse().unwrap()), Timestamp::from_secs(1_000)).is_ok();
        assert!(ask("10.0.0.1") && ask("::ffff:10.0.0.1") && !ask("10.0.0.1"), "the same, written in two ways");
        assert!(ask("10.0.0.2"));
        assert!(ask("2001:200::1") && ask("2001:200::ffff:1") && !ask("2001:200::2"), "one network of 64 bits");
        assert!(ask("2001:200:0:1::1"));
    }

    #[test]
    fn a_high_rate_is_as_high_as_it_says() {
        let pace = Pace::new(Rate { device: 600_000, peer: 1, address: 1 });
        let asked = |millis: u64, times: u32| {
            let device = || Asker::Device(DeviceId::for_test(1));
            (0..times).filter(|_| pace.check(device(), Timestamp::from_millis(1_000_000 + millis)).is_ok()).count()
        };
        assert_eq!(asked(0, 600_001), 600_000);
        assert_eq!(asked(1, 100), 10, "ten in each millisecond");
    }
}
