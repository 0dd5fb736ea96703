use std::{collections::BTreeSet, fmt};

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, DecodeError, Domain, Reader, RoomUri, Timestamp, UserUri, Wire, Writer};
use mimi_room::{Members, Refusal, RoomState, StateError};
use mimi_wire::{ExternalSender, GroupInfo, MlsMessage, RatchetTree};
use openmls::{
    group::{ProposalStore, PublicGroup},
    messages::group_info::VerifiableGroupInfo,
    prelude::{
        MlsMessageIn, OpenMlsProvider, ProtocolMessage, RatchetTreeIn,
        tls_codec::{Deserialize as _, Serialize as _},
    },
};

use crate::{
    backend::{Backend, SavedState},
    crypto::Crypto,
    group::{group_of, room_of, room_state},
    hub_propose::Pending,
    roster::{Roster, RosterError},
};

/// A room as its hub sees it: the public half of the MLS group, the room's state, and who sits at which leaf.
/// It holds no secret of the group and cannot read a message.
pub struct HubRoom {
    pub(crate) crypto: Crypto,
    pub(crate) group: PublicGroup,
    pub(crate) uri: RoomUri,
    pub(crate) state: RoomState,
    pub(crate) roster: Roster,
    pub(crate) suite: CipherSuite,
    /// Octets of the ratchet tree.
    pub(crate) tree_len: usize,
    /// The GroupInfo of the present epoch behind its context.
    pub(crate) info: Vec<u8>,
    /// Proposals that wait for the next commit.
    pub(crate) pending: Vec<Pending>,
    /// How many times some were added in this epoch.
    pub(crate) additions: u64,
    /// The users whom they take out of the room.
    pub(crate) leaving: BTreeSet<UserUri>,
}

/// Why a hub does not take a new room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubCreateError {
    /// GroupInfo and ratchet tree do not fit each other, or a signature does not verify.
    #[error("GroupInfo and ratchet tree do not make a group")]
    Mls,
    /// The group's id is not that of the room.
    #[error("the group belongs to another room")]
    OtherRoom,
    /// The cipher suite is not spoken here.
    #[error("the cipher suite is not spoken here")]
    Suite,
    /// A new room begins with one client at epoch 0.
    #[error("a new room begins with one client at epoch 0")]
    NotNew,
    /// The group does not name this hub as external sender.
    #[error("the group does not name this hub as external sender")]
    ExternalSender,
    /// The room's state does not parse.
    #[error("the room's state: {0}")]
    State(#[from] StateError),
    /// The creator's credential does not hold.
    #[error("the creator's credential: {0}")]
    Credential(#[from] CredentialError),
    /// The creator is no participant of the room.
    #[error("the creator is no participant of the room")]
    NotParticipant,
    /// The room's state and its creator do not keep the room's own rules.
    #[error("the room breaks its own rules: {0}")]
    NotAllowed(#[from] Refusal),
}

impl From<RosterError> for HubCreateError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Credential(error) => Self::Credential(error),
            RosterError::ClientTwice => Self::NotAllowed(Refusal::ClientTwice),
            RosterError::NotParticipant => Self::NotParticipant,
        }
    }
}

/// Why a hub's room cannot be read from its snapshot and log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubRestoreError {
    /// The octets are no snapshot or log entry.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The parts do not make a room.
    #[error("the snapshot or a log entry is damaged")]
    Damaged,
}

/// A hub's room as octets. Nothing in it is secret; `Debug` shows the length.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(pub(crate) Vec<u8>);

impl Snapshot {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} octets)", self.0.len())
    }
}

