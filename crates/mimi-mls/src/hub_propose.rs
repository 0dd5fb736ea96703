use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, Domain, Timestamp, UserUri, Wire};
use mimi_room::{Actor, How, Refusal};
use mimi_wire::{PendingProposal, ProposalMessage, SenderType};
use openmls::{
    group::{PublicProcessMessageError, QueuedProposal, ValidationError},
    prelude::{ProcessedMessageContent, Proposal, Sender},
};

use crate::{
    HubRoom,
    forgetful::Forgetful,
    group::{component_updates, removed_by},
    hub_log::LogEntry,
    identity::Leaf,
    part::{Part, judge},
};

/// The most proposals that wait in one epoch.
pub(crate) const PENDING_MAX: usize = 1024;

/// A proposal that waits for the next commit.
pub(crate) struct Pending {
    pub(crate) message: PendingProposal,
    pub(crate) part: Part,
}

/// Why a hub does not accept proposals. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposalRefusal {
    /// They are for another epoch than the present one.
    #[error("the room is in epoch {current}")]
    WrongEpoch {
        /// The room's epoch.
        current: u64,
    },
    /// They are for another group.
    #[error("a proposal is another room's")]
    OtherRoom,
    /// They are not all of one member.
    #[error("not proposals of one member")]
    Sender,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature,
    /// MLS refuses one.
    #[error("MLS refuses a proposal")]
    Mls,
    /// They came from a provider that is not the proposer's.
    #[error("the proposer is no user of the provider that sent the proposals")]
    ForeignProposer,
    /// One is of a kind that has no place in a room, or that only its committer may make.
    #[error("a proposal is of a kind that is not taken")]
    Proposal,
    /// The room's policy does not allow them, or not together with those that wait already.
    #[error("not allowed: {0}")]
    NotAllowed(#[from] Refusal),
    /// More would wait than can be sent together: 1,024.
    #[error("too many proposals wait")]
    TooMany,
}

/// Proposals that a hub has accepted, with what has to be stored and sent on.
#[derive(Debug, Clone)]
pub struct AcceptedProposals {
    /// What the log keeps.
    pub log_entry: Vec<u8>,
    /// The domains that have a client in the group: they get the proposals.
    pub recipients: BTreeSet<Domain>,
}

impl HubRoom {
    /// Takes proposals of one member, all or none, and keeps them for the next commit, which has to contain them
    /// (draft-ietf-mimi-protocol-06, sections 3.4 and 5.3): of clients to be removed and of components to be changed. They
    /// are judged together with those that wait already.
    ///
    /// # Errors
    /// [`ProposalRefusal`]; the room is unchanged then.
    pub fn propose(
        &mut self,
        proposals: &[ProposalMessage],
        peer: &Domain,
        now: Timestamp,
    ) -> Result<AcceptedProposals, ProposalRefusal> {
        let first = proposals.first().ok_or(ProposalRefusal::Sender)?;
        for proposal in proposals {
            let message = proposal.message();
            if message.group_id() != Some(self.group.group_id().as_slice()) {
                return Err(ProposalRefusal::OtherRoom);
            }
            if message.epoch() != Some(self.epoch()) {
                return Err(ProposalRefusal::WrongEpoch { current: self.epoch() });
            }
            if message.sender_type() != first.message().sender_type() {
                return Err(ProposalRefusal::Sender);
            }
        }
        let Some(SenderType::Member(index)) = first.message().sender_type() else {
            return Err(ProposalRefusal::Sender);
        };
        let leaf = self.roster.leaf(index).cloned().ok_or(ProposalRefusal::Mls)?;
        if leaf.client.domain() != peer {
            return Err(ProposalRefusal::ForeignProposer);
        }
        self.judge_and_keep(proposals, Some(&leaf), now)
    }

    pub(crate) fn judge_and_keep(
        &mut self,
        proposals: &[ProposalMessage],
        proposer: Option<&Leaf>,
        now: Timestamp,
    ) -> Result<AcceptedProposals, ProposalRefusal> {
        if self.pending.len() + proposals.len() > PENDING_MAX {
            return Err(ProposalRefusal::TooMany);
        }
        let queued = proposals.iter().map(|proposal| self.read_proposal(proposal)).collect::<Result<Vec<_>, _>>()?;
        if let Some(leaf) = proposer
            && self.is_leaving(&leaf.user, &leaf.client)
            && queued.iter().any(|(_, part)| !part.updates.is_empty())
        {
            return Err(Refusal::NotParticipant.into());
        }
        let waiting = self.pending.iter().map(|pending| &pending.part);
        let parts = merged(waiting.chain(queued.iter().map(|(_, part)| part)));
        judge(self.state.at(now), &parts, self.roster.members())?;
        let log_entry = LogEntry::Proposals { accepted: now, proposals: proposals.to_vec() }.encode();
        self.keep(proposals.to_vec(), queued, now)?;
        Ok(AcceptedProposals { log_entry, recipients: self.domains() })
    }

