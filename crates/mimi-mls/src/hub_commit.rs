use std::collections::BTreeSet;

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, Domain, Timestamp, UserUri, Wire};
use mimi_room::{KeyPackagePurpose, Refusal, RoomState};
use mimi_wire::{KeyPackageRef, MlsMessage, RatchetTree, SenderType, Welcome};
use openmls::{
    group::{PublicProcessMessageError, StagedCommit, ValidationError},
    prelude::{ProcessedMessageContent, Proposal, ProposalOrRefType, Sender},
};
use openmls_memory_storage::MemoryStorage;

use crate::{
    CommitBundle, HubRoom, Snapshot,
    backend::Backend,
    forgetful::Forgetful,
    group::{Committer, Effect, EffectError, component_updates, dictionary_changes, effect, update_roster},
    hub::snapshot,
    hub_info,
    hub_log::LogEntry,
    identity::Leaf,
    key_package::purpose,
    known::KnownCommit,
    moderation::{Moderated, moderated},
    part::judge,
};

/// Why a hub does not accept a commit. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitRefusal {
    /// It is for another epoch than the present one.
    #[error("the room is in epoch {current}")]
    WrongEpoch {
        /// The room's epoch.
        current: u64,
    },
    /// It is for another group.
    #[error("the commit is another room's")]
    OtherRoom,
    /// It is no commit in a PublicMessage of the kind that was asked for: a member's, or one that joins.
    #[error("not a commit of the right kind in a PublicMessage")]
    Kind,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature,
    /// MLS refuses it.
    #[error("MLS refuses the commit")]
    Mls,
    /// It came from a provider that is not the committer's.
    #[error("the committer is no user of the provider that sent the commit")]
    ForeignCommitter,
    /// It has a proposal of a kind that has no place in a room.
    #[error("a proposal has no place in a room")]
    Proposal,
    /// It replaces a credential.
    #[error("a credential was replaced")]
    CredentialReplaced,
    /// A credential it brings in does not hold.
    #[error("a credential: {0}")]
    Credential(#[from] CredentialError),
    /// The room's policy does not allow it.
    #[error("not allowed: {0}")]
    NotAllowed(#[from] Refusal),
    /// A proposal waits that it does not contain by reference.
    #[error("a proposal that waits is missing")]
    Omits,
    /// The committer is about to leave: it may commit no more.
    #[error("the committer is about to leave")]
    Leaving,
    /// A leaf has more than 4,096 octets besides its certificates, or the ratchet tree could become longer than can
    /// be sent: [`RatchetTree`] has a limit, and commits that add clients may use three quarters of it.
    #[error("a leaf or the ratchet tree would be too large")]
    TooLarge,
    /// The Welcome is not for exactly the clients that are added.
    #[error("the Welcome is not for exactly the clients that the commit adds")]
    Welcome,
    /// The GroupInfo does not describe the epoch that the commit leads to.
    #[error("the GroupInfo does not describe the epoch that the commit leads to")]
    GroupInfo,
}

/// A commit that a hub has accepted, with what has to be stored and sent on.
#[derive(Debug, Clone)]
pub struct AcceptedCommit {
    /// What the log keeps.
    pub log_entry: Vec<u8>,
    /// The domains that had a client in the group before: they get the commit.
    pub recipients: BTreeSet<Domain>,
    /// The clients that are added and the KeyPackages used: their providers get the Welcome.
    pub added: Vec<(KeyPackageRef, ClientUri)>,
    /// Those of these KeyPackages that may be used again: marked as a last resort, and good for connection rooms alone.
    pub reusable: Vec<KeyPackageRef>,
    /// The client that has joined by itself.
    pub joined: Option<Joined>,
    /// The clients that are removed.
    pub removed: Vec<ClientUri>,
    /// The clients that were to be removed by proposals that an external commit has made void, and are still there. For
    /// [`HubRoom::propose_removals`].
    pub voided: Vec<ClientUri>,
    /// What participants have done to others.
    pub moderated: Vec<Moderated>,
    /// The ratchet tree of the new epoch, for the Welcome.
    pub ratchet_tree: RatchetTree,
    /// The new epoch.
    pub epoch: u64,
    /// A new snapshot, if one was asked for: the log before it can go.
    pub snapshot: Option<Snapshot>,
}

/// A client that has joined by an external commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its user.
    pub user: UserUri,
    /// The client.
    pub client: ClientUri,
    /// Whether the user came in by the join code it had shown: one use of it is gone.
    pub by_code: bool,
}

/// A commit with what has been found out about it.
pub(crate) struct Checked {
    pub(crate) staged: StagedCommit,
    pub(crate) next: RoomState,
    pub(crate) effect: Effect,
    pub(crate) added: Vec<(KeyPackageRef, ClientUri)>,
    pub(crate) joined: Option<Joined>,
}

