//! Users in an order, with a role each. A copy shares what it does not change, so that a change costs the same in a room
//! of ten and in one of ten thousand.

use std::{collections::BTreeMap, hash::BuildHasher, hash::RandomState, sync::Arc};

use mimi_pseudonym::UserUri;

/// As many entries are copied at most when one of them changes.
const CHUNK: usize = 64;

#[derive(Clone)]
struct Entry {
    /// Ascending along the list; never given to another user.
    number: u64,
    user: Arc<UserUri>,
    role: u32,
}

/// The list.
#[derive(Clone, Default)]
pub(crate) struct Roll {
    len: usize,
    next: u64,
    /// None is empty.
    chunks: Vec<Arc<Vec<Entry>>>,
    numbers: Numbers,
}

impl Roll {
    /// Puts a user at the end; false if it is in the list already.
    pub(crate) fn push(&mut self, user: Arc<UserUri>, role: u32) -> bool {
        if self.numbers.of(&user).is_some() {
            return false;
        }
        self.numbers.insert(Arc::clone(&user), self.next);
        let entry = Entry { number: self.next, user, role };
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(entry),
            _ => self.chunks.push(Arc::new(vec![entry])),
        }
        self.next += 1;
        self.len += 1;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UserUri, u32)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|entry| (&*entry.user, entry.role))
    }

    pub(crate) fn contains(&self, user: &UserUri) -> bool {
        self.numbers.of(user).is_some()
    }

    pub(crate) fn role_of(&self, user: &UserUri) -> Option<u32> {
        let (chunk, within) = self.find(user)?;
        Some(self.chunks.get(chunk)?.get(within)?.role)
    }

    /// The place in the list, from 0.
    pub(crate) fn place_of(&self, user: &UserUri) -> Option<usize> {
        let (chunk, within) = self.find(user)?;
        Some(self.chunks.iter().take(chunk).map(|chunk| chunk.len()).sum::<usize>() + within)
    }

    /// Who stands at a place, from 0.
    pub(crate) fn at(&self, mut place: usize) -> Option<(&UserUri, u32)> {
        for chunk in &self.chunks {
            match place.checked_sub(chunk.len()) {
                Some(rest) => place = rest,
                None => return chunk.get(place).map(|entry| (&*entry.user, entry.role)),
            }
        }
        None
    }

    /// Gives a user another role.
    pub(crate) fn set_role(&mut self, user: &UserUri, role: u32) {
        let Some((chunk, within)) = self.find(user) else { return };
        if let Some(entry) = self.chunks.get_mut(chunk).and_then(|chunk| Arc::make_mut(chunk).get_mut(within)) {
            entry.role = role;
        }
    }

    /// Takes a user out; those behind it move up.
    pub(crate) fn remove(&mut self, user: &UserUri) {
        let Some((at, within)) = self.find(user) else { return };
        self.numbers.remove(user);
        self.len -= 1;
        if let Some(chunk) = self.chunks.get_mut(at) {
            if chunk.len() > 1 {
                Arc::make_mut(chunk).remove(within);
            } else {
                self.chunks.remove(at);
            }
        }
        // So many removals lie between two of these that one removal bears little of it.
        if self.chunks.len() > 4 * (self.len / CHUNK + 1) {
            *self = self.anew();
        }
    }

    fn anew(&self) -> Self {
        let mut roll = Self::default();
        for entry in self.chunks.iter().flat_map(|chunk| chunk.iter()) {
            roll.push(Arc::clone(&entry.user), entry.role);
        }
        roll
    }

    fn find(&self, user: &UserUri) -> Option<(usize, usize)> {
        let number = self.numbers.of(user)?;
        let behind = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.number <= number));
        let at = behind.checked_sub(1)?;
        let within = self.chunks.get(at)?.binary_search_by_key(&number, |entry| entry.number).ok()?;
        Some((at, within))
    }
}

