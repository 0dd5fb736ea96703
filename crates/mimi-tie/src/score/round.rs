use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};

use super::{
    Answer, AnswerShares, Question,
    blinding::{factor, read_list, scaled, shuffle, write_list},
    question::answer,
};
use crate::{
    operators::{Ciphertext, Operator, OperatorIndex, OperatorsKey, Purpose, ShareError},
    random::Random,
};

/// The first round of a question: differences that some operators have blinded and shuffled, one after the other.
#[derive(Debug, Clone)]
pub struct Round {
    blinded: Vec<Ciphertext>,
    by: Vec<OperatorIndex>,
}

/// An operator does not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// It has blinded already, or not as many have as are needed.
    #[error("as many operators as are needed blind once each, before any gives its shares")]
    Order,
    /// The operator's key is for another purpose.
    #[error("the key is not for scores")]
    Purpose,
    /// A difference is no ciphertext that a share can be given for.
    #[error("a difference is none")]
    Difference,
}

impl Round {
    /// Begins a question: nothing is blinded yet.
    pub fn new(question: &Question) -> Self {
        Self { blinded: question.differences(), by: Vec::new() }
    }

    /// The answer, with the shares of as many operators as are needed.
    ///
    /// # Errors
    /// [`ShareError`]; it names the operator whose share is wrong.
    pub fn answer(&self, key: &OperatorsKey, shares: &[AnswerShares]) -> Result<Answer, ShareError> {
        answer(key, &self.blinded, shares)
    }
}

impl Operator {
    /// Blinds, encrypts anew and shuffles the differences of a question.
    ///
    /// # Errors
    /// [`RoundError::Order`] if this operator has done so, [`RoundError::Purpose`]
    pub fn blind(&self, round: &Round, entropy: &mut dyn Entropy) -> Result<Round, RoundError> {
        if self.key().purpose() != Purpose::Scores {
            return Err(RoundError::Purpose);
        }
        if round.by.contains(&self.index()) {
            return Err(RoundError::Order);
        }
        let mut blinded = Vec::with_capacity(round.blinded.len());
        for difference in &round.blinded {
            let factor = factor(entropy);
            let (zero, _) = self.key().shared().encrypt_zero(&mut Random(entropy));
            blinded.push(scaled(difference, &factor) + zero);
        }
        shuffle(&mut blinded, entropy);
        let by = round.by.iter().copied().chain([self.index()]).collect();
        Ok(Round { blinded, by })
    }

    /// This operator's shares in reading what as many operators as are needed have blinded, itself among them.
    ///
    /// # Errors
    /// [`RoundError`]
    pub fn read_round(&self, round: &Round, entropy: &mut dyn Entropy) -> Result<AnswerShares, RoundError> {
        if self.key().purpose() != Purpose::Scores {
            return Err(RoundError::Purpose);
        }
        let enough = round.by.len() >= usize::from(self.key().threshold().needed());
        if !enough || !round.by.contains(&self.index()) {
            return Err(RoundError::Order);
        }
        let share =
            |difference: &Ciphertext| self.share(*difference, &mut *entropy).map_err(|_| RoundError::Difference);
        round.blinded.iter().map(share).collect::<Result<_, _>>().map(AnswerShares)
    }
}

impl Wire for Round {
    const MAX_LEN: usize = 2 + 64 * 1000 + 4 + 32;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { blinded: read_list(reader)?, by: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        write_list(&self.blinded, writer);
        writer.list(&self.by);
    }
}
