use mimi_pseudonym::Entropy;
use subtle::ConstantTimeEq;
use voprf_ng::{BlindedElement, VoprfServer};
use zeroize::Zeroizing;

use super::{IssuerKey, SCALAR, Suite, Token, TokenChallenge, TokenRequest, TokenResponse};
use crate::random::Random;

/// Issues tokens and says whether one is genuine. Holds the private key.
pub struct Issuer {
    server: VoprfServer<Suite>,
    secret: Zeroizing<[u8; SCALAR]>,
    key: IssuerKey,
}

/// Octets are no private key of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer's private key is a scalar of P-384, not zero")]
pub struct IssuerError;

/// A token is not issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is for another key.
    #[error("the request is for another key")]
    Key,
    /// The blinded message is no element of the group, or the identity.
    #[error("the blinded message is no element of P-384")]
    Element,
}

/// A token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// It was issued under another key.
    #[error("the token was issued under another key")]
    Key,
    /// It is for another challenge.
    #[error("the token is for something else")]
    Challenge,
    /// It was not issued.
    #[error("the token was not issued here")]
    Forged,
}

/// A genuine token. It has been spent only when the store has taken [`Redeemed::spent`] as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a token that is not marked as spent can be spent again"]
pub struct Redeemed {
    nonce: [u8; 32],
}

impl Issuer {
    /// A new key, derived from 48 octets of entropy (RFC 9497, section 3.2.1, with the info `PrivacyPass`).
    ///
    /// # Errors
    /// [`IssuerError`] if no key can be derived, which happens for one seed in about 2^384.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, IssuerError> {
        let mut seed = Zeroizing::new([0; SCALAR]);
        entropy.fill(&mut *seed);
        let server = VoprfServer::<Suite>::new_from_seed(&*seed, b"PrivacyPass").map_err(|_| IssuerError)?;
        // The private key, then the public one.
        let octets = Zeroizing::new(server.serialize());
        let secret = octets.as_slice().first_chunk().ok_or(IssuerError)?;
        Self::from_secret(secret)
    }

    /// The issuer with this private key: a scalar of 48 octets, big-endian.
    ///
    /// # Errors
    /// [`IssuerError`] if it is zero or not below the group's order.
    pub fn from_secret(secret: &[u8; SCALAR]) -> Result<Self, IssuerError> {
        let server = VoprfServer::new_with_key(secret).map_err(|_| IssuerError)?;
        let key = IssuerKey::of(server.get_public_key()).map_err(|_| IssuerError)?;
        Ok(Self { server, secret: Zeroizing::new(*secret), key })
    }

    /// The private key, to be saved.
    pub fn secret(&self) -> &[u8; SCALAR] {
        &self.secret
    }

    /// The public key.
    pub fn key(&self) -> &IssuerKey {
        &self.key
    }

    /// Answers a request. Whether the account may have another token is decided before.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(&self, request: &TokenRequest, entropy: &mut dyn Entropy) -> Result<TokenResponse, IssueError> {
        if request.short_id != self.key.short_id() {
            return Err(IssueError::Key);
        }
        let blinded = BlindedElement::<Suite>::deserialize(&request.blinded).map_err(|_| IssueError::Element)?;
        let result = self.server.blind_evaluate(&mut Random(entropy), &blinded).map_err(|_| IssueError::Element)?;
        let (message, proof) = (result.message.serialize(), result.proof.serialize());
        Ok(TokenResponse {
            evaluated: message.as_slice().try_into().map_err(|_| IssueError::Element)?,
            proof: proof.as_slice().try_into().map_err(|_| IssueError::Element)?,
        })
    }

    /// Whether a token is genuine and for this challenge.
    ///
    /// # Errors
    /// [`RedeemError`]
    pub fn redeem(&self, token: &Token, challenge: &TokenChallenge) -> Result<Redeemed, RedeemError> {
        if *token.key_id() != self.key.id() {
            return Err(RedeemError::Key);
        }
        if *token.challenge_digest() != challenge.digest() {
            return Err(RedeemError::Challenge);
        }
        let expected = self.server.evaluate(&token.own_input()).map_err(|_| RedeemError::Forged)?;
        if !bool::from(expected.as_slice().ct_eq(token.authenticator())) {
            return Err(RedeemError::Forged);
        }
        Ok(Redeemed { nonce: *token.nonce() })
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({:?})", self.key)
    }
}

impl Redeemed {
    /// What the store keeps of a spent token, and refuses when it has it: the token's nonce.
    pub fn spent(&self) -> &[u8; 32] {
        &self.nonce
    }
}
