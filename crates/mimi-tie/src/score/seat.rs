use elastic_elgamal::{
    app::{ChoiceParams, EncryptedChoice, SingleChoice},
    group::Ristretto,
};
use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};

use crate::{
    operators::{Ciphertext, OperatorsKey},
    random::Random,
};

/// The most accounts in a cohort.
const MOST: u16 = 256;

/// How many accounts are in a cohort: how many one account hides among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortSize(u16);

/// A cohort cannot be of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cohort has 2 to 256 accounts")]
pub struct CohortSizeError;

/// The place of an account: its cohort, and which of the cohort's accounts it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    cohort: u64,
    place: u16,
    size: CohortSize,
}

/// Marks with their proof, as they stand beside a pseudonym. Not checked yet.
#[derive(Clone)]
pub struct UncheckedSeat {
    cohort: u64,
    choice: EncryptedChoice<Ristretto, SingleChoice>,
}

/// Marks of which exactly one is one and all others are zero.
#[derive(Debug, Clone)]
pub struct HiddenSeat {
    cohort: u64,
    pub(super) marks: Vec<Ciphertext>,
}

/// Marks are not what they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not exactly one mark in a cohort of this size under this key")]
pub struct SeatError;

impl CohortSize {
    /// So many accounts.
    ///
    /// # Errors
    /// [`CohortSizeError`] unless there are 2 to 256.
    pub const fn new(accounts: u16) -> Result<Self, CohortSizeError> {
        if accounts < 2 || accounts > MOST { Err(CohortSizeError) } else { Ok(Self(accounts)) }
    }

    /// How many accounts.
    pub const fn accounts(self) -> u16 {
        self.0
    }
}

impl Seat {
    /// The seat of an account by its number, counted from 0 in the order of registration.
    pub fn of(account: u64, size: CohortSize) -> Self {
        let accounts = u64::from(size.0);
        let place = u16::try_from(account % accounts).unwrap_or_default();
        Self { cohort: account / accounts, place, size }
    }

    /// The cohort's number.
    pub fn cohort(self) -> u64 {
        self.cohort
    }

    /// Which of the cohort's accounts, counted from 0.
    pub fn place(self) -> usize {
        self.place.into()
    }

    /// Hides which account of the cohort it is.
    pub fn hide(self, key: &OperatorsKey, entropy: &mut dyn Entropy) -> UncheckedSeat {
        let parameters = ChoiceParams::single(key.shared().clone(), self.size.0.into());
        let choice = EncryptedChoice::single(&parameters, self.place.into(), &mut Random(entropy));
        UncheckedSeat { cohort: self.cohort, choice }
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat(..)")
    }
}

impl UncheckedSeat {
    /// Checks the proof: as many marks as the cohort has accounts, one of them one, all others zero.
    ///
    /// # Errors
    /// [`SeatError`]
    pub fn check(&self, size: CohortSize, key: &OperatorsKey) -> Result<HiddenSeat, SeatError> {
        let parameters = ChoiceParams::single(key.shared().clone(), size.0.into());
        let marks = self.choice.verify(&parameters).map_err(|_| SeatError)?;
        Ok(HiddenSeat { cohort: self.cohort, marks: marks.to_vec() })
    }
}

impl std::fmt::Debug for UncheckedSeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UncheckedSeat(cohort {})", self.cohort)
    }
}

impl HiddenSeat {
    /// The cohort's number.
    pub fn cohort(&self) -> u64 {
        self.cohort
    }
}

/// `uint64 cohort; opaque choice<V>`, the choice in CBOR.
impl Wire for UncheckedSeat {
    const MAX_LEN: usize = 12 + 256 * MOST as usize;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let cohort = reader.u64()?;
        let mut octets = reader.vector()?;
        let rule = |rule| DecodeError::Rule { field: "choice", rule };
        let choice =
            ciborium::de::from_reader_with_recursion_limit(&mut octets, 8).map_err(|_| rule("cannot be read"))?;
        if octets.is_empty() { Ok(Self { cohort, choice }) } else { Err(rule("octets are left")) }
    }

    fn write(&self, writer: &mut Writer) {
        let mut octets = Vec::new();
        writer.u64(self.cohort);
        // Into memory, where nothing can fail; an empty one would not be read again.
        let _ = ciborium::into_writer(&self.choice, &mut octets);
        writer.vector(&octets);
    }
}