impl HubRoom {
    /// Checks a member's commit completely and moves the room to its epoch: MLS, the committer's provider (`peer`), every
    /// credential it brings in, the room's policy, the Welcome, and the GroupInfo, which is compared with what the
    /// commit leads to octet by octet. Members check with group secrets what a hub cannot: the membership tag and
    /// the confirmation tag itself.
    ///
    /// If the outcome cannot be stored, drop this value and restore the room from what is stored.
    ///
    /// # Errors
    /// [`CommitRefusal`]; the room is unchanged then.
    pub fn accept(
        &mut self,
        bundle: &CommitBundle,
        peer: &Domain,
        with_snapshot: bool,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<AcceptedCommit, CommitRefusal> {
        let committer = self.committer(&bundle.commit, peer)?;
        let (staged, next) = self.stage(&bundle.commit)?;
        let effect = effect(&staged, Committer::Member(&committer), &self.roster, self.suite, trust, now)?;
        let referred =
            staged.queued_proposals().filter(|one| one.proposal_or_ref_type() == ProposalOrRefType::Reference);
        if referred.count() < self.pending.len() {
            return Err(CommitRefusal::Omits);
        }
        judge(self.state.at(now), &effect.parts, self.roster.members())?;
        let added = self.references(&staged, &effect)?;
        check_welcome(bundle.welcome.as_ref(), &added, self.suite)?;
        let Some(SenderType::Member(signer)) = bundle.commit.sender_type() else { return Err(CommitRefusal::Kind) };
        hub_info::check(bundle, &staged, &committer.key, signer)?;
        self.check_tree(bundle, added.len())?;
        self.take(bundle, Checked { staged, next, effect, added, joined: None }, with_snapshot)
    }

    /// Moves the room to the epoch of a commit that has been checked.
    pub(crate) fn take(
        &mut self,
        bundle: &CommitBundle,
        checked: Checked,
        with_snapshot: bool,
    ) -> Result<AcceptedCommit, CommitRefusal> {
        let Checked { staged, next, effect, added, joined } = checked;
        let reusable = self.reusable(&staged);
        let mut recipients = self.domains();
        recipients.extend(joined.iter().map(|joined| joined.client.domain().clone()));
        let removed: Vec<ClientUri> = effect.outgoing().map(|(_, client)| client.clone()).collect();
        let waited = self.pending.iter().flat_map(|pending| &pending.part.outgoing).map(|(_, client)| client.clone());
        let voided = waited.filter(|client| !removed.contains(client)).collect();
        let info = hub_info::tail_of(&bundle.group_info, &staged).ok_or(CommitRefusal::GroupInfo)?;
        let moderated = moderated(&effect.parts, &self.state, &next);
        let known = Box::new(KnownCommit { commit: bundle.commit.clone(), added: effect.added.clone() });
        let log_entry = LogEntry::Commit { known, info: info.clone() }.encode();
        self.info = info;
        let snapshot = self.merge(staged, next, effect, with_snapshot)?;
        let ratchet_tree = self.ratchet_tree().ok_or(CommitRefusal::Mls)?;
        self.tree_len = ratchet_tree.as_bytes().len();
        let epoch = self.epoch();
        Ok(AcceptedCommit {
            log_entry,
            recipients,
            added,
            reusable,
            joined,
            removed,
            voided,
            moderated,
            ratchet_tree,
            epoch,
            snapshot,
        })
    }

    /// The leaf that says it made the commit: a member, in the right group and epoch, of the right provider.
    fn committer(&self, commit: &MlsMessage, peer: &Domain) -> Result<Leaf, CommitRefusal> {
        self.check_framing(commit)?;
        let Some(SenderType::Member(index)) = commit.sender_type() else { return Err(CommitRefusal::Kind) };
        let leaf = self.roster.leaf(index).ok_or(CommitRefusal::Mls)?;
        if leaf.client.domain() != peer {
            return Err(CommitRefusal::ForeignCommitter);
        }
        if self.is_leaving(&leaf.user, &leaf.client) {
            return Err(CommitRefusal::Leaving);
        }
        Ok(leaf.clone())
    }

    /// A commit in a PublicMessage, of the right group and epoch.
    pub(crate) fn check_framing(&self, commit: &MlsMessage) -> Result<(), CommitRefusal> {
        use mimi_wire::{ContentType, WireFormat};
        if commit.wire_format() != WireFormat::PublicMessage || commit.content_type() != Some(ContentType::Commit) {
            return Err(CommitRefusal::Kind);
        }
        if commit.group_id() != Some(self.group.group_id().as_slice()) {
            return Err(CommitRefusal::OtherRoom);
        }
        if commit.epoch() != Some(self.epoch()) {
            return Err(CommitRefusal::WrongEpoch { current: self.epoch() });
        }
        Ok(())
    }

    /// Lets MLS check the commit, and computes the room's state behind it.
    pub(crate) fn stage(&self, commit: &MlsMessage) -> Result<(StagedCommit, RoomState), CommitRefusal> {
        let message = Self::protocol_message(commit).ok_or(CommitRefusal::Mls)?;
        let processed = self.group.process_message(&self.crypto, message).map_err(|error| match error {
            PublicProcessMessageError::ValidationError(ValidationError::InvalidSignature) => CommitRefusal::Signature,
            _ => CommitRefusal::Mls,
        })?;
        if !matches!(processed.sender(), Sender::Member(_) | Sender::NewMemberCommit) {
            return Err(CommitRefusal::Kind);
        }
        match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => Ok((*staged, self.state.clone())),
            ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
                let updates = component_updates(unresolved.app_data_update_proposals());
                let next = self.state.with_updates(&updates)?;
                let changes = dictionary_changes(self.group.app_data_dictionary_updater(), &updates, &next);
                let staged = self
                    .group
                    .stage_app_data_commit(&self.crypto, *unresolved, changes)
                    .map_err(|_| CommitRefusal::Mls)?;
                Ok((staged, next))
            }
            _ => Err(CommitRefusal::Kind),
        }
    }

    pub(crate) fn merge(
        &mut self,
        staged: StagedCommit,
        next: RoomState,
        effect: Effect,
        with_snapshot: bool,
    ) -> Result<Option<Snapshot>, CommitRefusal> {
        let backend = with_snapshot.then(Backend::default);
        match &backend {
            Some(backend) => {
                let storage: &MemoryStorage = openmls::prelude::OpenMlsProvider::storage(backend);
                self.group.merge_commit(storage, staged).map_err(|_| CommitRefusal::Mls)?;
            }
            None => self.group.merge_commit(&Forgetful, staged).map_err(|_| CommitRefusal::Mls)?,
        }
        self.state = next;
        // Whatever waited is in the commit, or of an epoch that is over.
        self.pending.clear();
        self.leaving.clear();
        self.additions = 0;
        update_roster(&mut self.roster, effect, self.group.members());
        Ok(backend.map(|backend| snapshot(&self.uri, &backend.save(), &self.roster, &self.info)))
    }

    /// Whether the ratchet tree behind the commit can still be sent. A commit holds every leaf and every key that it
    /// brings into the tree; besides, a parent has a hash, and names each new leaf below it.
    pub(crate) fn check_tree(&self, bundle: &CommitBundle, added: usize) -> Result<(), CommitRefusal> {
        const LEVELS: usize = 32;
        const HASH: usize = 64;
        const UNMERGED: usize = 8;
        let grown = self.tree_len + bundle.commit.as_bytes().len() + LEVELS * (HASH + UNMERGED * added);
        // The last quarter is for those who make the room smaller or renew their keys.
        let limit = if added > 0 { RatchetTree::MAX_LEN / 4 * 3 } else { RatchetTree::MAX_LEN };
        if grown > limit { Err(CommitRefusal::TooLarge) } else { Ok(()) }
    }

    fn reusable(&self, staged: &StagedCommit) -> Vec<KeyPackageRef> {
        let key_packages = staged.queued_proposals().filter_map(|queued| match queued.proposal() {
            Proposal::Add(add) => Some(add.key_package()),
            _ => None,
        });
        key_packages
            .filter(|one| one.last_resort() && purpose(one) == Some(KeyPackagePurpose::InitialOnly))
            .filter_map(|one| Some(KeyPackageRef::new(one.hash_ref(&self.crypto).ok()?.as_slice())))
            .collect()
    }

    fn references(
        &self,
        staged: &StagedCommit,
        effect: &Effect,
    ) -> Result<Vec<(KeyPackageRef, ClientUri)>, CommitRefusal> {
        let key_packages = staged.queued_proposals().filter_map(|queued| match queued.proposal() {
            Proposal::Add(add) => Some(add.key_package().hash_ref(&self.crypto)),
            _ => None,
        });
        key_packages
            .zip(&effect.added)
            .map(|(reference, leaf)| {
                let reference = reference.map_err(|_| CommitRefusal::Mls)?;
                Ok((KeyPackageRef::new(reference.as_slice()), leaf.client.clone()))
            })
            .collect()
    }
}

