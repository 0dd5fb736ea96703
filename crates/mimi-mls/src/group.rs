//! What a member and a hub read from a group in the same way.

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, GroupUri, RoomUri, Timestamp, UserUri};
use mimi_room::{Actor, ClientRef, ComponentUpdate, How, KeyPackagePurpose, Operation, RoomState, StateError};
use openmls::{
    component::ComponentData,
    group::{AppDataDictionaryUpdater, AppDataUpdates, GroupContext, StagedCommit},
    prelude::{
        AppDataUpdateOperation, AppDataUpdateProposal, Capabilities, CredentialType, ExtensionType, Extensions,
        GroupId, LeafNode, Member, Proposal, ProposalType, Sender, tls_codec::Size as _,
    },
};

use crate::{identity::Leaf, key_package::purpose, part::Part, roster::Roster};

/// What every leaf in a MIMI room can do.
pub(crate) fn capabilities() -> Capabilities {
    capable_of(&[ExtensionType::AppDataDictionary])
}

/// What the leaf of a KeyPackage can do that may be used again.
pub(crate) fn last_resort_capabilities() -> Capabilities {
    capable_of(&[ExtensionType::AppDataDictionary, ExtensionType::LastResort])
}

fn capable_of(extensions: &[ExtensionType]) -> Capabilities {
    Capabilities::new(
        None,
        None,
        Some(extensions),
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
    /// What each actor does in it: the one who commits comes first.
    pub(crate) parts: Vec<Part>,
    /// The leaves that come in.
    pub(crate) added: Vec<Leaf>,
    /// The leaves that go.
    pub(crate) removed: Vec<u32>,
}

impl Effect {
    /// The clients that go.
    pub(crate) fn outgoing(&self) -> impl Iterator<Item = &(UserUri, ClientUri)> {
        self.parts.iter().flat_map(|part| &part.outgoing)
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

/// Who makes a commit.
#[derive(Clone, Copy)]
pub(crate) enum Committer<'a> {
    /// A member.
    Member(&'a Leaf),
    /// Somebody who joins by it, with or without a join code.
    Joiner(How),
}

/// Reads a commit that has been staged; verifies the credentials it brings in.
pub(crate) fn effect(
    staged: &StagedCommit,
    committer: Committer<'_>,
    roster: &Roster,
    suite: CipherSuite,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Effect, EffectError> {
    let mut effect = Effect::default();
    match committer {
        Committer::Member(leaf) => {
            if let Some(node) = staged.update_path_leaf_node() {
                unchanged(node, leaf)?;
            }
            effect.parts.push(Part::new(Actor::client(leaf.user.clone(), leaf.client.clone()), How::Commit));
        }
        Committer::Joiner(how) => {
            let node = staged.update_path_leaf_node().ok_or(EffectError::Proposal)?;
            check_size(node)?;
            let leaf = Leaf::verify(node.credential(), node.signature_key().as_slice(), suite, trust, now)?;
            let mut part = Part::new(Actor::client(leaf.user.clone(), leaf.client.clone()), how);
            part.incoming.push(ClientRef { user: leaf.user.clone(), client: leaf.client.clone(), initial_only: false });
            effect.parts.push(part);
            effect.added.push(leaf);
        }
    }
    for queued in staged.queued_proposals() {
        let (actor, how) = match queued.sender() {
            Sender::External(_) => (Actor::Hub, How::Hub),
            Sender::NewMemberCommit => match effect.parts.first() {
                Some(first) => (first.actor.clone(), first.how),
                None => return Err(EffectError::Proposal),
            },
            Sender::Member(index) => {
                let leaf = roster.leaf(index.u32()).ok_or(EffectError::Proposal)?;
                (Actor::client(leaf.user.clone(), leaf.client.clone()), How::Proposal)
            }
            Sender::NewMemberProposal => return Err(EffectError::Proposal),
        };
        let part = Part::of(&mut effect.parts, actor, how).ok_or(EffectError::Proposal)?;
        match queued.proposal() {
            Proposal::Add(add) => {
                let node = add.key_package().leaf_node();
                check_size(node)?;
                let leaf = Leaf::verify(node.credential(), node.signature_key().as_slice(), suite, trust, now)?;
                let purpose = purpose(add.key_package()).ok_or(EffectError::Proposal)?;
                part.incoming.push(ClientRef {
                    user: leaf.user.clone(),
                    client: leaf.client.clone(),
                    initial_only: purpose == KeyPackagePurpose::InitialOnly,
                });
                effect.added.push(leaf);
            }
            Proposal::AppDataUpdate(update) => {
                part.updates.extend(component_updates(std::iter::once(update.as_ref())));
            }
            Proposal::Update(update) => match queued.sender() {
                Sender::Member(index) => {
                    unchanged(update.leaf_node(), roster.leaf(index.u32()).ok_or(EffectError::Proposal)?)?;
                }
                _ => return Err(EffectError::Proposal),
            },
            // That a joiner makes one, and nobody else, is a rule of MLS.
            Proposal::ExternalInit(_) => {}
            other => {
                let index = removed_by(other, queued.sender()).ok_or(EffectError::Proposal)?;
                let leaf = roster.leaf(index).ok_or(EffectError::Proposal)?;
                part.outgoing.push((leaf.user.clone(), leaf.client.clone()));
                effect.removed.push(index);
            }
        }
    }
    for part in &mut effect.parts {
        part.updates.sort_by_key(|update| update.id);
    }
    Ok(effect)
}

/// The leaf that a proposal removes.
pub(crate) fn removed_by(proposal: &Proposal, sender: &Sender) -> Option<u32> {
    match (proposal, sender) {
        (Proposal::Remove(remove), _) => Some(remove.removed().u32()),
        (Proposal::SelfRemove, Sender::Member(index)) => Some(index.u32()),
        _ => None,
    }
}

/// The leaves that a commit removes.
pub(crate) fn removed_leaves(staged: &StagedCommit) -> impl Iterator<Item = u32> + '_ {
    staged.queued_proposals().filter_map(|queued| removed_by(queued.proposal(), queued.sender()))
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
            let inserted = roster.insert(member.index.u32(), leaf.clone());
            debug_assert!(inserted, "the room's policy lets no client in twice");
        }
    }
}
