use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, Wire, Writer};

use super::{CheckedSeal, Checkpoint, LoggedEntry, seal::name_key};
use crate::{
    keys::open_name,
    operators::{Operator, Share, ShareError, combine, element_octets},
};

/// What one operator contributes to opening one account, and the log in which it found the entry for it.
#[derive(Debug, Clone)]
pub struct OpeningShare {
    share: Share,
    checkpoint: Checkpoint,
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
        if seal.key != *self.key() {
            return Err(GrantError::OtherKey);
        }
        if entry.entry().subject() != seal.owner.subject() {
            return Err(GrantError::AnothersEntry);
        }
        let share = self.share(seal.ciphertext(), entropy).map_err(|_| GrantError::OtherKey)?;
        Ok(OpeningShare { share, checkpoint: entry.checkpoint() })
    }
}

/// Opens an account with the shares of as many operators as are needed. All of them must have been shown the same log,
/// at the same length.
///
/// # Errors
/// [`OpenError`]; it names the operator whose share is wrong.
pub fn open(seal: &CheckedSeal, shares: &[OpeningShare]) -> Result<AccountLink, OpenError> {
    if shares.windows(2).any(|pair| matches!(pair, [one, two] if one.checkpoint != two.checkpoint)) {
        return Err(OpenError::Forked);
    }
    let opening = combine(&seal.key, seal.ciphertext(), shares.iter().map(|share| &share.share))?;
    let ephemeral = element_octets(&seal.ephemeral);
    let key =
        name_key(seal.side, &opening.element, &ephemeral, &seal.beside, &seal.key).map_err(|_| OpenError::Junk)?;
    let bound_to = seal.beside.as_str().as_bytes();
    let opened = open_name(&key, [0; 12], bound_to, &seal.sealed, &seal.beside).map_err(|_| OpenError::Junk)?;
    seal.side.link(opened, seal.beside.clone()).ok_or(OpenError::Junk)
}

impl Wire for OpeningShare {
    const MAX_LEN: usize = Share::MAX_LEN + Checkpoint::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { share: Share::read(reader)?, checkpoint: Checkpoint::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.share.write(writer);
        self.checkpoint.write(writer);
    }
}
