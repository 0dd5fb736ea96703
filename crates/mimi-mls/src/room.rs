use std::fmt;

use mimi_credential::{CertificateChain, CredentialError, TrustStore};
use mimi_pseudonym::{ClientUri, DecodeError, MessageContext, Reader, RoomUri, Timestamp, UserUri, Wire, Writer};
use mimi_room::{Members, RoomState, StateError};
use mimi_wire::{ExternalSender, GroupInfo, RatchetTree, Welcome};
use openmls::{
    group::{
        GroupContext, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
        StagedWelcome,
    },
    prelude::{
        AppDataDictionary, AppDataDictionaryExtension, Credential, CredentialType, Extension, ExtensionType,
        Extensions, Lifetime, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider, ProposalType, RatchetTreeIn,
        RequiredCapabilitiesExtension,
        tls_codec::{Deserialize as _, Serialize as _},
    },
};

use crate::{
    KeyPackageSecret,
    backend::{Backend, SavedState, SignerAdapter, ciphersuite},
    binding::{BindingSecrets, EXPORTER_LABEL, PAST_EPOCHS},
    group::{capabilities, group_of, room_of, room_state},
    identity::Identity,
    key_package::MAX_LIFETIME_SECS,
    known::KnownCommit,
    roster::{Roster, RosterError},
    seen::Seen,
};

/// Application messages are padded to a multiple of this many octets.
pub(crate) const PADDING: usize = 256;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A room as one of its members sees it: the MLS group, the state its members agree on, and who they are.
pub struct Room {
    pub(crate) backend: Backend,
    pub(crate) group: MlsGroup,
    pub(crate) identity: Identity,
    pub(crate) uri: RoomUri,
    pub(crate) state: RoomState,
    pub(crate) roster: Roster,
    pub(crate) binding: BindingSecrets,
    /// The commit that has been made and is neither accepted nor refused yet.
    pub(crate) pending: Option<KnownCommit>,
    pub(crate) seen: Seen,
}

/// A room cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// MLS refuses, or the identity's key cannot sign.
    #[error("the MLS group cannot be made")]
    Mls,
    /// The creator is not who the room state says.
    #[error("the creator is no participant of the room's first state")]
    Creator,
}

/// Why a Welcome does not lead into a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The Welcome, the tree, the KeyPackage's private keys and the identity do not fit each other.
    #[error("the Welcome, the ratchet tree and the KeyPackage do not fit each other")]
    Welcome,
    /// The group is no MIMI room, or the room that the Welcome came for is another.
    #[error("the Welcome leads to another room than it came for")]
    OtherRoom,
    /// The room's state does not parse.
    #[error("the room's state: {0}")]
    State(#[from] StateError),
    /// A member's credential does not hold.
    #[error("a member's credential: {0}")]
    Credential(#[from] CredentialError),
    /// A member of the group is no participant of the room.
    #[error("a member of the group is no participant of the room")]
    NotParticipant,
    /// A client is in the group twice.
    #[error("a client is in the group twice")]
    ClientTwice,
}

impl From<RosterError> for JoinError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Credential(error) => Self::Credential(error),
            RosterError::ClientTwice => Self::ClientTwice,
            RosterError::NotParticipant => Self::NotParticipant,
        }
    }
}

/// Why a saved room cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The octets are no saved room.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The parts do not make a room.
    #[error("the saved room is damaged")]
    Damaged,
}

/// What a hub needs to begin tracking a new room.
#[derive(Debug, Clone)]
pub struct FirstEpoch {
    /// The GroupInfo of epoch 0, signed by the creator.
    pub group_info: GroupInfo,
    /// The ratchet tree of epoch 0.
    pub ratchet_tree: RatchetTree,
}

