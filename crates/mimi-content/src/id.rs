use std::fmt;

use mimi_pseudonym::{RoomUri, UserUri};
use ring::digest::{Context, SHA256};

use crate::Salt;

/// SHA-256 in the registry of Named Information hash algorithms.
const SHA_256: u8 = 1;

/// The identifier of a message (draft-ietf-mimi-content, section 3.3): 32 octets, the first of which names the hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// The octets as they are: a reference to a message that need not be known here, by whatever hash it names.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hashes a message. `message` is its encoding, and what is believed of sender and room is an argument: a receiver
    /// knows them from MLS.
    pub(crate) fn of(message: &[u8], salt: &Salt, sender: &UserUri, room: &RoomUri) -> Self {
        let mut hash = Context::new(&SHA256);
        for uri in [sender.as_str(), room.as_str()] {
            // A URI here has at most a few hundred octets.
            hash.update(&u16::try_from(uri.len()).unwrap_or(u16::MAX).to_be_bytes());
            hash.update(uri.as_bytes());
        }
        hash.update(message);
        hash.update(salt.as_bytes());
        let hash = hash.finish();
        let mut id = [SHA_256; 32];
        for (to, from) in id.iter_mut().skip(1).zip(hash.as_ref()) {
            *to = *from;
        }
        Self(id)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageId(")?;
        self.0.iter().take(8).try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str("..)")
    }
}
