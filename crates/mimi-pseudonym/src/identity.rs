use crate::{DecodeError, DisclosurePolicy, Reader, Wire, Writer};

/// Whether the users of a room are pseudonyms (draft-mahy-mimi-pseudonyms-00, section 7). The numbers are those of
/// `Optionality` in draft-ietf-mimi-room-policy-03.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PseudonymUse {
    /// 0: a user may come under a pseudonym or under its account.
    Optional,
    /// 1: every user is a pseudonym.
    Required,
    /// 2: no user is a pseudonym.
    Forbidden,
}

impl PseudonymUse {
    /// The octet on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Optional => 0,
            Self::Required => 1,
            Self::Forbidden => 2,
        }
    }

    /// What an octet stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Optional),
            1 => Some(Self::Required),
            2 => Some(Self::Forbidden),
            _ => None,
        }
    }
}

/// What a room wants to know, and not to know, of who its participants are: whether they are pseudonyms, and which
/// claims they disclose to each other.
///
/// The encoding is `{ uint8 pseudonyms; DisclosurePolicy disclosure; }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPolicy {
    /// Whether users are pseudonyms.
    pub pseudonyms: PseudonymUse,
    /// The claims that must, may and must not be disclosed.
    pub disclosure: DisclosurePolicy,
}

impl IdentityPolicy {
    /// The policy of a room that says nothing: every claim may be disclosed, none must be.
    pub fn unstated(pseudonyms_allowed: bool) -> Self {
        let pseudonyms = if pseudonyms_allowed { PseudonymUse::Optional } else { PseudonymUse::Forbidden };
        Self { pseudonyms, disclosure: DisclosurePolicy::open() }
    }

    /// The policy of a room that connects two people: one of them comes under its account
    /// (draft-mahy-mimi-pseudonyms-00, section 3.1), the other one discloses its own.
    pub fn connection() -> Self {
        Self { pseudonyms: PseudonymUse::Optional, disclosure: DisclosurePolicy::connection() }
    }
}

impl Wire for IdentityPolicy {
    const MAX_LEN: usize = 1 + DisclosurePolicy::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        let pseudonyms =
            PseudonymUse::from_code(code).ok_or(DecodeError::Value { field: "pseudonyms", value: code.into() })?;
        Ok(Self { pseudonyms, disclosure: DisclosurePolicy::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.pseudonyms.code());
        self.disclosure.write(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClaimName;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(pseudonyms in 0u8..3, required: bool) {
            let claims = required.then_some(ClaimName::AgeOver18);
            let disclosure = DisclosurePolicy::new(claims, [ClaimName::DisplayName], [ClaimName::UserUri]).unwrap();
            let policy = IdentityPolicy { pseudonyms: PseudonymUse::from_code(pseudonyms).unwrap(), disclosure };
            prop_assert_eq!(IdentityPolicy::decode(&policy.encode()), Ok(policy));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = IdentityPolicy::decode(&octets);
        }
    }

    #[test]
    fn exact_octets_and_what_stands_for_nothing() {
        let policy = IdentityPolicy::connection();
        assert_eq!(&policy.encode()[..11], b"\x00\x09\x08user-uri");
        let unknown = DecodeError::Value { field: "pseudonyms", value: 3 };
        assert_eq!(IdentityPolicy::decode(&[3, 0, 0, 0]), Err(unknown));
        assert_eq!(IdentityPolicy::decode(&[1, 0, 0, 0, 0]), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn a_room_that_says_nothing_lets_everything_out() {
        assert_eq!(IdentityPolicy::unstated(false).pseudonyms, PseudonymUse::Forbidden);
        let unstated = IdentityPolicy::unstated(true);
        assert_eq!((unstated.pseudonyms, unstated.disclosure.required().len()), (PseudonymUse::Optional, 0));
        assert_eq!(*unstated.disclosure.optional(), ClaimName::ALL.into());
    }
}
