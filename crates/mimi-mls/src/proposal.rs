//! Proposals that a later commit holds: how a member leaves, and what others and the hub have proposed.

use mimi_pseudonym::{Timestamp, UserUri, Wire};
use mimi_room::{Actor, ComponentId, ComponentUpdate, How, ParticipantListUpdate, Refusal, Role};
use mimi_wire::MlsMessage;
use openmls::{
    group::{Propose, QueuedProposal},
    messages::proposals::ProposalOrRefType,
    prelude::{LeafNodeIndex, MlsMessageOut, OpenMlsProvider, Proposal, Sender, tls_codec::Serialize as _},
};

use crate::{
    OpenError, Opened, Room, Wanted,
    backend::SignerAdapter,
    group::{component_updates, removed_by},
    part::{Part, judge},
};

/// Why a member cannot leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// A commit of this member waits for the hub's answer.
    #[error("a commit of this member waits for the hub's answer")]
    Pending,
    /// This member is leaving already.
    #[error("this member is leaving already")]
    Leaving,
    /// The room does not let this member leave.
    #[error("the room does not let this member leave: {0}")]
    NotAllowed(#[from] Refusal),
    /// MLS refuses.
    #[error("MLS refuses the proposals")]
    Mls,
}

impl Room {
    /// Proposes that this member's user leaves with all its clients: one Remove for each, and the update of the
    /// participant list, in this order. They are good for the present epoch; nothing can be sent or committed after
    /// them, until [`Room::leave_refused`] or another epoch begins.
    ///
    /// # Errors
    /// [`LeaveError`]; the room is unchanged then.
    pub fn leave(&mut self) -> Result<Vec<MlsMessage>, LeaveError> {
        if self.pending.is_some() {
            return Err(LeaveError::Pending);
        }
        if self.is_leaving() {
            return Err(LeaveError::Leaving);
        }
        let own = self.identity.user().clone();
        let place = self.state.participants().index_of(&own).ok_or(Refusal::NotParticipant)?;
        self.judge_leave(place)?;
        let leaves = self.roster.iter().filter(|(_, leaf)| leaf.user == own);
        let indexes: Vec<u32> = leaves.map(|(index, _)| index).collect();
        let list = ParticipantListUpdate { removed: vec![place], ..ParticipantListUpdate::default() };
        let made = self.propose_all(&indexes, list.encode());
        if made.is_none() {
            self.leave_refused();
        }
        made.ok_or(LeaveError::Mls)
    }

    /// Whether the room's policy lets this member's user leave now.
    pub fn may_leave(&self) -> bool {
        let place = self.state.participants().index_of(self.identity.user());
        place.is_some_and(|place| self.judge_leave(place).is_ok())
    }

    /// The hub has refused to let this member leave, or the proposals are lost: they are forgotten.
    pub fn leave_refused(&mut self) {
        let own = Sender::Member(self.group.own_leaf_index());
        let mine = self.group.pending_proposals().filter(|queued| *queued.sender() == own);
        let mine: Vec<_> = mine.map(|queued| queued.proposal_reference_ref().clone()).collect();
        for reference in mine {
            // The storage is memory: removing cannot fail.
            let _ = self.group.remove_pending_proposal(self.backend.storage(), &reference);
        }
    }

    /// Whether this member's user has proposed to leave, with this client or another, and no commit has come since.
    pub fn is_leaving(&self) -> bool {
        self.goes(self.group.own_leaf_index().u32())
    }

    /// The users of whom proposals for the next commit remove every client; the commit is to take them from the
    /// participant list.
    pub fn departing(&self) -> Vec<UserUri> {
        let mut users: Vec<_> = self.roster.iter().map(|(_, leaf)| leaf.user.clone()).collect();
        users.sort();
        users.dedup();
        users.retain(|user| self.roster.iter().all(|(index, leaf)| leaf.user != *user || self.goes(index)));
        users
    }

    /// Whether the commit that waits does not hold all proposals that have come.
    pub fn commit_lacks_proposals(&self) -> bool {
        let Some(commit) = self.group.pending_commit() else { return false };
        let held: Vec<_> = commit.queued_proposals().map(QueuedProposal::proposal_reference_ref).collect();
        self.group.pending_proposals().any(|queued| !held.contains(&queued.proposal_reference_ref()))
    }

    /// Whether there are proposals that the next commit has to hold.
    pub fn has_pending_proposals(&self) -> bool {
        self.group.pending_proposals().next().is_some()
    }

    /// Whether the room allows what others have proposed for the next commit: if not, the hub has let through what it
    /// should have refused.
    ///
    /// # Errors
    /// [`Refusal`] names the first rule that is broken.
    pub fn check_proposals(&self) -> Result<(), Refusal> {
        let proposed = self.proposed().ok_or(Refusal::UnknownClient)?;
        if proposed.is_empty() {
            return Ok(());
        }
        judge(self.state.at(Timestamp::default()), &proposed, self.roster.members()).map(drop)
    }

    /// Whether a proposal removes the leaf.
    fn goes(&self, index: u32) -> bool {
        self.group.pending_proposals().any(|queued| removed_by(queued.proposal(), queued.sender()) == Some(index))
    }

