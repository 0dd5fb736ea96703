//! News between processes: whoever has stored something tells the others for whom it is, after it is on disk. Nothing
//! depends on it but how soon they look: a process that hears nothing looks by itself now and then.

use std::{collections::BTreeSet, time::Duration};

use super::{Address, pool::apart, session::Session};
use crate::store::{DeviceId, StoreError, Wake};

/// The name under which processes tell each other.
const CHANNEL: &str = "mimi_provider_news";
/// The most devices of one notification: PostgreSQL takes at most 8,000 octets.
const DEVICES: usize = 300;

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

    /// Tells other processes who has something new.
    pub(crate) fn tell(&mut self, wake: &Wake) -> Result<(), StoreError> {
        for text in texts(self.courier, wake) {
            let result = self.client()?.command(&format!("NOTIFY {CHANNEL}, '{}'", text.replace('\'', "''")));
            self.kept(result)?;
        }
        Ok(())
    }

    /// What other processes tell within a time. Nothing comes back as soon as something was heard. `None` if the connection
    /// is a new one: anybody may have something new that this process has not heard of.
    pub(crate) fn hear(&mut self, patience: Duration) -> Result<Option<Wake>, StoreError> {
        if !self.listens {
            let result = self.client()?.command(&format!("LISTEN {CHANNEL}"));
            self.kept(result)?;
            self.listens = true;
            return Ok(None);
        }
        let mut wake = Wake::default();
        let heard = self.client()?.notifications(patience);
        for notification in self.kept(heard)? {
            read(notification.payload(), self.courier, &mut wake);
        }
        Ok(Some(wake))
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
    fn kept<T>(&mut self, result: Result<T, tokio_postgres::Error>) -> Result<T, StoreError> {
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

/// Who tells, then numbers of devices and domains of peers.
fn texts(courier: i64, wake: &Wake) -> Vec<String> {
    let devices: Vec<_> = wake.devices.iter().map(|device| device.0.to_string()).collect();
    let peers: Vec<_> = wake.peers.iter().map(ToString::to_string).collect();
    let of = |kind, names: &[String]| format!("{courier} {kind} {}", names.join(" "));
    let devices = devices.chunks(DEVICES).map(|names| of("devices", names));
    // A domain has at most 255 octets.
    devices.chain(peers.chunks(25).map(|names| of("peers", names))).collect()
}

/// Adds what another process has told; what this one has told itself, or nobody can read, is passed over.
fn read(text: &str, own: i64, wake: &mut Wake) {
    let mut words = text.split(' ');
    let courier: Option<i64> = words.next().and_then(|word| word.parse().ok());
    if courier.is_none_or(|courier| courier == own) {
        return;
    }
    match words.next() {
        Some("devices") => wake.devices.extend(words.filter_map(|word| word.parse().ok()).map(DeviceId)),
        Some("peers") => wake.peers.extend(words.filter_map(|word| word.parse().ok()).collect::<BTreeSet<_>>()),
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
        let wake = Wake { devices, peers };
        let texts = texts(7, &wake);
        assert_eq!(texts.len(), 4);
        assert!(texts.iter().all(|text| text.len() < 8000));
        let (mut others, mut own) = (Wake::default(), Wake::default());
        for text in &texts {
            read(text, 8, &mut others);
            read(text, 7, &mut own);
        }
        assert_eq!((others, own), (wake, Wake::default()));
        let mut nothing = Wake::default();
        for text in ["", "x devices 1", "9", "9 nobody 1", "9 devices x"] {
            read(text, 8, &mut nothing);
        }
        assert_eq!(nothing, Wake::default());
    }
}
