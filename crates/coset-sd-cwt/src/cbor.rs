//! A lean reader for the CBOR that SD-CWT allows.
//!
//! The reader works on the original bytes, so digests and signatures are taken over what was received and nothing is
//! encoded a second time.

use thiserror::Error;

pub(crate) use crate::map_key::{Key, KeySet};
pub(crate) use crate::write::*;

/// What is wrong with a piece of CBOR (RFC 8949, as narrowed by the sections of the SD-CWT draft on definite lengths,
/// map keys, duplicate keys and nesting).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("the bytes end inside an item")]
    Truncated,
    /// Bytes follow the item.
    #[error("bytes follow the item")]
    TrailingBytes,
    /// An item of indefinite length.
    #[error("indefinite length")]
    IndefiniteLength,
    /// A reserved additional-information value, or a simple value below 32 in two bytes.
    #[error("reserved encoding")]
    Reserved,
    /// A text string that is not UTF-8.
    #[error("a text string is not UTF-8")]
    NotUtf8,
    /// Deeper than the limit.
    #[error("nested too deep")]
    TooDeep,
    /// Two equal keys in one map. Keys are compared by value, however long their encoding.
    #[error("duplicate map key")]
    DuplicateKey,
    /// A map key that is neither an integer nor a text string.
    #[error("a map key is neither an integer nor text")]
    KeyType,
    /// A text key of more than 255 bytes.
    #[error("a map key is longer than 255 bytes")]
    KeyTooLong,
    /// Tag 58, 60 or 62, or simple value 59, where it has no place.
    #[error("a redaction marker where none may stand")]
    MisplacedMarker,
    /// An item of another type than the one that belongs here.
    #[error("an item of the wrong type")]
    WrongType,
}

pub(crate) const UINT: u8 = 0;
pub(crate) const NINT: u8 = 1;
pub(crate) const BYTES: u8 = 2;
pub(crate) const TEXT: u8 = 3;
pub(crate) const ARRAY: u8 = 4;
pub(crate) const MAP: u8 = 5;
pub(crate) const TAG: u8 = 6;
pub(crate) const SIMPLE: u8 = 7;

/// Longest text key, in bytes.
const MAX_KEY: usize = 255;

/// The first bytes of an item: its major type, additional information and argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) major: u8,
    pub(crate) info: u8,
    pub(crate) arg: u64,
}

