//! The header parameters of both messages.

use thiserror::Error;

use crate::cbor::{CborError, Key, KeySet, MAP, Reader, TAG, TEXT};
use crate::sign1::Sign1;
use crate::{AeadAlgorithm, HashAlgorithm, Limits, SignatureAlgorithm};

pub(crate) const ALG: u64 = 1;
pub(crate) const CRIT: u64 = 2;
pub(crate) const KID: u64 = 4;
pub(crate) const KCWT: u64 = 13;
pub(crate) const CWT_CLAIMS: u64 = 15;
pub(crate) const TYP: u64 = 16;
pub(crate) const SD_CLAIMS: u64 = 17;
pub(crate) const SD_ALG: u64 = 170;
pub(crate) const SD_AEAD_ENCRYPTED_CLAIMS: u64 = 171;
pub(crate) const SD_AEAD: u64 = 172;

pub(crate) const TYP_SD_CWT: i64 = 293;
pub(crate) const TYP_KB_CWT: i64 = 294;

/// What is wrong with the headers of an SD-CWT or of its key binding token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Malformed CBOR; labels are unique in both maps together (RFC 9052, section 3).
    #[error("malformed header: {0}")]
    Cbor(#[from] CborError),
    /// No `alg` in the protected header.
    #[error("no alg in the protected header")]
    MissingAlgorithm,
    /// `alg` is none of the eight supported identifiers.
    #[error("alg is not supported")]
    UnsupportedAlgorithm,
    /// `typ` is missing, or is not the type of this message.
    #[error("typ is missing or another type")]
    Type,
    /// `crit` is empty, names a parameter that is not understood or not there, or is not protected.
    #[error("crit names a parameter that is not understood")]
    Critical,
    /// A parameter stands where the draft does not want it: unprotected instead of protected or the other way round, or
    /// in the wrong message.
    #[error("a header parameter in the wrong place")]
    Misplaced,
    /// The key binding token has no `kcwt`.
    #[error("no kcwt in the key binding token")]
    MissingCredential,
    /// `sd_alg` is not supported.
    #[error("sd_alg is not supported")]
    UnsupportedHash,
    /// `sd_aead` is not supported.
    #[error("sd_aead is not supported")]
    UnsupportedAead,
    /// `sd_claims` or `sd_aead_encrypted_claims` is an empty array.
    #[error("an empty list of disclosures")]
    EmptyDisclosures,
    /// More disclosures than the limit allows.
    #[error("too many disclosures")]
    TooManyDisclosures,
}

/// Which of the two messages a header belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Credential,
    KeyBinding,
}

/// An encrypted disclosure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) nonce: &'a [u8],
    pub(crate) ciphertext: &'a [u8],
    pub(crate) tag: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Headers<'a> {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key_id: Option<&'a [u8]>,
    /// The whole `kcwt` item.
    pub(crate) kcwt: Option<&'a [u8]>,
    pub(crate) cwt_claims: Option<&'a [u8]>,
    pub(crate) hash: HashAlgorithm,
    pub(crate) aead: AeadAlgorithm,
    /// Each disclosure with the head of its byte string: what digests are taken over.
    pub(crate) disclosures: Vec<&'a [u8]>,
    pub(crate) sealed: Vec<Sealed<'a>>,
    /// The unprotected entries that are not disclosures.
    pub(crate) others: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Headers<'a> {
    pub(crate) fn parse(sign1: &Sign1<'a>, message: Message, limits: &Limits) -> Result<Self, HeaderError> {
        let mut parser = Parser {
            message,
            limits,
            labels: KeySet::default(),
            scratch: Vec::new(),
            typed: false,
            algorithm: None,
            critical: None,
            headers: Headers {
                algorithm: SignatureAlgorithm::Ed25519,
                key_id: None,
                kcwt: None,
                cwt_claims: None,
                hash: HashAlgorithm::default(),
                aead: AeadAlgorithm::default(),
                disclosures: Vec::new(),
                sealed: Vec::new(),
                others: Vec::new(),
            },
        };
        if !sign1.protected.is_empty() {
            let mut reader = Reader::new(sign1.protected);
            for _ in 0..reader.map()? {
                parser.protected(&mut reader)?;
            }
            reader.finish()?;
        }
        if let Some(critical) = parser.critical {
            parser.critical(critical)?;
        }
        let mut reader = Reader::new(sign1.unprotected);
        for _ in 0..reader.map()? {
            parser.unprotected(&mut reader)?;
        }
        reader.finish()?;
        if !parser.typed {
            return Err(HeaderError::Type);
        }
        let algorithm = parser.algorithm.ok_or(HeaderError::MissingAlgorithm)?;
        Ok(Headers { algorithm, ..parser.headers })
    }
}

