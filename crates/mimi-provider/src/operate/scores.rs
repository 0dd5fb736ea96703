use std::path::Path;

use mimi_pseudonym::{Timestamp, UserUri, Wire};
use mimi_tie::{
    Tie,
    operators::{Operator as KeyHolder, OperatorsKey},
    score::{Answer, AnswerShares, CohortSize, Confirmation, Question, Round, Scores, Seat, UncheckedConfirmation},
};

use super::{
    OperateError, Operator,
    openings::{read, read_operator, tie, write},
};
use crate::{
    OsEntropy, StartError, hex,
    store::{About, Answered, Asking},
    ties::Ties,
};

/// What operators were asked about the score of an account, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuestionNote {
    /// The question's number.
    pub number: u64,
    /// The account.
    pub user: UserUri,
    /// Whether it is about the account's reputation; otherwise about complaints.
    pub reputation: bool,
    /// The threshold.
    pub threshold: u16,
    /// When it was asked.
    pub at: Timestamp,
    /// Whether the threshold is reached, if there is an answer.
    pub reached: Option<bool>,
    /// Whether every step to the answer was proved.
    pub confirmed: bool,
}

/// What an operator is asked in a second round, for it to compare with what the other operators are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The threshold.
    pub threshold: u16,
    /// SHA-256 of the question, in hexadecimal digits.
    pub id: String,
}

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

/// As an operator, on a machine of its own, in the second round: checks what others have done from the question on, blinds with
/// proofs, and writes the round for the next operator.
///
/// # Errors
/// [`OperateError::Tie`] names the operator whose step is not proved, [`OperateError::File`].
pub fn prove_question(operator: &Path, round: &Path, next: &Path) -> Result<Asked, OperateError> {
    let (operator, mut round) = second_round(operator, round)?;
    let step = operator.step(&round, &mut OsEntropy).map_err(tie)?;
    round.add(step, operator.key()).map_err(tie)?;
    let asked = asked(&round);
    write(next, &UncheckedConfirmation::from(round).encode())?;
    Ok(asked)
}

/// As an operator, on a machine of its own, in the second round: checks every step, and gives its shares in reading what the last
/// operator has blinded.
///
/// # Errors
/// [`OperateError::Tie`] names the operator whose step is not proved, [`OperateError::File`].
pub fn read_proved_question(operator: &Path, round: &Path, shares: &Path) -> Result<Asked, OperateError> {
    let (operator, round) = second_round(operator, round)?;
    let given = operator.read_confirmation(&round, &mut OsEntropy).map_err(tie)?;
    write(shares, &given.encode())?;
    Ok(asked(&round))
}

fn second_round(operator: &Path, round: &Path) -> Result<(KeyHolder, Confirmation), OperateError> {
    let operator = read_operator(operator)?;
    let round = UncheckedConfirmation::decode(&read(round)?).map_err(tie)?.check(operator.key()).map_err(tie)?;
    Ok((operator, round))
}

fn asked(round: &Confirmation) -> Asked {
    Asked { threshold: round.question().threshold(), id: hex(&round.question().id()) }
}

fn shares(files: &[&Path]) -> Result<Vec<AnswerShares>, OperateError> {
    files.iter().map(|file| AnswerShares::decode(&read(file)?).map_err(tie)).collect()
}

impl Operator {
    /// Writes the question whether the score of an account has reached a threshold, for the first operator to blind. The question
    /// is kept under a number, which is returned.
    ///
    /// # Errors
    /// [`OperateError::Tie`] if no scores are kept, or none of this account, or the threshold is not from 1 to 1,000;
    /// [`OperateError::Unknown`], [`OperateError::File`], [`OperateError::Start`].
    pub fn ask_score(&self, name: &str, threshold: u16, question: &Path, now: Timestamp) -> Result<u64, OperateError> {
        self.ask(name, About::Complaints, threshold, question, now)
    }

    /// As [`Self::ask_score`], whether an account has the reputation that lets it have more pseudonyms than the quota.
    ///
    /// # Errors
    /// As [`Self::ask_score`], and [`OperateError::Tie`] if no reputations are kept.
    pub fn ask_reputation(&self, name: &str, question: &Path, now: Timestamp) -> Result<u64, OperateError> {
        let threshold = self.config.ties.reputation().ok_or_else(|| tie("no reputations are kept"))?;
        self.ask(name, About::Reputation, threshold, question, now)
    }

