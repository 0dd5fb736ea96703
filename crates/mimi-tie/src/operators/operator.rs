use elastic_elgamal::{
    CandidateDecryption, LogEqualityProof, SecretKey, VerifiableDecryption, group::Ristretto,
    sharing::ActiveParticipant,
};
use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};
use zeroize::Zeroizing;

use super::{Ciphertext, Element, OperatorIndex, OperatorsKey, OperatorsKeyError, Purpose, element_octets};
use crate::random::Random;

/// One of the operators that share a key, with its share of the secret.
pub struct Operator {
    participant: ActiveParticipant<Ristretto>,
    key: OperatorsKey,
    index: OperatorIndex,
}

/// A saved operator cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret share does not belong to this operator of this key")]
pub struct OperatorError;

/// What one operator contributes to opening one ciphertext, with the proof that it is right.
#[derive(Clone)]
pub struct Share {
    from: OperatorIndex,
    element: [u8; 32],
    proof: [u8; 64],
}

/// Shares do not open a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Fewer shares than are needed.
    #[error("{found} shares, {needed} are needed")]
    TooFew {
        /// Shares there are.
        found: usize,
        /// Shares that are needed.
        needed: usize,
    },
    /// Two shares of one operator.
    #[error("two shares of {0}")]
    Twice(OperatorIndex),
    /// A share of somebody who is no operator of this key, or whose proof does not hold for this ciphertext.
    #[error("the proof of {0} does not hold")]
    Proof(OperatorIndex),
}

impl Operator {
    pub(super) fn new(participant: ActiveParticipant<Ristretto>, purpose: Purpose) -> Result<Self, OperatorsKeyError> {
        let key = OperatorsKey::new(participant.key_set().clone(), purpose)?;
        let index = u8::try_from(participant.index()).ok().and_then(|number| key.threshold().index(number));
        Ok(Self { participant, index: index.ok_or(OperatorsKeyError)?, key })
    }

    /// An operator from its saved secret share.
    ///
    /// # Errors
    /// [`OperatorError`] if the share is not that of this operator.
    pub fn restore(key: OperatorsKey, index: OperatorIndex, secret: &[u8; 32]) -> Result<Self, OperatorError> {
        key.threshold().index(index.number()).ok_or(OperatorError)?;
        let secret = SecretKey::from_bytes(secret).ok_or(OperatorError)?;
        let participant = ActiveParticipant::new(key.set.clone(), index.at(), secret).map_err(|_| OperatorError)?;
        Ok(Self { participant, key, index })
    }

    /// The secret share, to be saved: 32 octets.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.participant.secret_share().expose_scalar().to_bytes())
    }

    /// The same, to sign with.
    pub(crate) fn secret_key(&self) -> &SecretKey<Ristretto> {
        self.participant.secret_share()
    }

    /// Which operator this is.
    pub fn index(&self) -> OperatorIndex {
        self.index
    }

    /// The key that is shared.
    pub fn key(&self) -> &OperatorsKey {
        &self.key
    }

    /// This operator's share in opening a ciphertext. What may be opened is decided by the callers in this crate.
    pub(crate) fn share(&self, ciphertext: Ciphertext, entropy: &mut dyn Entropy) -> Result<Share, DecodeError> {
        let (element, proof) = self.participant.decrypt_share(ciphertext, &mut Random(entropy));
        let proof = proof.to_bytes().try_into().map_err(|_| DecodeError::Truncated)?;
        Ok(Share { from: self.index, element: element_octets(element.as_element()), proof })
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operator({}, {:?})", self.index.number(), self.key)
    }
}

impl Share {
    /// Whose it is.
    pub fn from(&self) -> OperatorIndex {
        self.from
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({})", self.from)
    }
}

impl Wire for Share {
    const MAX_LEN: usize = 97;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { from: OperatorIndex::read(reader)?, element: reader.array()?, proof: reader.array()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.from.write(writer);
        writer.raw(&self.element);
        writer.raw(&self.proof);
    }
}

/// Checks as many shares as are needed and combines them to what blinds the ciphertext.
pub(crate) fn combine<'a>(
    key: &OperatorsKey,
    ciphertext: Ciphertext,
    shares: impl IntoIterator<Item = &'a Share>,
) -> Result<VerifiedOpening, ShareError> {
    let needed = usize::from(key.threshold().needed());
    let mut seen: Vec<OperatorIndex> = Vec::new();
    let mut verified: Vec<(usize, VerifiableDecryption<Ristretto>)> = Vec::new();
    for share in shares {
        if seen.contains(&share.from) {
            return Err(ShareError::Twice(share.from));
        }
        seen.push(share.from);
        let bad = ShareError::Proof(share.from);
        key.threshold().index(share.from.number()).ok_or(bad)?;
        let candidate = CandidateDecryption::from_bytes(&share.element).ok_or(bad)?;
        let proof = LogEqualityProof::from_bytes(&share.proof).ok_or(bad)?;
        let share_of = key.set.verify_share(candidate, ciphertext, share.from.at(), &proof).map_err(|_| bad)?;
        verified.push((share.from.at(), share_of));
    }
    let too_few = ShareError::TooFew { found: verified.len(), needed };
    let combined = key.set.params().combine_shares(verified).ok_or(too_few)?;
    Ok(VerifiedOpening { element: *combined.as_element(), message: combined.decrypt_to_element(ciphertext) })
}

/// What shares whose proofs hold say of a ciphertext.
pub(crate) struct VerifiedOpening {
    /// The blinding element: the ciphertext's random element times the secret key.
    pub(crate) element: Element,
    /// The message.
    pub(crate) message: Element,
}