    /// Asks the room's policy about this member's user leaving, who stands at this place of the participant list.
    fn judge_leave(&self, place: u32) -> Result<(), Refusal> {
        let own = self.identity.user();
        let list = ParticipantListUpdate { removed: vec![place], ..ParticipantListUpdate::default() };
        let mut part = Part::new(Actor::client(own.clone(), self.identity.client().clone()), How::Proposal);
        part.updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode()));
        let members = self.roster.members();
        part.outgoing = members.of(own).map(|client| (own.clone(), client.clone())).collect();
        judge(self.state.at(Timestamp::default()), &[part], members).map(drop)
    }

    fn propose_all(&mut self, leaves: &[u32], list: Vec<u8>) -> Option<Vec<MlsMessage>> {
        let signer = SignerAdapter(self.identity.signer());
        let update = Propose::UpdateAppDataComponent { component_id: ComponentId::PARTICIPANT_LIST, update: list };
        let proposals = leaves.iter().map(|index| Propose::Remove(*index)).chain([update]);
        let mut messages = Vec::new();
        for proposal in proposals {
            let reference = ProposalOrRefType::Reference;
            let (message, _) = self.group.propose(&self.backend, &signer, proposal, reference).ok()?;
            messages.push(octets(&message)?);
        }
        messages.iter().for_each(|message| self.seen.insert(message));
        Some(messages)
    }

    /// Keeps a proposal for the next commit.
    pub(crate) fn take_proposal(&mut self, message: &MlsMessage, queued: QueuedProposal) -> Result<Opened, OpenError> {
        let by = match queued.sender() {
            Sender::Member(index) => Some(self.roster.leaf(index.u32()).ok_or(OpenError::Mls)?.user.clone()),
            Sender::External(_) => None,
            _ => return Err(OpenError::Proposal),
        };
        let removed = removed_by(queued.proposal(), queued.sender());
        let fits = match queued.proposal() {
            Proposal::AppDataUpdate(_) => by.is_some(),
            _ => removed.is_some_and(|index| self.roster.leaf(index).is_some()),
        };
        if !fits {
            return Err(OpenError::Proposal);
        }
        self.group.store_pending_proposal(self.backend.storage(), queued).map_err(|_| OpenError::Mls)?;
        self.seen.insert(message);
        Ok(Opened::Proposal { by, own: removed == Some(self.group.own_leaf_index().u32()) })
    }

    /// What others have proposed, each with its actor.
    pub(crate) fn proposed(&self) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for queued in self.group.pending_proposals() {
            let (actor, how) = match queued.sender() {
                Sender::Member(index) => {
                    let leaf = self.roster.leaf(index.u32())?;
                    (Actor::client(leaf.user.clone(), leaf.client.clone()), How::Proposal)
                }
                _ => (Actor::Hub, How::Hub),
            };
            let part = Part::of(&mut parts, actor, how)?;
            match queued.proposal() {
                Proposal::AppDataUpdate(update) => {
                    part.updates.extend(component_updates(std::iter::once(update.as_ref())));
                }
                other => {
                    let leaf = self.roster.leaf(removed_by(other, queued.sender())?)?;
                    part.outgoing.push((leaf.user.clone(), leaf.client.clone()));
                }
            }
        }
        Some(parts)
    }

    /// What is left to do besides what has been proposed: who is being removed is not removed once more, and of whom the
    /// hub removes every client, that is taken from the list.
    pub(crate) fn besides(&self, mut wanted: Wanted, proposed: &[Part]) -> Wanted {
        wanted.remove.retain(|client| !proposed.iter().flat_map(|part| &part.outgoing).any(|(_, gone)| gone == client));
        let list = |update: &ComponentUpdate| match &update.operation {
            mimi_room::Operation::Update(data) if update.id == ComponentId::PARTICIPANT_LIST => {
                ParticipantListUpdate::decode(data).ok()
            }
            _ => None,
        };
        let gone: Vec<u32> =
            proposed.iter().flat_map(|part| &part.updates).filter_map(list).flat_map(|list| list.removed).collect();
        let mut own = Vec::new();
        for update in &mut wanted.updates {
            let Some(mut edits) = list(update) else { continue };
            edits.removed.retain(|index| !gone.contains(index));
            edits.changed.retain(|change| !gone.contains(&change.index));
            own.extend(edits.removed.iter().chain(edits.changed.iter().map(|change| &change.index)).copied());
            *update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, edits.encode());
        }
        let nothing = ParticipantListUpdate::default();
        wanted.updates.retain(|update| list(update).is_none_or(|edits| edits != nothing));
        let participants = self.state.participants();
        let listed = |user: &UserUri| participants.role_of(user).is_some_and(|role| role != Role::BANNED);
        let removed: Vec<_> = self
            .departing()
            .iter()
            .filter(|user| listed(user))
            .filter_map(|user| participants.index_of(user))
            .collect();
        let removed: Vec<_> =
            removed.into_iter().filter(|index| !gone.contains(index) && !own.contains(index)).collect();
        if !removed.is_empty() {
            let edits = ParticipantListUpdate { removed, ..nothing };
            wanted.updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, edits.encode()));
        }
        wanted
    }

    /// The leaf of a client in the group, and its user.
    pub(crate) fn leaf_of(&self, client: &mimi_pseudonym::ClientUri) -> Option<(LeafNodeIndex, UserUri)> {
        let found = self.roster.iter().find(|(_, leaf)| leaf.client == *client);
        found.map(|(index, leaf)| (LeafNodeIndex::new(index), leaf.user.clone()))
    }
}

fn octets(message: &MlsMessageOut) -> Option<MlsMessage> {
    MlsMessage::decode(&message.tls_serialize_detached().ok()?).ok()
}
