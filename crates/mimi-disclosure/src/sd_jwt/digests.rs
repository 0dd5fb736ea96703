use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher, RandomState},
};

use super::{error::DisclosureError, hash::HashAlgorithm, token::UnverifiedSdJwt};

/// The digests of the disclosures, and all the digests seen so far.
///
/// Disclosures are found by open addressing. The place is the first eight letters of the digest times a number that is
/// new in every table, since whoever makes a token can choose digests, though not find many with the same beginning.
/// Digests without a disclosure can be any text; they are sorted once.
pub(super) struct Digests<'a> {
    letters: &'a str,
    length: usize,
    /// Indexes of disclosures and whether they have been referred to; as many as a power of two.
    slots: Vec<Slot>,
    multiplier: u64,
    shift: u32,
    unreferenced: usize,
    others: Vec<(u64, Cow<'a, str>)>,
}

#[derive(Clone, Copy)]
enum Slot {
    Free,
    Waiting(u32),
    Referenced(u32),
}

/// Digests in base64url, one after the other.
pub(super) struct Letters(String);

impl<'a> Digests<'a> {
    /// Hashes the disclosures.
    pub(super) fn letters(token: &UnverifiedSdJwt<'_>, hash: HashAlgorithm) -> Letters {
        let mut letters = Vec::with_capacity(token.disclosure_count() * hash.digest_letters());
        for disclosure in token.disclosures() {
            hash.digest_into(disclosure, &mut letters);
        }
        // base64url is ASCII.
        Letters(String::from_utf8(letters).unwrap_or_default())
    }

    /// Each digest may belong to one disclosure only.
    pub(super) fn new(letters: &'a Letters, hash: HashAlgorithm) -> Result<Self, DisclosureError> {
        let length = hash.digest_letters();
        let count = letters.0.len() / length;
        let size = (count * 2).next_power_of_two().max(2);
        let mut digests = Self {
            letters: &letters.0,
            length,
            slots: vec![Slot::Free; size],
            multiplier: RandomState::new().build_hasher().finish() | 1,
            shift: u64::BITS - size.trailing_zeros(),
            unreferenced: count,
            others: Vec::new(),
        };
        for index in 0..count {
            let digest = digests.digest(index);
            let Some(slot @ Slot::Free) = digests.find(beginning(digest), digest) else {
                return Err(DisclosureError::DuplicateDisclosure);
            };
            *slot = Slot::Waiting(u32::try_from(index).unwrap_or(u32::MAX));
        }
        Ok(digests)
    }

    /// A digest was found in the payload or in a disclosure: gives its disclosure, if there is one. A digest without
    /// disclosure is hidden or a decoy, whatever its letters are.
    pub(super) fn refer(&mut self, digest: Cow<'a, str>) -> Result<Option<usize>, DisclosureError> {
        let start = beginning(&digest);
        match self.find(start, &digest) {
            Some(slot @ Slot::Waiting(_)) => {
                let Slot::Waiting(index) = *slot else { return Ok(None) };
                *slot = Slot::Referenced(index);
                self.unreferenced -= 1;
                Ok(Some(index as usize))
            }
            Some(Slot::Referenced(_)) => Err(DisclosureError::DuplicateDigest),
            _ => {
                self.others.push((start, digest));
                Ok(None)
            }
        }
    }

    /// Every disclosure must have been referred to, and no digest may have occurred twice.
    pub(super) fn finish(mut self) -> Result<(), DisclosureError> {
        self.others.sort_unstable();
        if self.others.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(DisclosureError::DuplicateDigest);
        }
        if self.unreferenced == 0 { Ok(()) } else { Err(DisclosureError::Unreferenced) }
    }

    /// The slot of a digest, or the free one where it would be.
    fn find(&mut self, start: u64, digest: &str) -> Option<&mut Slot> {
        let mask = self.slots.len() - 1;
        let mut at = (start.wrapping_mul(self.multiplier) >> self.shift) as usize;
        // There are twice as many slots as digests, so this ends at a free one.
        loop {
            match *self.slots.get(at & mask)? {
                Slot::Waiting(index) | Slot::Referenced(index) if self.digest(index as usize) != digest => at += 1,
                _ => return self.slots.get_mut(at & mask),
            }
        }
    }

    fn digest(&self, index: usize) -> &'a str {
        self.letters.get(index * self.length..(index + 1) * self.length).unwrap_or_default()
    }
}

fn beginning(digest: &str) -> u64 {
    digest.as_bytes().first_chunk().map_or(0, |letters| u64::from_be_bytes(*letters))
}
