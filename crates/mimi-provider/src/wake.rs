use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use mimi_pseudonym::Domain;
use tokio::sync::Notify;

use crate::store::{DeviceId, Wake};

/// Tells long polls and outbox workers that there is something new in the database.
#[derive(Default)]
pub(crate) struct Wakers {
    devices: Mutex<HashMap<DeviceId, Arc<Notify>>>,
    peers: HashMap<Domain, Arc<Bell>>,
    /// For providers that are not listed.
    others: Notify,
}

/// What the couriers of a peer wait for.
#[derive(Default)]
pub(crate) struct Bell {
    news: Notify,
    /// Couriers that have nothing to do.
    idle: AtomicUsize,
}

impl Bell {
    /// Waits for news; those that came while nobody waited are kept.
    pub(crate) async fn wait(&self) {
        let _idle = Idle::new(&self.idle);
        self.news.notified().await;
    }

    /// Sends one courier on its way.
    pub(crate) fn ring(&self) {
        self.news.notify_one();
    }
}

/// Counts as idle as long as it exists.
struct Idle<'a>(&'a AtomicUsize);

impl<'a> Idle<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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

    /// What the worker of a peer waits for.
    pub(crate) fn peer(&self, peer: &Domain) -> Option<Arc<Bell>> {
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
                Some(bell) => bell.ring(),
                None => self.others.notify_one(),
            }
        }
    }

    /// Of these, the peers whose couriers are all on their way: perhaps another process has one left.
    pub(crate) fn busy(&self, peers: &BTreeSet<Domain>) -> BTreeSet<Domain> {
        let is_busy = |peer: &&Domain| self.peers.get(*peer).is_some_and(|bell| bell.idle.load(Ordering::Relaxed) == 0);
        peers.iter().filter(is_busy).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_peer_is_busy_while_nobody_waits_for_its_news() {
        const SHORT: Duration = Duration::from_millis(20);
        let peer: Domain = "b.example".parse().unwrap();
        let wakers = Wakers::new([peer.clone()]);
        let all: BTreeSet<_> = [peer.clone(), "c.example".parse().unwrap()].into();
        assert_eq!(wakers.busy(&all), [peer.clone()].into(), "those that are not listed look by themselves");
        let bell = wakers.peer(&peer).unwrap();
        let waiting = tokio::spawn({
            let bell = Arc::clone(&bell);
            async move { timeout(Duration::from_secs(60), bell.wait()).await }
        });
        while !wakers.busy(&all).is_empty() {
            tokio::task::yield_now().await;
        }
        wakers.wake(&Wake { peers: [peer.clone()].into(), ..Wake::default() });
        waiting.await.unwrap().unwrap();
        assert!(timeout(SHORT, bell.wait()).await.is_err());
        assert_eq!(wakers.busy(&all), [peer].into(), "one that waits no longer does not count");
        bell.ring();
        assert!(timeout(SHORT, bell.wait()).await.is_ok(), "news that came before");
    }
}
