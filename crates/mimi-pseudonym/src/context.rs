use std::fmt;

use crate::{ClientUri, PublicKey, RoomUri, UserUri};

/// A value that only members of one epoch can know, different for every sender: what a key binding is bound to.
/// 32 octets, hidden in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// The octets as they are.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(redacted)")
    }
}

/// Where an application message stands: the room, the epoch, and the leaf that sent it. A disclosure is made
/// for one context and verified in one. `mimi-mls` makes it from the MLS state, for the sender before sealing
/// and for the receiver after the message's own signature has been verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageContext {
    room: RoomUri,
    epoch: u64,
    sender: UserUri,
    sender_client: ClientUri,
    sender_key: PublicKey,
    sender_certificates: Vec<Vec<u8>>,
    nonce: Nonce,
}

impl MessageContext {
    /// Puts a context together. Only a part that has verified the MLS message may do so: whatever stands here
    /// is believed.
    pub fn dangerous_new(
        room: RoomUri,
        epoch: u64,
        sender: (UserUri, ClientUri),
        sender_key: PublicKey,
        sender_certificates: Vec<Vec<u8>>,
        nonce: Nonce,
    ) -> Self {
        let (sender, sender_client) = sender;
        Self { room, epoch, sender, sender_client, sender_key, sender_certificates, nonce }
    }

    /// The room.
    pub fn room(&self) -> &RoomUri {
        &self.room
    }

    /// The MLS epoch in which the message was sealed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The sender as the room knows it: a pseudonym, or an account.
    pub fn sender(&self) -> &UserUri {
        &self.sender
    }

    /// The sender's client.
    pub fn sender_client(&self) -> &ClientUri {
        &self.sender_client
    }

    /// The signature key in the sender's leaf node.
    pub fn sender_key(&self) -> &PublicKey {
        &self.sender_key
    }

    /// The certificates of the sender's leaf credential as DER, the leaf's own first.
    pub fn sender_certificates(&self) -> &[Vec<u8>] {
        &self.sender_certificates
    }

    /// The nonce of this epoch and leaf.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }
}
