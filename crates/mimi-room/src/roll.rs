//! Users in an order, with a role each. A change costs the same in a room of ten and in one of ten thousand.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use mimi_pseudonym::UserUri;

use crate::trie::Trie;

/// The list.
#[derive(Clone, Default)]
pub(crate) struct Roll {
    /// By a number that ascends along the list, and is never given to another user.
    entries: Trie<(Arc<UserUri>, u32)>,
    next: u64,
    numbers: Numbers,
}

impl Roll {
    /// Puts a user at the end; false if it is in the list already.
    pub(crate) fn push(&mut self, user: Arc<UserUri>, role: u32) -> bool {
        if self.contains(&user) {
            return false;
        }
        self.numbers.insert(Arc::clone(&user), self.next);
        self.entries.insert(self.next, (user, role));
        self.next += 1;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UserUri, u32)> {
        self.entries.iter().map(|(user, role)| (&**user, *role))
    }

    pub(crate) fn contains(&self, user: &UserUri) -> bool {
        self.numbers.of(user).is_some()
    }

    pub(crate) fn role_of(&self, user: &UserUri) -> Option<u32> {
        self.entries.get(self.numbers.of(user)?).map(|(_, role)| *role)
    }

    /// The place in the list, from 0.
    pub(crate) fn place_of(&self, user: &UserUri) -> Option<usize> {
        Some(self.entries.rank(self.numbers.of(user)?))
    }

    /// Who stands at a place, from 0.
    pub(crate) fn at(&self, place: usize) -> Option<(&UserUri, u32)> {
        self.entries.nth(place).map(|(user, role)| (&**user, *role))
    }

    /// Gives a user another role.
    pub(crate) fn set_role(&mut self, user: &UserUri, role: u32) {
        if let Some((_, old)) = self.numbers.of(user).and_then(|number| self.entries.get_mut(number)) {
            *old = role;
        }
    }

    /// Takes a user out; those behind it move up.
    pub(crate) fn remove(&mut self, user: &UserUri) {
        if let Some(number) = self.numbers.remove(user) {
            self.entries.remove(number);
        }
    }
}

impl PartialEq for Roll {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// The numbers of users: by sixteen bits of a hash that nobody can foresee, then by the users.
#[derive(Clone, Default)]
struct Numbers {
    alike: Trie<Vec<(Arc<UserUri>, u64)>>,
    hasher: RandomState,
}

impl Numbers {
    fn of(&self, user: &UserUri) -> Option<u64> {
        let alike = self.alike.get(self.hash(user))?;
        alike.iter().find(|(one, _)| **one == *user).map(|(_, number)| *number)
    }

    fn insert(&mut self, user: Arc<UserUri>, number: u64) {
        let hash = self.hash(&user);
        match self.alike.get_mut(hash) {
            Some(alike) => alike.push((user, number)),
            None => self.alike.insert(hash, vec![(user, number)]),
        }
    }

    fn remove(&mut self, user: &UserUri) -> Option<u64> {
        let number = self.of(user)?;
        let hash = self.hash(user);
        let alike = self.alike.get_mut(hash)?;
        alike.retain(|(_, other)| *other != number);
        if alike.is_empty() {
            self.alike.remove(hash);
        }
        Some(number)
    }

    fn hash(&self, user: &UserUri) -> u64 {
        self.hasher.hash_one(user) & 0xffff
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
                prop_assert_eq!(roll.at(plain.len()), None);
                for (place, (user, role)) in plain.iter().enumerate() {
                    prop_assert_eq!(roll.role_of(user), Some(*role));
                    prop_assert_eq!(roll.place_of(user), Some(place));
                    prop_assert_eq!(roll.at(place), Some((user, *role)));
                }
            }
        }
    }

    /// More users than there are values of the hash.
    #[test]
    fn users_whose_hashes_agree_are_told_apart() {
        let mut roll = Roll::default();
        for number in 0..70_000 {
            roll.push(Arc::new(user(number)), 2);
        }
        roll.remove(&user(5));
        assert_eq!((roll.len(), roll.place_of(&user(69_999)), roll.contains(&user(5))), (69_999, Some(69_998), false));
    }
}
