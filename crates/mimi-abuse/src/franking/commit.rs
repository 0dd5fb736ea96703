use mimi_content::{MimiContent, Salt};
use mimi_pseudonym::{Content, DecodeError, RoomUri, UserUri, Wire};
use mimi_wire::FrankAad;
use ring::hmac;

/// What application data says of itself when it is in the MIMI content format and names sender and room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The message.
    pub message: MimiContent,
    /// Who the sender says it is.
    pub sender: UserUri,
    /// The room the sender says the message is for.
    pub room: RoomUri,
    /// The commitment to all of it.
    pub frank_aad: FrankAad,
}

/// Why nothing can be committed to, or nothing was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UncommittedError {
    /// It is not application data with a media type, or not in the MIMI content format.
    #[error("no message in the MIMI content format: {0}")]
    Content(#[from] DecodeError),
    /// The message does not name its sender.
    #[error("the message does not name its sender")]
    NoSender,
    /// The message does not name its room.
    #[error("the message does not name its room")]
    NoRoom,
}

/// The application data of a message, and the sender's commitment to it: `franking_tag` of section 5.4.1.1. The commitment
/// covers the media type, because `ApplicationFraming` is part of the application data.
pub fn commit(message: &MimiContent) -> (Content, FrankAad) {
    let content = message.to_content();
    let frank_aad = tag(message.salt(), &content.encode());
    (content, frank_aad)
}

fn tag(salt: &Salt, application_data: &[u8]) -> FrankAad {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes()), application_data);
    FrankAad { franking_tag: array(tag.as_ref()) }
}

/// HMAC-SHA256 has 32 octets.
pub(super) fn array(octets: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(octets) {
        *to = *from;
    }
    array
}

impl Committed {
    /// Reads application data, as it was inside the MLS message.
    ///
    /// # Errors
    /// [`UncommittedError`]
    pub fn read(application_data: &[u8]) -> Result<Self, UncommittedError> {
        let message = MimiContent::from_content(&Content::decode(application_data)?)?;
        let sender = message.extensions().sender().cloned().ok_or(UncommittedError::NoSender)?;
        let room = message.extensions().room().cloned().ok_or(UncommittedError::NoRoom)?;
        let frank_aad = tag(message.salt(), application_data);
        Ok(Self { message, sender, room, frank_aad })
    }
}
