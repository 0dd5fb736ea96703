use mimi_pseudonym::{ClientUri, Timestamp, Wire};
use mimi_room::{Actor, ClientRef, ComponentUpdate, How, KeyPackagePurpose, Refusal};
use mimi_wire::{GroupInfo, MlsMessage, Welcome};
use openmls::prelude::{LeafNodeIndex, OpenMlsProvider, tls_codec::Serialize as _};

use crate::{
    Room, VerifiedKeyPackage,
    backend::SignerAdapter,
    group::{component_updates, dictionary_changes, proposals, room_state, update_roster},
    known::KnownCommit,
    part::{Part, judge},
};
use mimi_credential::TrustStore;

/// What a member wants to change in one commit.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Updates of the room's components, for example of the participant list.
    pub updates: Vec<ComponentUpdate>,
    /// Clients to add.
    pub add: Vec<VerifiedKeyPackage>,
    /// Clients to remove.
    pub remove: Vec<ClientUri>,
}

/// A commit and what goes to the hub with it (draft-ietf-mimi-protocol-06, section 5.3).
#[derive(Debug, Clone)]
pub struct CommitBundle {
    /// The commit as a PublicMessage.
    pub commit: MlsMessage,
    /// The Welcome for the clients that it adds, without ratchet tree.
    pub welcome: Option<Welcome>,
    /// The GroupInfo of the epoch it leads to, without ratchet tree.
    pub group_info: GroupInfo,
}

/// Why a commit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another commit of this member waits for the hub's answer.
    #[error("another commit of this member waits for the hub's answer")]
    Pending,
    /// This member is leaving.
    #[error("this member is leaving")]
    Leaving,
    /// The room's policy does not allow it.
    #[error("the room does not allow it: {0}")]
    NotAllowed(#[from] Refusal),
    /// A client to be removed is not in the group.
    #[error("a client to be removed is not in the group")]
    NoSuchClient,
    /// MLS refuses, for example because a KeyPackage does not fit the group.
    #[error("MLS refuses the commit")]
    Mls,
}

impl Room {
    /// Makes a commit and holds it back until the hub has answered: [`Room::commit_accepted`] or
    /// [`Room::commit_refused`]. The room's own policy is asked first. It holds what others have proposed in this epoch.
    ///
    /// # Errors
    /// [`CommitError`]; the room is unchanged then.
    pub fn commit(&mut self, wanted: Wanted) -> Result<CommitBundle, CommitError> {
        if self.pending.is_some() {
            return Err(CommitError::Pending);
        }
        if self.is_leaving() {
            return Err(CommitError::Leaving);
        }
        let proposed = self.proposed().ok_or(CommitError::Mls)?;
        let wanted = self.besides(wanted, &proposed);
        let (own, removed) = self.own_part(&wanted)?;
        let parts: Vec<_> = std::iter::once(own).chain(proposed).collect();
        judge(self.state.at(Timestamp::default()), &parts, self.roster.members())?;
        let added = wanted.add.iter().map(|key_package| key_package.leaf.clone()).collect();
        let signer = SignerAdapter(self.identity.signer());
        let mut stage = self
            .group
            .commit_builder()
            .propose_adds(wanted.add.into_iter().map(|key_package| key_package.inner))
            .propose_removals(removed)
            .add_proposals(proposals(&wanted.updates))
            .force_self_update(true)
            .load_psks(self.backend.storage())
            .map_err(|_| CommitError::Mls)?
            .create_group_info(true)
            .use_ratchet_tree_extension(false);
        // As everybody else computes it: in the order that MLS gives the proposals of all.
        let updates = component_updates(stage.app_data_update_proposals());
        let next = self.state.with_updates(&updates)?;
        let changes = dictionary_changes(stage.app_data_dictionary_updater(), &updates, &next);
        stage.with_app_data_dictionary_updates(changes);
        let bundle = stage
            .build(self.backend.rand(), self.backend.crypto(), &signer, |_| true)
            .map_err(|_| CommitError::Mls)?
            .stage_commit(&self.backend)
            .map_err(|_| CommitError::Mls)?;
        let made = bundle_octets(&bundle);
        let Some(made) = made else {
            self.commit_refused();
            return Err(CommitError::Mls);
        };
        self.pending = Some(KnownCommit { commit: made.commit.clone(), added });
        Ok(made)
    }

    /// The commit that waits, for sending it again.
    pub fn pending_commit(&self) -> Option<MlsMessage> {
        self.pending.as_ref().map(|pending| pending.commit.clone())
    }

    /// The hub has accepted the commit: the room moves to its epoch. Does nothing if none waits.
    ///
    /// Every credential in it was verified when it was made, and is not verified again: what the hub has accepted
    /// holds, even if a certificate has run out since.
    ///
    /// # Errors
    /// [`CommitError::Mls`] if openmls cannot merge it.
    pub fn commit_accepted(&mut self, _trust: &TrustStore, _now: Timestamp) -> Result<(), CommitError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let effect = pending.effect(self.group.pending_commit().ok_or(CommitError::Mls)?);
        self.group.merge_pending_commit(&self.backend).map_err(|_| CommitError::Mls)?;
        self.state = room_state(&self.uri, self.group.extensions()).map_err(|_| CommitError::Mls)?;
        update_roster(&mut self.roster, effect, self.group.members());
        self.derive_binding();
        Ok(())
    }

    /// The hub has refused the commit, or another came first: it is forgotten.
    pub fn commit_refused(&mut self) {
        // The storage is memory: clearing cannot fail.
        let _ = self.group.clear_pending_commit(self.backend.storage());
        self.pending = None;
    }

    /// What the commit does by itself, for the policy and for MLS.
    fn own_part(&self, wanted: &Wanted) -> Result<(Part, Vec<LeafNodeIndex>), CommitError> {
        let mut part =
            Part::new(Actor::client(self.identity.user().clone(), self.identity.client().clone()), How::Commit);
        let mut removed = Vec::new();
        for client in &wanted.remove {
            let (index, user) = self.leaf_of(client).ok_or(CommitError::NoSuchClient)?;
            removed.push(index);
            part.outgoing.push((user, client.clone()));
        }
        let added = wanted.add.iter().map(|key_package| ClientRef {
            user: key_package.user().clone(),
            client: key_package.client().clone(),
            initial_only: key_package.purpose() == KeyPackagePurpose::InitialOnly,
        });
        part.incoming = added.collect();
        part.updates = wanted.updates.clone();
        part.updates.sort_by_key(|update| update.id);
        Ok((part, removed))
    }
}

pub(crate) fn bundle_octets(bundle: &openmls::group::CommitMessageBundle) -> Option<CommitBundle> {
    let commit = MlsMessage::decode(&bundle.commit().tls_serialize_detached().ok()?).ok()?;
    let welcome = match bundle.welcome() {
        Some(welcome) => Some(Welcome::decode(&welcome.tls_serialize_detached().ok()?).ok()?),
        None => None,
    };
    let group_info = GroupInfo::decode(&bundle.group_info()?.tls_serialize_detached().ok()?).ok()?;
    Some(CommitBundle { commit, welcome, group_info })
}
