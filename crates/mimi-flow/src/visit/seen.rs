use mimi_mls::RoomPreview;
use mimi_pseudonym::{IdentityPolicy, RoomUri, Wire};
use mimi_room::{RoomPurpose, RoomState};
use serde::{Deserialize, Serialize};

/// A room as it is shown before one joins it: what its members have signed. `Debug` shows neither URI nor name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRoom {
    /// The room.
    pub room: RoomUri,
    /// Its name, for people; may be empty.
    pub name: String,
    /// What is said of it, as plain text; may be empty.
    pub description: String,
    /// How many participants it has.
    pub participants: usize,
    /// The role in which one comes in, by its name in the room; none if one is in it already.
    pub role: Option<String>,
    /// The room that one asks to be let into here, if it is a knock room.
    pub knock_for: Option<RoomUri>,
    /// [`IdentityPolicy`], encoded.
    rules: Vec<u8>,
    purpose: u8,
}

impl SeenRoom {
    pub(super) fn of(preview: &RoomPreview, role: Option<u32>) -> Self {
        let state = preview.state();
        let metadata = state.metadata();
        let plain = metadata.and_then(|metadata| {
            let mut all = metadata.descriptions.iter();
            all.find(|one| one.media_type.is_empty() || one.media_type.starts_with("text/plain"))
        });
        let description = plain.and_then(|one| String::from_utf8(one.content.clone()).ok()).unwrap_or_default();
        Self {
            room: state.room().clone(),
            name: metadata.map(|metadata| metadata.name.clone()).unwrap_or_default(),
            description,
            participants: state.participants().len(),
            role: role.and_then(|role| state.roles().role(role)).map(|role| role.name.clone()),
            knock_for: state.knock_target().cloned(),
            rules: rules(state),
            purpose: state.purpose().code(),
        }
    }

    /// Whether pseudonyms are allowed or required there, and what is to be disclosed.
    pub fn identity(&self) -> IdentityPolicy {
        IdentityPolicy::decode(&self.rules).unwrap_or_else(|_| IdentityPolicy::unstated(true))
    }

    /// What the room is for.
    pub fn purpose(&self) -> RoomPurpose {
        RoomPurpose::from_code(self.purpose).unwrap_or_default()
    }

    /// Whether the room still wants of those who come what was shown.
    pub(super) fn has_the_rules_of(&self, preview: &RoomPreview) -> bool {
        let state = preview.state();
        self.rules == rules(state)
            && self.purpose() == state.purpose()
            && self.knock_for.as_ref() == state.knock_target()
    }
}

fn rules(state: &RoomState) -> Vec<u8> {
    state.identity_policy().encode()
}

impl std::fmt::Debug for SeenRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeenRoom")
            .field("identity", &self.identity())
            .field("purpose", &self.purpose())
            .field("participants", &self.participants)
            .finish_non_exhaustive()
    }
}
