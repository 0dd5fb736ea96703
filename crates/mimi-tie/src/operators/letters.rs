//! What operators send each other while they make a key, each signed by its sender.

use mimi_pseudonym::{DecodeError, PublicKey, Reader, SignatureScheme, Signer, SigningKey, Wire, Writer};
use ring::digest::{Context, SHA256};

use super::{OperatorIndex, PartyError, Purpose, Threshold};

/// The most octets of a contribution: see [`super::Contribution`].
const CONTRIBUTION: usize = 8192;

/// The first letter of an operator, to all others: with which keys it signs and is written to, and the commitment to what it
/// will contribute. Whoever is to be kept out of a ceremony is kept out by comparing what all of them say together: see
/// [`super::Party::session`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    pub(super) purpose: Purpose,
    pub(super) threshold: Threshold,
    pub(super) from: OperatorIndex,
    pub(super) signing: [u8; 32],
    pub(super) sealing: [u8; 32],
    pub(super) commitment: [u8; 32],
    pub(super) signature: [u8; 64],
}

/// The second letter of an operator, to all others: its contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revealed {
    pub(super) from: OperatorIndex,
    pub(super) session: [u8; 32],
    pub(super) contribution: Vec<u8>,
    pub(super) signature: [u8; 64],
}

/// The third letter of an operator, to each other one: a secret, sealed to the receiver (RFC 9180). It may go the same way as the
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub(super) from: OperatorIndex,
    pub(super) to: OperatorIndex,
    pub(super) session: [u8; 32],
    /// What the sender has seen of all contributions.
    pub(super) contributions: [u8; 32],
    pub(super) encapsulated: [u8; 32],
    pub(super) sealed: [u8; 48],
    pub(super) signature: [u8; 64],
}

/// The last letter of an operator, to all others: the key that it has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub(super) from: OperatorIndex,
    pub(super) session: [u8; 32],
    pub(super) key: [u8; 32],
    pub(super) signature: [u8; 64],
}

/// What is common to all letters.
pub(super) trait Letter: Wire {
    /// What is signed begins with this.
    const LABEL: &'static [u8];

    fn sender(&self) -> OperatorIndex;
    fn signature(&mut self) -> &mut [u8; 64];

    /// What is signed: the label, a zero, and the letter without its signature, which is its end.
    fn signed(&self) -> Vec<u8> {
        let mut octets = [Self::LABEL, &[0], &self.encode()].concat();
        octets.truncate(octets.len().saturating_sub(64));
        octets
    }

    /// Signs the letter.
    fn sign(mut self, key: &SigningKey) -> Result<Self, PartyError> {
        let signature = key.sign(&self.signed()).map_err(|_| PartyError::State)?;
        *self.signature() = signature.try_into().map_err(|_| PartyError::State)?;
        Ok(self)
    }

    /// Checks the signature.
    fn check(&self, key: &[u8; 32]) -> Result<(), PartyError> {
        let wrong = PartyError::Signature(self.sender());
        let octets = self.encode();
        let signature = octets.last_chunk::<64>().ok_or(wrong)?;
        let key = PublicKey::new(SignatureScheme::Ed25519, key).map_err(|_| wrong)?;
        key.verify(&self.signed(), signature).map_err(|_| wrong)
    }
}

macro_rules! letter {
    ($name:ident, $label:literal) => {
        impl Letter for $name {
            const LABEL: &'static [u8] = $label;

            fn sender(&self) -> OperatorIndex {
                self.from
            }

            fn signature(&mut self) -> &mut [u8; 64] {
                &mut self.signature
            }
        }

        impl $name {
            /// Whose it is.
            pub fn from(&self) -> OperatorIndex {
                self.from
            }
        }
    };
}

letter!(Introduction, b"mimi-tie introduction 1");
letter!(Revealed, b"mimi-tie revealed 1");
letter!(Told, b"mimi-tie told 1");
letter!(Done, b"mimi-tie done 1");

impl Told {
    /// Whom it is for.
    pub fn to(&self) -> OperatorIndex {
        self.to
    }
}

/// SHA-256 over a label and parts of known length.
pub(super) fn hash<'a>(label: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(label);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut octets = [0; 32];
    for (to, from) in octets.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    octets
}

/// `uint8 purpose; uint8 needed; uint8 operators; uint8 from; opaque signing[32]; opaque sealing[32]; opaque commitment[32];
/// opaque signature[64]`
impl Wire for Introduction {
    const MAX_LEN: usize = 4 + 3 * 32 + 64;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let purpose = Purpose::read(reader)?;
        let (needed, operators) = (reader.u8()?, reader.u8()?);
        let threshold = Threshold::new(needed, operators)
            .map_err(|_| DecodeError::Rule { field: "introduction", rule: "no threshold" })?;
        let number = reader.u8()?;
        let from = threshold.index(number);
        Ok(Self {
            purpose,
            threshold,
            from: from.ok_or(DecodeError::Value { field: "operator", value: number.into() })?,
            signing: reader.array()?,
            sealing: reader.array()?,
            commitment: reader.array()?,
            signature: reader.array()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.purpose.write(writer);
        writer.u8(self.threshold.needed());
        writer.u8(self.threshold.operators());
        self.from.write(writer);
        for octets in [&self.signing, &self.sealing, &self.commitment] {
            writer.raw(octets);
        }
        writer.raw(&self.signature);
    }
}

/// `uint8 from; opaque session[32]; opaque contribution<V>; opaque signature[64]`
impl Wire for Revealed {
    const MAX_LEN: usize = 1 + 32 + 4 + CONTRIBUTION + 64;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: OperatorIndex::read(reader)?,
            session: reader.array()?,
            contribution: reader.vector()?.to_vec(),
            signature: reader.array()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.from.write(writer);
        writer.raw(&self.session);
        writer.vector(&self.contribution);
        writer.raw(&self.signature);
    }
}

/// `uint8 from; uint8 to; opaque session[32]; opaque contributions[32]; opaque encapsulated[32]; opaque sealed[48];
/// opaque signature[64]`
impl Wire for Told {
    const MAX_LEN: usize = 2 + 3 * 32 + 48 + 64;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: OperatorIndex::read(reader)?,
            to: OperatorIndex::read(reader)?,
            session: reader.array()?,
            contributions: reader.array()?,
            encapsulated: reader.array()?,
            sealed: reader.array()?,
            signature: reader.array()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.from.write(writer);
        self.to.write(writer);
        writer.raw(&self.session);
        writer.raw(&self.contributions);
        writer.raw(&self.encapsulated);
        writer.raw(&self.sealed);
        writer.raw(&self.signature);
    }
}

/// `uint8 from; opaque session[32]; opaque key[32]; opaque signature[64]`
impl Wire for Done {
    const MAX_LEN: usize = 1 + 2 * 32 + 64;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: OperatorIndex::read(reader)?,
            session: reader.array()?,
            key: reader.array()?,
            signature: reader.array()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.from.write(writer);
        writer.raw(&self.session);
        writer.raw(&self.key);
        writer.raw(&self.signature);
    }
}