/// A Welcome comes if anyone is added, is of the room's suite, and names everyone who is added once.
fn check_welcome(
    welcome: Option<&Welcome>,
    added: &[(KeyPackageRef, ClientUri)],
    suite: CipherSuite,
) -> Result<(), CommitRefusal> {
    let fits = match welcome {
        None => added.is_empty(),
        Some(welcome) => {
            let named: BTreeSet<_> = welcome.key_package_refs().iter().collect();
            let wanted: BTreeSet<_> = added.iter().map(|(reference, _)| reference).collect();
            !added.is_empty()
                && welcome.cipher_suite_code() == suite.code()
                && welcome.key_package_refs().len() == added.len()
                && named == wanted
        }
    };
    if fits { Ok(()) } else { Err(CommitRefusal::Welcome) }
}

impl From<EffectError> for CommitRefusal {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::Proposal => Self::Proposal,
            EffectError::CredentialReplaced => Self::CredentialReplaced,
            EffectError::Size => Self::TooLarge,
            EffectError::Credential(error) => Self::Credential(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, NewKeyPackage, Room, UnverifiedKeyPackage, Wanted};
    use mimi_credential::{Issuer, Validity};
    use mimi_pseudonym::{Entropy, RoomUri, SeededEntropy, Signer, SigningKey, UserUri};
    use mimi_room::KeyPackagePurpose;
    use mimi_wire::{Credential, ExternalSender};
    use std::{sync::Arc, time::Duration};

