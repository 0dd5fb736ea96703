//! Blind: pseudonyms for tokens that the provider issued and cannot recognise.
//!
//! Privacy Pass (RFC 9576) with privately verifiable tokens, type 0x0001, VOPRF(P-384, SHA-384) (RFC 9578, section 5).
//! The oblivious pseudorandom function of RFC 9497 is that of the crate `voprf-ng`, a fork of `voprf`; neither crate nor
//! `p384` below it has been audited.
//!
//! An [`Issuer`] issues; the client makes a [`TokenRequest`] and keeps a [`PendingToken`]; what comes of the
//! [`TokenResponse`] is a [`Token`]. [`Issuer::redeem`] says whether a token is genuine; that it is spent only once is for
//! the store, which keeps [`Redeemed::spent`] and refuses what it has.
//!
//! A token that is spent soon after it was issued is tied to its issuing by time. [`waiting_time`] draws how long to wait.

mod challenge;
mod issuer;
mod request;
mod token;
mod waiting;

pub use challenge::{ChallengeError, TokenChallenge};
pub use issuer::{IssueError, Issuer, IssuerError, RedeemError, Redeemed};
pub use request::{FinishError, IssuerKey, IssuerKeyError, PendingToken, TokenRequest, TokenResponse};
pub use token::Token;
pub use waiting::waiting_time;

use p384_oprf::NistP384;

/// The suite of token type 0x0001.
type Suite = NistP384;

/// The token type.
const TYPE: u16 = 0x0001;
/// Octets of a compressed element of P-384.
const ELEMENT: usize = 49;
/// Octets of a scalar of P-384.
const SCALAR: usize = 48;
/// Octets of an authenticator.
const AUTHENTICATOR: usize = 48;

/// Octets before the authenticator: what is authenticated (RFC 9578, section 5.1).
const INPUT: usize = 2 + 32 + 32 + 32;

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, octets).as_ref()) {
        *to = *from;
    }
    hash
}