    fn ask(
        &self,
        name: &str,
        about: About,
        threshold: u16,
        question: &Path,
        now: Timestamp,
    ) -> Result<u64, OperateError> {
        let account = self.account(name)?;
        let (_, size) = self.scoring()?;
        let seat = self.store.seat_of(account)?.ok_or_else(|| tie("the account has no pseudonyms"))?;
        let seat = Seat::of(seat, size);
        let scores = match about {
            About::Complaints => self.store.scores(seat.cohort())?.ok_or_else(|| tie("nothing was reported"))?,
            About::Reputation => self.store.reputations(seat.cohort())?.ok_or_else(|| tie("nothing was counted"))?,
        };
        let scores = Scores::decode(&scores).map_err(tie)?;
        let asked = Question::new(&scores, seat.place(), threshold).map_err(tie)?;
        let number = self.store.keep_question(account, about, &asked.encode(), now)?;
        write(question, &Round::new(&asked).encode())?;
        Ok(number)
    }

    /// The accounts that have asked for more pseudonyms than their quota, and wait until their reputation was asked about.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn waiting_for_more(&self) -> Result<Vec<UserUri>, OperateError> {
        Ok(self.store.who_wants_more()?)
    }

    /// All questions about scores that operators were asked.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read, [`OperateError::Tie`] if it is damaged.
    pub fn questions(&self) -> Result<Vec<QuestionNote>, OperateError> {
        self.store.questions()?.iter().map(note).collect()
    }

    /// The answer to a question that was blinded by as many operators as are needed, with the shares of as many: whether the
    /// threshold is reached.
    ///
    /// # Errors
    /// [`OperateError::Tie`] names the operator whose share is wrong; [`OperateError::File`].
    pub fn score_reached(&self, round: &Path, files: &[&Path]) -> Result<bool, OperateError> {
        let (key, _) = self.scoring()?;
        let round = Round::decode(&read(round)?).map_err(tie)?;
        Ok(round.answer(&key, &shares(files)?).map_err(tie)? == Answer::Reached)
    }

    /// As [`Self::score_reached`], and keeps the answer with the question of a number. An account whose reputation has reached the
    /// threshold gets more pseudonyms from then on.
    ///
    /// # Errors
    /// As [`Self::score_reached`], and [`OperateError::Tie`] if there is no such question.
    pub fn answer_question(&self, number: u64, round: &Path, files: &[&Path]) -> Result<bool, OperateError> {
        self.asking(number)?;
        let reached = self.score_reached(round, files)?;
        self.store.answer_question(number, Answered { reached, confirmed: false }, self.config.ties.more)?;
        Ok(reached)
    }

    /// Begins the second round of a question: writes it for the first operator.
    ///
    /// # Errors
    /// [`OperateError::Tie`] if there is no such question, [`OperateError::File`], [`OperateError::Start`].
    pub fn confirm_question(&self, number: u64, round: &Path) -> Result<(), OperateError> {
        let question = Question::decode(&self.asking(number)?.question).map_err(tie)?;
        write(round, &UncheckedConfirmation::from(Confirmation::new(question)).encode())
    }

    /// The answer of a second round, with the shares of as many operators as are needed: every step is checked, from the question
    /// that was kept under this number on. The answer is kept, and replaces that of the first round.
    ///
    /// # Errors
    /// [`OperateError::Tie`] names the operator whose step or share is wrong, or says that the round is of another question;
    /// [`OperateError::File`], [`OperateError::Start`].
    pub fn question_confirmed(&self, number: u64, round: &Path, files: &[&Path]) -> Result<bool, OperateError> {
        let (key, _) = self.scoring()?;
        let kept = Question::decode(&self.asking(number)?.question).map_err(tie)?;
        let round = UncheckedConfirmation::decode(&read(round)?).map_err(tie)?.check(&key).map_err(tie)?;
        if round.question().id() != kept.id() {
            return Err(tie("the round is of another question"));
        }
        let reached = round.answer(&key, &shares(files)?).map_err(tie)? == Answer::Reached;
        self.store.answer_question(number, Answered { reached, confirmed: true }, self.config.ties.more)?;
        Ok(reached)
    }

    fn asking(&self, number: u64) -> Result<Asking, OperateError> {
        self.store.question(number)?.ok_or_else(|| tie("no question of this number"))
    }

    fn scoring(&self) -> Result<(OperatorsKey, CohortSize), OperateError> {
        match Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?.tie {
            Tie::Score(key, size) => Ok((key, size)),
            _ => Err(tie("no scores are kept with this way of tying")),
        }
    }
}

fn note(asking: &Asking) -> Result<QuestionNote, OperateError> {
    Ok(QuestionNote {
        number: asking.number,
        user: asking.user.clone(),
        reputation: asking.about == About::Reputation,
        threshold: Question::decode(&asking.question).map_err(tie)?.threshold(),
        at: asking.asked_at,
        reached: asking.answer.map(|answer| answer.reached),
        confirmed: asking.answer.is_some_and(|answer| answer.confirmed),
    })
}
