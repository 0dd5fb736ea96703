//! Puts disclosed claims back into their places, in one pass over the token.
//!
//! Every digest met is looked up in, or entered into, one hash map; every byte of the payload and of each disclosure is
//! read once (the key of a disclosed claim, which follows its value, is found by passing over the value first).

use std::collections::hash_map::Entry;

use thiserror::Error;

use crate::HashAlgorithm;
use crate::cbor::{ARRAY, CborError, Key, KeySet, MAP, Reader, TAG, deeper, write_head, write_tag};
use crate::hashing::{FoldState, Table};
use crate::registered::{SUB, never_redacted};

/// What is wrong with claims and their disclosures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// Malformed CBOR, or a key that stands twice in a map once its claims are disclosed.
    #[error("malformed claims: {0}")]
    Cbor(#[from] CborError),
    /// A digest that has not the length of the hash.
    #[error("a digest of the wrong length")]
    DigestLength,
    /// A digest that stands twice.
    #[error("a digest stands twice")]
    DuplicateDigest,
    /// The same disclosure twice.
    #[error("a disclosure stands twice")]
    DuplicateDisclosure,
    /// A disclosure that no digest refers to.
    #[error("a disclosure that nothing refers to")]
    Unreferenced,
    /// Not an array of one, two or three items that starts with a salt of 16 bytes.
    #[error("not a disclosure")]
    Shape,
    /// The disclosure of an element for a digest among map keys.
    #[error("the disclosure of an element where a claim was redacted")]
    ElementInMap,
    /// The disclosure of a claim for a digest in an array.
    #[error("the disclosure of a claim where an element was redacted")]
    ClaimInArray,
    /// A claim was redacted that the draft wants to be always in the clear.
    #[error("claim {0} must not be redacted")]
    NeverRedacted(i64),
    /// The claims in the protected header and those in the payload disagree.
    #[error("header and payload disagree on a claim")]
    Conflict,
    /// A sealed disclosure does not open with the key it was said to be under.
    #[error("an encrypted disclosure does not open")]
    Sealed,
}

/// What a disclosure turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Claim,
    Element,
    Decoy,
}

/// Follows the expansion; a verifier needs nothing of it, a holder learns what each disclosure discloses.
pub(crate) trait Trace {
    /// Goes into the value of a key.
    fn key(&mut self, _key: &Key<'_>) {}
    /// Goes into an element.
    fn index(&mut self, _index: usize) {}
    /// Comes back.
    fn up(&mut self) {}
    /// The value of a disclosure begins.
    fn open(&mut self, _disclosure: usize, _kind: Kind, _salt: &[u8]) {}
    /// The value of a disclosure has ended; `value` is its encoding.
    fn close(&mut self, _value: &[u8]) {}
}

/// Follows nothing.
pub(crate) struct NoTrace;

impl Trace for NoTrace {}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Disclosed(usize),
    Seen,
}

/// What came of the expansion.
#[derive(Debug)]
pub(crate) struct Expanded {
    /// One encoded map.
    pub(crate) claims: Vec<u8>,
    /// Digests without a disclosure.
    pub(crate) hidden: usize,
    /// Whether `sub` is there, or may be among the hidden claims.
    pub(crate) subject_possible: bool,
}

/// Expands a payload, and the claims of the protected header, with `disclosures`: each an encoded byte string with its
/// head. Digests are over those very bytes.
pub(crate) fn expand<T: Trace>(
    hash: HashAlgorithm,
    header: Option<&[u8]>,
    payload: &[u8],
    disclosures: &[&[u8]],
    max_depth: u8,
    trace: &mut T,
) -> Result<Expanded, DisclosureError> {
    let digests: Vec<_> = disclosures.iter().map(|disclosure| hash.digest(disclosure)).collect();
    let mut slots =
        Table::with_capacity_and_hasher(disclosures.len() + payload.len() / (hash.length() + 2), FoldState::default());
    for (index, digest) in digests.iter().enumerate() {
        if slots.insert(digest.as_ref(), Slot::Disclosed(index)).is_some() {
            return Err(DisclosureError::DuplicateDisclosure);
        }
    }
    let size = payload.len() + disclosures.iter().map(|disclosure| disclosure.len()).sum::<usize>();
    let mut expander = Expander {
        slots,
        disclosures,
        digest_length: hash.length(),
        out: Vec::with_capacity(size),
        max_depth,
        used: 0,
        hidden: 0,
        root_hidden: false,
        subject: false,
        trace,
    };
    let header_claims = match header {
        Some(header) => {
            expander.root(header)?;
            std::mem::take(&mut expander.out)
        }
        None => Vec::new(),
    };
    expander.root(payload)?;
    if expander.used != disclosures.len() {
        return Err(DisclosureError::Unreferenced);
    }
    let claims = match header {
        Some(_) => join(&header_claims, &expander.out)?,
        None => expander.out,
    };
    Ok(Expanded { claims, hidden: expander.hidden, subject_possible: expander.subject || expander.root_hidden })
}

