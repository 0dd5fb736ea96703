use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, Wire, Writer};

use crate::{ActKey, ActRow, DirectRow, Way};
#[cfg(feature = "threshold")]
use crate::{
    break_glass::SealedAccount,
    operators::OperatorsKey,
    score::{CohortSize, Seat, UncheckedSeat},
};

/// How a provider ties its pseudonyms to accounts, with the keys that takes at registration. None of them can undo what
/// it made, save the key of [`Tie::ActOnly`], which only acts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Tie {
    /// [`Way::Direct`]
    Direct,
    /// [`Way::ActOnly`], under this key.
    ActOnly(ActKey),
    /// [`Way::Blind`]: nothing is tied; a pseudonym is had for a token.
    Blind,
    /// [`Way::BreakGlass`], sealed to this key.
    #[cfg(feature = "threshold")]
    BreakGlass(OperatorsKey),
    /// [`Way::Score`], encrypted under this key among so many accounts.
    #[cfg(feature = "threshold")]
    Score(OperatorsKey, CohortSize),
}

/// What stands beside a pseudonym.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TieRow {
    /// [`Way::Direct`]
    Direct(DirectRow),
    /// [`Way::ActOnly`]; stored under [`ActKey::tag`], not under the pseudonym.
    ActOnly(ActRow),
    /// [`Way::BreakGlass`]
    #[cfg(feature = "threshold")]
    BreakGlass(Box<SealedAccount>),
    /// [`Way::Score`]
    #[cfg(feature = "threshold")]
    Score(Box<UncheckedSeat>),
}

/// A pseudonym cannot be tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// With this way there is no account to tie it to: a pseudonym is had for a token.
    #[error("a pseudonym is had for a token")]
    NeedsToken,
    /// The account's name cannot be sealed.
    #[error("the account's name cannot be sealed")]
    Name,
}

impl Tie {
    /// Which way it is.
    pub fn way(&self) -> Way {
        match self {
            Self::Direct => Way::Direct,
            Self::ActOnly(_) => Way::ActOnly,
            Self::Blind => Way::Blind,
            #[cfg(feature = "threshold")]
            Self::BreakGlass(_) => Way::BreakGlass,
            #[cfg(feature = "threshold")]
            Self::Score(..) => Way::Score,
        }
    }

    /// What is to be stored beside a pseudonym, when it is registered for an account. `number` counts the provider's
    /// accounts from 0 in the order of their registration.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn bind(&self, link: &AccountLink, number: u64, entropy: &mut dyn Entropy) -> Result<TieRow, BindError> {
        #[cfg(not(feature = "threshold"))]
        let _ = number;
        match self {
            Self::Direct => Ok(TieRow::Direct(DirectRow::new(link))),
            Self::ActOnly(key) => key.bind(link, entropy).map(TieRow::ActOnly).map_err(|_| BindError::Name),
            Self::Blind => Err(BindError::NeedsToken),
            #[cfg(feature = "threshold")]
            Self::BreakGlass(key) => {
                let sealed = SealedAccount::seal(link, key, entropy).map_err(|_| BindError::Name)?;
                Ok(TieRow::BreakGlass(Box::new(sealed)))
            }
            #[cfg(feature = "threshold")]
            Self::Score(key, size) => Ok(TieRow::Score(Box::new(Seat::of(number, *size).hide(key, entropy)))),
        }
    }
}

impl TieRow {
    /// Which way it is.
    pub fn way(&self) -> Way {
        match self {
            Self::Direct(_) => Way::Direct,
            Self::ActOnly(_) => Way::ActOnly,
            #[cfg(feature = "threshold")]
            Self::BreakGlass(_) => Way::BreakGlass,
            #[cfg(feature = "threshold")]
            Self::Score(_) => Way::Score,
        }
    }
}

/// `uint8 way`, then the row of that way.
impl Wire for TieRow {
    const MAX_LEN: usize = 1 + 12 + 256 * 256;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        match Way::ALL.into_iter().find(|way| way.code() == code) {
            Some(Way::Direct) => DirectRow::read(reader).map(Self::Direct),
            Some(Way::ActOnly) => ActRow::read(reader).map(Self::ActOnly),
            #[cfg(feature = "threshold")]
            Some(Way::BreakGlass) => SealedAccount::read(reader).map(Box::new).map(Self::BreakGlass),
            #[cfg(feature = "threshold")]
            Some(Way::Score) => UncheckedSeat::read(reader).map(Box::new).map(Self::Score),
            _ => Err(DecodeError::Value { field: "way", value: code.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.way().code());
        match self {
            Self::Direct(row) => row.write(writer),
            Self::ActOnly(row) => row.write(writer),
            #[cfg(feature = "threshold")]
            Self::BreakGlass(row) => row.write(writer),
            #[cfg(feature = "threshold")]
            Self::Score(row) => row.write(writer),
        }
    }
}
