use mimi_pseudonym::{CipherSuite, RoomUri, Timestamp, UserUri};

use crate::{codec::wire_struct, mls::Credential};

/// Component id of `frank_aad` (draft-ietf-mimi-protocol-06, section 10.1).
pub const FRANK_AAD_COMPONENT: u16 = 0x0020;

/// Component id of the franking agent (section 10.2).
pub const FRANKING_AGENT_COMPONENT: u16 = 0x0021;

/// Label of the signature over [`FrankingIntegrityTbs`].
pub const FRANKING_INTEGRITY_LABEL: &str = "FrankingIntegrityTBS";

/// `FrankAAD` (section 5.4.1): the sender's commitment to the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrankAad {
    /// HMAC-SHA256 of the content under its salt.
    pub franking_tag: [u8; 32],
}

wire_struct!(FrankAad, 32, { franking_tag: array });

/// `FrankingAgentData` (section 5.4.1): who stamps messages. The group's suite says the key's scheme.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrankingAgentData {
    /// The key's octets.
    pub franking_signature_key: Vec<u8>,
    /// Whose it is.
    pub credential: Credential,
}

wire_struct!(FrankingAgentData, 1 << 17, { franking_signature_key, credential });

/// `ServerFrankingContext` (section 5.4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerFrankingContext {
    /// The sender as the room knows it.
    pub sender: UserUri,
    /// The room.
    pub room: RoomUri,
    /// When the hub accepted the message.
    pub accepted: Timestamp,
}

wire_struct!(ServerFrankingContext, 4096, { sender, room, accepted });

/// `FrankingIntegrityTBS` (section 5.4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrankingIntegrityTbs {
    /// The hub's HMAC.
    pub server_frank: [u8; 32],
    /// The suite whose signature scheme is used.
    pub cipher_suite: CipherSuite,
    /// Who sent what where and when.
    pub context: ServerFrankingContext,
}

wire_struct!(FrankingIntegrityTbs, 8192, { server_frank: array, cipher_suite, context });