/// Joins the claims of the header to those of the payload. A claim in both must have the same value, in the same order
/// where it is a map.
fn join(header: &[u8], payload: &[u8]) -> Result<Vec<u8>, DisclosureError> {
    let mut reader = Reader::new(payload);
    let mut count = reader.map()?;
    let mut body = reader.clone().until(&Reader::new(&[])).to_vec();
    let mut seen = Table::default();
    for _ in 0..count {
        seen.insert(reader.key()?, reader.skip()?);
    }
    let mut reader = Reader::new(header);
    for _ in 0..reader.map()? {
        let key = reader.key()?;
        let value = reader.skip()?;
        match seen.get(&key) {
            Some(same) if *same == value => {}
            Some(_) => return Err(DisclosureError::Conflict),
            None => {
                key.write(&mut body);
                body.extend_from_slice(value);
                count += 1;
            }
        }
    }
    let mut out = Vec::with_capacity(body.len() + 9);
    write_head(&mut out, MAP, count);
    out.append(&mut body);
    Ok(out)
}

struct Expander<'t, T> {
    slots: Table<&'t [u8], Slot>,
    disclosures: &'t [&'t [u8]],
    digest_length: usize,
    out: Vec<u8>,
    max_depth: u8,
    used: usize,
    hidden: usize,
    root_hidden: bool,
    subject: bool,
    trace: &'t mut T,
}

impl<'t, T: Trace> Expander<'t, T> {
    fn root(&mut self, bytes: &'t [u8]) -> Result<(), DisclosureError> {
        let mut reader = Reader::new(bytes);
        let count = reader.map()?;
        self.map(&mut reader, count, 1)?;
        Ok(reader.finish()?)
    }

    /// One item in which redactions may stand. `level` is the level of its contents.
    fn item(&mut self, reader: &mut Reader<'t>, level: u8) -> Result<(), DisclosureError> {
        let head = reader.head()?;
        match head.major {
            ARRAY => {
                let count = reader.fits(head.arg, 1)?;
                self.array(reader, count, level)
            }
            MAP => {
                let count = reader.fits(head.arg, 2)?;
                self.map(reader, count, level)
            }
            TAG => {
                deeper(level, self.max_depth)?;
                write_tag(&mut self.out, head.arg)?;
                self.item(reader, level + 1)
            }
            _ => Ok(reader.copy_scalar(head, &mut self.out)?),
        }
    }

    fn array(&mut self, reader: &mut Reader<'t>, count: u64, level: u8) -> Result<(), DisclosureError> {
        deeper(level, self.max_depth)?;
        let start = self.begin(ARRAY, count);
        let mut kept = 0;
        for index in 0..count as usize {
            self.trace.index(index);
            match reader.redacted_element()? {
                None => {
                    self.item(reader, level + 1)?;
                    kept += 1;
                }
                Some(digest) => {
                    if let Some(disclosure) = self.look_up(digest)? {
                        kept += u64::from(self.element(disclosure, level)?);
                    }
                }
            }
            self.trace.up();
        }
        self.end(start, ARRAY, count, kept);
        Ok(())
    }

    fn map(&mut self, reader: &mut Reader<'t>, count: u64, level: u8) -> Result<(), DisclosureError> {
        deeper(level, self.max_depth)?;
        let start = self.begin(MAP, count);
        let mut kept = 0;
        let mut keys = KeySet::default();
        let mut redacted = false;
        for _ in 0..count {
            if reader.redacted_keys() {
                if std::mem::replace(&mut redacted, true) {
                    return Err(CborError::DuplicateKey.into());
                }
                let digests = reader.array()?;
                keys.reserve((digests as usize).min(self.disclosures.len() - self.used));
                for _ in 0..digests {
                    match self.look_up(reader.bytes()?)? {
                        Some(disclosure) => kept += u64::from(self.claim(disclosure, level, &mut keys)?),
                        None => self.root_hidden |= level == 1,
                    }
                }
                continue;
            }
            let key = reader.key()?;
            keys.insert(key)?;
            key.write(&mut self.out);
            kept += 1;
            self.trace.key(&key);
            if level == 1 && never_redacted(&key) {
                reader.copy(&mut self.out, level + 1, self.max_depth)?;
            } else {
                self.subject |= level == 1 && key == Key::Uint(SUB);
                self.item(reader, level + 1)?;
            }
            self.trace.up();
        }
        self.end(start, MAP, count, kept);
        Ok(())
    }

