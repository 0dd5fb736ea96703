//! What a member and a hub read from a group in the same way.

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, GroupUri, RoomUri, Timestamp, UserUri};
use mimi_room::{Change, ClientRef, ComponentUpdate, KeyPackagePurpose, Operation, RoomState, StateError};
use openmls::{
    component::ComponentData,
    group::{AppDataDictionaryUpdater, AppDataUpdates, GroupContext, StagedCommit},
    prelude::{
        AppDataUpdateOperation, AppDataUpdateProposal, Capabilities, CredentialType, ExtensionType, Extensions,
        GroupId, LeafNode, Member, Proposal, ProposalType, Sender, tls_codec::Size as _,
    },
};

use crate::{identity::Leaf, key_package::purpose, roster::Roster};

/// What every leaf in a MIMI room can do.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        None,
        None,
        Some(&[ExtensionType::AppDataDictionary]),
        Some(&[ProposalType::AppDataUpdate, ProposalType::SelfRemove]),
        Some(&[CredentialType::X509]),
    )
}

/// The room whose group has this id.
pub(crate) fn room_of(group: &GroupId) -> Option<RoomUri> {
    let uri: GroupUri = std::str::from_utf8(group.as_slice()).ok()?.parse().ok()?;
    // Parsing is lenient about capitals; an id is compared octet by octet.
    Some(uri.room()).filter(|room| group_of(room) == *group)
}

pub(crate) fn group_of(room: &RoomUri) -> GroupId {
    GroupId::from_slice(room.group().as_str().as_bytes())
}

/// The room state in a GroupContext's dictionary.
pub(crate) fn room_state(room: &RoomUri, extensions: &Extensions<GroupContext>) -> Result<RoomState, StateError> {
    let dictionary = extensions.app_data_dictionary().map(|extension| extension.dictionary());
    let entries = dictionary.into_iter().flat_map(|dictionary| dictionary.entries());
    RoomState::from_components(room.clone(), entries.map(|entry| (entry.id(), entry.data())))
}

pub(crate) fn component_updates<'a>(
    proposals: impl Iterator<Item = &'a AppDataUpdateProposal>,
) -> Vec<ComponentUpdate> {
    proposals
        .map(|proposal| ComponentUpdate {
            id: proposal.component_id(),
            operation: match proposal.operation() {
                AppDataUpdateOperation::Update(data) => Operation::Update(data.as_slice().to_vec()),
                AppDataUpdateOperation::Remove => Operation::Remove,
            },
        })
        .collect()
}

pub(crate) fn proposals(updates: &[ComponentUpdate]) -> Vec<Proposal> {
    let proposal = |update: &ComponentUpdate| match &update.operation {
        Operation::Update(data) => AppDataUpdateProposal::update(update.id, data.clone()),
        Operation::Remove => AppDataUpdateProposal::remove(update.id),
    };
    updates.iter().map(|update| Proposal::AppDataUpdate(Box::new(proposal(update)))).collect()
}

/// The dictionary entries that change when `updates` lead to `next`.
pub(crate) fn dictionary_changes(
    mut updater: AppDataDictionaryUpdater<'_>,
    updates: &[ComponentUpdate],
    next: &RoomState,
) -> Option<AppDataUpdates> {
    let components = next.components();
    for update in updates {
        match components.iter().find(|(id, _)| *id == update.id) {
            Some((id, data)) => updater.set(ComponentData::from_parts(*id, data.clone().into())),
            None => updater.remove(&update.id),
        }
    }
    updater.changes()
}

/// What a commit does, in the room's terms.
#[derive(Default)]
pub(crate) struct Effect {
    pub(crate) updates: Vec<ComponentUpdate>,
    /// The clients that come in.
    pub(crate) incoming: Vec<ClientRef>,
    /// The clients that go.
    pub(crate) outgoing: Vec<(UserUri, ClientUri)>,
    /// The leaves that come in.
    pub(crate) added: Vec<Leaf>,
    /// The leaves that go.
    pub(crate) removed: Vec<u32>,
}

