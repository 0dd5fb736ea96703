use elastic_elgamal::{
    SecretKey,
    dkg::{
        ParticipantCollectingCommitments, ParticipantCollectingPolynomials, ParticipantExchangingSecrets, PublicInfo,
    },
    group::Ristretto,
};
use mimi_pseudonym::Entropy;
use zeroize::Zeroizing;

use super::{Operator, OperatorIndex, Purpose, Threshold};
use crate::random::Random;

/// The most octets of a contribution: 32 elements, a proof of possession over as many, an opening.
const CONTRIBUTION: usize = 8192;

/// Why a shared key could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// Somebody has not been heard, or was heard twice, or is no operator.
    #[error("every other operator must be heard exactly once")]
    NotEverybody,
    /// A contribution cannot be read.
    #[error("the contribution of {0} cannot be read")]
    Unreadable(OperatorIndex),
    /// A contribution is not the one that was committed to, or its proof does not hold.
    #[error("the contribution of {0} is not what it committed to, or its proof does not hold")]
    Contribution(OperatorIndex),
    /// A secret does not fit the contribution of whom it is from.
    #[error("the secret from {0} does not fit its contribution")]
    Secret(OperatorIndex),
    /// All contributions together make no key.
    #[error("the contributions make no key")]
    NoKey,
}

/// What everybody publishes first: a hash that fixes the contribution before those of others are known.
pub type Commitment = [u8; 32];

/// First step: commitments are collected.
pub struct Committing {
    state: ParticipantCollectingCommitments<Ristretto>,
    threshold: Threshold,
    purpose: Purpose,
    index: OperatorIndex,
}

/// Second step: contributions are collected.
pub struct Revealing {
    state: ParticipantCollectingPolynomials<Ristretto>,
    threshold: Threshold,
    purpose: Purpose,
    index: OperatorIndex,
}

/// Third step: every operator tells each other one a secret.
pub struct Sharing {
    state: ParticipantExchangingSecrets<Ristretto>,
    threshold: Threshold,
    purpose: Purpose,
    index: OperatorIndex,
}

/// What everybody publishes second: a public polynomial with the proof that its secret is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution(Vec<u8>);

/// What one operator tells one other, over a channel that keeps it secret.
pub struct SecretForOther(Zeroizing<[u8; 32]>);

/// Checks that exactly the others are there.
fn only_others<T>(
    threshold: Threshold,
    index: OperatorIndex,
    heard: &[(OperatorIndex, T)],
) -> Result<(), CeremonyError> {
    let once =
        |other: OperatorIndex| heard.iter().filter(|(from, _)| *from == other).count() == usize::from(other != index);
    let everybody = threshold.indices().all(once) && heard.len() + 1 == usize::from(threshold.operators());
    everybody.then_some(()).ok_or(CeremonyError::NotEverybody)
}

impl Committing {
    /// Begins as one of the operators. All of them begin for the same purpose.
    ///
    /// # Errors
    /// [`CeremonyError::NotEverybody`] if there is no operator of this index.
    pub fn new(
        threshold: Threshold,
        purpose: Purpose,
        index: OperatorIndex,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, CeremonyError> {
        threshold.index(index.number()).ok_or(CeremonyError::NotEverybody)?;
        let state = ParticipantCollectingCommitments::new(threshold.parameters(), index.at(), &mut Random(entropy));
        Ok(Self { state, threshold, purpose, index })
    }

    /// What this operator publishes.
    pub fn commitment(&self) -> Commitment {
        self.state.commitment()
    }

    /// To be saved between two steps: as secret as the operator's share. `None` if it cannot be encoded, which does not happen.
    pub(super) fn saved(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut octets = Zeroizing::new(Vec::new());
        ciborium::into_writer(&self.state, &mut *octets).ok()?;
        Some(octets)
    }

    /// As it was saved before anything was heard; `None` if it is something else.
    pub(super) fn restored(threshold: Threshold, purpose: Purpose, index: OperatorIndex, saved: &[u8]) -> Option<Self> {
        let state: ParticipantCollectingCommitments<Ristretto> =
            ciborium::de::from_reader_with_recursion_limit(saved, 16).ok()?;
        let (params, expected) = (state.params(), threshold.parameters());
        let fits = (params.shares, params.threshold) == (expected.shares, expected.threshold)
            && state.index() == index.at()
            && state.missing_commitments().eq((0..expected.shares).filter(|other| *other != index.at()));
        fits.then_some(Self { state, threshold, purpose, index })
    }

    /// Takes the commitments of all others.
    ///
    /// # Errors
    /// [`CeremonyError::NotEverybody`]
    pub fn hear(mut self, others: &[(OperatorIndex, Commitment)]) -> Result<Revealing, CeremonyError> {
        only_others(self.threshold, self.index, others)?;
        for (from, commitment) in others {
            self.state.insert_commitment(from.at(), *commitment);
        }
        Ok(Revealing {
            state: self.state.finish_commitment_phase(),
            threshold: self.threshold,
            purpose: self.purpose,
            index: self.index,
        })
    }
}

impl Revealing {
    /// What this operator publishes.
    ///
    /// # Errors
    /// [`CeremonyError::Unreadable`] if it cannot be encoded, which does not happen.
    pub fn contribution(&self) -> Result<Contribution, CeremonyError> {
        let mut octets = Vec::new();
        ciborium::into_writer(&self.state.public_info(), &mut octets)
            .map_err(|_| CeremonyError::Unreadable(self.index))?;
        Ok(Contribution(octets))
    }

