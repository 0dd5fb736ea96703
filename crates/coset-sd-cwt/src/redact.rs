//! Turns marked claims into redacted ones and their disclosures.

use std::collections::HashSet;

use ciborium::Value;
use thiserror::Error;

use crate::cbor::{ARRAY, CborError, Key, KeySet, MAP, TAG, deeper, write_bytes, write_head, write_integer, write_tag};
use crate::registered::{SUB, never_redacted};
use crate::{Entropy, HashAlgorithm};

/// What is wrong with marked claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedactError {
    /// The claims are not a map.
    #[error("the claims are not a map")]
    NotAMap,
    /// A wrong key, a duplicate key (58(k) and k are the same), too deep, or a tag that only issued tokens have.
    #[error("claims: {0}")]
    Cbor(#[from] CborError),
    /// A mark on a claim that the draft wants to be always in the clear, or within its value.
    #[error("claim {0} must not be redacted")]
    NeverRedacted(i64),
    /// Tag 58 within tag 58 or 62, or around a key that is not an integer or text.
    #[error("tags within a tag")]
    NestedTags,
    /// Tag 62 without a positive integer, or, in a map, with a value that is not null.
    #[error("a decoy needs a positive integer, and null as its value in a map")]
    DecoyForm,
    /// The same integer in two decoys.
    #[error("two decoys with the same number")]
    DuplicateDecoy,
    /// A mark where there is no map or array to put a digest into.
    #[error("a mark outside of a map or an array")]
    MisplacedMark,
    /// The generator gave the same salt twice: it is not one.
    #[error("the generator repeats itself")]
    RepeatedSalt,
}

const TO_BE_REDACTED: u64 = 58;
const REDACTED_ELEMENT: u64 = 60;
const TO_BE_DECOY: u64 = 62;
const REDACTED_KEYS: [u8; 2] = [0xf8, 59];

pub(crate) struct Redactor<'e> {
    pub(crate) hash: HashAlgorithm,
    pub(crate) entropy: &'e mut dyn Entropy,
    pub(crate) max_depth: u8,
    /// Encoded byte strings.
    pub(crate) disclosures: Vec<Vec<u8>>,
    /// Whether there is a `sub`, redacted or not.
    pub(crate) subject: bool,
    decoys: HashSet<u64>,
    salts: HashSet<[u8; 16]>,
}

impl<'e> Redactor<'e> {
    pub(crate) fn new(hash: HashAlgorithm, entropy: &'e mut dyn Entropy, max_depth: u8) -> Self {
        Self {
            hash,
            entropy,
            max_depth,
            disclosures: Vec::new(),
            subject: false,
            decoys: HashSet::new(),
            salts: HashSet::new(),
        }
    }

    /// The payload for these claims.
    pub(crate) fn payload(&mut self, claims: &Value) -> Result<Vec<u8>, RedactError> {
        let Value::Map(entries) = claims else { return Err(RedactError::NotAMap) };
        let mut out = Vec::new();
        self.map(entries, &mut out, 1)?;
        Ok(out)
    }

    fn item(&mut self, value: &Value, out: &mut Vec<u8>, level: u8) -> Result<(), RedactError> {
        match value {
            Value::Array(elements) => self.array(elements, out, level),
            Value::Map(entries) => self.map(entries, out, level),
            Value::Tag(TO_BE_REDACTED | TO_BE_DECOY, _) => Err(RedactError::MisplacedMark),
            Value::Tag(tag, inner) => {
                deeper(level, self.max_depth)?;
                write_tag(out, *tag)?;
                self.item(inner, out, level + 1)
            }
            scalar => Ok(write_scalar(scalar, out)?),
        }
    }

    fn array(&mut self, elements: &[Value], out: &mut Vec<u8>, level: u8) -> Result<(), RedactError> {
        deeper(level, self.max_depth)?;
        write_head(out, ARRAY, elements.len() as u64);
        for element in elements {
            let digest = match element {
                Value::Tag(TO_BE_REDACTED, inner) => {
                    if matches!(**inner, Value::Tag(TO_BE_REDACTED | TO_BE_DECOY, _)) {
                        return Err(RedactError::NestedTags);
                    }
                    let mut value = Vec::new();
                    self.item(inner, &mut value, level + 1)?;
                    self.disclose(&[&value])?
                }
                Value::Tag(TO_BE_DECOY, number) => {
                    self.decoy_number(number)?;
                    self.disclose(&[])?
                }
                plain => {
                    self.item(plain, out, level + 1)?;
                    continue;
                }
            };
            write_head(out, TAG, REDACTED_ELEMENT);
            write_bytes(out, &digest);
        }
        Ok(())
    }

