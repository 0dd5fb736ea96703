//! What the moderators of a room tell each other about its knock room: contents of application messages. Their formats
//! are our own; `docs/flows/knock.md` has them.

use mimi_disclosure::Bundle;
use mimi_pseudonym::{Content, DecodeError, Reader, RoomUri, UserUri, Wire, Writer};
use serde::{Deserialize, Serialize};

/// Someone who has knocked has been let in, or not: what a moderator says in the knock room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// The knock room.
    pub(crate) room: RoomUri,
    /// The pseudonym that was to be let in.
    pub(crate) user: UserUri,
    pub(crate) admitted: bool,
}

/// What moderators say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// In a knock room: what was decided.
    Decision { user: UserUri, admitted: bool },
    /// In a room that people knock for: here they do.
    KnockRoom { room: RoomUri },
    /// There too: with these KeyPackages I can be brought into the knock room.
    Moderator { room: RoomUri, bundle: Bundle },
}

const DECISION: &str = "application/mimi-knock-decision";
const KNOCK_ROOM: &str = "application/mimi-knock-room";
const MODERATOR: &str = "application/mimi-knock-moderator";
const VERSION: u8 = 1;

impl Notice {
    /// Whether content is one of these, whatever is in it: then it is no message for people.
    pub(crate) fn is_one(content: &Content) -> bool {
        let essence = content.media_type.split(';').next().unwrap_or_default().trim();
        [DECISION, KNOCK_ROOM, MODERATOR].iter().any(|known| essence.eq_ignore_ascii_case(known))
    }

    pub(crate) fn content(&self) -> Content {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        let media_type = match self {
            Self::Decision { user, admitted } => {
                user.write(&mut writer);
                writer.flag(*admitted);
                DECISION
            }
            Self::KnockRoom { room } => {
                room.write(&mut writer);
                KNOCK_ROOM
            }
            Self::Moderator { room, bundle } => {
                room.write(&mut writer);
                bundle.write(&mut writer);
                MODERATOR
            }
        };
        Content { media_type: media_type.to_owned(), body: writer.into_octets() }
    }

    pub(crate) fn read(content: &Content) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&content.body);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Value { field: "version", value: version.into() });
        }
        let notice = match content.media_type.as_str() {
            DECISION => Self::Decision { user: Wire::read(&mut reader)?, admitted: reader.flag("admitted")? },
            KNOCK_ROOM => Self::KnockRoom { room: Wire::read(&mut reader)? },
            MODERATOR => Self::Moderator { room: Wire::read(&mut reader)?, bundle: Wire::read(&mut reader)? },
            _ => return Err(DecodeError::Rule { field: "media_type", rule: "no notice of moderators" }),
        };
        reader.finish()?;
        Ok(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomUri {
        "mimi://a.example/r/knock".parse().unwrap()
    }

    fn user() -> UserUri {
        UserUri::pseudonym(&"c.example".parse().unwrap(), [7; 16])
    }

    fn each() -> [Notice; 4] {
        let bundle = Bundle::new(Vec::new(), Some(user()), vec![vec![9; 9]], "").unwrap();
        [
            Notice::Decision { user: user(), admitted: true },
            Notice::Decision { user: user(), admitted: false },
            Notice::KnockRoom { room: room() },
            Notice::Moderator { room: room(), bundle },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        for notice in each() {
            let content = notice.content();
            assert!(Notice::is_one(&content));
            assert_eq!(Notice::read(&content), Ok(notice));
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for notice in each() {
            let good = notice.content();
            for length in 0..good.body.len() {
                let cut = Content { body: good.body[..length].to_vec(), ..good.clone() };
                assert!(Notice::read(&cut).is_err());
            }
            let mut longer = good.clone();
            longer.body.push(0);
            assert_eq!(Notice::read(&longer), Err(DecodeError::Trailing(1)));
            let mut later = good.clone();
            later.body[0] = 2;
            assert_eq!(Notice::read(&later), Err(DecodeError::Value { field: "version", value: 2 }));
            let typed = Content { media_type: "text/plain".into(), ..good };
            assert!(!Notice::is_one(&typed));
            assert!(Notice::read(&typed).is_err());
        }
        let upper = Content { media_type: "Application/MIMI-knock-decision; x=y".into(), body: Vec::new() };
        assert!(Notice::is_one(&upper), "damaged as it is, it is not for people");
    }
}