/// Reads items one after another from a slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn finish(&self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::TrailingBytes) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn head(&mut self) -> Result<Head, CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let (major, info) = (first >> 5, first & 0x1f);
        let arg = match info {
            0..=23 => u64::from(info),
            24 => self.argument::<1>()?,
            25 => self.argument::<2>()?,
            26 => self.argument::<4>()?,
            27 => self.argument::<8>()?,
            31 => return Err(CborError::IndefiniteLength),
            _ => return Err(CborError::Reserved),
        };
        Ok(Head { major, info, arg })
    }

    #[inline]
    fn argument<const N: usize>(&mut self) -> Result<u64, CborError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let head = self.head()?;
        if head.major != BYTES {
            return Err(CborError::WrongType);
        }
        self.take(head.arg)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, CborError> {
        let head = self.head()?;
        if head.major != TEXT {
            return Err(CborError::WrongType);
        }
        self.text_body(head.arg)
    }

    pub(crate) fn text_body(&mut self, length: u64) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| CborError::NotUtf8)
    }

    /// An integer in the whole range of CBOR.
    pub(crate) fn integer(&mut self) -> Result<i128, CborError> {
        let head = self.head()?;
        match head.major {
            UINT => Ok(i128::from(head.arg)),
            NINT => Ok(-1 - i128::from(head.arg)),
            _ => Err(CborError::WrongType),
        }
    }

    pub(crate) fn array(&mut self) -> Result<u64, CborError> {
        let head = self.head()?;
        if head.major != ARRAY {
            return Err(CborError::WrongType);
        }
        self.fits(head.arg, 1)
    }

    pub(crate) fn map(&mut self) -> Result<u64, CborError> {
        let head = self.head()?;
        if head.major != MAP {
            return Err(CborError::WrongType);
        }
        self.fits(head.arg, 2)
    }

    /// The announced number of entries, refused when the bytes left cannot hold them: no buffer is ever reserved on
    /// the word of a length alone.
    #[inline]
    pub(crate) fn fits(&self, count: u64, each: u64) -> Result<u64, CborError> {
        if count > self.rest.len() as u64 / each { Err(CborError::Truncated) } else { Ok(count) }
    }

    #[inline]
    pub(crate) fn key(&mut self) -> Result<Key<'a>, CborError> {
        let head = self.head()?;
        match head.major {
            UINT => Ok(Key::Uint(head.arg)),
            NINT => Ok(Key::Nint(head.arg)),
            TEXT => {
                let text = self.text_body(head.arg)?;
                if text.len() > MAX_KEY { Err(CborError::KeyTooLong) } else { Ok(Key::Text(text)) }
            }
            SIMPLE if head.info == 24 && head.arg == 59 => Err(CborError::MisplacedMarker),
            TAG if is_marker(head.arg) => Err(CborError::MisplacedMarker),
            _ => Err(CborError::KeyType),
        }
    }

    /// Whether the next item is the key under which a map keeps its digests; if so it is consumed.
    #[inline]
    pub(crate) fn redacted_keys(&mut self) -> bool {
        match self.rest {
            [0xf8, 59, rest @ ..] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The digest of a redacted element, if the next item is one.
    #[inline]
    pub(crate) fn redacted_element(&mut self) -> Result<Option<&'a [u8]>, CborError> {
        if self.rest.first().is_none_or(|first| first >> 5 != TAG) {
            return Ok(None);
        }
        let mut ahead = self.clone();
        if ahead.head()?.arg != 60 {
            return Ok(None);
        }
        let digest = ahead.bytes()?;
        *self = ahead;
        Ok(Some(digest))
    }

    /// Passes over one item, of any depth, without recursion, and yields its bytes. Lengths are checked, contents
    /// are not.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.rest;
        let mut open: u64 = 1;
        while open > 0 {
            open -= 1;
            let head = self.head()?;
            let inner = match head.major {
                BYTES | TEXT => {
                    self.take(head.arg)?;
                    0
                }
                ARRAY => self.fits(head.arg, 1)?,
                MAP => self.fits(head.arg, 2)? * 2,
                TAG => 1,
                _ => 0,
            };
            // Each open item takes at least a byte, so the sum is bounded by what is left.
            open = self.fits(open.saturating_add(inner), 1)?;
        }
        start.get(..start.len() - self.rest.len()).ok_or(CborError::Truncated)
    }

    /// The bytes from here to where another reader of the same slice stands.
    pub(crate) fn until(&self, end: &Self) -> &'a [u8] {
        self.rest.get(..self.rest.len().saturating_sub(end.rest.len())).unwrap_or_default()
    }

    /// Copies one item to `out` with the shortest heads, checking everything that holds for an item without
    /// redactions. `level` is the level of the item's own contents, if it has any.
    pub(crate) fn copy(&mut self, out: &mut Vec<u8>, level: u8, max_depth: u8) -> Result<(), CborError> {
        let head = self.head()?;
        match head.major {
            ARRAY => {
                deeper(level, max_depth)?;
                write_head(out, ARRAY, head.arg);
                for _ in 0..self.fits(head.arg, 1)? {
                    self.copy(out, level + 1, max_depth)?;
                }
                Ok(())
            }
            MAP => {
                deeper(level, max_depth)?;
                write_head(out, MAP, head.arg);
                let mut keys = KeySet::default();
                for _ in 0..self.fits(head.arg, 2)? {
                    let key = self.key()?;
                    keys.insert(key)?;
                    key.write(out);
                    self.copy(out, level + 1, max_depth)?;
                }
                Ok(())
            }
            TAG => {
                deeper(level, max_depth)?;
                write_tag(out, head.arg)?;
                self.copy(out, level + 1, max_depth)
            }
            _ => self.copy_scalar(head, out),
        }
    }

    /// Copies an item that holds no others.
    #[inline]
    pub(crate) fn copy_scalar(&mut self, head: Head, out: &mut Vec<u8>) -> Result<(), CborError> {
        match head.major {
            UINT | NINT => write_head(out, head.major, head.arg),
            BYTES => {
                write_head(out, BYTES, head.arg);
                out.extend_from_slice(self.take(head.arg)?);
            }
            TEXT => write_text(out, self.text_body(head.arg)?),
            _ => match head.info {
                24 if head.arg < 32 => return Err(CborError::Reserved),
                24 if head.arg == 59 => return Err(CborError::MisplacedMarker),
                25 => write_bits(out, 0xf9, head.arg, 2),
                26 => write_bits(out, 0xfa, head.arg, 4),
                27 => write_bits(out, 0xfb, head.arg, 8),
                _ => write_head(out, SIMPLE, head.arg),
            },
        }
        Ok(())
    }
}