    /// A disclosure in the place of a map key. False if it is a decoy.
    fn claim(&mut self, index: usize, level: u8, keys: &mut KeySet<'t>) -> Result<bool, DisclosureError> {
        let (mut reader, count, salt) = self.disclosure(index)?;
        match count {
            1 => {
                self.decoy(index, salt);
                reader.finish()?;
                Ok(false)
            }
            2 => Err(DisclosureError::ElementInMap),
            _ => {
                let mut value = reader.clone();
                reader.skip()?;
                let key = reader.key()?;
                reader.finish()?;
                if level == 1 {
                    if never_redacted(&key) {
                        let Key::Uint(label) = key else { return Err(DisclosureError::Shape) };
                        return Err(DisclosureError::NeverRedacted(label as i64));
                    }
                    self.subject |= key == Key::Uint(SUB);
                }
                keys.insert(key)?;
                key.write(&mut self.out);
                self.trace.key(&key);
                self.disclosed(index, Kind::Claim, salt, &mut value, level)?;
                self.trace.up();
                Ok(true)
            }
        }
    }

    /// A disclosure in the place of an element. False if it is a decoy.
    fn element(&mut self, index: usize, level: u8) -> Result<bool, DisclosureError> {
        let (mut reader, count, salt) = self.disclosure(index)?;
        match count {
            1 => self.decoy(index, salt),
            2 => self.disclosed(index, Kind::Element, salt, &mut reader, level)?,
            _ => return Err(DisclosureError::ClaimInArray),
        }
        reader.finish()?;
        Ok(count == 2)
    }

    fn disclosed(
        &mut self,
        index: usize,
        kind: Kind,
        salt: &[u8],
        value: &mut Reader<'t>,
        level: u8,
    ) -> Result<(), DisclosureError> {
        self.trace.open(index, kind, salt);
        let start = self.out.len();
        self.item(value, level + 1)?;
        self.trace.close(self.out.get(start..).unwrap_or_default());
        Ok(())
    }

    fn decoy(&mut self, index: usize, salt: &[u8]) {
        self.trace.open(index, Kind::Decoy, salt);
        self.trace.close(&[]);
    }

    /// A reader after the salt of a disclosure, the number of its items, and the salt.
    fn disclosure(&self, index: usize) -> Result<(Reader<'t>, u64, &'t [u8]), DisclosureError> {
        let bytes = Reader::new(self.disclosures.get(index).copied().unwrap_or_default()).bytes()?;
        let mut reader = Reader::new(bytes);
        let count = match reader.array() {
            Ok(count @ 1..=3) => count,
            Ok(_) | Err(CborError::WrongType) => return Err(DisclosureError::Shape),
            Err(error) => return Err(error.into()),
        };
        match reader.bytes() {
            Ok(salt) if salt.len() == 16 => Ok((reader, count, salt)),
            Ok(_) | Err(CborError::WrongType) => Err(DisclosureError::Shape),
            Err(error) => Err(error.into()),
        }
    }

    fn look_up(&mut self, digest: &'t [u8]) -> Result<Option<usize>, DisclosureError> {
        if digest.len() != self.digest_length {
            return Err(DisclosureError::DigestLength);
        }
        match self.slots.entry(digest) {
            Entry::Vacant(free) => {
                free.insert(Slot::Seen);
                self.hidden += 1;
                Ok(None)
            }
            Entry::Occupied(mut slot) => match slot.insert(Slot::Seen) {
                Slot::Disclosed(index) => {
                    self.used += 1;
                    Ok(Some(index))
                }
                Slot::Seen => Err(DisclosureError::DuplicateDigest),
            },
        }
    }

    /// Starts an array or map that will have about `count` entries.
    fn begin(&mut self, major: u8, count: u64) -> usize {
        let start = self.out.len();
        write_head(&mut self.out, major, count);
        start
    }

    /// Corrects the head once the number of entries is known.
    fn end(&mut self, start: usize, major: u8, count: u64, kept: u64) {
        if count == kept {
            return;
        }
        let mut head = Vec::with_capacity(9);
        write_head(&mut head, major, count);
        let old = head.len();
        head.clear();
        write_head(&mut head, major, kept);
        self.out.splice(start..start + old, head);
    }
}
