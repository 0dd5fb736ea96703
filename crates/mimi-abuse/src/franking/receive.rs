use mimi_content::MimiContent;
use mimi_pseudonym::{CipherSuite, Content, MessageContext, PublicKey, Timestamp, Wire};
use mimi_wire::{
    AbusiveMessage, FRANKING_INTEGRITY_LABEL, Frank, FrankAad, FrankingAgentData, FrankingIntegrityTbs,
    ServerFrankingContext, label::verify_with_label,
};

use super::commit::{Committed, UncommittedError};

/// A message that holds as evidence: what to keep beside the message as long as it may be reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrankedMessage {
    /// The message.
    pub message: MimiContent,
    /// What a report shows of it.
    pub evidence: AbusiveMessage,
}

/// Why a received message does not hold as evidence. The message itself may be shown all the same: MLS has verified it. But
/// a sender who does this, or a provider on the way, wants not to be reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The content cannot be committed to.
    #[error(transparent)]
    Uncommitted(#[from] UncommittedError),
    /// The stamp is for another cipher suite than the room's.
    #[error("the stamp is for another cipher suite")]
    Suite,
    /// The room's franking agent is not of the hub's domain.
    #[error("the franking agent is not the hub")]
    Agent,
    /// The agent's key is none of the room's suite.
    #[error("the franking agent has no key of the room's cipher suite")]
    Key,
    /// The hub has not stamped this sender, room and time.
    #[error("the hub has not signed this stamp for this sender, room and time")]
    Signature,
    /// The sender's commitment is not to this content.
    #[error("the sender has committed to other content")]
    Tag,
    /// The sender in the content is not the one that MLS knows.
    #[error("the content names another sender")]
    Sender,
    /// The room in the content is another.
    #[error("the content names another room")]
    Room,
}

/// Checks a message that was opened with the stamp that came with it (section 5.4.1.3). `context` is what MLS knows of the
/// message, `accepted` the time in the fan-out message, `suite` and `agent` those of the room.
///
/// # Errors
/// [`ReceiveError`] says what does not hold.
#[allow(clippy::too_many_arguments, reason = "each comes from somewhere else, and none may be left out")]
pub fn verify_received(
    content: &Content,
    frank_aad: &FrankAad,
    frank: &Frank,
    accepted: Timestamp,
    context: &MessageContext,
    suite: CipherSuite,
    agent: &FrankingAgentData,
) -> Result<FrankedMessage, ReceiveError> {
    if frank.cipher_suite != suite {
        return Err(ReceiveError::Suite);
    }
    let hub = format!("mimi://{}", context.room().domain());
    if agent.credential.identity() != Some(hub.as_bytes()) {
        return Err(ReceiveError::Agent);
    }
    let key = PublicKey::new(suite.signature_scheme(), &agent.franking_signature_key);
    let key = key.map_err(|_| ReceiveError::Key)?;
    let (sender, room) = (context.sender().clone(), context.room().clone());
    let tbs = FrankingIntegrityTbs {
        server_frank: frank.server_frank,
        cipher_suite: suite,
        context: ServerFrankingContext { sender, room, accepted },
    };
    verify_with_label(&key, FRANKING_INTEGRITY_LABEL, &tbs.encode(), &frank.integrity_signature)
        .map_err(|_| ReceiveError::Signature)?;
    let application_data = content.encode();
    let committed = Committed::read(&application_data)?;
    if committed.frank_aad != *frank_aad {
        return Err(ReceiveError::Tag);
    }
    if committed.sender != *context.sender() {
        return Err(ReceiveError::Sender);
    }
    if committed.room != *context.room() {
        return Err(ReceiveError::Room);
    }
    let evidence = AbusiveMessage { message_content: application_data, frank: frank.clone(), accepted };
    Ok(FrankedMessage { message: committed.message, evidence })
}