    /// Lets MLS check a proposal, and reads what it does.
    pub(crate) fn read_proposal(&self, proposal: &ProposalMessage) -> Result<(QueuedProposal, Part), ProposalRefusal> {
        let message = Self::protocol_message(proposal.message()).ok_or(ProposalRefusal::Mls)?;
        let processed = self.group.process_message(&self.crypto, message).map_err(|error| match error {
            PublicProcessMessageError::ValidationError(ValidationError::InvalidSignature) => ProposalRefusal::Signature,
            _ => ProposalRefusal::Mls,
        })?;
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            return Err(ProposalRefusal::Proposal);
        };
        let (actor, how) = match queued.sender() {
            Sender::External(_) => (Actor::Hub, How::Hub),
            Sender::Member(index) => {
                let leaf = self.roster.leaf(index.u32()).ok_or(ProposalRefusal::Sender)?;
                (Actor::client(leaf.user.clone(), leaf.client.clone()), How::Proposal)
            }
            _ => return Err(ProposalRefusal::Sender),
        };
        let mut part = Part::new(actor, how);
        if let Proposal::AppDataUpdate(update) = queued.proposal() {
            part.updates = component_updates(std::iter::once(update.as_ref()));
        } else {
            let index = removed_by(queued.proposal(), queued.sender()).ok_or(ProposalRefusal::Proposal)?;
            let leaf = self.roster.leaf(index).ok_or(Refusal::UnknownClient)?;
            part.outgoing.push((leaf.user.clone(), leaf.client.clone()));
        }
        Ok((*queued, part))
    }

    /// Keeps proposals that have been judged.
    pub(crate) fn keep(
        &mut self,
        proposals: Vec<ProposalMessage>,
        queued: Vec<(QueuedProposal, Part)>,
        accepted: Timestamp,
    ) -> Result<(), ProposalRefusal> {
        for (proposal, (queued, part)) in proposals.into_iter().zip(queued) {
            self.group.add_proposal(&Forgetful, queued).map_err(|_| ProposalRefusal::Mls)?;
            self.pending.push(Pending { message: PendingProposal { proposal, hub_accepted: accepted }, part });
        }
        self.additions += 1;
        self.leaving = self.compute_leaving();
        Ok(())
    }

    /// How many times proposals were added to those that wait in the present epoch.
    pub fn additions(&self) -> u64 {
        self.additions
    }

    /// The proposals that wait for the next commit, in the order in which they came.
    pub fn pending_proposals(&self) -> Vec<PendingProposal> {
        self.pending.iter().map(|pending| pending.message.clone()).collect()
    }

    /// Whether proposals that wait take a user out of the room, or every client it has. From then on it may send nothing
    /// and gets no application messages (draft-ietf-mimi-protocol-06, section 5.3).
    pub fn is_user_leaving(&self, user: &UserUri) -> bool {
        self.leaving.contains(user)
    }

    /// Whether proposals that wait take a client out of the room, or its user.
    pub(crate) fn is_leaving(&self, user: &UserUri, client: &ClientUri) -> bool {
        let mut outgoing = self.pending.iter().flat_map(|pending| &pending.part.outgoing);
        self.leaving.contains(user) || outgoing.any(|(_, one)| one == client)
    }

    fn compute_leaving(&self) -> BTreeSet<UserUri> {
        let updates: Vec<_> = self.pending.iter().flat_map(|pending| pending.part.updates.clone()).collect();
        let after = self.state.with_updates(&updates).ok();
        let outgoing = self.pending.iter().flat_map(|pending| &pending.part.outgoing);
        let clients: BTreeSet<&ClientUri> = outgoing.clone().map(|(_, client)| client).collect();
        let users: BTreeSet<&UserUri> = outgoing.map(|(user, _)| user).collect();
        let mut leaving: BTreeSet<UserUri> = users
            .into_iter()
            .filter(|user| self.roster.members().of(user).all(|client| clients.contains(client)))
            .cloned()
            .collect();
        if let Some(after) = after.filter(|_| !updates.is_empty()) {
            let gone = self.state.participants().iter().map(|(user, _)| user);
            leaving.extend(gone.filter(|user| after.participants().role_of(user).is_none()).cloned());
        }
        leaving
    }
}

/// Parts of the same actor become one, as they are one in a commit.
fn merged<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Part> {
    let mut merged = Vec::new();
    for part in parts {
        if let Some(one) = Part::of(&mut merged, part.actor.clone(), part.how) {
            one.updates.extend(part.updates.iter().cloned());
            one.outgoing.extend(part.outgoing.iter().cloned());
        }
    }
    for part in &mut merged {
        part.updates.sort_by_key(|update| update.id);
    }
    merged
}
