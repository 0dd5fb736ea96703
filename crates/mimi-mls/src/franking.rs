//! Where franking meets MLS (draft-ietf-mimi-protocol-06, section 5.4.1): the agent in a room's state, and the sender's
//! commitment in a message's authenticated data.

use mimi_room::{RoomState, StateError};
use mimi_wire::{
    DecodeError, FRANKING_AGENT_COMPONENT, FrankAad, FrankingAgentData, MlsMessage, SAFE_AAD_COMPONENT, SafeAad, Wire,
};

use crate::{HubRoom, Room};

/// The first state of a room whose messages this agent stamps. It stays the room's agent: who would replace it has to found
/// another room, as section 5.4.1 recommends.
///
/// # Errors
/// [`StateError`] does not happen: neither component is one of the room's own.
pub fn with_franking_agent(state: RoomState, agent: &FrankingAgentData) -> Result<RoomState, StateError> {
    state
        .with_other(SAFE_AAD_COMPONENT, SafeAad::components_for_franking())?
        .with_other(FRANKING_AGENT_COMPONENT, agent.encode())
}

/// The agent of a room; none if its messages are not stamped, or if what it names is none.
fn agent(state: &RoomState) -> Option<FrankingAgentData> {
    state.component(SAFE_AAD_COMPONENT)?;
    FrankingAgentData::decode(&state.component(FRANKING_AGENT_COMPONENT)?).ok()
}

impl Room {
    /// Who stamps the room's messages, if anybody does.
    pub fn franking_agent(&self) -> Option<FrankingAgentData> {
        agent(&self.state)
    }
}

impl HubRoom {
    /// Who stamps the room's messages, if anybody does.
    pub fn franking_agent(&self) -> Option<FrankingAgentData> {
        agent(&self.state)
    }

    /// The sender's commitment in a message for this room; none if it made none.
    ///
    /// # Errors
    /// [`DecodeError`] for a message that every member would refuse: what stands at the front of its authenticated data is
    /// not what the room wants there.
    pub fn frank_aad(&self, message: &MlsMessage) -> Result<Option<FrankAad>, DecodeError> {
        if self.state.component(SAFE_AAD_COMPONENT).is_none() {
            return Ok(None);
        }
        SafeAad::at_front_of(message.authenticated_data().unwrap_or_default())?.frank_aad()
    }
}
