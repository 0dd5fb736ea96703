use elastic_elgamal::{
    LogEqualityProof, PublicKey,
    group::{ElementOps, Ristretto},
};
use merlin::Transcript;
use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};

use super::{
    Answer, AnswerShares, Question,
    blinding::{factor, read_list, scaled, write_list},
    question::answer,
};
use crate::{
    operators::{
        Ciphertext, Element, Operator, OperatorIndex, OperatorsKey, Purpose, ShareError, element_octets, read_element,
    },
    random::Random,
};

/// The second round of a question: the differences in their order, blinded by some operators one after the other, each of
/// whom proves that it has done nothing else.
#[derive(Debug, Clone)]
pub struct Confirmation {
    question: Question,
    steps: Vec<ConfirmationStep>,
}

/// A second round as it goes from one operator to the next. Not checked yet: an operator checks every step that others have
/// made before it makes its own or gives its shares, and so does whoever reads the answer.
#[derive(Debug, Clone)]
pub struct UncheckedConfirmation(Confirmation);

/// What one operator has blinded, with the proofs.
#[derive(Debug, Clone)]
pub struct ConfirmationStep {
    by: OperatorIndex,
    blinded: Vec<Ciphertext>,
    proofs: Vec<StepProof>,
}

/// That both halves of a difference were multiplied by the logarithm of one element.
#[derive(Debug, Clone)]
struct StepProof {
    factor: Element,
    halves: [[u8; 64]; 2],
}

/// Why a step is not believed, or an operator gives no shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmationError {
    /// The operator of the step has made one already, or is none.
    #[error("{0} has made its step already, or is no operator")]
    Twice(OperatorIndex),
    /// The proofs of a step do not hold.
    #[error("the step of {0} is not proved")]
    Proof(OperatorIndex),
    /// The operator's key is for another purpose.
    #[error("the key is not for scores")]
    Purpose,
    /// Not as many operators as are needed have blinded, this one among them.
    #[error("as many operators as are needed blind before any gives its shares")]
    Order,
}

impl Confirmation {
    /// Begins the second round of a question.
    pub fn new(question: Question) -> Self {
        Self { question, steps: Vec::new() }
    }

    /// What is asked.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Adds a step, if it is proved.
    ///
    /// # Errors
    /// [`ConfirmationError::Twice`], [`ConfirmationError::Proof`]
    pub fn add(&mut self, step: ConfirmationStep, key: &OperatorsKey) -> Result<(), ConfirmationError> {
        let known = key.threshold().index(step.by.number()).is_some();
        if !known || self.steps.iter().any(|before| before.by == step.by) {
            return Err(ConfirmationError::Twice(step.by));
        }
        let before = self.blinded();
        let lengths = [step.blinded.len(), step.proofs.len()];
        let proved =
            |((from, to), proof): ((&Ciphertext, &Ciphertext), &StepProof)| proof.holds(step.by, key, from, to);
        let all = before.iter().zip(&step.blinded).zip(&step.proofs).all(|step| proved(step).is_some());
        if lengths != [before.len(); 2] || !all {
            return Err(ConfirmationError::Proof(step.by));
        }
        self.steps.push(step);
        Ok(())
    }

    /// The answer, with the shares of as many operators as are needed. Every step and every share is proved, so the
    /// answer is right whoever took part.
    ///
    /// # Errors
    /// [`ShareError`]; it names the operator whose share is wrong.
    pub fn answer(&self, key: &OperatorsKey, shares: &[AnswerShares]) -> Result<Answer, ShareError> {
        answer(key, &self.blinded(), shares)
    }

    fn blinded(&self) -> Vec<Ciphertext> {
        self.steps.last().map_or_else(|| self.question.differences(), |step| step.blinded.clone())
    }
}

