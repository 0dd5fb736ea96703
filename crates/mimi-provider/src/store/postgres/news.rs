//! News between processes: whoever has stored something tells the others for whom it is, after it is on disk. Nothing
//! depends on it but how soon they look: a process that hears nothing looks by itself now and then.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Address,
    pool::apart,
    session::{Session, Unanswered},
};
use crate::store::{DeviceId, StoreError};

/// The name under which processes tell each other.
const CHANNEL: &str = "mimi_provider_news";
/// The most devices of one notification: PostgreSQL takes at most 8,000 octets.
const DEVICES: usize = 300;

/// What processes tell each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Those for which there is something new, and which do not listen at the process that tells.
    pub(crate) devices: BTreeSet<DeviceId>,
    /// Devices that listen at the process that tells, and so no longer at another one.
    pub(crate) listening: BTreeSet<DeviceId>,
    /// Who has told something.
    pub(crate) by: BTreeSet<i64>,
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

    /// Tells the other processes; if there is nothing, that this one is there.
    pub(crate) fn tell(&mut self, told: &Told) -> Result<(), StoreError> {
        for text in texts(self.courier, told) {
            let result = self.client()?.command(&format!("NOTIFY {CHANNEL}, '{text}'"));
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

/// Who tells, then of what kind it is, then numbers of devices: nothing in it has to be quoted.
fn texts(courier: i64, told: &Told) -> Vec<String> {
    let numbers = |devices: &BTreeSet<DeviceId>| devices.iter().map(|device| device.0.to_string()).collect::<Vec<_>>();
    let kinds = [("devices", numbers(&told.devices)), ("listening", numbers(&told.listening))];
    let mut texts = Vec::new();
    for (kind, numbers) in &kinds {
        texts.extend(numbers.chunks(DEVICES).map(|numbers| format!("{courier} {kind} {}", numbers.join(" "))));
    }
    if texts.is_empty() {
        texts.push(format!("{courier} here"));
    }
    texts
}

/// Adds what another process has told; what this one has told itself, or nobody can read, is passed over.
fn read(text: &str, own: i64, told: &mut Told) {
    let mut words = text.split(' ');
    let courier: Option<i64> = words.next().and_then(|word| word.parse().ok());
    let Some(courier) = courier.filter(|courier| *courier != own) else { return };
    told.by.insert(courier);
    let kind = words.next();
    let devices = words.filter_map(|word| word.parse().ok()).map(DeviceId);
    match kind {
        Some("devices") => told.devices.extend(devices),
        Some("listening") => told.listening.extend(devices),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_by_others_alone() {
        let devices = (1..=700).map(DeviceId).collect();
        let told = Told { devices, listening: [DeviceId(3)].into(), by: [7].into() };
        let texts = texts(7, &told);
        assert_eq!(texts.len(), 4);
        assert!(texts.iter().all(|text| text.len() < 8000));
        let (mut others, mut own) = (Told::default(), Told::default());
        for text in &texts {
            read(text, 8, &mut others);
            read(text, 7, &mut own);
        }
        assert_eq!((others, own), (told, Told::default()));
        let mut nothing = Told::default();
        for text in ["", "x devices 1", "8 devices 1"] {
            read(text, 8, &mut nothing);
        }
        assert_eq!(nothing, Told::default());
        for text in ["9", "9 nobody 1", "10 devices x", "11 here"] {
            read(text, 8, &mut nothing);
        }
        assert_eq!(nothing, Told { by: [9, 10, 11].into(), ..Told::default() }, "that they are there is read");
        assert_eq!(super::texts(7, &Told::default()), ["7 here"]);
    }
}
