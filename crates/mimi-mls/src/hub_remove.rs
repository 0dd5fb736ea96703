use mimi_pseudonym::{ClientUri, Signer, Timestamp, Wire};
use mimi_wire::{MlsMessage, ProposalMessage};
use openmls::{
    extensions::SenderExtensionIndex,
    prelude::{ExternalProposal, LeafNodeIndex, tls_codec::Serialize as _},
};

use crate::{
    AcceptedProposals, HubRoom, ProposalRefusal,
    backend::{Backend, SignerAdapter},
};

/// Proposals of the hub's own.
#[derive(Debug, Clone)]
pub struct HubProposals {
    /// The proposals: they go to everybody.
    pub proposals: Vec<ProposalMessage>,
    /// What has to be stored and sent on.
    pub accepted: AcceptedProposals,
}

impl HubRoom {
    /// Proposes, as the group's external sender, to remove clients, and keeps that for the next commit
    /// (draft-mahy-mimi-pseudonyms-00, section 5.2). Clients that are not in the group, or for which such a proposal waits
    /// already, are passed over; none if there are no others.
    ///
    /// # Errors
    /// [`ProposalRefusal::Sender`] if the key is not the hub's in this group; [`ProposalRefusal::TooMany`],
    /// [`ProposalRefusal::Mls`], [`ProposalRefusal::NotAllowed`]. The room is unchanged then.
    pub fn propose_removals(
        &mut self,
        clients: &[ClientUri],
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Option<HubProposals>, ProposalRefusal> {
        let key = signer.public_key().as_bytes();
        let senders = self.group.group_context().extensions().external_senders();
        let mut senders = senders.into_iter().flat_map(|senders| senders.iter()).map(|sender| {
            let octets = sender.tls_serialize_detached().ok()?;
            mimi_wire::ExternalSender::decode(&octets).ok()
        });
        let place = senders.position(|sender| sender.is_some_and(|sender| sender.signature_key == key));
        let place = place.and_then(|place| u32::try_from(place).ok()).ok_or(ProposalRefusal::Sender)?;
        let place = SenderExtensionIndex::new(place);
        let waits = |client| self.pending.iter().any(|one| one.part.outgoing.iter().any(|(_, of)| of == client));
        let leaves: Vec<u32> = self
            .roster
            .iter()
            .filter(|(_, leaf)| clients.contains(&leaf.client) && !waits(&leaf.client))
            .map(|(index, _)| index)
            .collect();
        if leaves.is_empty() {
            return Ok(None);
        }
        let context = self.group.group_context();
        let made = leaves.into_iter().map(|leaf| {
            let (group, epoch) = (context.group_id().clone(), context.epoch());
            let removed = LeafNodeIndex::new(leaf);
            let message = ExternalProposal::new_remove::<Backend>(removed, group, epoch, &SignerAdapter(signer), place);
            let octets = message.ok().and_then(|message| message.tls_serialize_detached().ok());
            let message = octets.and_then(|octets| MlsMessage::decode(&octets).ok());
            message.and_then(|message| message.try_into().ok()).ok_or(ProposalRefusal::Mls)
        });
        let proposals = made.collect::<Result<Vec<ProposalMessage>, _>>()?;
        let accepted = self.judge_and_keep(&proposals, None, now)?;
        Ok(Some(HubProposals { proposals, accepted }))
    }
}