impl Operator {
    /// Blinds the differences in their order, with proofs.
    ///
    /// # Errors
    /// [`ConfirmationError::Proof`] if a difference cannot be blinded with a proof, being zero without encryption.
    pub fn step(
        &self,
        confirmation: &Confirmation,
        entropy: &mut dyn Entropy,
    ) -> Result<ConfirmationStep, ConfirmationError> {
        let mut step = ConfirmationStep { by: self.index(), blinded: Vec::new(), proofs: Vec::new() };
        for from in &confirmation.blinded() {
            let factor = factor(entropy);
            let to = scaled(from, &factor);
            let mut prove = |half: &'static [u8], base: &Element, power: &Element| {
                let base = PublicKey::from_bytes(&element_octets(base)).ok()?;
                let powers = (factor.public().as_element(), *power);
                let mut transcript = transcript(self.index(), self.key(), half);
                let proof =
                    LogEqualityProof::new(&base, factor.secret(), powers, &mut transcript, &mut Random(&mut *entropy));
                proof.to_bytes().try_into().ok()
            };
            let random = prove(b"random", from.random_element(), to.random_element());
            let blinded = prove(b"blinded", from.blinded_element(), to.blinded_element());
            let halves = random.zip(blinded).ok_or(ConfirmationError::Proof(self.index()))?;
            step.proofs.push(StepProof { factor: factor.public().as_element(), halves: [halves.0, halves.1] });
            step.blinded.push(to);
        }
        Ok(step)
    }

    /// This operator's shares in reading what as many operators as are needed have blinded, itself among them. All steps
    /// were proved when they were added, from the question on.
    ///
    /// # Errors
    /// [`ConfirmationError::Order`], [`ConfirmationError::Purpose`]
    pub fn read_confirmation(
        &self,
        confirmation: &Confirmation,
        entropy: &mut dyn Entropy,
    ) -> Result<AnswerShares, ConfirmationError> {
        if self.key().purpose() != Purpose::Scores {
            return Err(ConfirmationError::Purpose);
        }
        let enough = confirmation.steps.len() >= usize::from(self.key().threshold().needed());
        if !enough || !confirmation.steps.iter().any(|step| step.by == self.index()) {
            return Err(ConfirmationError::Order);
        }
        let share =
            |difference: &Ciphertext| self.share(*difference, &mut *entropy).map_err(|_| ConfirmationError::Order);
        confirmation.blinded().iter().map(share).collect::<Result<_, _>>().map(AnswerShares)
    }
}

impl StepProof {
    fn holds(&self, by: OperatorIndex, key: &OperatorsKey, from: &Ciphertext, to: &Ciphertext) -> Option<()> {
        if Ristretto::is_identity(&self.factor) {
            return None;
        }
        let [random, blinded] = &self.halves;
        let check = |half: &'static [u8], proof: &[u8; 64], base: &Element, power: &Element| {
            let base = PublicKey::from_bytes(&element_octets(base)).ok()?;
            let proof = LogEqualityProof::<Ristretto>::from_bytes(proof)?;
            proof.verify(&base, (self.factor, *power), &mut transcript(by, key, half)).ok()
        };
        check(b"random", random, from.random_element(), to.random_element())?;
        check(b"blinded", blinded, from.blinded_element(), to.blinded_element())
    }
}

fn transcript(by: OperatorIndex, key: &OperatorsKey, half: &'static [u8]) -> Transcript {
    let mut transcript = Transcript::new(b"mimi-tie confirmation 1");
    transcript.append_message(b"key", key.id());
    transcript.append_message(b"by", &[by.number()]);
    transcript.append_message(b"half", half);
    transcript
}

impl UncheckedConfirmation {
    /// Checks every step, from the question on.
    ///
    /// # Errors
    /// [`ConfirmationError::Twice`], [`ConfirmationError::Proof`]; they name the operator whose step is not believed.
    pub fn check(self, key: &OperatorsKey) -> Result<Confirmation, ConfirmationError> {
        let mut checked = Confirmation::new(self.0.question);
        self.0.steps.into_iter().try_for_each(|step| checked.add(step, key))?;
        Ok(checked)
    }
}

impl From<Confirmation> for UncheckedConfirmation {
    fn from(checked: Confirmation) -> Self {
        Self(checked)
    }
}

/// `Question question; ConfirmationStep steps<V>`
impl Wire for UncheckedConfirmation {
    const MAX_LEN: usize = Question::MAX_LEN + 4 + ConfirmationStep::MAX_LEN * 32;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Confirmation { question: Question::read(reader)?, steps: reader.list()? }))
    }

    fn write(&self, writer: &mut Writer) {
        self.0.question.write(writer);
        writer.list(&self.0.steps);
    }
}

impl Wire for StepProof {
    const MAX_LEN: usize = 32 + 128;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { factor: read_element(reader)?, halves: [reader.array()?, reader.array()?] })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&element_octets(&self.factor));
        for half in &self.halves {
            writer.raw(half);
        }
    }
}

impl Wire for ConfirmationStep {
    const MAX_LEN: usize = 1 + 2 + (64 + StepProof::MAX_LEN) * 1000 + 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { by: OperatorIndex::read(reader)?, blinded: read_list(reader)?, proofs: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.by.write(writer);
        write_list(&self.blinded, writer);
        writer.list(&self.proofs);
    }
}
