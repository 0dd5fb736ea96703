use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mimi_pseudonym::Domain;
use tokio::sync::Notify;

use crate::store::{DeviceId, Wake};

/// Tells long polls and outbox workers that there is something new in the database.
#[derive(Default)]
pub(crate) struct Wakers {
    devices: Mutex<HashMap<DeviceId, Arc<Notify>>>,
    peers: HashMap<Domain, Arc<Notify>>,
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

    /// What the worker of a peer waits for.
    pub(crate) fn peer(&self, peer: &Domain) -> Option<Arc<Notify>> {
        self.peers.get(peer).cloned()
    }

    /// What those wait for who bring something to providers that are not listed.
    pub(crate) fn others(&self) -> &Notify {
        &self.others
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.values().for_each(|notify| notify.notify_waiters());
        self.peers.values().for_each(|notify| notify.notify_one());
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
            self.peers.get(peer).map_or(&self.others, Arc::as_ref).notify_one();
        }
    }
}
