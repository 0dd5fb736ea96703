use std::path::Path;

use mimi_pseudonym::Wire;
use mimi_tie::{
    Tie,
    operators::OperatorsKey,
    score::{Answer, AnswerShares, Question, Round, Scores, Seat},
};

use super::{
    OperateError, Operator,
    openings::{read, read_operator, tie, write},
};
use crate::{OsEntropy, StartError, ties::Ties};

/// As an operator, on a machine of its own: blinds and shuffles a question, for the next operator.
///
/// # Errors
/// [`OperateError::Tie`] if this operator has done so already, [`OperateError::File`].
pub fn blind_question(operator: &Path, round: &Path, blinded: &Path) -> Result<(), OperateError> {
    let round = Round::decode(&read(round)?).map_err(tie)?;
    let next = read_operator(operator)?.blind(&round, &mut OsEntropy).map_err(tie)?;
    write(blinded, &next.encode())
}

/// As an operator, on a machine of its own: gives its shares in reading a question that as many as are needed have blinded, this
/// one among them.
///
/// # Errors
/// [`OperateError::Tie`] if it was not blinded so, [`OperateError::File`].
pub fn read_question(operator: &Path, round: &Path, shares: &Path) -> Result<(), OperateError> {
    let round = Round::decode(&read(round)?).map_err(tie)?;
    let given = read_operator(operator)?.read_round(&round, &mut OsEntropy).map_err(tie)?;
    write(shares, &given.encode())
}

impl Operator {
    /// Writes the question whether the score of an account has reached a threshold, for the first operator to blind.
    ///
    /// # Errors
    /// [`OperateError::Tie`] if no scores are kept, or none of this account, or the threshold is not from 1 to 1,000;
    /// [`OperateError::Unknown`], [`OperateError::File`], [`OperateError::Start`].
    pub fn ask_score(&self, name: &str, threshold: u16, question: &Path) -> Result<(), OperateError> {
        let account = self.account(name)?;
        let Tie::Score(_, size) = self.ties()?.tie else {
            return Err(tie("no scores are kept with this way of tying"));
        };
        let seat = self.store.seat_of(account)?.ok_or_else(|| tie("the account has no pseudonyms"))?;
        let seat = Seat::of(seat, size);
        let scores = self.store.scores(seat.cohort())?.ok_or_else(|| tie("nothing was reported"))?;
        let scores = Scores::decode(&scores).map_err(tie)?;
        let asked = Question::new(&scores, seat.place(), threshold).map_err(tie)?;
        write(question, &Round::new(&asked).encode())
    }

    /// The answer to a question that was blinded by as many operators as are needed, with the shares of as many: whether the
    /// threshold is reached.
    ///
    /// # Errors
    /// [`OperateError::Tie`] names the operator whose share is wrong; [`OperateError::File`].
    pub fn score_reached(&self, round: &Path, shares: &[&Path]) -> Result<bool, OperateError> {
        let key: OperatorsKey = match self.ties()?.tie {
            Tie::Score(key, _) => key,
            _ => return Err(tie("no scores are kept with this way of tying")),
        };
        let round = Round::decode(&read(round)?).map_err(tie)?;
        let mut given = Vec::new();
        for share in shares {
            given.push(AnswerShares::decode(&read(share)?).map_err(tie)?);
        }
        Ok(round.answer(&key, &given).map_err(tie)? == Answer::Reached)
    }

    fn ties(&self) -> Result<Ties, OperateError> {
        Ok(Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?)
    }
}