impl HubRoom {
    /// Begins to track a new room (draft-ietf-mimi-protocol-06, section 4.1), whose creator sent GroupInfo and
    /// ratchet tree. Returns the room and the snapshot to store before the creator is answered.
    ///
    /// # Errors
    /// [`HubCreateError`]
    pub fn create(
        room: &RoomUri,
        group_info: &GroupInfo,
        tree: &RatchetTree,
        hub: &ExternalSender,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<(Self, Snapshot), HubCreateError> {
        let backend = Backend::default();
        let info =
            VerifiableGroupInfo::tls_deserialize_exact(group_info.as_bytes()).map_err(|_| HubCreateError::Mls)?;
        let tree_len = tree.as_bytes().len();
        let tree = RatchetTreeIn::tls_deserialize_exact(tree.as_bytes()).map_err(|_| HubCreateError::Mls)?;
        let suite = CipherSuite::from_code(u16::from(info.ciphersuite())).ok_or(HubCreateError::Suite)?;
        let (group, _) =
            PublicGroup::from_external(backend.crypto(), backend.storage(), tree, info, ProposalStore::new())
                .map_err(|_| HubCreateError::Mls)?;
        if room_of(group.group_id()).as_ref() != Some(room) {
            return Err(HubCreateError::OtherRoom);
        }
        if group.group_context().epoch().as_u64() != 0 || group.members().count() != 1 {
            return Err(HubCreateError::NotNew);
        }
        let senders = group.group_context().extensions().external_senders();
        let expected = hub.encode();
        let named = senders.is_some_and(|senders| {
            senders.iter().any(|sender| sender.tls_serialize_detached().is_ok_and(|octets| octets == expected))
        });
        if !named {
            return Err(HubCreateError::ExternalSender);
        }
        let state = room_state(room, group.group_context().extensions())?;
        let roster = Roster::verify(group.members(), &state, suite, trust, now)?;
        state.check(roster.members())?;
        let context = group.group_context().tls_serialize_detached().map_err(|_| HubCreateError::Mls)?;
        let info = group_info.as_bytes().strip_prefix(context.as_slice()).ok_or(HubCreateError::Mls)?.to_vec();
        let snapshot = snapshot(room, &backend.save(), &roster, &info);
        let uri = room.clone();
        let (pending, leaving) = (Vec::new(), BTreeSet::new());
        let room = Self {
            crypto: Crypto::default(),
            group,
            uri,
            state,
            roster,
            suite,
            tree_len,
            info,
            pending,
            additions: 0,
            leaving,
        };
        Ok((room, snapshot))
    }

    /// Reads a room from a snapshot and the log entries that came after it, in order.
    ///
    /// # Errors
    /// [`HubRestoreError`]
    pub fn restore<'a>(snapshot: &[u8], log: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, HubRestoreError> {
        let mut reader = Reader::new(snapshot);
        let uri = RoomUri::read(&mut reader)?;
        let backend = Backend::with(SavedState::read(&mut reader)?);
        let roster = Roster::read(&mut reader)?;
        let info = Vec::read(&mut reader)?;
        reader.finish()?;
        let group = PublicGroup::load(backend.storage(), &group_of(&uri)).ok().flatten();
        let group = group.ok_or(HubRestoreError::Damaged)?;
        let suite = CipherSuite::from_code(u16::from(group.ciphersuite())).ok_or(HubRestoreError::Damaged)?;
        let state = room_state(&uri, group.group_context().extensions()).map_err(|_| HubRestoreError::Damaged)?;
        let (crypto, pending, leaving) = (Crypto::default(), Vec::new(), BTreeSet::new());
        let mut room =
            Self { crypto, group, uri, state, roster, suite, tree_len: 0, info, pending, additions: 0, leaving };
        for entry in log {
            room.replay(entry)?;
        }
        room.tree_len = room.ratchet_tree().ok_or(HubRestoreError::Damaged)?.as_bytes().len();
        Ok(room)
    }

    /// The room's URI.
    pub fn uri(&self) -> &RoomUri {
        &self.uri
    }

    /// The MLS epoch.
    pub fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }

    /// The cipher suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The room's state.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Users and clients in the group, for looking them up.
    pub fn members(&self) -> &Members {
        self.roster.members()
    }

    /// Users and clients in the group, in the order of their leaves.
    pub fn clients(&self) -> Vec<(UserUri, ClientUri)> {
        self.roster.clients()
    }

    pub(crate) fn users(&self) -> BTreeSet<UserUri> {
        self.roster.iter().map(|(_, leaf)| leaf.user.clone()).collect()
    }

    /// The domains that have a client in the group.
    pub fn domains(&self) -> BTreeSet<Domain> {
        self.roster.iter().map(|(_, leaf)| leaf.client.domain().clone()).collect()
    }

    /// The ratchet tree of the present epoch.
    pub fn ratchet_tree(&self) -> Option<RatchetTree> {
        crate::room::ratchet_tree(&self.group.export_ratchet_tree())
    }

    pub(crate) fn protocol_message(message: &MlsMessage) -> Option<ProtocolMessage> {
        MlsMessageIn::tls_deserialize_exact(message.as_bytes()).ok()?.try_into_protocol_message().ok()
    }
}

pub(crate) fn snapshot(room: &RoomUri, state: &SavedState, roster: &Roster, info: &[u8]) -> Snapshot {
    let mut writer = Writer::default();
    room.write(&mut writer);
    state.write(&mut writer);
    roster.write(&mut writer);
    writer.vector(info);
    Snapshot(writer.into_octets())
}

impl fmt::Debug for HubRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubRoom").field("uri", &self.uri).field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}
