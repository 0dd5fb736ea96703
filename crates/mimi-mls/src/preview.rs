//! A room before one is in it: what its hub tells somebody who wants to join (draft-ietf-mimi-protocol-06, section 5.6).

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, RoomUri, Timestamp, Wire};
use mimi_room::{How, Members, Refusal, RoomState, StateError};
use mimi_wire::{ExternalSender, GroupInfo, RatchetTree};
use openmls::{
    group::{MlsGroup, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY},
    messages::group_info::VerifiableGroupInfo,
    prelude::{
        LeafNodeParameters, OpenMlsProvider, RatchetTreeIn,
        tls_codec::{Deserialize as _, Serialize as _},
    },
};

use crate::{
    CommitBundle, Identity, Room,
    backend::{Backend, SignerAdapter, ciphersuite},
    binding::{BindingSecrets, PAST_EPOCHS},
    commit::bundle_octets,
    group::{capabilities, component_updates, dictionary_changes, proposals, room_of, room_state},
    part::{Part, judge},
    room::PADDING,
    roster::{Roster, RosterError},
    seen::Seen,
};

/// GroupInfo and ratchet tree as they came: nothing in them may be relied on.
#[derive(Debug, Clone)]
pub struct UnverifiedRoom {
    group_info: GroupInfo,
    ratchet_tree: RatchetTree,
}

/// A room that one could join, as its members have signed it: they say the same as the hub who it is, who is in it, and
/// what it wants of those who come. `Debug` shows the URI and the epoch.
pub struct RoomPreview {
    verified: UnverifiedRoom,
    identity: Identity,
    state: RoomState,
    members: Members,
    epoch: u64,
    /// The role that is wanted; none for the one that the room gives.
    wanted: Option<u32>,
}

/// Why what came is no room that could be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// GroupInfo and ratchet tree do not fit each other, no member has signed the GroupInfo, or nobody can join by it.
    #[error("GroupInfo and ratchet tree do not make a group that can be joined")]
    Mls,
    /// The group is that of another room.
    #[error("the group is that of another room")]
    OtherRoom,
    /// The group is of another cipher suite than the identity.
    #[error("the group is of another cipher suite")]
    Suite,
    /// The group does not name the hub that answered as its external sender.
    #[error("the group does not name the hub that answered")]
    Hub,
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

impl From<RosterError> for PreviewError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Credential(error) => Self::Credential(error),
            RosterError::ClientTwice => Self::ClientTwice,
            RosterError::NotParticipant => Self::NotParticipant,
        }
    }
}

/// Why a room cannot be joined by an external commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalJoinError {
    /// The room's policy does not let this user in.
    #[error("the room does not let this user in: {0}")]
    NotAllowed(#[from] Refusal),
    /// MLS refuses, or the identity's key cannot sign.
    #[error("MLS refuses the external commit")]
    Mls,
}

impl UnverifiedRoom {
    /// Takes what came.
    pub fn new(group_info: GroupInfo, ratchet_tree: RatchetTree) -> Self {
        Self { group_info, ratchet_tree }
    }

