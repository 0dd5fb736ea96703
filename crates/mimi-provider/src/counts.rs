//! How many of something each of many has at the moment; whoever has none is forgotten.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts, each by whose it is.
pub(crate) struct Counts<K>(Arc<Mutex<HashMap<K, u16>>>);

/// One of somebody's: it counts as long as this exists.
pub(crate) struct Counted<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, u16>>>,
    whose: K,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// One more of somebody's; none if there are as many as there may be.
    pub(crate) fn take(&self, whose: K, most: u16) -> Option<Counted<K>> {
        {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(whose.clone()).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Counted { counts: Arc::clone(&self.0), whose })
    }

    /// How many have any.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}
