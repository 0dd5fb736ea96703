//! Encrypted scores: reports of several pseudonyms of one account add up, and nobody sees whose they are, nor the sum.
//! Operators who share a key answer one question: whether a sum has reached a threshold.
//!
//! Accounts are in cohorts. Beside a pseudonym stands a [`HiddenSeat`]: for each account of one cohort an encrypted mark,
//! one for the account behind the pseudonym and zero for all others, with a proof that it is so (`EncryptedChoice` of
//! `elastic-elgamal`). A report multiplies the marks by its weight and adds them to the encrypted [`Scores`] of the whole
//! cohort. So the database gives away the cohort and nothing else.
//!
//! The question has two rounds, since it has two victims:
//!
//! 1. [`Round`]: the operators blind and shuffle the differences between the score and each value below the threshold.
//!    A zero among them says that the score is below; its place says nothing. Operators who follow the protocol learn
//!    nothing but the answer, if one of them shuffles honestly. One who does not can falsify it.
//! 2. [`Confirmation`]: for a score that is said to have reached the threshold, the same without shuffling and with a
//!    proof of every step, so that nobody is accused falsely. There is no zero among the differences then, so that
//!    the places tell nothing.
//!
//! A falsified first round is found out in the second, which then shows the score to the operators who took part.
//!
//! The same with good marks instead of bad ones is a reputation: an account gets another pseudonym if its score has
//! reached a threshold, and nobody sees by how much.

mod blinding;
mod confirmation;
mod question;
mod round;
mod scores;
mod seat;

pub use confirmation::{Confirmation, ConfirmationError, ConfirmationStep, UncheckedConfirmation};
pub use question::{Answer, AnswerShares, Question, QuestionError};
pub use round::{Round, RoundError};
pub use scores::{Scores, ScoresError, Weight, WeightError};
pub use seat::{CohortSize, CohortSizeError, HiddenSeat, Seat, SeatError, UncheckedSeat};
