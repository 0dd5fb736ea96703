use mimi_mls::{HubRoom, ProposalRefusal};
use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp};
use mimi_wire::{FanoutEvent, FanoutMessage, ProposalMessage, UpdateOutcome, UpdateRoomResponse, local::InboxBody};

use super::{
    audience::{audience, changes},
    for_inbox, for_peers,
    update::refused,
};
use crate::{
    fail::Fail,
    hash,
    provider::Inner,
    store::{Hash, ProposalsRecord},
};

/// By what proposals that come again are known.
pub(super) fn proposals_hash(proposals: &[ProposalMessage]) -> Hash {
    let octets: Vec<_> = proposals.iter().map(|proposal| proposal.message().as_bytes()).collect();
    let parts: Vec<&[u8]> = std::iter::once(b"proposals".as_slice()).chain(octets).collect();
    hash(&parts)
}

/// Takes proposals of a member, keeps them for the next commit, and fans them out.
pub(super) fn propose(
    inner: &Inner,
    hub: &mut HubRoom,
    from: &Domain,
    proposals: Vec<ProposalMessage>,
) -> Result<UpdateRoomResponse, Fail> {
    let now = inner.now();
    let (waiting, before) = (hub.additions(), audience(hub));
    match hub.propose(&proposals, from, now) {
        Ok(accepted) => {
            let room = hub.uri().clone();
            let told = changes(inner, &before, hub, now);
            let messages = Fanned { room: &room, now, waiting, epoch: hub.epoch(), told };
            messages.store(inner, proposals, &accepted)?;
            Ok(UpdateRoomResponse { description: String::new(), outcome: UpdateOutcome::Accepted { accepted: now } })
        }
        Err(refusal) => Ok(response(&refusal)),
    }
}

/// Proposes, as the hub, to remove clients, and fans that out.
pub(super) fn by_hub(inner: &Inner, hub: &mut HubRoom, clients: &[ClientUri]) -> Result<(), Fail> {
    let now = inner.now();
    let (waiting, before) = (hub.additions(), audience(hub));
    let key = inner.senders.iter().find(|key| key.suite == hub.suite()).ok_or(Fail::Fault("no key of the hub"))?;
    let proposed = hub.propose_removals(clients, &key.key, now);
    match proposed.map_err(|_| Fail::Fault("the hub cannot propose to remove a client"))? {
        Some(proposed) => {
            let room = hub.uri().clone();
            let told = changes(inner, &before, hub, now);
            let messages = Fanned { room: &room, now, waiting, epoch: hub.epoch(), told };
            messages.store(inner, proposed.proposals, &proposed.accepted)
        }
        None => Ok(()),
    }
}

/// Proposals that have been accepted, on their way into the store and to everybody.
pub(super) struct Fanned<'a> {
    pub(super) room: &'a RoomUri,
    pub(super) now: Timestamp,
    /// How many times proposals were added before.
    pub(super) waiting: u64,
    pub(super) epoch: u64,
    /// What other providers are told besides.
    pub(super) told: Vec<(Domain, Vec<u8>)>,
}

impl Fanned<'_> {
    pub(super) fn store(
        self,
        inner: &Inner,
        proposals: Vec<ProposalMessage>,
        accepted: &mimi_mls::AcceptedProposals,
    ) -> Result<(), Fail> {
        let hash = proposals_hash(&proposals);
        let message = fanout(self.now, proposals).ok_or(Fail::Fault("no proposals"))?;
        let mut outbox = for_peers(inner, &accepted.recipients, &message);
        outbox.extend(self.told);
        let body: InboxBody = for_inbox(self.room, message);
        let record = ProposalsRecord {
            room: self.room,
            hash,
            accepted: self.now,
            epoch: self.epoch,
            waiting: self.waiting,
            log_entry: &accepted.log_entry,
            outbox: &outbox,
            body: &body,
        };
        inner.wake(&inner.store.accept_proposals(&record)?);
        Ok(())
    }
}

pub(super) fn fanout(timestamp: Timestamp, proposals: Vec<ProposalMessage>) -> Option<FanoutMessage> {
    let mut proposals = proposals.into_iter();
    let event = FanoutEvent::Proposal { proposal: proposals.next()?, more: proposals.collect() };
    Some(FanoutMessage { timestamp, event })
}

/// What the proposer is told. The words are fixed: they name neither users nor clients.
fn response(refusal: &ProposalRefusal) -> UpdateRoomResponse {
    match refusal {
        ProposalRefusal::WrongEpoch { current } => UpdateRoomResponse {
            description: String::new(),
            outcome: UpdateOutcome::WrongEpoch { current_epoch: *current },
        },
        ProposalRefusal::OtherRoom => refused("a proposal is another room's"),
        ProposalRefusal::Sender => refused("not proposals of one member"),
        ProposalRefusal::Signature => refused("a signature does not verify"),
        ProposalRefusal::Mls => refused("MLS refuses a proposal"),
        ProposalRefusal::ForeignProposer => refused("the proposer is no user of the provider"),
        ProposalRefusal::Proposal => refused("a proposal is of a kind that is not taken"),
        ProposalRefusal::NotAllowed(_) => refused("the room's policy does not allow it"),
        ProposalRefusal::TooMany => refused("too many proposals wait"),
        _ => refused("refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_names_nobody() {
        let outcome = response(&ProposalRefusal::WrongEpoch { current: 7 }).outcome;
        assert_eq!(outcome, UpdateOutcome::WrongEpoch { current_epoch: 7 });
        for refusal in [ProposalRefusal::Signature, ProposalRefusal::Sender, ProposalRefusal::TooMany] {
            let response = response(&refusal);
            assert_eq!(response.outcome, UpdateOutcome::NotAllowed);
            assert!(!response.description.is_empty() && !response.description.contains("mimi:"));
        }
    }

    #[test]
    fn nothing_is_no_message() {
        assert!(fanout(Timestamp::default(), vec![]).is_none());
        assert_ne!(proposals_hash(&[]), [0; 32]);
    }
}