    #[test]
    fn a_tree_that_is_nearly_too_long_gets_no_more_leaves_but_can_still_shrink() {
        let mut entropy = SeededEntropy::new([4; 32]);
        let suite = CipherSuite::X25519Aes128Ed25519;
        // openmls compares lifetimes with the system's clock.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Timestamp::from_secs(now.as_secs());
        let (begin, end) = (now.before(Duration::from_secs(60)), now.after(Duration::from_secs(3_600)));
        let validity = Validity { not_before: begin, not_after: end };
        let domain: Domain = "a.example".parse().unwrap();
        let mut key = || SigningKey::generate(suite.signature_scheme(), &mut entropy).unwrap();
        let (authority, hub_key, first_key, second_key) = (key(), key(), key(), key());
        let issuer = Issuer::create(domain.clone(), Arc::new(authority), [1; 16], validity).unwrap();
        let trust = TrustStore::default().with_anchor(issuer.certificate(), [domain.clone()]).unwrap();
        let alice = UserUri::pseudonym(&domain, entropy.bits128());
        let mut identity = |key: SigningKey| {
            let client = ClientUri::pseudonym(&domain, entropy.bits128());
            let chain = issuer.issue_leaf(&alice, &client, key.public_key(), [2; 16], validity).unwrap();
            Identity::new(suite, key, chain, &trust, now).unwrap()
        };
        let (first, second) = (identity(first_key), identity(second_key));
        let sender = ExternalSender {
            signature_key: hub_key.public_key().as_bytes().to_vec(),
            credential: Credential::x509(vec![issuer.certificate().to_vec()]),
        };
        let state = RoomState::private(RoomUri::pseudonym(&domain, [3; 16]), alice.clone()).unwrap();
        let (mut room, new) = Room::create(first, state, &sender, now).unwrap();
        let (mut hub, _) =
            HubRoom::create(room.uri(), &new.group_info, &new.ratchet_tree, &sender, &trust, now).unwrap();
        assert_eq!(hub.tree_len, new.ratchet_tree.as_bytes().len());

        let new = NewKeyPackage::create(&second, KeyPackagePurpose::Any, begin, end).unwrap();
        let verified = UnverifiedKeyPackage::new(new.key_package).verify(&alice, suite, &trust, now).unwrap();
        let adding = room.commit(Wanted { add: vec![verified], ..Wanted::default() }).unwrap();
        let tree_len = hub.tree_len;
        hub.tree_len = RatchetTree::MAX_LEN / 4 * 3 - 1_000;
        let refused = hub.accept(&adding, &domain, false, &trust, now).unwrap_err();
        assert_eq!((refused, hub.epoch()), (CommitRefusal::TooLarge, 0));
        room.commit_refused();
        let renewing = room.commit(Wanted::default()).unwrap();
        let accepted = hub.accept(&renewing, &domain, false, &trust, now).unwrap();
        assert_eq!(hub.tree_len, accepted.ratchet_tree.as_bytes().len());
        assert!(hub.tree_len.abs_diff(tree_len) < 100);
        room.commit_accepted(&trust, now).unwrap();

        hub.tree_len = RatchetTree::MAX_LEN - 1_000;
        let renewing = room.commit(Wanted::default()).unwrap();
        let refused = hub.accept(&renewing, &domain, false, &trust, now).unwrap_err();
        assert_eq!((refused, hub.epoch()), (CommitRefusal::TooLarge, 1));
    }
}
