/// What a part is meant for (draft-ietf-mimi-content, section 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Disposition {
    /// Nothing is said.
    Unspecified,
    /// To be shown as the receiver sees fit.
    Render,
    /// A reaction to another message.
    Reaction,
    /// A profile.
    Profile,
    /// Shown within the conversation.
    Inline,
    /// An icon.
    Icon,
    /// To be downloaded.
    Attachment,
    /// A session, or a way into one.
    Session,
    /// The sender's preview of something.
    Preview,
    /// Something else: 9 to 255. A receiver that does not know it treats it as [`Disposition::Render`].
    Other(u8),
}

const NAMED: [Disposition; 9] = [
    Disposition::Unspecified,
    Disposition::Render,
    Disposition::Reaction,
    Disposition::Profile,
    Disposition::Inline,
    Disposition::Icon,
    Disposition::Attachment,
    Disposition::Session,
    Disposition::Preview,
];

impl Disposition {
    /// The disposition of a number.
    pub fn from_code(code: u8) -> Self {
        NAMED.get(usize::from(code)).copied().unwrap_or(Self::Other(code))
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::Render => 1,
            Self::Reaction => 2,
            Self::Profile => 3,
            Self::Inline => 4,
            Self::Icon => 5,
            Self::Attachment => 6,
            Self::Session => 7,
            Self::Preview => 8,
            Self::Other(code) => code,
        }
    }
}

/// How the parts of a body belong together (draft-ietf-mimi-content, section 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PartSemantics {
    /// The receiver picks one.
    ChooseOne,
    /// All of them, or none.
    SingleUnit,
    /// As many as the receiver understands.
    ProcessAll,
}

impl PartSemantics {
    /// The semantics of a number, if it stands for one.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::ChooseOne),
            1 => Some(Self::SingleUnit),
            2 => Some(Self::ProcessAll),
            _ => None,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::ChooseOne => 0,
            Self::SingleUnit => 1,
            Self::ProcessAll => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_name() {
        for code in 0..=u8::MAX {
            assert_eq!(Disposition::from_code(code).code(), code);
            assert_eq!(matches!(Disposition::from_code(code), Disposition::Other(_)), code > 8);
            assert_eq!(PartSemantics::from_code(code).map(PartSemantics::code), (code < 3).then_some(code));
        }
    }
}
