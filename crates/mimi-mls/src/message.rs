use mimi_credential::TrustStore;
use mimi_pseudonym::{Content, MessageContext, Timestamp, UserUri, Wire};
use mimi_room::{Actor, How, Refusal, RoomState};
use mimi_wire::{FRANK_AAD_COMPONENT, FrankAad, MlsMessage, SAFE_AAD_COMPONENT};
use openmls::{
    framing::{SafeAadItem, errors::MessageDecryptionError},
    group::{MlsGroup, ProcessMessageError, StagedCommit, ValidationError},
    prelude::{
        AppDataDictionaryExtension, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender,
        tls_codec::{Deserialize as _, Serialize as _},
    },
};

use crate::{
    Room,
    backend::SignerAdapter,
    group::{Committer, component_updates, dictionary_changes, effect, update_roster},
    part::judge,
};

/// What came of a message from the hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Opened {
    /// An application message, with the context that any disclosure in it is verified against.
    Content {
        /// What it carries.
        content: Content,
        /// Where it stands.
        context: Box<MessageContext>,
        /// The sender's commitment to the content, if it made one (draft-ietf-mimi-protocol-06, section 5.4.1). That it
        /// fits the content is for `mimi-abuse` to say.
        frank_aad: Option<FrankAad>,
    },
    /// A commit: the room has moved to the next epoch.
    Commit {
        /// Who made it.
        by: UserUri,
        /// Whether a commit of this member's own was waiting and is lost by this one.
        own_lost: bool,
    },
    /// This member's own commit, accepted: the room has moved to the next epoch.
    OwnCommit,
    /// A commit that removes this member: the room is over for it.
    Removed {
        /// Who made it.
        by: UserUri,
    },
    /// Proposals for the next commit: it will hold them, whoever makes it.
    Proposal {
        /// Who made it; none if it was the hub.
        by: Option<UserUri>,
        /// Whether it removes this member.
        own: bool,
    },
    /// Something this member has seen or sent before. Nothing has changed.
    Duplicate,
}

/// Why a message is not opened. Nothing has changed then, save that the key of a message without framing is spent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// MLS refuses it.
    #[error("MLS refuses the message")]
    Mls,
    /// It is of an epoch that lies ahead: something before it is missing.
    #[error("the message is of epoch {message}, the room is in epoch {room}")]
    Ahead {
        /// The message's epoch.
        message: u64,
        /// The room's epoch.
        room: u64,
    },
    /// It is so old that its keys are gone.
    #[error("the message's keys are gone")]
    KeysGone,
    /// What was decrypted has no framing with a media type.
    #[error("the content has no framing")]
    Framing,
    /// The hub let something through that the room does not allow.
    #[error("the hub let through what the room does not allow: {0}")]
    NotAllowed(#[from] Refusal),
    /// A proposal is of a kind that has no place in a room, or removes a client that is not there.
    #[error("the proposal has no place in a room")]
    Proposal,
    /// A commit does something that has no place in a room, or brings in a credential that does not hold.
    #[error("the commit has no place in a room")]
    Commit,
}

/// Why a message cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A commit of this member waits for the hub's answer.
    #[error("a commit of this member waits for the hub's answer")]
    Pending,
    /// This member is leaving.
    #[error("this member is leaving")]
    Leaving,
    /// The room does not let this member send.
    #[error("the room does not let this member send: {0}")]
    NotAllowed(#[from] Refusal),
    /// The content is longer than a receiver accepts: [`Content::MAX_LEN`] octets with its framing.
    #[error("the content is too long")]
    TooLong,
    /// MLS refuses.
    #[error("MLS refuses to seal")]
    Mls,
}