impl Room {
    /// Makes a room whose only client is the creator's. `hub` is the hub's external sender, which every room
    /// names (draft-ietf-mimi-protocol-06, section 8.4).
    ///
    /// # Errors
    /// [`CreateError`]
    pub fn create(
        identity: Identity,
        state: RoomState,
        hub: &ExternalSender,
        now: Timestamp,
    ) -> Result<(Self, FirstEpoch), CreateError> {
        if state.participants().role_of(identity.user()).is_none() {
            return Err(CreateError::Creator);
        }
        let backend = Backend::default();
        let uri = state.room().clone();
        // Whole days, as KeyPackages have them.
        let first = now.as_secs().saturating_sub(3_600) / DAY * DAY;
        let lifetime = Lifetime::init(first, first + MAX_LIFETIME_SECS / DAY * DAY);
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(ciphersuite(identity.suite()))
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .capabilities(capabilities())
            .padding_size(PADDING)
            .max_past_epochs(PAST_EPOCHS)
            .use_ratchet_tree_extension(false)
            .lifetime(lifetime)
            .with_group_context_extensions(context_extensions(&state, hub).ok_or(CreateError::Mls)?)
            .build();
        let signer = SignerAdapter(identity.signer());
        let group = MlsGroup::new_with_group_id(&backend, &signer, &config, group_of(&uri), identity.credential())
            .map_err(|_| CreateError::Mls)?;
        let group_info = group
            .export_group_info(backend.crypto(), &signer, false)
            .ok()
            .and_then(|message| group_info(message.tls_serialize_detached().ok()?))
            .ok_or(CreateError::Mls)?;
        let ratchet_tree = ratchet_tree(&group.export_ratchet_tree()).ok_or(CreateError::Mls)?;
        let roster = Roster::of_one(group.own_leaf_index().u32(), own_leaf(&identity));
        let mut room = Self {
            backend,
            group,
            identity,
            uri,
            state,
            roster,
            binding: BindingSecrets::default(),
            pending: None,
            seen: Seen::default(),
        };
        room.derive_binding();
        Ok((room, FirstEpoch { group_info, ratchet_tree }))
    }

    /// Joins the room that a Welcome leads to (RFC 9420, section 12.4.3.1), and checks that every member's
    /// credential holds at `now` and that every member is a participant.
    ///
    /// # Errors
    /// [`JoinError`] names what does not hold. Nothing is kept then.
    pub fn join(
        identity: Identity,
        secret: &KeyPackageSecret,
        room: &RoomUri,
        welcome: &Welcome,
        tree: &RatchetTree,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, JoinError> {
        let backend = Backend::with(secret.state().ok_or(JoinError::Welcome)?);
        let welcome =
            openmls::prelude::Welcome::tls_deserialize_exact(welcome.as_bytes()).map_err(|_| JoinError::Welcome)?;
        let tree = RatchetTreeIn::tls_deserialize_exact(tree.as_bytes()).map_err(|_| JoinError::Welcome)?;
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .padding_size(PADDING)
            .max_past_epochs(PAST_EPOCHS)
            .use_ratchet_tree_extension(false)
            .build();
        // Leaves that were never updated may be older than their lifetime (RFC 9420, section 7.3): what counts
        // is each credential at `now`, checked below.
        let group = StagedWelcome::build_from_welcome(&backend, &config, welcome)
            .and_then(|builder| builder.with_ratchet_tree(tree).skip_lifetime_validation().build())
            .and_then(|staged| staged.into_group(&backend))
            .map_err(|_| JoinError::Welcome)?;
        let identity = as_in_group(&group, identity, trust, now).ok_or(JoinError::Welcome)?;
        let uri = room_of(group.group_id()).filter(|uri| uri == room).ok_or(JoinError::OtherRoom)?;
        let state = room_state(&uri, group.extensions())?;
        let roster = Roster::verify(group.members(), &state, identity.suite(), trust, now)?;
        let mut room = Self {
            backend,
            group,
            identity,
            uri,
            state,
            roster,
            binding: BindingSecrets::default(),
            pending: None,
            seen: Seen::default(),
        };
        room.derive_binding();
        Ok(room)
    }

    /// The room's URI.
    pub fn uri(&self) -> &RoomUri {
        &self.uri
    }

    /// Who this member is here.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The state that hub and members agree on.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// The MLS epoch.
    pub fn epoch(&self) -> u64 {
        self.group.epoch().as_u64()
    }

    /// Users and clients in the group, for looking them up.
    pub fn members(&self) -> &Members {
        self.roster.members()
    }

    /// Users and clients in the group, in the order of their leaves.
    pub fn clients(&self) -> Vec<(UserUri, ClientUri)> {
        self.roster.clients()
    }

    /// The ratchet tree of the present epoch.
    pub fn ratchet_tree(&self) -> Option<RatchetTree> {
        ratchet_tree(&self.group.export_ratchet_tree())
    }

    /// Whether this member is still in the group.
    pub fn is_active(&self) -> bool {
        self.group.is_active()
    }

    /// Whether a commit has been made and is neither accepted nor refused yet.
    pub fn has_pending_commit(&self) -> bool {
        self.pending.is_some()
    }

    /// The context of a message that this member would seal now.
    pub(crate) fn own_context(&self) -> Option<MessageContext> {
        self.context_of(self.epoch(), &own_leaf(&self.identity))
    }

    pub(crate) fn context_of(&self, epoch: u64, leaf: &crate::identity::Leaf) -> Option<MessageContext> {
        let nonce = self.binding.nonce(epoch, &leaf.key)?;
        let sender = (leaf.user.clone(), leaf.client.clone());
        let certificates = leaf.certificates.clone();
        Some(MessageContext::dangerous_new(self.uri.clone(), epoch, sender, leaf.key.clone(), certificates, nonce))
    }

    /// Derives the binding secret of the epoch that has just begun.
    pub(crate) fn derive_binding(&mut self) {
        let secret = self.group.export_secret(self.backend.crypto(), EXPORTER_LABEL, b"", 32);
        if let Some(secret) = secret.ok().and_then(|secret| secret.try_into().ok()) {
            self.binding.insert(self.epoch(), secret);
        }
    }

    /// The whole room with its private keys, for keeping under encryption.
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.uri.write(&mut writer);
        writer.vector(&self.identity.save());
        self.backend.save().write(&mut writer);
        self.roster.write(&mut writer);
        self.binding.write(&mut writer);
        writer.optional(self.pending.as_ref());
        self.seen.write(&mut writer);
        writer.into_octets()
    }

