use elastic_elgamal::{
    PublicKey,
    group::{ElementOps, Ristretto},
    sharing::{Params, PublicKeySet},
};
use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use ring::digest::{SHA256, digest};

pub(crate) type Ciphertext = elastic_elgamal::Ciphertext<Ristretto>;
pub(crate) type Element = <Ristretto as ElementOps>::Element;

/// The most operators that may share a key.
const MOST: u8 = 32;

/// How many operators share a key, and how many of them are needed to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    operators: u8,
    needed: u8,
}

/// So many of so many is no threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// More than 32 operators, or none.
    #[error("1 to 32 operators share a key")]
    Operators,
    /// Nobody is needed, or more than there are.
    #[error("at least one operator is needed, and not more than there are")]
    Needed,
}

impl Threshold {
    /// `needed` of `operators`.
    ///
    /// # Errors
    /// [`ThresholdError`] unless 1 ≤ `needed` ≤ `operators` ≤ 32.
    pub const fn new(needed: u8, operators: u8) -> Result<Self, ThresholdError> {
        if operators == 0 || operators > MOST {
            return Err(ThresholdError::Operators);
        }
        if needed == 0 || needed > operators {
            return Err(ThresholdError::Needed);
        }
        Ok(Self { operators, needed })
    }

    /// How many share the key.
    pub const fn operators(self) -> u8 {
        self.operators
    }

    /// How many are needed.
    pub const fn needed(self) -> u8 {
        self.needed
    }

    /// All operators, from the first.
    pub fn indices(self) -> impl Iterator<Item = OperatorIndex> {
        (0..self.operators).map(OperatorIndex)
    }

    /// The operator of this number, counted from 0; `None` if there are not so many.
    pub fn index(self, number: u8) -> Option<OperatorIndex> {
        (number < self.operators).then_some(OperatorIndex(number))
    }

    pub(super) fn parameters(self) -> Params {
        Params::new(self.operators.into(), self.needed.into())
    }
}

/// What a key that operators share is for. A key is for one purpose alone: the shares that answer a question about scores
/// would open sealed accounts, if both were under one key, and no entry in the log would be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Opening sealed accounts.
    Opening,
    /// Answering questions about scores.
    Scores,
}

impl Purpose {
    const fn code(self) -> u8 {
        match self {
            Self::Opening => 1,
            Self::Scores => 2,
        }
    }
}

impl Wire for Purpose {
    const MAX_LEN: usize = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Opening),
            2 => Ok(Self::Scores),
            value => Err(DecodeError::Value { field: "purpose", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.code());
    }
}

/// One of the operators that share a key, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorIndex(pub(super) u8);

impl OperatorIndex {
    /// The number, counted from 0.
    pub const fn number(self) -> u8 {
        self.0
    }

    pub(super) fn at(self) -> usize {
        self.0.into()
    }
}

impl std::fmt::Display for OperatorIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "operator {}", self.0)
    }
}

impl Wire for OperatorIndex {
    const MAX_LEN: usize = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            number if number < MOST => Ok(Self(number)),
            value => Err(DecodeError::Value { field: "operator", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.0);
    }
}

/// The public half of a key that operators share: its purpose, their threshold and everybody's public share.
#[derive(Clone)]
pub struct OperatorsKey {
    pub(super) set: PublicKeySet<Ristretto>,
    threshold: Threshold,
    purpose: Purpose,
    id: [u8; 32],
}

/// Public shares make no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operators' public shares do not belong to one key")]
pub struct OperatorsKeyError;

impl OperatorsKey {
    pub(super) fn new(set: PublicKeySet<Ristretto>, purpose: Purpose) -> Result<Self, OperatorsKeyError> {
        let number = |count: usize| u8::try_from(count).map_err(|_| OperatorsKeyError);
        let params = set.params();
        let threshold =
            Threshold::new(number(params.threshold)?, number(params.shares)?).map_err(|_| OperatorsKeyError)?;
        if Ristretto::is_identity(&set.shared_key().as_element()) {
            return Err(OperatorsKeyError);
        }
        let mut key = Self { set, threshold, purpose, id: [0; 32] };
        let encoded = digest(&SHA256, &key.encode());
        key.id = encoded.as_ref().try_into().map_err(|_| OperatorsKeyError)?;
        Ok(key)
    }

    /// How many operators there are, and how many are needed.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// SHA-256 of its encoding: names this key in what is made with it.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    pub(crate) fn shared(&self) -> &PublicKey<Ristretto> {
        self.set.shared_key()
    }
}

impl std::fmt::Debug for OperatorsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperatorsKey({} of {})", self.threshold.needed, self.threshold.operators)
    }
}

impl PartialEq for OperatorsKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for OperatorsKey {}

/// `uint8 purpose; uint8 needed; uint8 operators; opaque public_share[32] ` for each of them.
impl Wire for OperatorsKey {
    const MAX_LEN: usize = 3 + 32 * MOST as usize;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rule = |rule| DecodeError::Rule { field: "operators' key", rule };
        let purpose = Purpose::read(reader)?;
        let needed = reader.u8()?;
        let threshold = Threshold::new(needed, reader.u8()?).map_err(|_| rule("no threshold"))?;
        let keys = (0..threshold.operators)
            .map(|_| PublicKey::from_bytes(reader.take(32)?).map_err(|_| rule("no public share")))
            .collect::<Result<Vec<_>, _>>()?;
        let set = PublicKeySet::from_participants(threshold.parameters(), keys)
            .map_err(|_| rule("the shares are not of one key"))?;
        Self::new(set, purpose).map_err(|_| rule("no key"))
    }

    fn write(&self, writer: &mut Writer) {
        self.purpose.write(writer);
        writer.u8(self.threshold.needed);
        writer.u8(self.threshold.operators);
        for key in self.set.participant_keys() {
            writer.raw(key.as_bytes());
        }
    }
}

/// The 32 octets of a group element.
pub(crate) fn element_octets(element: &Element) -> [u8; 32] {
    let mut octets = [0; 32];
    Ristretto::serialize_element(element, &mut octets);
    octets
}

/// Reads a group element.
pub(crate) fn read_element(reader: &mut Reader<'_>) -> Result<Element, DecodeError> {
    let octets: [u8; 32] = reader.array()?;
    Ristretto::deserialize_element(&octets)
        .ok_or(DecodeError::Rule { field: "element", rule: "not an element of the group" })
}

/// Reads a ciphertext: two elements.
pub(crate) fn read_ciphertext(reader: &mut Reader<'_>) -> Result<Ciphertext, DecodeError> {
    let random = read_element(reader)?;
    Ok(Ciphertext::from_elements(random, read_element(reader)?))
}

/// Writes a ciphertext: two elements.
pub(crate) fn write_ciphertext(ciphertext: &Ciphertext, writer: &mut Writer) {
    writer.raw(&element_octets(ciphertext.random_element()));
    writer.raw(&element_octets(ciphertext.blinded_element()));
}
