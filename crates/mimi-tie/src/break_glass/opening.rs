use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, Wire, Writer};

use super::{CheckedSeal, LogFault, LoggedEntry, SignedCheckpoint, seal::name_key};
use crate::{
    keys::open_name,
    operators::{Operator, OperatorIndex, OperatorsKey, Share, ShareError, combine, element_octets},
};

/// What one operator contributes to opening one account, and its signature under the log in which it found the entry for it.
#[derive(Debug, Clone)]
pub struct OpeningShare {
    pub(super) share: Share,
    pub(super) signed: SignedCheckpoint,
}

/// Why an operator gives no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The entry is about another pseudonym.
    #[error("the entry is about another pseudonym")]
    AnothersEntry,
    /// The account was sealed to another key.
    #[error("the account was sealed to another key")]
    OtherKey,
}

/// Why shares open no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The shares are too few or wrong.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// An operator's signature under the log does not hold.
    #[error(transparent)]
    Log(#[from] LogFault),
    /// A share and the signature with it are of different operators.
    #[error("the share of {0} was signed for by another operator")]
    Anothers(OperatorIndex),
    /// The operators were shown logs of different content.
    #[error("the operators have seen different logs")]
    Forked,
    /// Shares are for another list of pseudonyms.
    #[error("shares are for another list")]
    OtherList,
    /// What was sealed is no account of this provider.
    #[error("what was sealed is no account")]
    Junk,
}

impl Operator {
    /// This operator's share in opening an account, for an entry that it has found in the log.
    ///
    /// # Errors
    /// [`GrantError`]
    pub fn grant(
        &self,
        seal: &CheckedSeal,
        entry: &LoggedEntry,
        entropy: &mut dyn Entropy,
    ) -> Result<OpeningShare, GrantError> {
        let signed = self.sign_checkpoint(entry, entropy);
        let share = self.share_for(seal, entry, entropy)?;
        Ok(OpeningShare { share, signed })
    }

    pub(super) fn share_for(
        &self,
        seal: &CheckedSeal,
        entry: &LoggedEntry,
        entropy: &mut dyn Entropy,
    ) -> Result<Share, GrantError> {
        if seal.key != *self.key() {
            return Err(GrantError::OtherKey);
        }
        if entry.entry().subject() != seal.owner.subject() {
            return Err(GrantError::AnothersEntry);
        }
        self.share(seal.ciphertext(), entropy).map_err(|_| GrantError::OtherKey)
    }
}

/// Opens an account with the shares of as many operators as are needed. All of them must have been shown the same log,
/// at the same length, and have signed it.
///
/// # Errors
/// [`OpenError`]; it names the operator whose share or signature is wrong.
pub fn open(seal: &CheckedSeal, shares: &[OpeningShare]) -> Result<AccountLink, OpenError> {
    let signed: Vec<_> = shares.iter().map(|share| &share.signed).collect();
    check_signed(&seal.key, &signed)?;
    for OpeningShare { share, signed } in shares {
        if share.from() != signed.by() {
            return Err(OpenError::Anothers(share.from()));
        }
    }
    open_with(seal, shares.iter().map(|share| &share.share))
}

/// Checks that operators have signed one log.
pub(super) fn check_signed(key: &OperatorsKey, signed: &[&SignedCheckpoint]) -> Result<(), OpenError> {
    if signed.windows(2).any(|pair| matches!(pair, [one, two] if one.unchecked() != two.unchecked())) {
        return Err(OpenError::Forked);
    }
    signed.iter().try_for_each(|signed| signed.check(key).map(drop).map_err(OpenError::Log))
}

pub(super) fn open_with<'a>(
    seal: &CheckedSeal,
    shares: impl IntoIterator<Item = &'a Share>,
) -> Result<AccountLink, OpenError> {
    let opening = combine(&seal.key, seal.ciphertext(), shares)?;
    let ephemeral = element_octets(&seal.ephemeral);
    let key =
        name_key(seal.side, &opening.element, &ephemeral, &seal.beside, &seal.key).map_err(|_| OpenError::Junk)?;
    let bound_to = seal.beside.as_str().as_bytes();
    let opened = open_name(&key, [0; 12], bound_to, &seal.sealed, &seal.beside).map_err(|_| OpenError::Junk)?;
    seal.side.link(opened, seal.beside.clone()).ok_or(OpenError::Junk)
}

impl OpeningShare {
    /// What its operator has seen of the log, and signed.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }
}

/// `Share share; SignedCheckpoint signed`
impl Wire for OpeningShare {
    const MAX_LEN: usize = Share::MAX_LEN + SignedCheckpoint::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { share: Share::read(reader)?, signed: SignedCheckpoint::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.share.write(writer);
        self.signed.write(writer);
    }
}
