use mimi_pseudonym::{CipherSuite, DecodeError, Reader, Timestamp, UserUri, Wire, Writer};

use crate::{
    codec::{read_protocol, wire_struct, write_protocol},
    mls::{ApplicationMessage, MlsMessage},
};

/// `SubmitMessageRequest` (draft-ietf-mimi-protocol-06, section 5.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubmitMessageRequest {
    /// The sealed message.
    pub message: ApplicationMessage,
    /// The participant who sends it, as the room knows it.
    pub sending_user: UserUri,
}

impl Wire for SubmitMessageRequest {
    const MAX_LEN: usize = MlsMessage::MAX_LEN + 2048;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        Ok(Self { message: Wire::read(reader)?, sending_user: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        write_protocol(writer);
        self.message.write(writer);
        self.sending_user.write(writer);
    }
}

/// `Frank` (section 5.4): the hub's stamp on a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frank {
    /// HMAC under a key only the hub has.
    pub server_frank: [u8; 32],
    /// The suite whose signature scheme the signature has.
    pub cipher_suite: CipherSuite,
    /// Signature over [`crate::FrankingIntegrityTbs`].
    pub integrity_signature: Vec<u8>,
}

wire_struct!(Frank, 2048, { server_frank: array, cipher_suite, integrity_signature });

/// `SubmitMessageResponse` (section 5.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubmitMessageResponse {
    /// It was accepted and goes out to everyone.
    Accepted {
        /// When.
        accepted: Timestamp,
        /// The stamp, if the message asked for one.
        frank: Option<Frank>,
    },
    /// A policy or a missing right stands against it.
    NotAllowed,
    /// It was sealed in an epoch that is gone.
    EpochTooOld {
        /// The group's epoch.
        current_epoch: u64,
    },
}

impl Wire for SubmitMessageResponse {
    const MAX_LEN: usize = 4096;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        match reader.u8()? {
            0 => Ok(Self::Accepted { accepted: Wire::read(reader)?, frank: reader.optional()? }),
            1 => Ok(Self::NotAllowed),
            2 => Ok(Self::EpochTooOld { current_epoch: reader.u64()? }),
            value => Err(DecodeError::Value { field: "statusCode", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        write_protocol(writer);
        match self {
            Self::Accepted { accepted, frank } => {
                writer.u8(0);
                accepted.write(writer);
                writer.optional(frank.as_ref());
            }
            Self::NotAllowed => writer.u8(1),
            Self::EpochTooOld { current_epoch } => {
                writer.u8(2);
                writer.u64(*current_epoch);
            }
        }
    }
}
