//! What the connecting side asks for and says.

use mimi_disclosure::Bundle;
use mimi_mls::Wanted;
use mimi_pseudonym::{Content, RoomUri, UserUri, Wire};
use mimi_room::{ComponentId, ComponentUpdate, ParticipantListUpdate};
use mimi_wire::{
    Credential, KeyMaterialRequest, KeyMaterialRequestTbs, RequiredCapabilities, UnverifiedKeyMaterialRequest,
    local::HubKeyMaterialRequest,
};

use super::Connect;
use crate::{Context, Device, FailureReason, Request};

/// Extension, proposal and credential types that a room needs: the application data dictionary (RFC 9420 and
/// draft-ietf-mls-extensions), its update, and X.509.
const REQUIRED: ([u16; 1], [u16; 1], [u16; 1]) = ([0x0006], [0x0008], [0x0002]);

impl Device {
    pub(super) fn key_material(&self, flow: &Connect) -> Result<HubKeyMaterialRequest, FailureReason> {
        let target = flow.target.as_ref().ok_or(FailureReason::Internal)?;
        self.key_material_for(&flow.first, target, &flow.room)
    }

    /// A request for KeyPackages of someone, for a room.
    pub(crate) fn key_material_for(
        &self,
        own: &UserUri,
        target: &UserUri,
        room: &RoomUri,
    ) -> Result<HubKeyMaterialRequest, FailureReason> {
        let identity = self.wallet.identity(own).ok_or(FailureReason::Internal)?;
        let tbs = KeyMaterialRequestTbs {
            requesting_user: own.clone(),
            target_user: target.clone(),
            room: Some(room.clone()),
            acceptable_cipher_suites: vec![self.profile.suite.code()],
            required_capabilities: RequiredCapabilities::new(REQUIRED.0.into(), REQUIRED.1.into(), REQUIRED.2.into()),
            requester_signature_key: identity.signer().public_key().as_bytes().to_vec(),
            requester_credential: Credential::x509(identity.certificates().certificates().to_vec()),
        };
        let signed = KeyMaterialRequest::sign(tbs, identity.signer()).map_err(|_| FailureReason::Internal)?;
        let request = UnverifiedKeyMaterialRequest::decode(&signed.encode()).map_err(|_| FailureReason::Internal)?;
        Ok(HubKeyMaterialRequest { hub: Some(room.domain().clone()), request })
    }

    /// The message that says who is behind the pseudonym, and how to answer.
    pub(super) fn disclosure(&mut self, flow: &Connect, cx: &mut Context<'_>) -> Result<Request, FailureReason> {
        self.seal_presentation(&flow.room, &flow.disclose, cx, |presentation| {
            let (reply_to, key_packages) = (Some(flow.second.clone()), flow.key_packages.clone());
            Bundle::new(vec![presentation], reply_to, key_packages, flow.note.clone()).ok().map(Content::from)
        })
    }

    /// Removes all clients but this one, and all participants but this one's user.
    pub(crate) fn everyone_else(&self, room: &RoomUri) -> Option<Wanted> {
        let room = self.rooms.get(room)?;
        let own = room.identity();
        let participants = room.state().participants();
        let others = participants.iter().filter(|(user, _)| *user != own.user());
        let removed: Vec<_> = others.filter_map(|(user, _)| participants.index_of(user)).collect();
        let clients = room.members().iter().map(|(_, client)| client);
        let remove = clients.filter(|client| *client != own.client()).cloned().collect();
        let updates = match removed.is_empty() {
            true => Vec::new(),
            false => {
                let update = ParticipantListUpdate { removed, ..ParticipantListUpdate::default() };
                vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())]
            }
        };
        Some(Wanted { updates, add: Vec::new(), remove })
    }
}