    /// Reads what [`Room::save`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not that.
    pub fn restore(saved: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader::new(saved);
        let uri = RoomUri::read(&mut reader)?;
        let identity = Identity::restore(reader.vector()?).map_err(|_| RestoreError::Damaged)?;
        let backend = Backend::with(SavedState::read(&mut reader)?);
        let roster = Roster::read(&mut reader)?;
        let binding = BindingSecrets::read(&mut reader)?;
        let pending = reader.optional()?;
        let seen = Seen::read(&mut reader)?;
        reader.finish()?;
        let group = MlsGroup::load(backend.storage(), &group_of(&uri)).ok().flatten().ok_or(RestoreError::Damaged)?;
        let state = room_state(&uri, group.extensions()).map_err(|_| RestoreError::Damaged)?;
        Ok(Self { backend, group, identity, uri, state, roster, binding, pending, seen })
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("uri", &self.uri).field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

/// Whether our leaf in the group is the identity's.
/// The identity with the certificates that its leaf in the group has: they may have been renewed since the KeyPackage was
/// made. `None` if the leaf is not this identity's.
fn as_in_group(group: &MlsGroup, identity: Identity, trust: &TrustStore, now: Timestamp) -> Option<Identity> {
    let (own, leaf) = (identity.credential(), group.own_leaf_node()?);
    if group.ciphersuite() != ciphersuite(identity.suite()) || *leaf.signature_key() != own.signature_key {
        return None;
    }
    if *leaf.credential() == own.credential {
        return Some(identity);
    }
    let chain = CertificateChain::try_from(crate::identity::certificates(leaf.credential())?).ok()?;
    identity.renewed(chain, trust, now)
}

fn own_leaf(identity: &Identity) -> crate::identity::Leaf {
    crate::identity::Leaf {
        user: identity.user().clone(),
        client: identity.client().clone(),
        key: identity.signer().public_key().clone(),
        certificates: identity.certificates().certificates().to_vec(),
    }
}

/// The extensions of a room's GroupContext: what a leaf must be able to do, the hub's key, the room's state.
fn context_extensions(state: &RoomState, hub: &ExternalSender) -> Option<Extensions<GroupContext>> {
    let required = RequiredCapabilitiesExtension::new(
        &[ExtensionType::AppDataDictionary],
        &[ProposalType::AppDataUpdate],
        &[CredentialType::X509],
    );
    let mut dictionary = AppDataDictionary::new();
    for (id, data) in state.components() {
        dictionary.insert(id, data);
    }
    let credential = Credential::tls_deserialize_exact(hub.credential.as_bytes()).ok()?;
    let hub = openmls::prelude::ExternalSender::new(hub.signature_key.clone().into(), credential);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::ExternalSenders(vec![hub]),
        Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary)),
    ])
    .ok()
}

/// The GroupInfo in an MLSMessage.
pub(crate) fn group_info(message: Vec<u8>) -> Option<GroupInfo> {
    let message = MlsMessageIn::tls_deserialize_exact(message).ok()?;
    match message.extract() {
        MlsMessageBodyIn::GroupInfo(info) => GroupInfo::decode(&info.tls_serialize_detached().ok()?).ok(),
        _ => None,
    }
}

pub(crate) fn ratchet_tree(tree: &openmls::treesync::RatchetTree) -> Option<RatchetTree> {
    RatchetTree::decode(&tree.tls_serialize_detached().ok()?).ok()
}
