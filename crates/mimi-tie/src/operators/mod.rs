//! A key that several operators share: each holds a share of it, and so many of them are needed to use it. Nobody ever
//! holds the whole key, not even while it is made.
//!
//! A key is made by operators who each have a process of their own and send each other letters ([`Party`]): whoever reads or
//! changes these on their way learns nothing and is found out, and whoever does not keep to the protocol is named.
//!
//! ElGamal over Ristretto with Pedersen's distributed key generation, by the crate `elastic-elgamal`, which has not been
//! audited; letters are signed with Ed25519, and secrets in them sealed by HPKE (RFC 9180).

mod ceremony;
mod deal;
mod letters;
mod operator;
mod party;
mod public;

pub use ceremony::{CeremonyError, Commitment, Committing, Contribution, Revealing, SecretForOther, Sharing};
pub use deal::deal;
pub use letters::{Done, Introduction, Revealed, Told};
pub(crate) use operator::combine;
pub use operator::{Operator, OperatorError, Share, ShareError};
pub use party::{Party, PartyError, agreed};
pub(crate) use public::{Ciphertext, Element, element_octets, read_ciphertext, read_element, write_ciphertext};
pub use public::{OperatorIndex, OperatorsKey, OperatorsKeyError, Purpose, Threshold, ThresholdError};