    fn map(&mut self, entries: &[(Value, Value)], out: &mut Vec<u8>, level: u8) -> Result<(), RedactError> {
        deeper(level, self.max_depth)?;
        let mut body = Vec::new();
        let mut count = 0;
        let mut keys = KeySet::default();
        let mut digests = Vec::new();
        for (key, value) in entries {
            match key {
                Value::Tag(TO_BE_REDACTED, inner) => {
                    let key = key_of(inner)?;
                    keys.insert(key)?;
                    self.subject |= level == 1 && key == Key::Uint(SUB);
                    if level == 1 {
                        refuse_never_redacted(&key)?;
                    }
                    let (mut encoded, mut name) = (Vec::new(), Vec::new());
                    self.item(value, &mut encoded, level + 1)?;
                    key.write(&mut name);
                    digests.push(self.disclose(&[&encoded, &name])?);
                }
                Value::Tag(TO_BE_DECOY, number) => {
                    if !value.is_null() {
                        return Err(RedactError::DecoyForm);
                    }
                    self.decoy_number(number)?;
                    digests.push(self.disclose(&[])?);
                }
                plain => {
                    let key = key_of(plain)?;
                    keys.insert(key)?;
                    self.subject |= level == 1 && key == Key::Uint(SUB);
                    key.write(&mut body);
                    if level == 1 && never_redacted(&key) && holds_mark(value) {
                        refuse_never_redacted(&key)?;
                    }
                    self.item(value, &mut body, level + 1)?;
                    count += 1;
                }
            }
        }
        if !digests.is_empty() {
            // Sorted, so that the order tells nothing of the claims.
            digests.sort_unstable();
            body.extend_from_slice(&REDACTED_KEYS);
            write_head(&mut body, ARRAY, digests.len() as u64);
            for digest in &digests {
                write_bytes(&mut body, digest);
            }
            count += 1;
        }
        write_head(out, MAP, count);
        out.append(&mut body);
        Ok(())
    }

    /// Adds a disclosure with a fresh salt and returns its digest.
    fn disclose(&mut self, items: &[&[u8]]) -> Result<Vec<u8>, RedactError> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        if !self.salts.insert(salt) {
            return Err(RedactError::RepeatedSalt);
        }
        let mut array = Vec::with_capacity(18 + items.iter().map(|item| item.len()).sum::<usize>());
        write_head(&mut array, ARRAY, 1 + items.len() as u64);
        write_bytes(&mut array, &salt);
        items.iter().for_each(|item| array.extend_from_slice(item));
        let mut disclosure = Vec::with_capacity(array.len() + 5);
        write_bytes(&mut disclosure, &array);
        let digest = self.hash.digest(&disclosure).as_ref().to_vec();
        self.disclosures.push(disclosure);
        Ok(digest)
    }

    fn decoy_number(&mut self, number: &Value) -> Result<(), RedactError> {
        let number = number.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
        if self.decoys.insert(number.ok_or(RedactError::DecoyForm)?) {
            Ok(())
        } else {
            Err(RedactError::DuplicateDecoy)
        }
    }
}

fn refuse_never_redacted(key: &Key<'_>) -> Result<(), RedactError> {
    match key {
        Key::Uint(label) if never_redacted(key) => Err(RedactError::NeverRedacted(*label as i64)),
        _ => Ok(()),
    }
}

/// Whether a value has tag 58 or 62 anywhere. Only asked of registered claims, which are small.
fn holds_mark(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Tag(TO_BE_REDACTED | TO_BE_DECOY, _) => return true,
            Value::Tag(_, inner) => open.push(inner),
            Value::Array(elements) => open.extend(elements),
            Value::Map(entries) => open.extend(entries.iter().flat_map(|(key, value)| [key, value])),
            _ => {}
        }
    }
    false
}

fn key_of(value: &Value) -> Result<Key<'_>, RedactError> {
    match value {
        Value::Integer(number) => {
            let number = i128::from(*number);
            match u64::try_from(number) {
                Ok(number) => Ok(Key::Uint(number)),
                Err(_) => Ok(Key::Nint(u64::try_from(-1 - number).map_err(|_| CborError::KeyType)?)),
            }
        }
        Value::Text(text) if text.len() > 255 => Err(CborError::KeyTooLong.into()),
        Value::Text(text) => Ok(Key::Text(text)),
        Value::Tag(TO_BE_REDACTED | TO_BE_DECOY, _) => Err(RedactError::NestedTags),
        _ => Err(CborError::KeyType.into()),
    }
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) -> Result<(), CborError> {
    match value {
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => write_integer(out, number),
            Err(_) => key_of(value).map_err(|_| CborError::WrongType)?.write(out),
        },
        Value::Text(text) => crate::cbor::write_text(out, text),
        Value::Bytes(bytes) => write_bytes(out, bytes),
        // Floating-point numbers in their shortest form, and simple values.
        other => ciborium::into_writer(other, out).map_err(|_| CborError::WrongType)?,
    }
    Ok(())
}
