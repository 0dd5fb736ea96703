use mimi_pseudonym::{DecodeError, Reader, Timestamp, UserUri, Wire, Writer};

use crate::{
    codec::check_count,
    mls::{ApplicationMessage, CommitMessage, ContentType, MlsMessage, ProposalMessage, Welcome, WireFormat},
    recovery::UnverifiedRollback,
    submit::Frank,
    update::{PROPOSALS_MAX, RatchetTreeOption},
};

/// What is fanned out, each with what belongs to it (draft-ietf-mimi-protocol-06, section 5.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FanoutEvent {
    /// A message.
    Application {
        /// The sealed message.
        message: ApplicationMessage,
        /// The hub's stamp.
        frank: Option<Frank>,
    },
    /// The way in for new members.
    Welcome {
        /// The welcome.
        welcome: Welcome,
        /// The tree it is for.
        ratchet_tree: RatchetTreeOption,
    },
    /// Proposals.
    Proposal {
        /// The first.
        proposal: ProposalMessage,
        /// The others; at most 1,024.
        more: Vec<ProposalMessage>,
    },
    /// A commit.
    Commit {
        /// The commit.
        commit: CommitMessage,
        /// The hub's own proposals of the new epoch, in place of those an external commit made void; at most 1,024.
        external_proposals: Vec<ProposalMessage>,
    },
    /// The hub has gone back to an earlier epoch. Our own convention: it is framed as an MLSMessage of the wire format
    /// 0xF4A1, which is from the range for private use (RFC 9420, section 17.3 and below).
    RolledBack {
        /// The hub's word.
        rollback: UnverifiedRollback,
    },
    /// From now on not every participant of the provider that gets this receives the room's application messages, or all
    /// do again: for the provider, not for its clients. Our own convention, framed as an MLSMessage of the wire format
    /// 0xF4A2.
    Audience {
        /// The provider's users who receive them, if not all do; at most 65,536.
        receivers: Option<Vec<UserUri>>,
    },
}

/// Version and wire format of the frame of [`FanoutEvent::RolledBack`].
const ROLLED_BACK: [u8; 4] = [0, 1, 0xF4, 0xA1];

/// Version and wire format of the frame of [`FanoutEvent::Audience`].
const AUDIENCE: [u8; 4] = [0, 1, 0xF4, 0xA2];

/// `FanoutMessage` (section 5.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FanoutMessage {
    /// When the hub accepted it.
    pub timestamp: Timestamp,
    /// What it is.
    pub event: FanoutEvent,
}

impl Wire for FanoutMessage {
    const MAX_LEN: usize = 24 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let timestamp = Wire::read(reader)?;
        if reader.rest().starts_with(&ROLLED_BACK) {
            reader.take(ROLLED_BACK.len())?;
            return Ok(Self { timestamp, event: FanoutEvent::RolledBack { rollback: Wire::read(reader)? } });
        }
        if reader.rest().starts_with(&AUDIENCE) {
            reader.take(AUDIENCE.len())?;
            let receivers = if reader.flag("receivers")? { Some(reader.list()?) } else { None };
            check_count(receivers.as_deref().unwrap_or_default(), 0..=65_536, "receivers")?;
            return Ok(Self { timestamp, event: FanoutEvent::Audience { receivers } });
        }
        let message = MlsMessage::read(reader)?;
        let wrong = |_| DecodeError::Rule { field: "message", rule: "wire format and content type do not go together" };
        let event = match (message.wire_format(), message.content_type()) {
            (WireFormat::Welcome, _) => FanoutEvent::Welcome {
                welcome: message.into_welcome().ok_or(DecodeError::Rule { field: "message", rule: "no welcome" })?,
                ratchet_tree: Wire::read(reader)?,
            },
            (_, Some(ContentType::Application)) => {
                FanoutEvent::Application { message: message.try_into().map_err(wrong)?, frank: reader.optional()? }
            }
            (_, Some(ContentType::Proposal)) => {
                let proposal = message.try_into().map_err(wrong)?;
                let more = reader.list()?;
                check_count(&more, 0..=PROPOSALS_MAX, "moreProposals")?;
                FanoutEvent::Proposal { proposal, more }
            }
            (_, Some(ContentType::Commit)) => {
                let commit = message.try_into().map_err(wrong)?;
                let external_proposals = reader.list()?;
                check_count(&external_proposals, 0..=PROPOSALS_MAX, "externalProposals")?;
                FanoutEvent::Commit { commit, external_proposals }
            }
            (_, None) => return Err(DecodeError::Rule { field: "message", rule: "not a kind that is fanned out" }),
        };
        Ok(Self { timestamp, event })
    }

    fn write(&self, writer: &mut Writer) {
        self.timestamp.write(writer);
        match &self.event {
            FanoutEvent::Application { message, frank } => {
                message.write(writer);
                writer.optional(frank.as_ref());
            }
            FanoutEvent::Welcome { welcome, ratchet_tree } => {
                MlsMessage::from(welcome.clone()).write(writer);
                ratchet_tree.write(writer);
            }
            FanoutEvent::Proposal { proposal, more } => {
                proposal.write(writer);
                writer.list(more);
            }
            FanoutEvent::Commit { commit, external_proposals } => {
                commit.write(writer);
                writer.list(external_proposals);
            }
            FanoutEvent::RolledBack { rollback } => {
                writer.raw(&ROLLED_BACK);
                rollback.write(writer);
            }
            FanoutEvent::Audience { receivers } => {
                writer.raw(&AUDIENCE);
                writer.flag(receivers.is_some());
                if let Some(receivers) = receivers {
                    writer.list(receivers);
                }
            }
        }
    }
}

/// The body of a notification: one or more messages of one room, end to end; at least one, at most 1,024
/// (section 5.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FanoutMessages(Vec<FanoutMessage>);

impl FanoutMessages {
    /// Puts messages together in order.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] for none, or for more than 1,024.
    pub fn new(messages: Vec<FanoutMessage>) -> Result<Self, DecodeError> {
        check_count(&messages, 1..=1024, "FanoutMessage")?;
        Ok(Self(messages))
    }

    /// The messages in order.
    pub fn as_slice(&self) -> &[FanoutMessage] {
        &self.0
    }

    /// The messages in order, taken out.
    pub fn into_vec(self) -> Vec<FanoutMessage> {
        self.0
    }
}

impl From<FanoutMessage> for FanoutMessages {
    fn from(message: FanoutMessage) -> Self {
        Self(vec![message])
    }
}

impl Wire for FanoutMessages {
    const MAX_LEN: usize = 32 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut messages = Vec::new();
        while !reader.is_empty() && messages.len() <= 1024 {
            messages.push(FanoutMessage::read(reader)?);
        }
        Self::new(messages)
    }

    fn write(&self, writer: &mut Writer) {
        for message in &self.0 {
            message.write(writer);
        }
    }
}