    /// Checks all of it: that the GroupInfo is of this room and names this hub, that a member has signed it over this
    /// very tree, that every member's credential holds at `now`, and that every member is a participant. The hub is
    /// the one whose signature was found under the answer; whether it is the one that the joiner was told of, by a link
    /// for example, is for the caller to compare. `identity` is who is to join.
    ///
    /// # Errors
    /// [`PreviewError`] names what does not hold.
    pub fn verify(
        self,
        room: &RoomUri,
        hub: &ExternalSender,
        identity: Identity,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<RoomPreview, PreviewError> {
        if room_of(&openmls::prelude::GroupId::from_slice(self.group_info.group_id())).as_ref() != Some(room) {
            return Err(PreviewError::OtherRoom);
        }
        if self.group_info.cipher_suite_code() != identity.suite().code() {
            return Err(PreviewError::Suite);
        }
        // openmls compares the age of leaves that were never updated with the system's clock, save for those who join;
        // what counts is each credential at `now`. So somebody joins in thought.
        let (group, _) = self.enter(&Backend::default(), &identity, None).ok_or(PreviewError::Mls)?;
        let expected = hub.encode();
        let senders = group.extensions().external_senders().into_iter().flat_map(|senders| senders.iter());
        let mut senders = senders.map(|sender| sender.tls_serialize_detached());
        if !senders.any(|sender| sender.is_ok_and(|octets| octets == expected)) {
            return Err(PreviewError::Hub);
        }
        let state = room_state(room, group.extensions())?;
        let own = group.own_leaf_index();
        let members = group.members().filter(|member| member.index != own);
        let roster = Roster::verify(members, &state, identity.suite(), trust, now)?;
        let (members, epoch) = (roster.members().clone(), self.group_info.epoch());
        Ok(RoomPreview { verified: self, identity, state, members, epoch, wanted: None })
    }

    /// Joins the group; `next` is what the room's state becomes, and by what updates.
    fn enter(
        &self,
        backend: &Backend,
        identity: &Identity,
        next: Option<(&RoomState, &[mimi_room::ComponentUpdate])>,
    ) -> Option<(MlsGroup, CommitBundle)> {
        let info = VerifiableGroupInfo::tls_deserialize_exact(self.group_info.as_bytes()).ok()?;
        let tree = RatchetTreeIn::tls_deserialize_exact(self.ratchet_tree.as_bytes()).ok()?;
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .padding_size(PADDING)
            .max_past_epochs(PAST_EPOCHS)
            .use_ratchet_tree_extension(false)
            .build();
        let leaf = LeafNodeParameters::builder().with_capabilities(capabilities()).build();
        let mut builder = MlsGroup::external_commit_builder()
            .with_ratchet_tree(tree)
            .with_config(config)
            .skip_lifetime_validation()
            .build_group(backend, info, identity.credential())
            .ok()?
            .leaf_node_parameters(leaf);
        for update in next.iter().flat_map(|(_, updates)| proposals(updates)) {
            if let openmls::prelude::Proposal::AppDataUpdate(update) = update {
                builder = builder.add_app_data_update_proposal(*update);
            }
        }
        let mut stage =
            builder.load_psks(backend.storage()).ok()?.create_group_info(true).use_ratchet_tree_extension(false);
        if let Some((state, _)) = next {
            let updates = component_updates(stage.app_data_update_proposals());
            let changes = dictionary_changes(stage.app_data_dictionary_updater(), &updates, state);
            stage.with_app_data_dictionary_updates(changes);
        }
        let signer = SignerAdapter(identity.signer());
        let complete = stage.build(backend.rand(), backend.crypto(), &signer, |_| true).ok()?;
        let (group, bundle) = complete.finalize(backend).ok()?;
        (group.ciphersuite() == ciphersuite(identity.suite())).then_some(())?;
        Some((group, bundle_octets(&bundle)?))
    }
}

impl RoomPreview {
    /// The state that its members agree on: its name, its policies, its participants, what they want to know of each
    /// other.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Users and clients in the group. A leaf of the one who is to join, from an earlier time, is not among them.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The MLS epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The cipher suite.
    pub fn suite(&self) -> CipherSuite {
        self.identity.suite()
    }

    /// The role in which the identity's user would come in; none if it is a participant already.
    ///
    /// # Errors
    /// [`Refusal`], if the room would not let it in.
    pub fn role(&self, how: How, now: Timestamp) -> Result<Option<u32>, Refusal> {
        self.state.at(now).entry_role_as(self.identity.user(), self.identity.client(), how, self.wanted)
    }

    /// The same room to be joined in a certain role, if the user is no participant yet: the one that a join link grants.
    /// Without one, it is the first that the room gives to whoever joins.
    #[must_use]
    pub fn in_role(self, wanted: Option<u32>) -> Self {
        Self { wanted, ..self }
    }

    /// Joins by an external commit (RFC 9420, section 12.4.3.2): comes onto the participant list, if the user is not
    /// there, in the role of [`RoomPreview::role`], and takes the place of an earlier leaf with the same key. The commit
    /// goes to the hub; only if that accepts it, the room is one. `how` is [`How::JoinCode`] if the hub was shown a join
    /// code, else [`How::ExternalCommit`].
    ///
    /// # Errors
    /// [`ExternalJoinError`]
    pub fn join(
        &self,
        how: How,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<(Room, CommitBundle), ExternalJoinError> {
        let identity = self.identity.clone();
        let room = self.state.at(now);
        let updates = match self.role(how, now)? {
            Some(role) => room.entry_updates(identity.user(), role),
            None => Vec::new(),
        };
        let next = match updates.is_empty() {
            true => self.state.clone(),
            false => {
                let actor = mimi_room::Actor::client(identity.user().clone(), identity.client().clone());
                let mut part = Part::new(actor, how);
                part.updates.clone_from(&updates);
                part.incoming.push(mimi_room::ClientRef {
                    user: identity.user().clone(),
                    client: identity.client().clone(),
                    initial_only: false,
                });
                judge(room, &[part], &self.members)?
            }
        };
        let backend = Backend::default();
        let (group, bundle) =
            self.verified.enter(&backend, &identity, Some((&next, &updates))).ok_or(ExternalJoinError::Mls)?;
        let uri = self.state.room().clone();
        let state = room_state(&uri, group.extensions()).map_err(|_| ExternalJoinError::Mls)?;
        let roster = Roster::verify(group.members(), &state, identity.suite(), trust, now)
            .map_err(|_| ExternalJoinError::Mls)?;
        let mut room = Room {
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
        Ok((room, bundle))
    }
}

impl std::fmt::Debug for RoomPreview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomPreview")
            .field("room", self.state.room())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
