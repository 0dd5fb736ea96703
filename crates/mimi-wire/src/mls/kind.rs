use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use super::{ContentType, MlsMessage, WireFormat};

/// An MLS message is not of the kind that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MLS message is no {0}")]
pub struct WrongKind(&'static str);

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $wire_format:ident, $content_type:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name(MlsMessage);

        impl $name {
            /// The message as it came.
            pub fn message(&self) -> &MlsMessage {
                &self.0
            }

            /// The message as it came, taken out.
            pub fn into_message(self) -> MlsMessage {
                self.0
            }
        }

        impl TryFrom<MlsMessage> for $name {
            type Error = WrongKind;

            fn try_from(message: MlsMessage) -> Result<Self, WrongKind> {
                let fits = message.wire_format() == WireFormat::$wire_format
                    && message.content_type() == Some(ContentType::$content_type);
                if fits { Ok(Self(message)) } else { Err(WrongKind($text)) }
            }
        }

        impl Wire for $name {
            const MAX_LEN: usize = MlsMessage::MAX_LEN;

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                MlsMessage::read(reader)?
                    .try_into()
                    .map_err(|_| DecodeError::Rule { field: "message", rule: concat!("no ", $text) })
            }

            fn write(&self, writer: &mut Writer) {
                self.0.write(writer);
            }
        }
    };
}

kind!(
    /// A private message with data of the application.
    ApplicationMessage,
    PrivateMessage,
    Application,
    "private message with application data"
);
kind!(
    /// A public message with a proposal.
    ProposalMessage,
    PublicMessage,
    Proposal,
    "public message with a proposal"
);
kind!(
    /// A public message with a commit.
    CommitMessage,
    PublicMessage,
    Commit,
    "public message with a commit"
);
