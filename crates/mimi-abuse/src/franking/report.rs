use mimi_content::MimiContent;
use mimi_pseudonym::{RoomUri, Timestamp, UserUri, Wire};
use mimi_wire::{
    AbuseReport, AbusiveMessage, FRANKING_INTEGRITY_LABEL, FrankingIntegrityTbs, ServerFrankingContext,
    label::verify_with_label,
};

use super::{
    commit::{Committed, UncommittedError},
    hub::HubKeys,
};

/// A message that the hub has recognised: that user has sent it, in that room, at that time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedMessage {
    /// What makes it this message and no other: the hub's stamp.
    pub reference: [u8; 32],
    /// The message.
    pub message: MimiContent,
    /// When the hub accepted it.
    pub accepted: Timestamp,
}

/// A report whose messages have all been recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedReport {
    /// Who is reported.
    pub alleged_abuser: UserUri,
    /// The messages, each once. None for a report without evidence, which is one person's word.
    pub messages: Vec<VerifiedMessage>,
}

/// Why a shown message proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// It is no message whose sender has committed to anything.
    #[error(transparent)]
    Uncommitted(#[from] UncommittedError),
    /// It was for another room.
    #[error("the message is from another room")]
    OtherRoom,
    /// It is by somebody else.
    #[error("the message is by somebody else")]
    OtherSender,
    /// The secret of that time has been thrown away.
    #[error("the message is older than the hub remembers")]
    Forgotten,
    /// The hub has never stamped this content by this sender in this room at this time.
    #[error("the hub has never stamped this message")]
    NotStamped,
    /// The stamp is right, the signature on it is not.
    #[error("the signature on the stamp does not verify")]
    Signature,
}

/// Why a report is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// One of its messages proves nothing: then nothing in the report is believed.
    #[error("message {at}: {error}")]
    Evidence {
        /// Its place in the report, counted from 0.
        at: usize,
        /// What is wrong.
        error: EvidenceError,
    },
}

impl HubKeys {
    /// Checks every message of a report about a room (section 5.9). Who reports is not looked at.
    ///
    /// # Errors
    /// [`ReportError`] names the first message that does not hold.
    pub fn verify_report(&self, room: &RoomUri, report: &AbuseReport) -> Result<VerifiedReport, ReportError> {
        let mut messages: Vec<VerifiedMessage> = Vec::new();
        for (at, shown) in report.messages.iter().enumerate() {
            let verified = self.verify_message(room, &report.alleged_abuser, shown);
            let verified = verified.map_err(|error| ReportError::Evidence { at, error })?;
            if messages.iter().all(|known| known.reference != verified.reference) {
                messages.push(verified);
            }
        }
        Ok(VerifiedReport { alleged_abuser: report.alleged_abuser.clone(), messages })
    }

    fn verify_message(
        &self,
        room: &RoomUri,
        alleged: &UserUri,
        shown: &AbusiveMessage,
    ) -> Result<VerifiedMessage, EvidenceError> {
        let Committed { message, sender, room: named, frank_aad } = Committed::read(&shown.message_content)?;
        if named != *room {
            return Err(EvidenceError::OtherRoom);
        }
        if sender != *alleged {
            return Err(EvidenceError::OtherSender);
        }
        let context = ServerFrankingContext { sender, room: named, accepted: shown.accepted };
        if !self.recognises(&shown.frank, &frank_aad, &context).ok_or(EvidenceError::Forgotten)? {
            return Err(EvidenceError::NotStamped);
        }
        let (server_frank, cipher_suite) = (shown.frank.server_frank, shown.frank.cipher_suite);
        let tbs = FrankingIntegrityTbs { server_frank, cipher_suite, context }.encode();
        let signed =
            self.signature_keys.iter().filter(|key| key.scheme() == cipher_suite.signature_scheme()).any(|key| {
                verify_with_label(key, FRANKING_INTEGRITY_LABEL, &tbs, &shown.frank.integrity_signature).is_ok()
            });
        if !signed {
            return Err(EvidenceError::Signature);
        }
        Ok(VerifiedMessage { reference: server_frank, message, accepted: shown.accepted })
    }
}
