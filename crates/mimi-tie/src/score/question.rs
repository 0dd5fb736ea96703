use elastic_elgamal::group::{ElementOps, Ristretto};
use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use ring::digest::{SHA256, digest};

use super::Scores;
use crate::operators::{Ciphertext, OperatorsKey, Share, ShareError, combine, read_ciphertext, write_ciphertext};

/// The highest threshold: what an answer costs grows with it.
const HIGHEST: u16 = 1000;

/// The question whether one account's score has reached a threshold.
#[derive(Debug, Clone)]
pub struct Question {
    score: Ciphertext,
    threshold: u16,
}

/// There is no such question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The cohort has no such place.
    #[error("the cohort has no such place")]
    Place,
    /// Nothing reaches or everything reaches it.
    #[error("a threshold is from 1 to 1,000")]
    Threshold,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The score is below the threshold.
    Below,
    /// The score is the threshold or above it.
    Reached,
}

/// What one operator contributes to reading the blinded differences.
#[derive(Debug, Clone)]
pub struct AnswerShares(pub(super) Vec<Share>);

impl Question {
    /// Whether the account at this place of the cohort has reached a threshold.
    ///
    /// # Errors
    /// [`QuestionError`]
    pub fn new(scores: &Scores, place: usize, threshold: u16) -> Result<Self, QuestionError> {
        if threshold == 0 || threshold > HIGHEST {
            return Err(QuestionError::Threshold);
        }
        let score = *scores.sums.get(place).ok_or(QuestionError::Place)?;
        Ok(Self { score, threshold })
    }

    /// The threshold that is asked about.
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// SHA-256 of its encoding: by this operators see that they are asked the same.
    pub fn id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        for (to, from) in id.iter_mut().zip(digest(&SHA256, &self.encode()).as_ref()) {
            *to = *from;
        }
        id
    }

    /// The differences between the score and each value below the threshold.
    pub(super) fn differences(&self) -> Vec<Ciphertext> {
        let mut next = self.score;
        let one = Ciphertext::from_elements(Ristretto::identity(), Ristretto::generator());
        (0..self.threshold)
            .map(|_| {
                let difference = next;
                next -= one;
                difference
            })
            .collect()
    }
}

/// The answer that lies in blinded differences: below, if one of them is zero.
pub(super) fn answer(
    key: &OperatorsKey,
    blinded: &[Ciphertext],
    shares: &[AnswerShares],
) -> Result<Answer, ShareError> {
    let mut answer = Answer::Reached;
    for (at, ciphertext) in blinded.iter().enumerate() {
        let opening = combine(key, *ciphertext, shares.iter().filter_map(|shares| shares.0.get(at)))?;
        if Ristretto::is_identity(&opening.message) {
            answer = Answer::Below;
        }
    }
    Ok(answer)
}

/// `opaque score[64]; uint16 threshold`
impl Wire for Question {
    const MAX_LEN: usize = 66;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let score = read_ciphertext(reader)?;
        match reader.u16()? {
            threshold @ 1..=HIGHEST => Ok(Self { score, threshold }),
            value => Err(DecodeError::Value { field: "threshold", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        write_ciphertext(&self.score, writer);
        writer.u16(self.threshold);
    }
}

/// `Share shares<V>`
impl Wire for AnswerShares {
    const MAX_LEN: usize = 4 + Share::MAX_LEN * HIGHEST as usize;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.list().map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(&self.0);
    }
}
