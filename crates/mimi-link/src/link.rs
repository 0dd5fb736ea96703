use std::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use mimi_pseudonym::{RoomUri, UriError};

use crate::{HubFingerprint, JoinCode};

/// Why a text is no link into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// There is no `#` that a link needs.
    #[error("a link into a room is the room's URI, # and what is needed to join")]
    NoFragment,
    /// What stands before the `#` is no room.
    #[error("the room of the link: {0}")]
    Room(#[from] UriError),
    /// What stands behind the `#` is neither `join=1.` nor `knock=1.`; perhaps the link is newer than this program.
    #[error("the link is neither a join link nor a knock link of version 1")]
    Kind,
    /// A joining code is Base64url of 16 to 64 octets.
    #[error("the joining code of the link is damaged")]
    Code,
    /// A fingerprint is Base64url of 32 octets.
    #[error("the fingerprint of the hub in the link is damaged")]
    Hub,
    /// A role is a number of 32 bits.
    #[error("the role in the link is damaged")]
    Role,
}

/// Lets whoever has it join a room (draft-mahy-mimi-pseudonyms-00, section 3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinLink {
    /// The room.
    pub room: RoomUri,
    /// What is shown to the hub.
    pub code: JoinCode,
    /// By what the hub is known.
    pub hub: HubFingerprint,
    /// The role in which one joins, as the room numbers its roles (draft-ietf-mimi-room-policy-03, section 3); none for the
    /// one that the room gives to whoever joins. It is the hub that keeps which role a code is for: this says what to ask for.
    pub role: Option<u32>,
}

/// Says where to knock (draft-mahy-mimi-pseudonyms-00, section 3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnockLink {
    /// The knock room.
    pub room: RoomUri,
    /// By what the hub is known.
    pub hub: HubFingerprint,
}

/// A link of either kind.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RoomLink {
    /// To join.
    Join(JoinLink),
    /// To knock.
    Knock(KnockLink),
}

const JOIN: &str = "join=1.";
const KNOCK: &str = "knock=1.";

impl JoinLink {
    /// The link as text, with the code in it: for those who are to join, and for nobody else.
    pub fn reveal(&self) -> String {
        let code = Base64UrlUnpadded::encode_string(self.code.as_bytes());
        let role = self.role.map(|role| format!(".{role}")).unwrap_or_default();
        format!("{}#{JOIN}{code}.{}{role}", self.room.as_str(), fingerprint(&self.hub))
    }
}

impl fmt::Display for KnockLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{KNOCK}{}", self.room.as_str(), fingerprint(&self.hub))
    }
}

impl RoomLink {
    /// The room.
    pub fn room(&self) -> &RoomUri {
        match self {
            Self::Join(link) => &link.room,
            Self::Knock(link) => &link.room,
        }
    }

    /// By what the hub is known.
    pub fn hub(&self) -> &HubFingerprint {
        match self {
            Self::Join(link) => &link.hub,
            Self::Knock(link) => &link.hub,
        }
    }
}

impl FromStr for RoomLink {
    type Err = LinkError;

    /// Reads a link; blanks around it are passed over.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (room, fragment) = text.trim().split_once('#').ok_or(LinkError::NoFragment)?;
        let room = room.parse()?;
        if let Some(parts) = fragment.strip_prefix(JOIN) {
            let (code, hub) = parts.split_once('.').ok_or(LinkError::Hub)?;
            let code = Base64UrlUnpadded::decode_vec(code).ok().and_then(JoinCode::from_bytes);
            let code = code.ok_or(LinkError::Code)?;
            let (hub, role) = match hub.split_once('.') {
                Some((hub, role)) => (hub, Some(read_role(role)?)),
                None => (hub, None),
            };
            return Ok(Self::Join(JoinLink { room, code, hub: read_fingerprint(hub)?, role }));
        }
        let hub = fragment.strip_prefix(KNOCK).ok_or(LinkError::Kind)?;
        Ok(Self::Knock(KnockLink { room, hub: read_fingerprint(hub)? }))
    }
}

fn fingerprint(hub: &HubFingerprint) -> String {
    Base64UrlUnpadded::encode_string(hub.as_bytes())
}

fn read_fingerprint(text: &str) -> Result<HubFingerprint, LinkError> {
    let octets = Base64UrlUnpadded::decode_vec(text).map_err(|_| LinkError::Hub)?;
    octets.try_into().map(HubFingerprint::from_bytes).map_err(|_| LinkError::Hub)
}

/// A number as it is written: without a sign, and without zeros in front.
fn read_role(text: &str) -> Result<u32, LinkError> {
    text.parse().ok().filter(|role: &u32| role.to_string() == text).ok_or(LinkError::Role)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room() -> RoomUri {
        "mimi://a.example/r/clubhouse".parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(code in proptest::collection::vec(any::<u8>(), 16..=64), hub: [u8; 32],
                                      role: Option<u32>) {
            let hub = HubFingerprint::from_bytes(hub);
            let join = JoinLink { room: room(), code: JoinCode::from_bytes(code).unwrap(), hub, role };
            prop_assert_eq!(join.reveal().parse(), Ok(RoomLink::Join(join)));
            let knock = KnockLink { room: room(), hub };
            prop_assert_eq!(format!(" {knock}\n").parse(), Ok(RoomLink::Knock(knock)));
        }

        #[test]
        fn nothing_panics(text: String) {
            let _ = text.parse::<RoomLink>();
            let _ = format!("mimi://a.example/r/x#{text}").parse::<RoomLink>();
        }
    }

    #[test]
    fn what_is_damaged_is_named() {
        let good = JoinLink {
            room: room(),
            code: JoinCode::from_bytes(vec![1; 16]).unwrap(),
            hub: HubFingerprint::from_bytes([2; 32]),
            role: None,
        };
        let good = good.reveal();
        let read = |text: &str| text.parse::<RoomLink>().unwrap_err();
        assert_eq!(read("mimi://a.example/r/clubhouse"), LinkError::NoFragment);
        assert_eq!(read("mimi://a.example/u/clubhouse#join=1.x.y"), LinkError::Room(UriError::Kind('r')));
        assert_eq!(read(&good.replace("join=1.", "join=2.")), LinkError::Kind);
        assert_eq!(read(&good.replace("join=1.", "join=1.!")), LinkError::Code);
        assert_eq!(read(&good.replace("join=1.AQEB", "join=1.")), LinkError::Code);
        assert_eq!(read(good.rsplit_once('.').unwrap().0), LinkError::Hub);
        assert_eq!(read(&format!("{good}A")), LinkError::Hub);
        assert_eq!(read("mimi://a.example/r/clubhouse#knock=1."), LinkError::Hub);
        for role in ["", "x", "-1", "+1", "01", "4294967296", "5.6"] {
            assert_eq!(read(&format!("{good}.{role}")), LinkError::Role, "{role}");
        }
    }

    #[test]
    fn the_code_is_in_the_text_alone() {
        let hub = HubFingerprint::from_bytes([2; 32]);
        let link = JoinLink {
            room: room(),
            code: JoinCode::from_bytes(b"0123456789abcdef".to_vec()).unwrap(),
            hub,
            role: None,
        };
        assert!(link.reveal().contains("MDEyMzQ1Njc4OWFiY2RlZg"));
        assert!(!format!("{link:?}").contains("MDEy"));
        assert!(!format!("{link:?}").contains("0123"));
    }
}