impl Room {
    /// Seals content into an MLS PrivateMessage of the present epoch.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn seal(&mut self, content: &Content) -> Result<MlsMessage, SealError> {
        self.seal_with(|_| Ok::<_, SealError>(content.clone()))
    }

    /// Seals content that depends on the context it will stand in, such as a disclosure.
    ///
    /// # Errors
    /// The closure's own error, or [`SealError`] turned into it.
    pub fn seal_with<E: From<SealError>>(
        &mut self,
        make: impl FnOnce(&MessageContext) -> Result<Content, E>,
    ) -> Result<MlsMessage, E> {
        self.seal_committed(|context| Ok((make(context)?, None)))
    }

    /// Seals content with the sender's commitment to it, which everybody on the way can see and the hub puts its stamp on
    /// (draft-ietf-mimi-protocol-06, section 5.4.1). In a room without a franking agent there is nobody to do that, and the
    /// commitment is left out.
    ///
    /// # Errors
    /// The closure's own error, or [`SealError`] turned into it.
    pub fn seal_franked<E: From<SealError>>(
        &mut self,
        make: impl FnOnce(&MessageContext) -> Result<(Content, FrankAad), E>,
    ) -> Result<MlsMessage, E> {
        self.seal_committed(|context| make(context).map(|(content, frank_aad)| (content, Some(frank_aad))))
    }

    fn seal_committed<E: From<SealError>>(
        &mut self,
        make: impl FnOnce(&MessageContext) -> Result<(Content, Option<FrankAad>), E>,
    ) -> Result<MlsMessage, E> {
        if self.pending.is_some() {
            return Err(SealError::Pending.into());
        }
        if self.is_leaving() {
            return Err(SealError::Leaving.into());
        }
        self.state.may_send(self.identity.user()).map_err(SealError::NotAllowed)?;
        let context = self.own_context().ok_or(SealError::Mls)?;
        let (content, frank_aad) = make(&context)?;
        let content = content.encode();
        if content.len() > Content::MAX_LEN {
            return Err(SealError::TooLong.into());
        }
        if let Some(frank_aad) = frank_aad.filter(|_| safe_aad(&self.group)) {
            let item = SafeAadItem::new(FRANK_AAD_COMPONENT, frank_aad.encode());
            self.group.set_safe_aad(vec![item]).map_err(|_| SealError::Mls)?;
        }
        let signer = SignerAdapter(self.identity.signer());
        let message = self.group.create_message(&self.backend, &signer, &content).map_err(|_| SealError::Mls)?;
        let octets = message.tls_serialize_detached().map_err(|_| SealError::Mls)?;
        let message = MlsMessage::decode(&octets).map_err(|_| SealError::Mls)?;
        self.seen.insert(&message);
        Ok(message)
    }

    /// Opens a message of this room that the hub has fanned out.
    ///
    /// # Errors
    /// [`OpenError`]; the room is unchanged then, save for [`OpenError::Framing`].
    pub fn open(&mut self, message: &MlsMessage, trust: &TrustStore, now: Timestamp) -> Result<Opened, OpenError> {
        if self.pending.as_ref().is_some_and(|pending| pending.commit == *message) {
            self.commit_accepted(trust, now).map_err(|_| OpenError::Mls)?;
            return Ok(Opened::OwnCommit);
        }
        if self.seen.contains(message) {
            return Ok(Opened::Duplicate);
        }
        if message.group_id() != Some(self.group.group_id().as_slice()) {
            return Err(OpenError::Mls);
        }
        let protocol = protocol_message(message).ok_or(OpenError::Mls)?;
        let (epoch, present) = (protocol.epoch().as_u64(), self.epoch());
        if epoch > present {
            return Err(OpenError::Ahead { message: epoch, room: present });
        }
        if protocol.is_handshake_message() && epoch < present {
            return Ok(Opened::Duplicate);
        }
        let processed = match self.group.process_message(&self.backend, protocol) {
            Ok(processed) => processed,
            Err(error) => return Err(open_error(&error)),
        };
        let frank_aad = processed.safe_aad_item(FRANK_AAD_COMPONENT).and_then(|item| FrankAad::decode(item).ok());
        let sender = processed.sender().clone();
        let credential = processed.credential().clone();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(application) => {
                let leaf = self.roster.by_credential(&credential).cloned().ok_or(OpenError::Mls)?;
                self.seen.insert(message);
                let content = Content::decode(&application.into_bytes()).map_err(|_| OpenError::Framing)?;
                let context = self.context_of(epoch, &leaf).ok_or(OpenError::KeysGone)?;
                Ok(Opened::Content { content, context: Box::new(context), frank_aad })
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let next = self.state.clone();
                self.take_commit(*staged, &sender, next, trust, now)
            }
            ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
                let updates = component_updates(unresolved.app_data_update_proposals());
                let next = self.state.with_updates(&updates)?;
                let changes = dictionary_changes(self.group.app_data_dictionary_updater(), &updates, &next);
                let staged = self
                    .group
                    .stage_app_data_commit(&self.backend, *unresolved, changes)
                    .map_err(|_| OpenError::Mls)?;
                self.take_commit(staged, &sender, next, trust, now)
            }
            ProcessedMessageContent::ProposalMessage(proposal) => self.take_proposal(message, *proposal),
            // Sent before the last messages that are remembered. Nothing in it has been verified.
            ProcessedMessageContent::OwnPrivateMessage => Ok(Opened::Duplicate),
            _ => Err(OpenError::Commit),
        }
    }

    /// Asks the room's policy about a commit that MLS accepts, then moves to its epoch. Whether somebody who joins has
    /// shown a join code, only the hub can know.
    fn take_commit(
        &mut self,
        staged: StagedCommit,
        sender: &Sender,
        next: RoomState,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Opened, OpenError> {
        let committer = match sender {
            Sender::Member(index) => self.roster.leaf(index.u32()).map(Committer::Member).ok_or(OpenError::Mls)?,
            Sender::NewMemberCommit => Committer::Joiner(How::JoinCode),
            _ => return Err(OpenError::Commit),
        };
        let effect = effect(&staged, committer, &self.roster, self.identity.suite(), trust, now)
            .map_err(|_| OpenError::Commit)?;
        let Some(Actor::User { user: by, .. }) = effect.parts.first().map(|part| part.actor.clone()) else {
            return Err(OpenError::Commit);
        };
        judge(self.state.at(now), &effect.parts, self.roster.members())?;
        let removed = staged.self_removed();
        let own_lost = self.pending.is_some();
        if own_lost {
            self.commit_refused();
        }
        self.group.merge_staged_commit(&self.backend, staged).map_err(|_| OpenError::Mls)?;
        self.state = next;
        if removed {
            return Ok(Opened::Removed { by });
        }
        update_roster(&mut self.roster, effect, self.group.members());
        self.derive_binding();
        Ok(Opened::Commit { by, own_lost })
    }
}

/// Whether the group's messages have room for what components put into their authenticated data.
fn safe_aad(group: &MlsGroup) -> bool {
    let dictionary = group.extensions().app_data_dictionary().map(AppDataDictionaryExtension::dictionary);
    dictionary.is_some_and(|dictionary| dictionary.contains(&SAFE_AAD_COMPONENT))
}

fn protocol_message(message: &MlsMessage) -> Option<ProtocolMessage> {
    MlsMessageIn::tls_deserialize_exact(message.as_bytes()).ok()?.try_into_protocol_message().ok()
}

fn open_error<E>(error: &ProcessMessageError<E>) -> OpenError {
    match error {
        ProcessMessageError::ValidationError(
            ValidationError::NoPastEpochData
            | ValidationError::UnableToDecrypt(MessageDecryptionError::SecretTreeError(_)),
        ) => OpenError::KeysGone,
        _ => OpenError::Mls,
    }
}
