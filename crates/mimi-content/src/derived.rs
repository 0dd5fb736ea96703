use mimi_pseudonym::{DecodeError, Reader, RoomUri, Timestamp, UserUri, Wire, Writer};

use crate::{
    cbor::{array, bytes, end, fixed, next, parse, text, uint, write},
    id::MessageId,
};

/// What a receiver knows of a message from elsewhere (`MessageDerivedValues`, draft-ietf-mimi-content, section 4.6).
/// Timestamps in the extended form of RFC 9581 are not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DerivedValues {
    /// The message's identifier.
    pub message: MessageId,
    /// When the hub accepted it.
    pub accepted: Timestamp,
    /// The MLS group.
    pub group_id: Vec<u8>,
    /// The sender's leaf.
    pub sender_leaf: u32,
    /// The sender's client, by whatever URI: the draft's own example is none of draft-ietf-mimi-protocol.
    pub sender_client: String,
    /// The sender.
    pub sender: UserUri,
    /// The room.
    pub room: RoomUri,
}

impl Wire for DerivedValues {
    const MAX_LEN: usize = 4096;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let octets = reader.take(reader.rest().len())?;
        let mut fields = array(parse(octets)?, "MessageDerivedValues")?;
        let mut field = |name| next(&mut fields, name);
        let values = Self {
            message: MessageId::from_bytes(fixed(field("messageId")?, "messageId")?),
            accepted: Timestamp::from_millis(uint(field("hubAcceptedTimestamp")?, "hubAcceptedTimestamp")?),
            group_id: bytes(field("mlsGroupId")?, "mlsGroupId")?,
            sender_leaf: uint(field("senderLeafIndex")?, "senderLeafIndex")?,
            sender_client: text(field("senderClientUrl")?, "senderClientUrl")?,
            sender: text(field("senderUserUrl")?, "senderUserUrl")?.parse()?,
            room: text(field("roomUrl")?, "roomUrl")?.parse()?,
        };
        end(fields, "MessageDerivedValues")?;
        Ok(values)
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&write(&ciborium::Value::Array(vec![
            self.message.as_bytes().as_slice().into(),
            self.accepted.as_millis().into(),
            self.group_id.as_slice().into(),
            self.sender_leaf.into(),
            self.sender_client.as_str().into(),
            self.sender.as_str().into(),
            self.room.as_str().into(),
        ])));
    }
}
