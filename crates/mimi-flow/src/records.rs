//! What a device keeps in many small records and reads one at a time: pseudonyms, keys, KeyPackages. How many there are
//! costs nothing until one is looked at.

use std::{collections::BTreeMap, sync::Arc};

use zeroize::Zeroizing;

use crate::Entry;

/// Where records are that a device does not hold in memory. They hold private keys: a vault keeps them encrypted.
///
/// A vault that cannot read says that there is nothing, and keeps the reason to itself: whoever drives the device asks it
/// before anything is written.
pub trait Vault: Send + Sync {
    /// The record under a key; `None` if there is none.
    fn read(&self, key: &str) -> Option<Zeroizing<Vec<u8>>>;
}

/// Records: those of the vault, and over them what has changed. Without a vault all of them are in memory.
#[derive(Default)]
pub(crate) struct Records {
    vault: Option<Arc<dyn Vault>>,
    changed: BTreeMap<String, Option<Zeroizing<Vec<u8>>>>,
}

impl Records {
    pub(crate) fn in_vault(vault: Arc<dyn Vault>) -> Self {
        Self { vault: Some(vault), changed: BTreeMap::new() }
    }

    /// From now on, what is not in memory is in a vault. What is in memory is new to it.
    pub(crate) fn move_to(&mut self, vault: Arc<dyn Vault>) {
        self.vault = Some(vault);
    }

    pub(crate) fn get(&self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.changed.get(key) {
            Some(changed) => changed.clone(),
            None => self.vault.as_ref()?.read(key),
        }
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn put(&mut self, key: String, value: Vec<u8>) {
        self.changed.insert(key, Some(Zeroizing::new(value)));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        match self.vault {
            Some(_) => drop(self.changed.insert(key.to_owned(), None)),
            None => drop(self.changed.remove(key)),
        }
    }

    /// What is not in the vault as it is now: the value, or that it is gone.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.changed.iter().map(|(key, value)| (key.as_str(), value.as_ref().map(|value| value.as_slice())))
    }

    /// Everything has been written to the vault.
    pub(crate) fn kept(&mut self) {
        if self.vault.is_some() {
            self.changed.clear();
        }
    }

    /// All records that are in memory.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.changes().filter_map(|(key, value)| Some(Entry { key: key.to_owned(), value: value?.to_vec() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Vault for One {
        fn read(&self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
            (key == "a/1").then(|| Zeroizing::new(vec![1]))
        }
    }

    #[test]
    fn what_has_changed_lies_over_the_vault() {
        let mut records = Records::in_vault(Arc::new(One));
        assert_eq!(records.get("a/1").unwrap().as_slice(), [1]);
        assert_eq!(records.changes().count(), 0);
        records.put("a/2".into(), vec![2]);
        records.remove("a/1");
        assert!(!records.contains("a/1") && records.contains("a/2"));
        let changes: Vec<_> = records.changes().map(|(key, value)| (key.to_owned(), value.is_some())).collect();
        assert_eq!(changes, [("a/1".to_owned(), false), ("a/2".to_owned(), true)]);
        records.kept();
        assert_eq!(records.changes().count(), 0);
        assert!(records.contains("a/1"), "as the vault has it");
    }

    #[test]
    fn without_a_vault_everything_stays_in_memory() {
        let mut records = Records::default();
        records.put("a/1".into(), vec![1]);
        records.put("a/2".into(), vec![2]);
        records.remove("a/1");
        records.kept();
        assert_eq!(records.entries().map(|entry| entry.key).collect::<Vec<_>>(), ["a/2"]);
    }
}
