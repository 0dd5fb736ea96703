//! Events of the inbox that the device has taken and the provider may give once more: written in the same step as what came of
//! them, so that whatever they are, nothing is done twice.

use std::collections::BTreeSet;

use mimi_flow::Entry;
use mimi_pseudonym::{Reader, Wire, Writer};
use mimi_wire::local::InboxEvent;
use ring::digest::{SHA256, digest};

/// The entry's key, beside those of the device.
pub(crate) const KEY: &str = "taken";

/// Number and content of each: a provider that begins to count anew after a restored backup says something else under a
/// number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken(BTreeSet<(u64, [u8; 32])>);

impl Taken {
    /// Takes the entry out of those that were loaded.
    pub(crate) fn out_of(entries: &mut Vec<Entry>) -> Self {
        let Some(at) = entries.iter().position(|entry| entry.key == KEY) else { return Self::default() };
        let value = entries.remove(at).value;
        let mut reader = Reader::new(&value);
        let mut taken = BTreeSet::new();
        while let (Ok(sequence), Ok(hash)) = (reader.u64(), reader.array()) {
            taken.insert((sequence, hash));
        }
        Self(taken)
    }

    /// Whether an event is new. From then on it is not.
    pub(crate) fn is_new(&mut self, event: &InboxEvent) -> bool {
        let hash = digest(&SHA256, &event.body.encode()).as_ref().try_into().unwrap_or_default();
        self.0.insert((event.sequence, hash))
    }

    /// The provider has forgotten everything up to a number.
    pub(crate) fn acknowledged(&mut self, up_to: u64) {
        self.0.retain(|(sequence, _)| *sequence > up_to);
    }

    pub(crate) fn entry(&self) -> Entry {
        let mut writer = Writer::default();
        for (sequence, hash) in &self.0 {
            writer.u64(*sequence);
            writer.raw(hash);
        }
        Entry { key: KEY.to_owned(), value: writer.into_octets() }
    }
}

#[cfg(test)]
mod tests {
    use mimi_wire::local::InboxBody;

    use super::*;

    fn event(sequence: u64, room: &str) -> InboxEvent {
        InboxEvent { sequence, body: InboxBody::RoomDestroyed { room: room.parse().unwrap() } }
    }

    #[test]
    fn the_same_event_is_taken_once_also_after_a_restart_and_until_it_is_acknowledged() {
        let (one, other) = ("mimi://a.example/r/one", "mimi://a.example/r/other");
        let mut taken = Taken::default();
        assert!(taken.is_new(&event(1, one)) && !taken.is_new(&event(1, one)));
        assert!(taken.is_new(&event(2, one)), "under another number");
        assert!(taken.is_new(&event(1, other)), "something else");
        let mut entries = vec![Entry { key: "device".into(), value: vec![1] }, taken.entry()];
        let mut again = Taken::out_of(&mut entries);
        assert_eq!((again, entries.len()), (taken, 1));
        again = Taken::out_of(&mut entries);
        assert_eq!(again, Taken::default());
        assert!(again.is_new(&event(1, one)) && again.is_new(&event(3, one)));
        again.acknowledged(2);
        assert!(again.is_new(&event(1, one)) && !again.is_new(&event(3, one)));
    }
}
