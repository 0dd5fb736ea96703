use std::{fmt, str::FromStr};

/// How a provider ties pseudonyms to accounts (draft-mahy-mimi-pseudonyms-00, section 5.3). The operator chooses one; a
/// quota of pseudonyms for each account and period is possible with all of them.
///
/// Closed on purpose: whoever stores a row must say what becomes of each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The account stands beside the pseudonym.
    Direct,
    /// The account stands beside the pseudonym, sealed to a key that several operators share. Opening it leaves evidence.
    BreakGlass,
    /// Under a key of one process, which does something to the account and says nothing about it.
    ActOnly,
    /// Not at all: pseudonyms are had for tokens that nobody can tie to whom they were issued.
    Blind,
    /// As one encrypted mark among those of a cohort of accounts, good for adding up reports and for nothing else.
    Score,
}

/// What an operator can do about the account behind a pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// One operator alone can say which account it is.
    pub lookup: bool,
    /// Several operators together can say which account it is.
    pub opening: bool,
    /// The account can be suspended or deleted from its pseudonym, by a party that does not tell which it is.
    pub remedy: bool,
    /// Reports of several pseudonyms of one account add up.
    pub adding_up: bool,
}

/// A text names no way of tying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tie is direct, break-glass, act-only, blind or score")]
pub struct WayError;

impl Way {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Direct, Self::BreakGlass, Self::ActOnly, Self::Blind, Self::Score];

    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::BreakGlass => "break-glass",
            Self::ActOnly => "act-only",
            Self::Blind => "blind",
            Self::Score => "score",
        }
    }

    /// Its number in a stored row.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Direct => 1,
            Self::BreakGlass => 2,
            Self::ActOnly => 3,
            Self::Blind => 4,
            Self::Score => 5,
        }
    }

    /// What it lets an operator do.
    pub const fn means(self) -> Means {
        let none = Means { lookup: false, opening: false, remedy: false, adding_up: false };
        match self {
            Self::Direct => Means { lookup: true, opening: true, remedy: true, adding_up: true },
            Self::BreakGlass => Means { opening: true, ..none },
            Self::ActOnly => Means { remedy: true, ..none },
            Self::Blind => none,
            Self::Score => Means { adding_up: true, ..none },
        }
    }
}

impl FromStr for Way {
    type Err = WayError;

    fn from_str(text: &str) -> Result<Self, WayError> {
        Self::ALL.into_iter().find(|way| way.name() == text).ok_or(WayError)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_different_and_read_back() {
        for way in Way::ALL {
            assert_eq!(way.to_string().parse(), Ok(way));
            assert_eq!(Way::ALL.iter().filter(|other| other.code() == way.code()).count(), 1);
        }
        assert_eq!("escrow".parse::<Way>(), Err(WayError));
    }
}
