use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

/// Numbers of the application components that make up the state of a room, as they stand in the
/// `app_data_dictionary` of the room's MLS group.
#[derive(Debug)]
pub struct ComponentId;

impl ComponentId {
    /// [`ParticipantList`](crate::ParticipantList)
    pub const PARTICIPANT_LIST: u16 = 0x0022;
    /// [`RoomMetadata`](crate::RoomMetadata)
    pub const ROOM_METADATA: u16 = 0x0023;
    /// [`Roles`](crate::Roles)
    pub const ROLES_LIST: u16 = 0x0025;
    /// [`PreauthList`](crate::PreauthList)
    pub const PREAUTH_LIST: u16 = 0x0026;
    /// [`BaseRoomPolicy`](crate::BaseRoomPolicy)
    pub const BASE_ROOM_POLICY: u16 = 0x0027;
    /// [`JoinLinkPolicy`](crate::JoinLinkPolicy)
    pub const JOIN_LINK_POLICY: u16 = 0x0029;
    /// [`RoomPurpose`]: our own convention, from the private range.
    pub const ROOM_PURPOSE: u16 = 0x8A01;
    /// [`KeyPackagePurpose`]: our own convention, from the private range. It stands in the `app_data_dictionary`
    /// of a KeyPackage, never in that of a room.
    pub const KEY_PACKAGE_PURPOSE: u16 = 0x8A02;
    /// [`IdentityPolicy`](mimi_pseudonym::IdentityPolicy): our own convention.
    pub const IDENTITY_POLICY: u16 = 0x8A03;
    /// [`TrustAnchors`](mimi_pseudonym::TrustAnchors): our own convention.
    pub const TRUST_ANCHORS: u16 = 0x8A04;
    /// [`TemporaryBans`](crate::TemporaryBans): our own convention.
    pub const TEMPORARY_BANS: u16 = 0x8A05;
    /// The URI of the room that a knock room belongs to: our own convention.
    pub const KNOCK_TARGET: u16 = 0x8A06;
}

macro_rules! purpose {
    ($name:ident, $field:literal) => {
        impl Wire for $name {
            const MAX_LEN: usize = 1;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let code = reader.u8()?;
                Self::from_code(code).ok_or(DecodeError::Value { field: $field, value: code.into() })
            }

            fn write(&self, writer: &mut Writer) {
                writer.u8(self.code());
            }
        }
    };
}

/// What a room is for. One octet in component 0x8A01; a room without the component is ordinary. It is set when
/// the room is created and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RoomPurpose {
    /// 1: a room like any other.
    #[default]
    Ordinary,
    /// 2: a temporary room in which a connection is made (draft-mahy-mimi-pseudonyms-00, section 3.1).
    Connection,
    /// 3: a room in which people ask to be let into another one (draft-mahy-mimi-pseudonyms-00, section 3.3). It names
    /// that room in component 0x8A06.
    Knock,
}

impl RoomPurpose {
    /// The octet on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ordinary => 1,
            Self::Connection => 2,
            Self::Knock => 3,
        }
    }

    /// The purpose an octet stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ordinary),
            2 => Some(Self::Connection),
            3 => Some(Self::Knock),
            _ => None,
        }
    }
}
purpose!(RoomPurpose, "room_purpose");

/// What a KeyPackage may be used for (draft-mahy-mimi-pseudonyms-00, section 7). One octet in component 0x8A02 of
/// the KeyPackage's `app_data_dictionary`; a KeyPackage without the component may be used for any room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum KeyPackagePurpose {
    /// 1: any room.
    #[default]
    Any,
    /// 2: only a room whose purpose is [`RoomPurpose::Connection`].
    InitialOnly,
}

impl KeyPackagePurpose {
    /// The octet on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Any => 1,
            Self::InitialOnly => 2,
        }
    }

    /// The purpose an octet stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Any),
            2 => Some(Self::InitialOnly),
            _ => None,
        }
    }
}
purpose!(KeyPackagePurpose, "key_package_purpose");

/// Decodes a component, and refuses octets that would not be written again as they were read: all members must
/// keep the same octets in the group's dictionary.
pub(crate) fn decode_exact<T: Wire>(octets: &[u8]) -> Result<T, DecodeError> {
    let value = T::decode(octets)?;
    if value.encode() == octets {
        Ok(value)
    } else {
        Err(DecodeError::Rule { field: "component", rule: "not in its one canonical form" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_one_octet() {
        for purpose in [RoomPurpose::Ordinary, RoomPurpose::Connection, RoomPurpose::Knock] {
            assert_eq!(RoomPurpose::decode(&purpose.encode()), Ok(purpose));
        }
        for purpose in [KeyPackagePurpose::Any, KeyPackagePurpose::InitialOnly] {
            assert_eq!(KeyPackagePurpose::decode(&purpose.encode()), Ok(purpose));
        }
        assert_eq!((RoomPurpose::Connection.encode(), RoomPurpose::Knock.encode()), (vec![2], vec![3]));
        assert_eq!(KeyPackagePurpose::InitialOnly.encode(), [2]);
        assert_eq!(RoomPurpose::decode(&[0]), Err(DecodeError::Value { field: "room_purpose", value: 0 }));
        assert_eq!(KeyPackagePurpose::decode(&[3]), Err(DecodeError::Value { field: "key_package_purpose", value: 3 }));
        assert_eq!(RoomPurpose::decode(&[1, 1]), Err(DecodeError::TooLong { found: 2, limit: 1 }));
    }
}
