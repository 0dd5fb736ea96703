//! Bounds of what all requesters together may cost: connections of one address, requests that are worked on, octets of
//! bodies. What is above them waits or is refused; nothing is kept in memory without end.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use mimi_wire::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::Limits,
    counts::{Counted, Counts},
    pace::network,
    server::unsent::Unsent,
};

/// Octets of bodies are counted in so many at once.
const UNIT: usize = 1024;

pub(crate) struct Gate {
    requests: Arc<Semaphore>,
    octets: Arc<Semaphore>,
    addresses: Counts<IpAddr>,
    address_connections: u16,
    /// Answers that wait to be taken, on all connections.
    pub(crate) unsent: Unsent,
    pub(crate) refused: Refused,
}

/// How often something was refused because of a limit.
#[derive(Default)]
pub(crate) struct Refused {
    connections: AtomicU64,
    requests: AtomicU64,
    answers: AtomicU64,
}

impl Refused {
    /// An answer for which there was no room.
    pub(crate) fn answer(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    /// Each limit with how often.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let Self { connections, requests, answers } = self;
        [("address_connections", connections), ("requests", requests), ("unsent", answers)]
            .map(|(limit, count)| (limit, count.load(Relaxed)))
    }
}

/// A connection that counts for its address as long as this exists.
pub(crate) type Place = Counted<IpAddr>;

/// Octets that count as long as this exists.
#[derive(Default)]
pub(crate) struct Held {
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
    octets: usize,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests.into())),
            octets: Arc::new(Semaphore::new(limits.memory.div_ceil(UNIT).min(Semaphore::MAX_PERMITS))),
            unsent: Unsent::of_all(limits),
            addresses: Counts::new(),
            address_connections: limits.address_connections,
            refused: Refused::default(),
        }
    }

    /// A connection from an address; none if it has as many as it may.
    pub(crate) fn connection(&self, from: IpAddr) -> Option<Place> {
        let place = self.addresses.take(network(from), self.address_connections);
        if place.is_none() {
            self.refused.connections.fetch_add(1, Relaxed);
        }
        place
    }

    /// A request that is about to be worked on.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if there are as many as there may be.
    pub(crate) fn request(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| {
            self.refused.requests.fetch_add(1, Relaxed);
            Problem::Unavailable
        })
    }

    /// Waits until so many octets more can be held.
    pub(crate) async fn hold(&self, held: &mut Held, octets: usize) -> Result<(), Problem> {
        held.octets = held.octets.saturating_add(octets);
        let more = held.octets.div_ceil(UNIT).saturating_sub(held.units);
        let count = u32::try_from(more).map_err(|_| Problem::TooLarge)?;
        let fresh = Arc::clone(&self.octets).acquire_many_owned(count).await.map_err(|_| Problem::Unavailable)?;
        held.units += more;
        match &mut held.permit {
            Some(permit) => permit.merge(fresh),
            None => held.permit = Some(fresh),
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::field_reassign_with_default, reason = "most fields are private")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_connections_as_it_may() {
        let mut limits = Limits::default();
        limits.address_connections = 2;
        let gate = Gate::new(&limits);
        let from = |text: &str| gate.connection(text.parse().unwrap());
        let (one, two) = (from("10.0.0.1"), from("::ffff:10.0.0.1"));
        assert!(one.is_some() && two.is_some() && from("10.0.0.1").is_none());
        assert!(from("10.0.0.2").is_some());
        assert_eq!(gate.refused.counts(), [("address_connections", 1), ("requests", 0), ("unsent", 0)]);
        drop(one);
        assert!(from("10.0.0.1").is_some());
        drop(two);
        assert_eq!(gate.addresses.len(), 0, "nothing is left of those that have gone");
    }

    #[tokio::test]
    async fn octets_are_held_as_they_come_and_given_back() {
        let mut limits = Limits::default();
        limits.memory = 4096;
        let gate = Gate::new(&limits);
        let mut first = Held::default();
        for _ in 0..1000 {
            gate.hold(&mut first, 3).await.unwrap();
        }
        assert_eq!(gate.octets.available_permits(), 1, "what is begun counts as a whole, and only once");
        let mut second = Held::default();
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), gate.hold(&mut second, 1025)).await;
        assert!(waits.is_err());
        drop(first);
        gate.hold(&mut second, 1).await.unwrap();
        drop(second);
        assert_eq!(gate.octets.available_permits(), 4);
    }
}
