use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};

use super::{CohortSize, HiddenSeat};
use crate::{
    operators::{Ciphertext, OperatorsKey, read_ciphertext, write_ciphertext},
    random::Random,
};

/// The most a single report weighs.
const HEAVIEST: u16 = 100;

/// How much a report counts: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

/// A report cannot weigh this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// Nothing, or less than nothing: it would take away from what others reported.
    #[error("a report weighs at least 1")]
    TooLight,
    /// Over 100.
    #[error("a report weighs at most 100")]
    TooHeavy,
}

/// The encrypted scores of all accounts of a cohort.
#[derive(Debug, Clone)]
pub struct Scores {
    cohort: u64,
    pub(super) sums: Vec<Ciphertext>,
}

/// Marks do not belong to these scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seat is in another cohort")]
pub struct ScoresError;

impl Weight {
    /// A weight.
    ///
    /// # Errors
    /// [`WeightError`]
    pub fn new(weight: i64) -> Result<Self, WeightError> {
        if weight < 1 {
            return Err(WeightError::TooLight);
        }
        u16::try_from(weight).ok().filter(|weight| *weight <= HEAVIEST).map(Self).ok_or(WeightError::TooHeavy)
    }
}

impl Scores {
    /// A cohort of which nothing has been reported: zeros, each encrypted on its own.
    pub fn new(cohort: u64, size: CohortSize, key: &OperatorsKey, entropy: &mut dyn Entropy) -> Self {
        let zero = |_| key.shared().encrypt_zero(&mut Random(&mut *entropy)).0;
        Self { cohort, sums: (0..size.accounts()).map(zero).collect() }
    }

    /// The cohort's number.
    pub fn cohort(&self) -> u64 {
        self.cohort
    }

    /// Adds a report's weight to the score of the account behind a pseudonym, whichever it is.
    ///
    /// # Errors
    /// [`ScoresError`] if the seat is in another cohort, or one of another size; nothing is added then.
    pub fn add(&mut self, seat: &HiddenSeat, weight: Weight) -> Result<(), ScoresError> {
        if seat.cohort() != self.cohort || seat.marks.len() != self.sums.len() {
            return Err(ScoresError);
        }
        for (sum, mark) in self.sums.iter_mut().zip(&seat.marks) {
            *sum += *mark * u64::from(weight.0);
        }
        Ok(())
    }
}

/// `uint64 cohort; uint16 accounts; opaque score[64]` for each of them.
impl Wire for Scores {
    const MAX_LEN: usize = 10 + 64 * 256;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let cohort = reader.u64()?;
        let accounts = reader.u16()?;
        let size =
            CohortSize::new(accounts).map_err(|_| DecodeError::Value { field: "accounts", value: accounts.into() })?;
        let sums = (0..size.accounts()).map(|_| read_ciphertext(reader)).collect::<Result<_, _>>()?;
        Ok(Self { cohort, sums })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.cohort);
        writer.u16(u16::try_from(self.sums.len()).unwrap_or(u16::MAX));
        for sum in &self.sums {
            write_ciphertext(sum, writer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_from_1_to_100() {
        assert!(Weight::new(1).is_ok() && Weight::new(100).is_ok());
        assert_eq!(Weight::new(0), Err(WeightError::TooLight));
        assert_eq!(Weight::new(-5), Err(WeightError::TooLight));
        assert_eq!(Weight::new(i64::MIN), Err(WeightError::TooLight));
        assert_eq!(Weight::new(101), Err(WeightError::TooHeavy));
        assert_eq!(Weight::new(1_000_000), Err(WeightError::TooHeavy));
        assert_eq!(Weight::new(i64::MAX), Err(WeightError::TooHeavy));
    }
}
