use mimi_pseudonym::{DecodeError, Reader, RoomUri, UserUri, Wire, Writer};

use super::account::check_pseudonyms;
use crate::{
    codec::{check_count, wire_struct},
    consent::ConsentEntry,
    notify::FanoutMessage,
};

/// What a client finds in its inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InboxBody {
    /// An event of a room.
    Fanout {
        /// The room.
        room: RoomUri,
        /// The event.
        message: FanoutMessage,
    },
    /// Pseudonyms another device of the account was given: 1 to 1,000.
    PseudonymsAssigned {
        /// The pseudonyms.
        pseudonyms: Vec<UserUri>,
    },
    /// A room is no more.
    RoomDestroyed {
        /// The room.
        room: RoomUri,
    },
    /// Someone asks for consent, takes that back, or gives it.
    Consent {
        /// What it is: never a revocation, which nobody is told.
        entry: ConsentEntry,
    },
    /// Few KeyPackages of one of the client's users are left that nobody has claimed.
    KeyPackagesLow {
        /// The account or pseudonym.
        user: UserUri,
    },
    /// Another device of the account has KeyPackages for a pseudonym under which this one is in a room, and is not in that
    /// room itself.
    SiblingReady {
        /// The pseudonym.
        user: UserUri,
    },
}

impl Wire for InboxBody {
    const MAX_LEN: usize = 25 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Fanout { room: Wire::read(reader)?, message: Wire::read(reader)? }),
            2 => {
                let pseudonyms = reader.list()?;
                check_pseudonyms(&pseudonyms)?;
                Ok(Self::PseudonymsAssigned { pseudonyms })
            }
            3 => Ok(Self::RoomDestroyed { room: Wire::read(reader)? }),
            4 => Ok(Self::Consent { entry: Wire::read(reader)? }),
            9 => Ok(Self::KeyPackagesLow { user: Wire::read(reader)? }),
            10 => Ok(Self::SiblingReady { user: Wire::read(reader)? }),
            value => Err(DecodeError::Value { field: "inbox_body", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Fanout { room, message } => {
                writer.u8(1);
                room.write(writer);
                message.write(writer);
            }
            Self::PseudonymsAssigned { pseudonyms } => {
                writer.u8(2);
                writer.list(pseudonyms);
            }
            Self::RoomDestroyed { room } => {
                writer.u8(3);
                room.write(writer);
            }
            Self::Consent { entry } => {
                writer.u8(4);
                entry.write(writer);
            }
            Self::KeyPackagesLow { user } => {
                writer.u8(9);
                user.write(writer);
            }
            Self::SiblingReady { user } => {
                writer.u8(10);
                user.write(writer);
            }
        }
    }
}

/// An event and its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboxEvent {
    /// Its number: larger than those of earlier events of the same client.
    pub sequence: u64,
    /// What happened.
    pub body: InboxBody,
}

wire_struct!(InboxEvent, 25 << 20, { sequence, body });

/// Events in order; none if there are none yet, at most 1,024.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboxResponse {
    /// The events, their numbers rising.
    pub events: Vec<InboxEvent>,
}

wire_struct!(InboxResponse, 64 << 20, { events: list }, |response| {
    check_count(&response.events, 0..=1024, "events")?;
    if response.events.is_sorted_by(|one, next| one.sequence < next.sequence) {
        Ok(())
    } else {
        Err(DecodeError::Rule { field: "events", rule: "the numbers do not rise" })
    }
});

/// Says that events have been taken and need not be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckRequest {
    /// The number of the last one taken.
    pub up_to: u64,
}

wire_struct!(AckRequest, 8, { up_to });