impl PartialEq for Roll {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

/// The numbers of users, in parts that are copied one by one.
#[derive(Clone, Default)]
struct Numbers {
    len: usize,
    /// As many as a power of two.
    parts: Vec<Arc<BTreeMap<Arc<UserUri>, u64>>>,
    hasher: RandomState,
}

impl Numbers {
    fn of(&self, user: &UserUri) -> Option<u64> {
        self.parts.get(self.part(user))?.get(user).copied()
    }

    fn insert(&mut self, user: Arc<UserUri>, number: u64) {
        if self.len >= self.parts.len() * CHUNK {
            self.spread((self.parts.len() * 4).max(1));
        }
        self.len += 1;
        let part = self.part(&user);
        if let Some(part) = self.parts.get_mut(part) {
            Arc::make_mut(part).insert(user, number);
        }
    }

    fn remove(&mut self, user: &UserUri) {
        let part = self.part(user);
        if let Some(part) = self.parts.get_mut(part) {
            self.len -= usize::from(Arc::make_mut(part).remove(user).is_some());
        }
    }

    fn spread(&mut self, count: usize) {
        let old = std::mem::replace(&mut self.parts, vec![Arc::default(); count]);
        for (user, number) in old.iter().flat_map(|part| part.iter()) {
            let part = self.part(user);
            if let Some(part) = self.parts.get_mut(part) {
                Arc::make_mut(part).insert(Arc::clone(user), *number);
            }
        }
    }

    fn part(&self, user: &UserUri) -> usize {
        let mask = self.parts.len().saturating_sub(1);
        usize::try_from(self.hasher.hash_one(user) & u64::MAX >> 1).unwrap_or_default() & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(number: usize) -> UserUri {
        format!("mimi://a.example/u/u{number}").parse().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// It does what a plain list does, and copies keep what they had.
        #[test]
        fn it_is_a_list(
            start in 0usize..900,
            steps in prop::collection::vec((0u8..4, any::<usize>(), 1u32..9), 0..400),
        ) {
            let mut roll = Roll::default();
            let mut plain: Vec<(UserUri, u32)> = Vec::new();
            for number in 0..start {
                prop_assert!(roll.push(Arc::new(user(number)), 2));
                plain.push((user(number), 2));
            }
            let (kept, kept_plain) = (roll.clone(), plain.clone());
            for (next, (kind, at, role)) in (start..).zip(steps) {
                let at = at % plain.len().max(1);
                match (kind, plain.get_mut(at)) {
                    (0, Some((user, _))) => {
                        roll.remove(&user.clone());
                        plain.remove(at);
                    }
                    (1, Some((user, old))) => {
                        roll.set_role(user, role);
                        *old = role;
                    }
                    (2, Some((user, _))) => prop_assert!(!roll.push(Arc::new(user.clone()), role)),
                    _ => {
                        prop_assert!(roll.push(Arc::new(user(next)), role));
                        plain.push((user(next), role));
                    }
                }
            }
            for (roll, plain) in [(roll, plain), (kept, kept_plain)] {
                prop_assert_eq!(roll.len(), plain.len());
                prop_assert!(roll.iter().eq(plain.iter().map(|(user, role)| (user, *role))));
                prop_assert!(roll == roll.anew());
                prop_assert_eq!(roll.at(plain.len()), None);
                for (place, (user, role)) in plain.iter().enumerate() {
                    prop_assert_eq!(roll.role_of(user), Some(*role));
                    prop_assert_eq!(roll.place_of(user), Some(place));
                    prop_assert_eq!(roll.at(place), Some((user, *role)));
                }
            }
        }
    }

    /// Whoever lets one user of every chunk stay does not make the rest slow.
    #[test]
    fn thinned_out_chunks_are_put_together() {
        let mut roll = Roll::default();
        for number in 0..CHUNK * 40 {
            roll.push(Arc::new(user(number)), 2);
        }
        for number in (0..CHUNK * 40).filter(|number| number % CHUNK != 5) {
            roll.remove(&user(number));
        }
        assert_eq!(roll.len(), 40);
        assert!(roll.chunks.len() <= 4, "{}", roll.chunks.len());
        assert_eq!(roll.place_of(&user(CHUNK * 39 + 5)), Some(39));
        assert!(!roll.contains(&user(4)));
    }
}
