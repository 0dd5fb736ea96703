use std::sync::Arc;

use mimi_pseudonym::{IdentityPolicy, PseudonymUse, RoomUri, TrustAnchors};

use crate::{
    ComponentId, JoinLinkPolicy, PreauthList, RoomMetadata, RoomPurpose, RoomState, StateError, TemporaryBans,
    state::OWN,
};

/// Parts of a room that is about to be created. Each is also put on the list of policy components in the base policy.
impl RoomState {
    /// The same state for another purpose. For a knock room there is [`RoomState::with_knock_target`].
    #[must_use]
    pub fn with_purpose(mut self, purpose: RoomPurpose) -> Self {
        self.purpose = Some(purpose);
        self.listing(ComponentId::ROOM_PURPOSE)
    }

    /// The same state as that of the knock room of another room.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`] with [`Refusal::KnockTarget`](crate::Refusal::KnockTarget) if it is this room.
    pub fn with_knock_target(mut self, target: RoomUri) -> Result<Self, StateError> {
        self.knock_target = Some(Arc::new(target));
        let state = self.with_purpose(RoomPurpose::Knock).listing(ComponentId::KNOCK_TARGET);
        state.check_structure()?;
        Ok(state)
    }

    /// The same state with other metadata; the room they name is set to this one.
    #[must_use]
    pub fn with_metadata(mut self, metadata: RoomMetadata) -> Self {
        self.metadata = Some(Arc::new(RoomMetadata { room: (*self.room).clone(), ..metadata }));
        self
    }

    /// The same state with a policy for join links.
    #[must_use]
    pub fn with_join_link_policy(mut self, policy: JoinLinkPolicy) -> Self {
        self.join_link = Some(Arc::new(policy));
        self.listing(ComponentId::JOIN_LINK_POLICY)
    }

    /// The same state with data of a component that is read elsewhere. Nobody can change it later.
    ///
    /// # Errors
    /// [`StateError::Repeated`] for a component that is read here: it has a method of its own.
    pub fn with_other(mut self, component: u16, data: Vec<u8>) -> Result<Self, StateError> {
        if OWN.contains(&component) {
            return Err(StateError::Repeated(component));
        }
        Arc::make_mut(&mut self.others).insert(component, data);
        Ok(self)
    }

    /// The same state with a list of preauthorized users.
    #[must_use]
    pub fn with_preauth(mut self, preauth: PreauthList) -> Self {
        self.preauth = Some(Arc::new(preauth));
        self.listing(ComponentId::PREAUTH_LIST)
    }

    /// The same state with a policy for pseudonyms and disclosures. `pseudonyms_allowed` of the base policy is set to
    /// what it says.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`] if a participant is a pseudonym and must not be one, or the other way round.
    pub fn with_identity_policy(mut self, policy: IdentityPolicy) -> Result<Self, StateError> {
        Arc::make_mut(&mut self.base).pseudonyms_allowed = policy.pseudonyms != PseudonymUse::Forbidden;
        self.identity = Some(Arc::new(policy));
        let state = self.listing(ComponentId::IDENTITY_POLICY);
        state.check_structure()?;
        Ok(state)
    }

    /// The same state with issuers named for domains.
    #[must_use]
    pub fn with_trust_anchors(mut self, anchors: TrustAnchors) -> Self {
        self.anchors = Some(Arc::new(anchors));
        self.listing(ComponentId::TRUST_ANCHORS)
    }

    /// The same state with bans that end by themselves.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`] with [`Refusal::TemporaryBan`](crate::Refusal::TemporaryBan) if one of the users
    /// is not banned.
    pub fn with_temporary_bans(mut self, bans: TemporaryBans) -> Result<Self, StateError> {
        self.bans = Some(Arc::new(bans));
        let state = self.listing(ComponentId::TEMPORARY_BANS);
        state.check_structure()?;
        Ok(state)
    }

    fn listing(mut self, component: u16) -> Self {
        if !self.base.policy_components.contains(&component) {
            let base = Arc::make_mut(&mut self.base);
            base.policy_components.push(component);
            base.policy_components.sort_unstable();
        }
        self
    }
}
