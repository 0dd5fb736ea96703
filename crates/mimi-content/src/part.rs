use std::fmt;

use ciborium::Value;
use mimi_pseudonym::DecodeError;

use crate::{
    cbor::{array, bytes, end, next, rule, text, uint},
    disposition::{Disposition, PartSemantics},
};

/// Levels of parts within parts, the outermost counted (draft-ietf-mimi-content, section 6.3).
const LEVELS: usize = 4;

/// A part of a message (`NestedPart`, draft-ietf-mimi-content, section 4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it is meant for.
    pub disposition: Disposition,
    /// Language tags (RFC 5646) with commas between them, or nothing.
    pub language: String,
    /// What it consists of.
    pub body: Body,
}

/// What a part consists of. `Debug` shows media types and lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the message deletes another, or takes back a reaction.
    Null,
    /// Content within the message.
    Single {
        /// The media type.
        content_type: String,
        /// The content.
        content: Vec<u8>,
    },
    /// Content elsewhere.
    External(Box<ExternalContent>),
    /// Two or more parts.
    Multi {
        /// How they belong together.
        semantics: PartSemantics,
        /// The parts.
        parts: Vec<Part>,
    },
}

/// Content elsewhere (`ExternalPart`, draft-ietf-mimi-content, section 4.5).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ExternalContent {
    /// The media type.
    pub content_type: String,
    /// Where it can be fetched.
    pub url: String,
    /// When it expires, in seconds since the epoch; 0 for never.
    pub expires: u32,
    /// Its octets; 0 if that is not said.
    pub size: u64,
    /// The AEAD algorithm by its IANA number; 0 for none, and then key, nonce and aad are empty.
    pub enc_alg: u16,
    /// The AEAD key.
    pub key: Vec<u8>,
    /// The AEAD nonce.
    pub nonce: Vec<u8>,
    /// What else the AEAD authenticates.
    pub aad: Vec<u8>,
    /// The hash algorithm by its IANA number; 0 for none.
    pub hash_alg: u8,
    /// The hash of what is at the URL.
    pub content_hash: Vec<u8>,
    /// A description for people.
    pub description: String,
    /// A name for the file.
    pub filename: String,
}

/// Why a part is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// Parts are nested more than four deep.
    #[error("parts are nested more than four deep")]
    TooDeep,
    /// A body of several parts has fewer than two.
    #[error("a body of several parts has two or more")]
    TooFew,
    /// External content names no algorithm, but a key, a nonce or more to authenticate.
    #[error("content without encryption has no key, nonce or additional data")]
    KeyWithoutAlgorithm,
}

impl Part {
    /// A part of one media type.
    pub fn single(disposition: Disposition, content_type: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let body = Body::Single { content_type: content_type.into(), content: content.into() };
        Self { disposition, language: String::new(), body }
    }

    /// A part without content: what a deletion has.
    pub fn null(disposition: Disposition) -> Self {
        Self { disposition, language: String::new(), body: Body::Null }
    }

