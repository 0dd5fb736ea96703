//! What the flows of both sides have in common.

use mimi_mls::{CommitBundle, CommitError, KeyPackageRefusal, UnverifiedKeyPackage, VerifiedKeyPackage, Wanted};
use mimi_pseudonym::{ClientUri, RoomUri, UserUri, Wire};
use mimi_room::{ComponentId, ComponentUpdate, ParticipantListUpdate};
use mimi_wire::{
    ClientMaterial, CommitMessage, FanoutEvent, GroupInfoOption, KeyMaterialResponse, KeyPackage, MlsMessage,
    ProposalMessage, RatchetTreeOption, UpdateOutcome, UpdateRequest, UpdateRoomResponse,
    local::{ClaimOwnRequest, CreateRoomRequest},
};

use crate::{Call, Context, Device, FailureReason, FlowId, Request};

/// What came of a commit.
pub(crate) enum Committed {
    /// It was accepted, and the room has moved on.
    Accepted,
    /// Another came first and is here already: make it again.
    Again,
    /// Another came first and is still on its way: make it again when it is here.
    Wait,
}

impl Device {
    pub(crate) fn send_create_room(&mut self, id: FlowId, room: &RoomUri, first: mimi_mls::FirstEpoch) {
        let request =
            CreateRoomRequest { room: room.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
        self.request(Request { call: Call::CreateRoom, body: request.encode() }, Some(id));
    }

    pub(crate) fn send_claim_own(&mut self, id: FlowId, user: &UserUri, exclude: Option<ClientUri>) {
        let cipher_suite_codes = vec![self.profile.suite.code()];
        let request = ClaimOwnRequest { user: user.clone(), cipher_suite_codes, exclude };
        self.request(Request { call: Call::ClaimOwn, body: request.encode() }, Some(id));
    }

    /// Makes a commit and sends it to the hub.
    pub(crate) fn send_commit(&mut self, id: FlowId, room: &RoomUri, wanted: Wanted) -> Result<(), FailureReason> {
        let open = self.rooms.get_mut(room).ok_or(FailureReason::Internal)?;
        let bundle = open.commit(wanted).map_err(|error| match error {
            CommitError::NotAllowed(_) => FailureReason::NotAllowed,
            _ => FailureReason::Internal,
        })?;
        let request = send_update(room, bundle).ok_or(FailureReason::Internal)?;
        self.request(request, Some(id));
        Ok(())
    }

    /// Takes the hub's answer to a commit.
    pub(crate) fn committed(
        &mut self,
        room: &RoomUri,
        body: &[u8],
        cx: &Context<'_>,
    ) -> Result<Committed, FailureReason> {
        let answer = UpdateRoomResponse::decode(body).map_err(|_| FailureReason::Answer { call: "update".into() })?;
        let open = self.rooms.get_mut(room).ok_or(FailureReason::Internal)?;
        match answer.outcome {
            UpdateOutcome::Accepted { .. } => {
                open.commit_accepted(cx.trust, cx.now).map_err(|_| FailureReason::Internal)?;
                Ok(Committed::Accepted)
            }
            UpdateOutcome::WrongEpoch { current_epoch } => {
                open.commit_refused();
                Ok(if open.epoch() >= current_epoch { Committed::Again } else { Committed::Wait })
            }
            // Proposals had come before it that it does not hold: they are here, or on their way.
            UpdateOutcome::InvalidProposal { .. } => {
                let here = open.commit_lacks_proposals();
                open.commit_refused();
                Ok(if here { Committed::Again } else { Committed::Wait })
            }
            _ => {
                open.commit_refused();
                Err(FailureReason::NotAllowed)
            }
        }
    }

    /// The KeyPackages in an answer; those that do not hold are left out, and if none holds the reason is given.
    pub(crate) fn usable(
        &self,
        response: KeyMaterialResponse,
        owner: &UserUri,
        cx: &Context<'_>,
    ) -> Result<Vec<VerifiedKeyPackage>, FailureReason> {
        let offered = response.into_clients().into_iter().filter_map(|client| match client.material {
            ClientMaterial::KeyPackage(key_package) => Some(key_package),
            _ => None,
        });
        self.verified(offered, owner, cx)
    }

    pub(crate) fn verified(
        &self,
        offered: impl IntoIterator<Item = KeyPackage>,
        owner: &UserUri,
        cx: &Context<'_>,
    ) -> Result<Vec<VerifiedKeyPackage>, FailureReason> {
        let mut usable: Vec<VerifiedKeyPackage> = Vec::new();
        let mut expired = false;
        for key_package in offered {
            match UnverifiedKeyPackage::new(key_package).verify(owner, self.profile.suite, cx.trust, cx.now) {
                // One client has one leaf: a second KeyPackage of the same one is left out.
                Ok(verified) if usable.iter().all(|other| other.client() != verified.client()) => usable.push(verified),
                Ok(_) => {}
                Err(KeyPackageRefusal::Expired) => expired = true,
                Err(_) => {}
            }
        }
        match (usable.is_empty(), expired) {
            (true, true) => Err(FailureReason::KeyPackageExpired),
            (true, false) => Err(FailureReason::NoKeyPackage),
            _ => Ok(usable),
        }
    }
}

/// The request that brings a commit to the hub.
pub(crate) fn send_update(room: &RoomUri, bundle: CommitBundle) -> Option<Request> {
    let update = UpdateRequest::Commit {
        commit: CommitMessage::try_from(bundle.commit).ok()?,
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    Some(Request { call: Call::Update(room.clone()), body: update.encode() })
}

/// Adds a user to a participant list.
pub(crate) fn add_participant(user: &UserUri, role: u32) -> ComponentUpdate {
    let update = ParticipantListUpdate::add(user.clone(), role);
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())
}

/// The MLS messages in what was fanned out, in order.
pub(crate) fn mls_messages(event: FanoutEvent) -> Vec<MlsMessage> {
    let proposals = |proposals: Vec<ProposalMessage>| proposals.into_iter().map(ProposalMessage::into_message);
    match event {
        FanoutEvent::Application { message, .. } => vec![message.into_message()],
        FanoutEvent::Commit { commit, external_proposals } => {
            std::iter::once(commit.into_message()).chain(proposals(external_proposals)).collect()
        }
        FanoutEvent::Proposal { proposal, more } => {
            std::iter::once(proposal.into_message()).chain(proposals(more)).collect()
        }
        _ => Vec::new(),
    }
}