struct Parser<'a, 'l> {
    message: Message,
    limits: &'l Limits,
    labels: KeySet<'a>,
    scratch: Vec<u8>,
    typed: bool,
    algorithm: Option<SignatureAlgorithm>,
    critical: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> Parser<'a, '_> {
    fn protected(&mut self, reader: &mut Reader<'a>) -> Result<(), HeaderError> {
        let key = reader.key()?;
        self.labels.insert(key)?;
        let Key::Uint(label) = key else { return self.other(reader) };
        match (label, self.message) {
            (ALG, _) => {
                // Text names of algorithms are legal in COSE; none is supported.
                let id = reader.integer().map_err(|_| HeaderError::UnsupportedAlgorithm)?;
                self.algorithm = Some(SignatureAlgorithm::from_id(id).ok_or(HeaderError::UnsupportedAlgorithm)?);
            }
            (CRIT, _) => self.critical = Some(reader.skip()?),
            (TYP, message) => self.typed = is_type(reader, message)?,
            (KID, _) => self.headers.key_id = Some(reader.bytes()?),
            (KCWT, Message::KeyBinding) => {
                if reader.clone().head()?.major != TAG {
                    return Err(CborError::WrongType.into());
                }
                self.headers.kcwt = Some(reader.skip()?);
            }
            (CWT_CLAIMS, Message::Credential) => {
                if reader.clone().head()?.major != MAP {
                    return Err(CborError::WrongType.into());
                }
                self.headers.cwt_claims = Some(reader.skip()?);
            }
            (SD_ALG, Message::Credential) => {
                self.headers.hash = HashAlgorithm::from_id(reader.integer()?).ok_or(HeaderError::UnsupportedHash)?;
            }
            (SD_AEAD, Message::Credential) => {
                self.headers.aead = AeadAlgorithm::from_id(reader.integer()?).ok_or(HeaderError::UnsupportedAead)?;
            }
            (KCWT | CWT_CLAIMS | SD_ALG | SD_AEAD | SD_CLAIMS | SD_AEAD_ENCRYPTED_CLAIMS, _) => {
                return Err(HeaderError::Misplaced);
            }
            _ => self.other(reader)?,
        }
        Ok(())
    }

    fn unprotected(&mut self, reader: &mut Reader<'a>) -> Result<(), HeaderError> {
        let mut start = reader.clone();
        let key = reader.key()?;
        self.labels.insert(key)?;
        match (key, self.message) {
            (Key::Uint(SD_CLAIMS), Message::Credential) => {
                for _ in 0..self.count(reader)? {
                    let before = reader.clone();
                    reader.bytes()?;
                    self.headers.disclosures.push(before.until(reader));
                }
            }
            (Key::Uint(SD_AEAD_ENCRYPTED_CLAIMS), Message::Credential) => {
                for _ in 0..self.count(reader)? {
                    if reader.array()? != 3 {
                        return Err(CborError::WrongType.into());
                    }
                    let sealed = Sealed { nonce: reader.bytes()?, ciphertext: reader.bytes()?, tag: reader.bytes()? };
                    self.headers.sealed.push(sealed);
                }
            }
            (Key::Uint(CRIT), _) => return Err(HeaderError::Critical),
            (Key::Uint(ALG | TYP | KCWT | CWT_CLAIMS | SD_ALG | SD_AEAD | SD_CLAIMS | SD_AEAD_ENCRYPTED_CLAIMS), _) => {
                return Err(HeaderError::Misplaced);
            }
            _ => {
                let value = reader.clone();
                self.other(reader)?;
                let label = start.skip()?;
                self.headers.others.push((label, value.until(reader)));
            }
        }
        Ok(())
    }

    /// Checks a parameter that has no meaning here.
    fn other(&mut self, reader: &mut Reader<'a>) -> Result<(), HeaderError> {
        self.scratch.clear();
        Ok(reader.copy(&mut self.scratch, 2, self.limits.max_depth)?)
    }

    fn count(&self, reader: &mut Reader<'a>) -> Result<u64, HeaderError> {
        let count = reader.array()?;
        let so_far = self.headers.disclosures.len() + self.headers.sealed.len();
        if count == 0 {
            return Err(HeaderError::EmptyDisclosures);
        }
        if count > self.limits.max_disclosures.saturating_sub(so_far) as u64 {
            return Err(HeaderError::TooManyDisclosures);
        }
        Ok(count)
    }

    fn critical(&self, list: &'a [u8]) -> Result<(), HeaderError> {
        let mut reader = Reader::new(list);
        let count = reader.array()?;
        if count == 0 {
            return Err(HeaderError::Critical);
        }
        for _ in 0..count {
            let key = reader.key()?;
            let understood = matches!(key, Key::Uint(ALG | KID | KCWT | CWT_CLAIMS | TYP | SD_ALG | SD_AEAD));
            if !understood || !self.labels.contains(&key) {
                return Err(HeaderError::Critical);
            }
        }
        Ok(())
    }
}

fn is_type(reader: &mut Reader<'_>, message: Message) -> Result<bool, HeaderError> {
    let head = reader.head()?;
    Ok(match (head.major, message) {
        (crate::cbor::UINT, Message::Credential) => head.arg == TYP_SD_CWT as u64,
        (crate::cbor::UINT, Message::KeyBinding) => head.arg == TYP_KB_CWT as u64,
        (TEXT, message) => {
            let name = reader.text_body(head.arg)?.to_ascii_lowercase();
            match message {
                Message::Credential => name == "application/sd-cwt" || name.ends_with("+sd-cwt"),
                Message::KeyBinding => name == "application/kb+cwt",
            }
        }
        _ => return Err(HeaderError::Type),
    })
}
