//! A key that several operators share: each holds a share of it, and so many of them are needed to use it. Nobody ever
//! holds the whole key, not even while it is made.
//!
//! ElGamal over Ristretto with Pedersen's distributed key generation, by the crate `elastic-elgamal`, which has not been
//! audited.

mod ceremony;
mod deal;
mod operator;
mod public;

pub use ceremony::{CeremonyError, Commitment, Committing, Contribution, Revealing, SecretForOther, Sharing};
pub use deal::deal;
pub(crate) use operator::combine;
pub use operator::{Operator, OperatorError, Share, ShareError};
pub(crate) use public::{Ciphertext, Element, element_octets, read_ciphertext, read_element, write_ciphertext};
pub use public::{OperatorIndex, OperatorsKey, OperatorsKeyError, Purpose, Threshold, ThresholdError};
