//! A map from numbers to values. A copy shares what it does not change: copying takes no time, and a change copies one
//! node of each level, of which there are four for ten thousand values.

use std::sync::Arc;

const FANOUT: usize = 16;
const BITS: u32 = 4;

#[derive(Clone)]
pub(crate) struct Trie<T> {
    /// So many levels of branches lie above the values.
    depth: u32,
    root: Slot<T>,
}

type Slot<T> = Option<Arc<Node<T>>>;

#[derive(Clone)]
enum Node<T> {
    Value(T),
    Branch {
        /// How many values lie below.
        len: usize,
        slots: [Slot<T>; FANOUT],
    },
}

impl<T> Node<T> {
    fn len(&self) -> usize {
        match self {
            Self::Value(_) => 1,
            Self::Branch { len, .. } => *len,
        }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { depth: 0, root: None }
    }
}

impl<T> Trie<T> {
    pub(crate) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len())
    }

    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        let mut slot = self.root.as_ref().filter(|_| self.fits(key));
        let mut depth = self.depth;
        loop {
            match &**slot? {
                Node::Value(value) => return Some(value),
                Node::Branch { slots, .. } => {
                    depth = depth.checked_sub(1)?;
                    slot = slots.get(digit(key, depth))?.as_ref();
                }
            }
        }
    }

    /// How many keys are smaller than this one.
    pub(crate) fn rank(&self, key: u64) -> usize {
        let (mut slot, mut depth, mut rank) = (self.root.as_ref(), self.depth, 0);
        if !self.fits(key) {
            return self.len();
        }
        while let Some(Node::Branch { slots, .. }) = slot.map(|node| &**node) {
            depth = depth.saturating_sub(1);
            let digit = digit(key, depth);
            rank += slots.iter().take(digit).flatten().map(|node| node.len()).sum::<usize>();
            slot = slots.get(digit).and_then(Option::as_ref);
        }
        rank
    }

    /// The value with so many smaller keys.
    pub(crate) fn nth(&self, mut rank: usize) -> Option<&T> {
        let mut node = self.root.as_ref().filter(|root| rank < root.len())?;
        loop {
            match &**node {
                Node::Value(value) => return Some(value),
                Node::Branch { slots, .. } => {
                    node = slots.iter().flatten().find(|node| match rank.checked_sub(node.len()) {
                        Some(rest) => {
                            rank = rest;
                            false
                        }
                        None => true,
                    })?;
                }
            }
        }
    }

    /// The values in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let mut stack = vec![std::slice::from_ref(&self.root).iter()];
        std::iter::from_fn(move || {
            loop {
                match stack.last_mut()?.next() {
                    None => drop(stack.pop()),
                    Some(None) => {}
                    Some(Some(node)) => match &**node {
                        Node::Value(value) => return Some(value),
                        Node::Branch { slots, .. } => stack.push(slots.iter()),
                    },
                }
            }
        })
    }

    fn fits(&self, key: u64) -> bool {
        key.checked_shr(BITS * self.depth).unwrap_or_default() == 0
    }
}

impl<T: Clone> Trie<T> {
    /// Puts a value in the place of whatever was there.
    pub(crate) fn insert(&mut self, key: u64, value: T) {
        while !self.fits(key) {
            self.depth += 1;
            if let Some(root) = self.root.take() {
                let mut slots = [const { None }; FANOUT];
                let len = root.len();
                if let Some(first) = slots.first_mut() {
                    *first = Some(root);
                }
                self.root = Some(Arc::new(Node::Branch { len, slots }));
            }
        }
        put(&mut self.root, self.depth, key, value);
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        self.get(key)?;
        let (mut slot, mut depth) = (self.root.as_mut(), self.depth);
        loop {
            match Arc::make_mut(slot?) {
                Node::Value(value) => return Some(value),
                Node::Branch { slots, .. } => {
                    depth = depth.checked_sub(1)?;
                    slot = slots.get_mut(digit(key, depth))?.as_mut();
                }
            }
        }
    }

    /// Whether there was such a key.
    pub(crate) fn remove(&mut self, key: u64) -> bool {
        let there = self.get(key).is_some();
        if there {
            take(&mut self.root, self.depth, key);
        }
        there
    }
}

fn digit(key: u64, depth: u32) -> usize {
    usize::try_from(key.checked_shr(BITS * depth).unwrap_or_default() & (FANOUT as u64 - 1)).unwrap_or_default()
}

/// Whether the key is new.
fn put<T: Clone>(slot: &mut Slot<T>, depth: u32, key: u64, value: T) -> bool {
    let Some(below) = depth.checked_sub(1) else { return slot.replace(Arc::new(Node::Value(value))).is_none() };
    let node = slot.get_or_insert_with(|| Arc::new(Node::Branch { len: 0, slots: [const { None }; FANOUT] }));
    let Node::Branch { len, slots } = Arc::make_mut(node) else { return false };
    let new = slots.get_mut(digit(key, below)).is_some_and(|slot| put(slot, below, key, value));
    *len += usize::from(new);
    new
}

/// Takes out a key that is there.
fn take<T: Clone>(slot: &mut Slot<T>, depth: u32, key: u64) {
    match slot.as_mut().map(Arc::make_mut) {
        Some(Node::Branch { len, slots }) if *len > 1 => {
            *len -= 1;
            let below = depth.saturating_sub(1);
            if let Some(slot) = slots.get_mut(digit(key, below)) {
                take(slot, below, key);
            }
        }
        _ => *slot = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// It does what a map does, and a copy keeps what it had.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u8..4, prop_oneof![0u64..40, 0u64..5_000, any::<u64>()], any::<u8>()), 0..300)) {
            let (mut trie, mut map) = (Trie::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (kind, key, value) in steps {
                match kind {
                    0 => prop_assert_eq!(trie.remove(key), map.remove(&key).is_some()),
                    1 => {
                        if let Some(old) = trie.get_mut(key) {
                            *old = value;
                        }
                        map.entry(key).and_modify(|old| *old = value);
                    }
                    _ => {
                        trie.insert(key, value);
                        map.insert(key, value);
                    }
                }
                if value == 0 {
                    copies.push((trie.clone(), map.clone()));
                }
                prop_assert_eq!(trie.get(key), map.get(&key));
                prop_assert_eq!(trie.rank(key), map.range(..key).count());
            }
            copies.push((trie, map));
            for (trie, map) in copies {
                prop_assert_eq!(trie.len(), map.len());
                prop_assert!(trie.iter().eq(map.values()));
                prop_assert_eq!(trie.nth(map.len()), None);
                for (place, (key, value)) in map.iter().enumerate() {
                    prop_assert_eq!((trie.get(*key), trie.rank(*key), trie.nth(place)), (Some(value), place, Some(value)));
                }
            }
        }
    }

    #[test]
    fn copies_share_what_they_can() {
        let mut trie = Trie::default();
        (0..4_096).for_each(|key| trie.insert(key, key));
        let mut copy = trie.clone();
        copy.insert(4_095, 0);
        let (Some(Node::Branch { slots: old, .. }), Some(Node::Branch { slots: new, .. })) =
            (trie.root.as_deref(), copy.root.as_deref())
        else {
            panic!("no branches");
        };
        let shared = old.iter().flatten().zip(new.iter().flatten()).filter(|(old, new)| Arc::ptr_eq(old, new));
        assert_eq!(shared.count(), 15);
        assert_eq!((trie.get(4_095), copy.get(4_095)), (Some(&4_095), Some(&0)));
    }
}
