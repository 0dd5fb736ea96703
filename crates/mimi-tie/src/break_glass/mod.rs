//! Break glass: the account is sealed at registration to a key that operators share. Opening it takes so many of them,
//! and each gives its share only for an entry in a log that nobody can take back.
//!
//! - [`SealedAccount`] is what stands beside the pseudonym: TDH2 (Shoup and Gennaro, 1998), put together from the parts
//!   of `elastic-elgamal`, with ChaCha20-Poly1305 for the account's name. Its proof binds it to one pseudonym, so that
//!   nobody gets an account opened as that of another pseudonym.
//! - [`Log`] holds the entries, a Merkle tree as in RFC 6962 by `ct-merkle`. A [`Witness`] is what each operator
//!   remembers of it, and the only way to a [`LoggedEntry`], without which an operator gives no share. With its share it
//!   gives a [`SignedCheckpoint`] of what it has seen: by these a log that was shown differently to two operators is found out.
//! - [`OwnerMark`] is what the owner of a pseudonym keeps, to recognise entries about it.
//! - [`SealedPseudonym`] is the other direction: an account's list of its pseudonyms, each sealed to the same key. Once it is
//!   known which account is to be acted on, operators open its list, for an entry about the account, and nobody else's.

#[cfg(feature = "threshold")]
mod cosigned;
mod entry;
#[cfg(feature = "threshold")]
mod list;
mod log;
#[cfg(feature = "threshold")]
mod opening;
#[cfg(feature = "threshold")]
mod request;
#[cfg(feature = "threshold")]
mod seal;
mod witness;

#[cfg(feature = "threshold")]
pub use cosigned::{LogFault, PublishedLog, SignedCheckpoint};
pub use entry::{Entry, EntryError, OwnerMark, Subject};
#[cfg(feature = "threshold")]
pub use list::{ListRequest, ListShares, SealedPseudonym, open_list};
pub use log::{Checkpoint, Evidence, Log, LogError};
#[cfg(feature = "threshold")]
pub use opening::{GrantError, OpenError, OpeningShare, open};
#[cfg(feature = "threshold")]
pub use request::OpeningRequest;
#[cfg(feature = "threshold")]
pub use seal::{CheckedSeal, SealError, SealedAccount};
pub use witness::{LoggedEntry, Witness, WitnessError};
