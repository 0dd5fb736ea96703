use std::fmt;

use mimi_pseudonym::{Domain, RoomUri, Timestamp};
use serde::Deserialize;

/// What kind of fact speaks against a user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignalKind {
    /// Somebody has reported it with messages that it has sent for certain.
    VerifiedReport,
    /// Somebody has reported it, and shows nothing.
    Word,
    /// A moderator has muted it. The motive is not known.
    Mute,
    /// A moderator has removed it from a room. The motive is not known.
    Kick,
    /// A moderator has banned it. The motive is not known.
    Ban,
    /// It sends faster than people do.
    MessageRate,
    /// It joins rooms faster than people do.
    JoinRate,
    /// A hub has asked its provider for a remedy, with evidence.
    RemedyRequest,
}

impl SignalKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::VerifiedReport,
        Self::Word,
        Self::Mute,
        Self::Kick,
        Self::Ban,
        Self::MessageRate,
        Self::JoinRate,
        Self::RemedyRequest,
    ];

    /// Its name in the table and in a store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifiedReport => "verified_report",
            Self::Word => "word",
            Self::Mute => "mute",
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::MessageRate => "message_rate",
            Self::JoinRate => "join_rate",
            Self::RemedyRequest => "remedy_request",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who says so: a provider, and which of its users, told apart without being named. Two facts of one kind from one source
/// count once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Source {
    /// The provider that vouches for it.
    pub domain: Domain,
    /// What tells its users apart; the same for all who are not told apart.
    pub tag: [u8; 32],
}

/// A fact that speaks against a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// Its kind.
    pub kind: SignalKind,
    /// Where; none if it is about no room in particular.
    pub room: Option<RoomUri>,
    /// Who says so.
    pub source: Source,
    /// Since when it is known.
    pub at: Timestamp,
}
