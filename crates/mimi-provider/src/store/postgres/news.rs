//! News between processes: whoever has stored something tells the others for whom it is, after it is on disk. Nothing
//! depends on it but how soon they look: a process that hears nothing looks by itself now and then.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Address,
    pool::apart,
    session::{Session, Unanswered},
};
use crate::store::{DeviceId, StoreError, Wake};

/// The name under which processes tell each other.
const CHANNEL: &str = "mimi_provider_news";
/// The most devices of one notification: PostgreSQL takes at most 8,000 octets.
const DEVICES: usize = 300;

/// What processes tell each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Who has something new.
    pub(crate) wake: Wake,
    /// Devices that listen at the process that tells, and so no longer at another one.
    pub(crate) listening: BTreeSet<DeviceId>,
}

/// A connection for telling and hearing.
pub(crate) struct News {
    address: Address,
    courier: i64,
    client: Option<Session>,
    listens: bool,
}

impl News {
    pub(in crate::store) fn new(address: Address, courier: i64) -> Self {
        Self { address, courier, client: None, listens: false }
    }

    /// Tells the other processes.
    pub(crate) fn tell(&mut self, told: &Told) -> Result<(), StoreError> {
        for text in texts(self.courier, told) {
            let result = self.client()?.command(&format!("NOTIFY {CHANNEL}, '{}'", text.replace('\'', "''")));
            self.kept(result)?;
        }
        Ok(())
    }

    /// What other processes tell within a time. Nothing comes back as soon as something was heard. `None` if the connection
    /// is a new one: anybody may have something new that this process has not heard of.
    pub(crate) fn hear(&mut self, patience: Duration) -> Result<Option<Told>, StoreError> {
        if !self.listens {
            let result = self.client()?.command(&format!("LISTEN {CHANNEL}"));
            self.kept(result)?;
            self.listens = true;
            return Ok(None);
        }
        let mut told = Told::default();
        let heard = self.client()?.notifications(patience);
        for notification in self.kept(heard)? {
            read(notification.payload(), self.courier, &mut told);
        }
        Ok(Some(told))
    }

    fn client(&mut self) -> Result<&mut Session, StoreError> {
        match &mut self.client {
            Some(client) if !client.is_closed() => {}
            other => {
                self.listens = false;
                *other = Some(Session::open(&self.address)?);
            }
        }
        self.client.as_mut().ok_or_else(|| StoreError::unreachable("no connection"))
    }

    /// A connection on which something went wrong is not used again.
    fn kept<T>(&mut self, result: Result<T, Unanswered>) -> Result<T, StoreError> {
        if result.is_err() {
            self.client = None;
            self.listens = false;
        }
        Ok(result?)
    }
}

impl Drop for News {
    fn drop(&mut self) {
        apart(self.client.take());
    }
}

/// Who tells, then numbers of devices or domains of peers.
fn texts(courier: i64, told: &Told) -> Vec<String> {
    let numbers = |devices: &BTreeSet<DeviceId>| devices.iter().map(|device| device.0.to_string()).collect::<Vec<_>>();
    let peers: Vec<_> = told.wake.peers.iter().map(ToString::to_string).collect();
    // A domain has at most 255 octets.
    let kinds = [
        ("devices", numbers(&told.wake.devices), DEVICES),
        ("listening", numbers(&told.listening), DEVICES),
        ("peers", peers, 25),
    ];
    let mut texts = Vec::new();
    for (kind, names, most) in &kinds {
        texts.extend(names.chunks(*most).map(|names| format!("{courier} {kind} {}", names.join(" "))));
    }
    texts
}

/// Adds what another process has told; what this one has told itself, or nobody can read, is passed over.
fn read(text: &str, own: i64, told: &mut Told) {
    let mut words = text.split(' ');
    let courier: Option<i64> = words.next().and_then(|word| word.parse().ok());
    if courier.is_none_or(|courier| courier == own) {
        return;
    }
    let kind = words.next();
    let devices = words.clone().filter_map(|word| word.parse().ok()).map(DeviceId);
    match kind {
        Some("devices") => told.wake.devices.extend(devices),
        Some("listening") => told.listening.extend(devices),
        Some("peers") => told.wake.peers.extend(words.filter_map(|word| word.parse().ok()).collect::<BTreeSet<_>>()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_by_others_alone() {
        let devices = (1..=700).map(DeviceId).collect();
        let peers = ["b.example", "c.example"].map(|name| name.parse().unwrap()).into();
        let told = Told { wake: Wake { devices, peers }, listening: [DeviceId(3)].into() };
        let texts = texts(7, &told);
        assert_eq!(texts.len(), 5);
        assert!(texts.iter().all(|text| text.len() < 8000));
        let (mut others, mut own) = (Told::default(), Told::default());
        for text in &texts {
            read(text, 8, &mut others);
            read(text, 7, &mut own);
        }
        assert_eq!((others, own), (told, Told::default()));
        let mut nothing = Told::default();
        for text in ["", "x devices 1", "9", "9 nobody 1", "9 devices x"] {
            read(text, 8, &mut nothing);
        }
        assert_eq!(nothing, Told::default());
    }
}
