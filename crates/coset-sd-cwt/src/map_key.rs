//! Map keys, compared by value.

use crate::cbor::CborError;
use crate::cbor::{NINT, UINT};
use crate::hashing::Set;
use crate::write::{write_head, write_text};

/// A map key as it stands in the token, compared by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key<'a> {
    Uint(u64),
    Nint(u64),
    Text(&'a str),
}

impl Key<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Key::Uint(value) => write_head(out, UINT, *value),
            Key::Nint(value) => write_head(out, NINT, *value),
            Key::Text(text) => write_text(out, text),
        }
    }
}

/// The keys of one map seen so far.
#[derive(Debug, Default)]
pub(crate) struct KeySet<'a> {
    few: [Option<Key<'a>>; KeySet::FEW],
    count: usize,
    many: Set<Key<'a>>,
}

impl<'a> KeySet<'a> {
    /// Up to here comparing one by one is faster than hashing.
    const FEW: usize = 8;

    pub(crate) fn reserve(&mut self, more: usize) {
        if more > Self::FEW {
            self.many.reserve(more + Self::FEW);
        }
    }

    pub(crate) fn contains(&self, key: &Key<'a>) -> bool {
        self.few.contains(&Some(*key)) || self.many.contains(key)
    }

    #[inline]
    pub(crate) fn insert(&mut self, key: Key<'a>) -> Result<(), CborError> {
        if let Some(free) = self.few.get_mut(self.count) {
            *free = Some(key);
            let before = self.few.get(..self.count).unwrap_or_default();
            if before.contains(&Some(key)) {
                return Err(CborError::DuplicateKey);
            }
            self.count += 1;
            return Ok(());
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().flatten());
        }
        if self.many.insert(key) { Ok(()) } else { Err(CborError::DuplicateKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_still_compared() {
        let mut keys = KeySet::default();
        for number in 0..40 {
            keys.insert(Key::Uint(number)).unwrap();
            keys.insert(Key::Nint(number)).unwrap();
        }
        for number in 0..40 {
            assert_eq!(keys.insert(Key::Uint(number)), Err(CborError::DuplicateKey));
        }
        assert_eq!(keys.insert(Key::Text("a")), Ok(()));
    }
}
