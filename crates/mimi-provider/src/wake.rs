use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mimi_pseudonym::Domain;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::{
    outbox::COURIERS,
    store::{DeviceId, Wake},
};

/// Couriers of each peer that may be on their way at the same time, however many processes there are.
const LEAST: usize = 2;

/// What the couriers of a peer have in common.
pub(crate) struct Couriers {
    /// What they wait for: news that came while nobody waited are kept.
    pub(crate) news: Notify,
    turns: Semaphore,
}

impl Default for Couriers {
    fn default() -> Self {
        Self { news: Notify::new(), turns: Semaphore::new(COURIERS) }
    }
}

impl Couriers {
    /// Waits until one may go. Where others do the same in other processes, fewer go here: altogether they are about as many
    /// as in one process, and find as much to bring. Some always go.
    pub(crate) async fn turn(&self, other_processes: usize) -> Option<SemaphorePermit<'_>> {
        let share = (1 + other_processes).min(COURIERS / LEAST);
        self.turns.acquire_many(u32::try_from(share).ok()?).await.ok()
    }
}

/// Tells long polls and outbox workers that there is something new in the database.
#[derive(Default)]
pub(crate) struct Wakers {
    devices: Mutex<HashMap<DeviceId, Arc<Notify>>>,
    peers: HashMap<Domain, Arc<Couriers>>,
    /// For providers that are not listed.
    others: Notify,
}

impl Wakers {
    pub(crate) fn new(peers: impl IntoIterator<Item = Domain>) -> Self {
        let peers = peers.into_iter().map(|peer| (peer, Arc::default())).collect();
        Self { devices: Mutex::default(), peers, others: Notify::new() }
    }

    /// What a device waits for.
    pub(crate) fn device(&self, device: DeviceId) -> Arc<Notify> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(devices.entry(device).or_default())
    }

    /// The couriers of a peer that is listed.
    pub(crate) fn couriers(&self, peer: &Domain) -> Option<Arc<Couriers>> {
        self.peers.get(peer).cloned()
    }

    /// What those wait for who bring something to providers that are not listed.
    pub(crate) fn others(&self) -> &Notify {
        &self.others
    }

    /// Wakes everybody but the couriers of peers: one looks out for all of them.
    pub(crate) fn wake_all(&self) {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.values().for_each(|notify| notify.notify_waiters());
        self.others.notify_one();
    }

    /// Wakes those who wait.
    pub(crate) fn wake(&self, wake: &Wake) {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        for device in &wake.devices {
            if let Some(notify) = devices.get(device) {
                notify.notify_waiters();
            }
        }
        for peer in &wake.peers {
            match self.peers.get(peer) {
                Some(couriers) => couriers.news.notify_one(),
                None => self.others.notify_one(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_more_processes_there_are_the_fewer_couriers_go_in_each() {
        for (others, expected) in [(0, 8), (1, 4), (2, 2), (3, 2), (100, 2)] {
            let couriers = Couriers::default();
            let mut away = Vec::new();
            while couriers.turns.available_permits() >= (1 + others).min(4) {
                away.push(couriers.turn(others).await.unwrap());
            }
            assert_eq!(away.len(), expected, "{others} other processes");
        }
    }
}
