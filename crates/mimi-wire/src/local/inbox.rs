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

/// The frame of an event in a stream of events: its length in 4 octets, then the event, of which the body is encoded
/// already.
pub fn event_frame(sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(12 + body.len());
    frame.extend_from_slice(&u32::try_from(body.len() + 8).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Events from the octets of a stream, in whatever pieces they come.
#[derive(Clone, Debug, Default)]
pub struct EventFrames {
    octets: Vec<u8>,
    read: usize,
    last: u64,
}

impl EventFrames {
    /// A stream of events behind a number.
    pub fn after(number: u64) -> Self {
        Self { last: number, ..Self::default() }
    }

    /// Adds what has come.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..std::mem::take(&mut self.read));
        self.octets.extend_from_slice(octets);
    }

    /// The next event, if all of it has come. After an error nothing of the stream can be read.
    ///
    /// # Errors
    /// [`DecodeError`] if a frame is too long or is no event, or if the numbers do not rise.
    pub fn next_event(&mut self) -> Result<Option<InboxEvent>, DecodeError> {
        let rest = self.octets.get(self.read..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > InboxEvent::MAX_LEN {
            return Err(DecodeError::TooLong { found: length, limit: InboxEvent::MAX_LEN });
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let event = InboxEvent::decode(frame)?;
        if event.sequence <= self.last {
            return Err(DecodeError::Rule { field: "sequence", rule: "the numbers do not rise" });
        }
        self.last = event.sequence;
        self.read += 4 + length;
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> InboxBody {
        InboxBody::RoomDestroyed { room: "mimi://a.example/r/club".parse().unwrap() }
    }

    #[test]
    fn frames_are_read_in_whatever_pieces_they_come() {
        let octets = [event_frame(3, &body().encode()), event_frame(7, &body().encode())].concat();
        for size in 1..=octets.len() {
            let (mut frames, mut found) = (EventFrames::after(2), Vec::new());
            for piece in octets.chunks(size) {
                frames.push(piece);
                while let Some(event) = frames.next_event().unwrap() {
                    found.push(event);
                }
            }
            let expected = [3, 7].map(|sequence| InboxEvent { sequence, body: body() });
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn what_is_no_event_or_out_of_order_is_an_error() {
        let next = |after, octets: &[u8]| {
            let mut frames = EventFrames::after(after);
            frames.push(octets);
            frames.next_event()
        };
        assert_eq!(next(0, &[0, 0, 0]), Ok(None));
        assert!(matches!(next(0, &[0xff; 4]), Err(DecodeError::TooLong { .. })));
        assert!(next(0, &event_frame(1, &[])).is_err());
        assert!(next(0, &event_frame(1, &[&body().encode()[..], &[0]].concat())).is_err(), "a trailing octet");
        for after in [1, 2] {
            assert!(matches!(next(after, &event_frame(1, &body().encode())), Err(DecodeError::Rule { .. })));
        }
    }
}