impl Effect {
    /// The same for the room's policy, among the clients that are there.
    pub(crate) fn change<'a>(&self, members: &'a [(UserUri, ClientUri)]) -> Change<'a> {
        Change { updates: self.updates.clone(), added: self.incoming.clone(), removed: self.outgoing.clone(), members }
    }
}

/// Why a commit that MLS accepts is refused all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EffectError {
    #[error("a proposal of a kind that has no place in a room")]
    Proposal,
    #[error("a credential was replaced")]
    CredentialReplaced,
    #[error("a leaf is too large")]
    Size,
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// Reads a commit that has been staged; verifies the credentials it brings in.
pub(crate) fn effect(
    staged: &StagedCommit,
    committer: &Leaf,
    roster: &Roster,
    suite: CipherSuite,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Effect, EffectError> {
    if let Some(node) = staged.update_path_leaf_node() {
        unchanged(node, committer)?;
    }
    let mut updates = Vec::new();
    let mut added = Vec::new();
    let mut incoming = Vec::new();
    let mut removed = Vec::new();
    for queued in staged.queued_proposals() {
        match queued.proposal() {
            Proposal::Add(add) => {
                let node = add.key_package().leaf_node();
                check_size(node)?;
                let leaf = Leaf::verify(node.credential(), node.signature_key().as_slice(), suite, trust, now)?;
                let purpose = purpose(add.key_package()).ok_or(EffectError::Proposal)?;
                incoming.push(ClientRef {
                    user: leaf.user.clone(),
                    client: leaf.client.clone(),
                    initial_only: purpose == KeyPackagePurpose::InitialOnly,
                });
                added.push(leaf);
            }
            Proposal::Remove(remove) => removed.push(remove.removed().u32()),
            Proposal::SelfRemove => match queued.sender() {
                Sender::Member(index) => removed.push(index.u32()),
                _ => return Err(EffectError::Proposal),
            },
            Proposal::AppDataUpdate(update) => updates.extend(component_updates(std::iter::once(update.as_ref()))),
            Proposal::Update(update) => match queued.sender() {
                Sender::Member(index) => {
                    unchanged(update.leaf_node(), roster.leaf(index.u32()).ok_or(EffectError::Proposal)?)?;
                }
                _ => return Err(EffectError::Proposal),
            },
            _ => return Err(EffectError::Proposal),
        }
    }
    updates.sort_by_key(|update| update.id);
    let outgoing = removed.iter().filter_map(|index| roster.leaf(*index));
    let outgoing = outgoing.map(|leaf| (leaf.user.clone(), leaf.client.clone())).collect();
    Ok(Effect { updates, incoming, outgoing, added, removed })
}

/// Octets that a leaf may have besides its certificates.
const LEAF_MAX: usize = 4096;

/// Whether a leaf is as small as leaves are. Everyone who joins later has to fetch it, whatever its owner puts in.
pub(crate) fn check_size(node: &LeafNode) -> Result<(), EffectError> {
    let certificates = node.credential().serialized_content().len();
    if node.tls_serialized_len() > certificates + LEAF_MAX { Err(EffectError::Size) } else { Ok(()) }
}

fn unchanged(node: &LeafNode, leaf: &Leaf) -> Result<(), EffectError> {
    check_size(node)?;
    let same_key = node.signature_key().as_slice() == leaf.key.as_bytes();
    let same_certificates = crate::identity::certificates(node.credential()).is_some_and(|c| c == leaf.certificates);
    if same_key && same_certificates { Ok(()) } else { Err(EffectError::CredentialReplaced) }
}

/// Brings the roster up to date after a commit was merged.
pub(crate) fn update_roster(roster: &mut Roster, effect: Effect, members: impl Iterator<Item = Member>) {
    for index in effect.removed {
        roster.remove(index);
    }
    if effect.added.is_empty() {
        return;
    }
    for member in members {
        let Some(certificates) = crate::identity::certificates(&member.credential) else { continue };
        let joined = effect.added.iter().find(|leaf| leaf.certificates == certificates);
        if let Some(leaf) = joined {
            roster.insert(member.index.u32(), leaf.clone());
        }
    }
}
