use mimi_pseudonym::{ClientUri, Signer, Timestamp, Wire, Writer};
use mimi_wire::{MlsMessage, ProposalMessage, SAFE_AAD_COMPONENT, SafeAad, label::sign_with_label};
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
            if self.state.component(SAFE_AAD_COMPONENT).is_some() {
                let (group, epoch) = (context.group_id().as_slice(), context.epoch().as_u64());
                return with_safe_aad(group, epoch, place, leaf, signer).ok_or(ProposalRefusal::Mls);
            }
            let (group, epoch, place) = (context.group_id().clone(), context.epoch(), SenderExtensionIndex::new(place));
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

/// The proposal for a group whose messages all begin with a `SafeAAD` in their authenticated data, as RFC 9420, section 6, and
/// draft-ietf-mls-extensions, section 4.9, write it: openmls makes proposals of external senders without one.
fn with_safe_aad(group: &[u8], epoch: u64, place: u32, leaf: u32, signer: &dyn Signer) -> Option<ProposalMessage> {
    let (version, public_message, external, proposal, remove) = (1, 1, 2, 2, 3);
    let mut content = Writer::default();
    content.vector(group);
    content.u64(epoch);
    content.u8(external);
    content.u32(place);
    content.vector(&SafeAad::default().encode());
    content.u8(proposal);
    content.u16(remove);
    content.u32(leaf);
    let content = content.into_octets();
    let mut message = Writer::default();
    message.u16(version);
    message.u16(public_message);
    message.raw(&content);
    let mut message = message.into_octets();
    let signature = sign_with_label(signer, "FramedContentTBS", &message).ok()?;
    message.extend(signature.encode());
    MlsMessage::decode(&message).ok()?.try_into().ok()
}