/// Refuses contents at a level beyond the limit.
#[inline]
pub(crate) fn deeper(level: u8, max_depth: u8) -> Result<(), CborError> {
    if level > max_depth { Err(CborError::TooDeep) } else { Ok(()) }
}

pub(crate) fn is_marker(tag: u64) -> bool {
    matches!(tag, 58 | 60 | 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(bytes: &[u8]) -> Result<Vec<u8>, CborError> {
        let (mut reader, mut out) = (Reader::new(bytes), Vec::new());
        reader.copy(&mut out, 1, 16)?;
        reader.finish()?;
        Ok(out)
    }

    #[test]
    fn every_error_of_the_reader() {
        for (bytes, error) in [
            (&[][..], CborError::Truncated),
            (&[0x18], CborError::Truncated),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CborError::Truncated),
            (&[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 1], CborError::Truncated),
            (&[0x01, 0x01], CborError::TrailingBytes),
            (&[0x9f, 0xff], CborError::IndefiniteLength),
            (&[0xbf, 0xff], CborError::IndefiniteLength),
            (&[0x5f, 0xff], CborError::IndefiniteLength),
            (&[0x7f, 0xff], CborError::IndefiniteLength),
            (&[0xff], CborError::IndefiniteLength),
            (&[0x1c], CborError::Reserved),
            (&[0xf8, 0x14], CborError::Reserved),
            (&[0x62, 0xc3, 0x28], CborError::NotUtf8),
            (&[0xa2, 0x01, 0x01, 0x18, 0x01, 0x01], CborError::DuplicateKey),
            (&[0xa2, 0x61, 0x61, 0x01, 0x78, 0x01, 0x61, 0x01], CborError::DuplicateKey),
            (&[0xa1, 0x80, 0x01], CborError::KeyType),
            (&[0xa1, 0x41, 0x00, 0x01], CborError::KeyType),
            (&[0xa1, 0xf4, 0x01], CborError::KeyType),
            (&[0xa1, 0xf8, 0x3b, 0x80], CborError::MisplacedMarker),
            (&[0xa1, 0xd8, 0x3a, 0x01, 0x01], CborError::MisplacedMarker),
            (&[0xf8, 0x3b], CborError::MisplacedMarker),
            (&[0xd8, 0x3a, 0x01], CborError::MisplacedMarker),
            (&[0xd8, 0x3c, 0x41, 0x00], CborError::MisplacedMarker),
            (&[0xd8, 0x3e, 0x01], CborError::MisplacedMarker),
        ] {
            assert_eq!(copied(bytes), Err(error), "{bytes:02x?}");
        }
        assert_eq!(Reader::new(&[0x01]).bytes(), Err(CborError::WrongType));
        assert_eq!(copied(&[&[0x81; 17][..], &[0x01]].concat()), Err(CborError::TooDeep));
        assert!(copied(&[&[0x81; 16][..], &[0x01]].concat()).is_ok());
        let mut long = vec![0xa1, 0x79, 0x01, 0x00];
        long.extend([b'a'; 256]);
        long.push(0x01);
        assert_eq!(copied(&long), Err(CborError::KeyTooLong));
    }

    #[test]
    fn heads_come_out_shortest() {
        assert_eq!(copied(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 1]), Ok(vec![0x01]));
        assert_eq!(copied(&[0xb8, 0x01, 0x19, 0, 1, 0x58, 1, 7]), Ok(vec![0xa1, 0x01, 0x41, 7]));
        assert_eq!(copied(&[0xfa, 0x47, 0xc3, 0x50, 0x00]), Ok(vec![0xfa, 0x47, 0xc3, 0x50, 0x00]));
        assert_eq!(copied(&[0xf8, 0x64]), Ok(vec![0xf8, 0x64]));
    }

    #[test]
    fn skipping_needs_no_stack() {
        let mut bomb = vec![0x81; 1_000_000];
        bomb.push(0x01);
        let mut reader = Reader::new(&bomb);
        assert_eq!(reader.skip().map(<[u8]>::len), Ok(bomb.len()));
        assert!(reader.is_empty());
        assert_eq!(Reader::new(&bomb[..bomb.len() - 1]).skip(), Err(CborError::Truncated));
    }
}
