use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, UserUri, Wire, Writer};

use super::{
    CheckedSeal, Evidence, GrantError, LoggedEntry, OpenError, SealError, SealedAccount, SignedCheckpoint,
    opening::{check_signed, open_with},
    seal::Side,
};
use crate::operators::{Operator, OperatorsKey, Share};

/// A pseudonym, sealed to a key that operators share, as it stands beside its account. Not checked yet. It is sealed as a
/// [`SealedAccount`] is, under a label of its own; all that stand beside one account have the account's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPseudonym(SealedAccount);

impl SealedPseudonym {
    /// Seals the pseudonym beside its account, which has this mark.
    ///
    /// # Errors
    /// [`SealError::Name`], [`SealError::Purpose`]
    pub fn seal(
        link: &AccountLink,
        mark: [u8; 16],
        key: &OperatorsKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SealError> {
        SealedAccount::seal_side(Side::Pseudonym, link, Some(mark), key, entropy).map(Self)
    }

    /// Checks that it was sealed for this account and this key. What name is in it cannot be checked.
    ///
    /// # Errors
    /// [`SealError::NotForThis`], [`SealError::Purpose`]
    pub fn check(&self, account: &UserUri, key: &OperatorsKey) -> Result<CheckedSeal, SealError> {
        self.0.check_side(Side::Pseudonym, account, key)
    }
}

impl Wire for SealedPseudonym {
    const MAX_LEN: usize = SealedAccount::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        SealedAccount::read(reader).map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }
}

/// What an operator is given who is asked for its shares in opening the list of an account: the account, its list, and the
/// evidence that the opening stands in the log. `IdentifierUri account; SealedPseudonym list<V>; Evidence evidence`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The account.
    pub account: UserUri,
    /// Its pseudonyms, in no order that says anything.
    pub list: Vec<SealedPseudonym>,
    /// The entry, and that the log goes on from what this operator has seen of it.
    pub evidence: Evidence,
}

impl ListRequest {
    /// Checks every part of the list.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn check(&self, key: &OperatorsKey) -> Result<Vec<CheckedSeal>, SealError> {
        self.list.iter().map(|sealed| sealed.check(&self.account, key)).collect()
    }
}

impl Wire for ListRequest {
    const MAX_LEN: usize = 1 << 23;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { account: Wire::read(reader)?, list: reader.list()?, evidence: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.account.write(writer);
        writer.list(&self.list);
        self.evidence.write(writer);
    }
}

/// What one operator contributes to opening a list: its signature under the log in which it found the entry for it, and a share
/// for each pseudonym in it, in the same order.
#[derive(Debug, Clone)]
pub struct ListShares {
    signed: SignedCheckpoint,
    shares: Vec<Share>,
}

impl Operator {
    /// This operator's shares in opening a list, for an entry about the account that it has found in the log.
    ///
    /// # Errors
    /// [`GrantError`]
    pub fn grant_list(
        &self,
        list: &[CheckedSeal],
        entry: &LoggedEntry,
        entropy: &mut dyn Entropy,
    ) -> Result<ListShares, GrantError> {
        let signed = self.sign_checkpoint(entry, entropy);
        let shares = list.iter().map(|seal| self.share_for(seal, entry, entropy)).collect::<Result<_, _>>()?;
        Ok(ListShares { signed, shares })
    }
}

/// Opens the list of an account with the shares of as many operators as are needed.
///
/// # Errors
/// [`OpenError`]; it names the operator whose share is wrong.
pub fn open_list(list: &[CheckedSeal], shares: &[ListShares]) -> Result<Vec<AccountLink>, OpenError> {
    if shares.iter().any(|of_one| of_one.shares.len() != list.len()) {
        return Err(OpenError::OtherList);
    }
    let signed: Vec<_> = shares.iter().map(|of_one| &of_one.signed).collect();
    if let Some(first) = list.first() {
        check_signed(&first.key, &signed)?;
    }
    for ListShares { signed, shares } in shares {
        if let Some(other) = shares.iter().find(|share| share.from() != signed.by()) {
            return Err(OpenError::Anothers(other.from()));
        }
    }
    let each = list.iter().enumerate();
    each.map(|(at, seal)| open_with(seal, shares.iter().filter_map(|of_one| of_one.shares.get(at)))).collect()
}

impl ListShares {
    /// What its operator has seen of the log, and signed.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }
}

/// `SignedCheckpoint signed; Share shares<V>`
impl Wire for ListShares {
    const MAX_LEN: usize = 1 << 22;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { signed: SignedCheckpoint::read(reader)?, shares: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.signed.write(writer);
        writer.list(&self.shares);
    }
}