    /// This part and all within it, depth first. The position is the part index that `cid:` URIs name.
    pub fn iter(&self) -> Parts<'_> {
        Parts { waiting: vec![self] }
    }

    /// Whether this part and all within it keep the rules.
    pub(crate) fn check(&self) -> Result<(), PartError> {
        self.check_levels(LEVELS)
    }

    fn check_levels(&self, left: usize) -> Result<(), PartError> {
        let left = left.checked_sub(1).ok_or(PartError::TooDeep)?;
        match &self.body {
            Body::Null | Body::Single { .. } => Ok(()),
            Body::External(external) => {
                let none = external.key.is_empty() && external.nonce.is_empty() && external.aad.is_empty();
                if external.enc_alg == 0 && !none { Err(PartError::KeyWithoutAlgorithm) } else { Ok(()) }
            }
            Body::Multi { parts, .. } if parts.len() < 2 => Err(PartError::TooFew),
            Body::Multi { parts, .. } => parts.iter().try_for_each(|part| part.check_levels(left)),
        }
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = array(value, "NestedPart")?;
        let disposition = Disposition::from_code(uint(next(&mut fields, "disposition")?, "disposition")?);
        let language = text(next(&mut fields, "language")?, "language")?;
        let body = match uint(next(&mut fields, "cardinality")?, "cardinality")? {
            0u8 => Body::Null,
            1 => Body::Single {
                content_type: text(next(&mut fields, "contentType")?, "contentType")?,
                content: bytes(next(&mut fields, "content")?, "content")?,
            },
            2 => Body::External(Box::new(ExternalContent::from_fields(&mut fields)?)),
            3 => {
                let semantics = uint(next(&mut fields, "partSemantics")?, "partSemantics")?;
                Body::Multi {
                    semantics: PartSemantics::from_code(semantics)
                        .ok_or(DecodeError::Value { field: "partSemantics", value: semantics.into() })?,
                    parts: array(next(&mut fields, "parts")?, "parts")?
                        .map(Self::from_value)
                        .collect::<Result<_, _>>()?,
                }
            }
            value => return Err(DecodeError::Value { field: "cardinality", value: value.into() }),
        };
        end(fields, "NestedPart")?;
        Ok(Self { disposition, language, body })
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut fields: Vec<Value> = vec![self.disposition.code().into(), self.language.as_str().into()];
        match &self.body {
            Body::Null => fields.push(0.into()),
            Body::Single { content_type, content } => {
                fields.extend([1.into(), content_type.as_str().into(), content.as_slice().into()]);
            }
            Body::External(external) => {
                fields.push(2.into());
                fields.extend(external.to_fields());
            }
            Body::Multi { semantics, parts } => {
                let parts = parts.iter().map(Self::to_value).collect();
                fields.extend([3.into(), semantics.code().into(), Value::Array(parts)]);
            }
        }
        Value::Array(fields)
    }
}

impl ExternalContent {
    fn from_fields(fields: &mut std::vec::IntoIter<Value>) -> Result<Self, DecodeError> {
        let mut field = |name| next(fields, name);
        Ok(Self {
            content_type: text(field("contentType")?, "contentType")?,
            url: text(field("url")?, "url")?,
            expires: uint(field("expires")?, "expires")?,
            size: uint(field("size")?, "size")?,
            enc_alg: uint(field("encAlg")?, "encAlg")?,
            key: bytes(field("key")?, "key")?,
            nonce: bytes(field("nonce")?, "nonce")?,
            aad: bytes(field("aad")?, "aad")?,
            hash_alg: uint(field("hashAlg")?, "hashAlg")?,
            content_hash: bytes(field("contentHash")?, "contentHash")?,
            description: text(field("description")?, "description")?,
            filename: text(field("filename")?, "filename")?,
        })
    }

    fn to_fields(&self) -> [Value; 12] {
        [
            self.content_type.as_str().into(),
            self.url.as_str().into(),
            self.expires.into(),
            self.size.into(),
            self.enc_alg.into(),
            self.key.as_slice().into(),
            self.nonce.as_slice().into(),
            self.aad.as_slice().into(),
            self.hash_alg.into(),
            self.content_hash.as_slice().into(),
            self.description.as_str().into(),
            self.filename.as_str().into(),
        ]
    }
}

impl From<PartError> for DecodeError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::TooDeep => rule("NestedPart", "more than four levels deep"),
            PartError::TooFew => rule("parts", "fewer than two"),
            PartError::KeyWithoutAlgorithm => rule("encAlg", "none, though there is a key, a nonce or aad"),
        }
    }
}

/// Parts, depth first: see [`Part::iter`].
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    waiting: Vec<&'a Part>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a Part;

    fn next(&mut self) -> Option<&'a Part> {
        let part = self.waiting.pop()?;
        if let Body::Multi { parts, .. } = &part.body {
            self.waiting.extend(parts.iter().rev());
        }
        Some(part)
    }
}

impl<'a> IntoIterator for &'a Part {
    type Item = &'a Part;
    type IntoIter = Parts<'a>;

    fn into_iter(self) -> Parts<'a> {
        self.iter()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Single { content_type, content } => write!(f, "Single({content_type}, {} octets)", content.len()),
            Self::External(external) => external.fmt(f),
            Self::Multi { semantics, parts } => {
                f.debug_struct("Multi").field("semantics", semantics).field("parts", parts).finish()
            }
        }
    }
}

impl fmt::Debug for ExternalContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External({}, {} octets)", self.content_type, self.size)
    }
}