    /// Takes the contributions of all others.
    ///
    /// # Errors
    /// All of [`CeremonyError`] but [`CeremonyError::Secret`]; those that name an operator name the one at fault.
    pub fn hear(mut self, others: &[(OperatorIndex, Contribution)]) -> Result<Sharing, CeremonyError> {
        only_others(self.threshold, self.index, others)?;
        for (from, contribution) in others {
            let unreadable = CeremonyError::Unreadable(*from);
            let mut rest = contribution.0.as_slice();
            let info: PublicInfo<'static, Ristretto> =
                ciborium::de::from_reader_with_recursion_limit(&mut rest, 8).map_err(|_| unreadable)?;
            if !rest.is_empty() || info.polynomial.len() != usize::from(self.threshold.needed()) {
                return Err(unreadable);
            }
            let added = self.state.insert_public_polynomial(from.at(), info);
            added.map_err(|_| CeremonyError::Contribution(*from))?;
        }
        Ok(Sharing {
            state: self.state.finish_polynomials_phase(),
            threshold: self.threshold,
            purpose: self.purpose,
            index: self.index,
        })
    }
}

impl Sharing {
    /// What this operator tells another.
    ///
    /// # Errors
    /// [`CeremonyError::NotEverybody`] if there is no such other operator.
    pub fn secret_for(&self, other: OperatorIndex) -> Result<SecretForOther, CeremonyError> {
        let other = self.threshold.index(other.number()).filter(|other| *other != self.index);
        let other = other.ok_or(CeremonyError::NotEverybody)?;
        let secret = self.state.secret_share_for_participant(other.at());
        Ok(SecretForOther(Zeroizing::new(secret.expose_scalar().to_bytes())))
    }

    /// Takes the secrets of all others.
    ///
    /// # Errors
    /// [`CeremonyError::NotEverybody`], [`CeremonyError::Secret`], [`CeremonyError::NoKey`]
    pub fn hear(mut self, others: &[(OperatorIndex, SecretForOther)]) -> Result<Operator, CeremonyError> {
        only_others(self.threshold, self.index, others)?;
        for (from, secret) in others {
            let wrong = CeremonyError::Secret(*from);
            let secret = SecretKey::from_bytes(secret.0.as_slice()).ok_or(wrong)?;
            self.state.insert_secret_share(from.at(), secret).map_err(|_| wrong)?;
        }
        Operator::new(self.state.complete().map_err(|_| CeremonyError::NoKey)?, self.purpose)
            .map_err(|_| CeremonyError::NoKey)
    }
}

impl Contribution {
    /// As it is published.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// As it was published; read when it is heard. `None` if it is longer than any.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        (octets.len() <= CONTRIBUTION).then(|| Self(octets.to_vec()))
    }
}

impl SecretForOther {
    /// As it is told: 32 octets to keep secret.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it was told.
    pub fn from_octets(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }
}
