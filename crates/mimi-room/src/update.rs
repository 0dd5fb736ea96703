//! AppDataUpdate proposals, read.

use std::sync::Arc;

use mimi_pseudonym::{IdentityPolicy, TrustAnchors, Wire};

use crate::{
    BaseRoomPolicy, ComponentId, ComponentUpdate, JoinLinkPolicy, Operation, ParticipantListUpdate, PreauthList,
    Refusal, Roles, RoomMetadata, RoomState, TemporaryBans, component::decode_exact, participants::Edit,
};

/// An update of a component that has been read; none is the removal of the component.
pub(crate) enum Update {
    Participants(ParticipantListUpdate),
    Metadata(RoomMetadata),
    Roles(Roles),
    Base(BaseRoomPolicy),
    Preauth(Option<PreauthList>),
    JoinLink(Option<JoinLinkPolicy>),
    Identity(Option<IdentityPolicy>),
    Anchors(Option<TrustAnchors>),
    Bans(Option<TemporaryBans>),
}

impl RoomState {
    pub(crate) fn read(&self, updates: &[ComponentUpdate]) -> Result<Vec<Update>, Refusal> {
        updates.iter().map(|update| self.read_one(update)).collect()
    }

    fn read_one(&self, ComponentUpdate { id, operation }: &ComponentUpdate) -> Result<Update, Refusal> {
        use ComponentId as Id;
        let content = match operation {
            Operation::Update(content) => content.as_slice(),
            Operation::Remove => return self.removal(*id),
        };
        match *id {
            Id::PARTICIPANT_LIST => decode(*id, content).map(Update::Participants),
            Id::ROOM_METADATA => {
                let metadata: RoomMetadata = decode(*id, content)?;
                if metadata.room == *self.room { Ok(Update::Metadata(metadata)) } else { Err(Refusal::OtherRoom) }
            }
            Id::ROLES_LIST => decode(*id, content).map(Update::Roles),
            Id::BASE_ROOM_POLICY => decode(*id, content).map(Update::Base),
            Id::PREAUTH_LIST => decode(*id, content).map(|list| Update::Preauth(Some(list))),
            Id::JOIN_LINK_POLICY => decode(*id, content).map(|policy| Update::JoinLink(Some(policy))),
            Id::IDENTITY_POLICY => decode(*id, content).map(|policy| Update::Identity(Some(policy))),
            Id::TRUST_ANCHORS => decode(*id, content).map(|anchors| Update::Anchors(Some(anchors))),
            Id::TEMPORARY_BANS => decode(*id, content).map(|bans| Update::Bans(Some(bans))),
            Id::ROOM_PURPOSE | Id::KNOCK_TARGET => Err(Refusal::PurposeFixed),
            _ => Err(Refusal::UnknownComponent(*id)),
        }
    }

    fn removal(&self, id: u16) -> Result<Update, Refusal> {
        use ComponentId as Id;
        let (there, update) = match id {
            Id::PREAUTH_LIST => (self.preauth.is_some(), Update::Preauth(None)),
            Id::JOIN_LINK_POLICY => (self.join_link.is_some(), Update::JoinLink(None)),
            Id::IDENTITY_POLICY => (self.identity.is_some(), Update::Identity(None)),
            Id::TRUST_ANCHORS => (self.anchors.is_some(), Update::Anchors(None)),
            Id::TEMPORARY_BANS => (self.bans.is_some(), Update::Bans(None)),
            Id::PARTICIPANT_LIST | Id::ROOM_METADATA | Id::ROLES_LIST | Id::BASE_ROOM_POLICY => {
                return Err(Refusal::NotRemovable(id));
            }
            Id::ROOM_PURPOSE | Id::KNOCK_TARGET => return Err(Refusal::PurposeFixed),
            _ => return Err(Refusal::UnknownComponent(id)),
        };
        if there { Ok(update) } else { Err(Refusal::AbsentComponent(id)) }
    }

    /// The state that results, whether allowed or not.
    pub(crate) fn result<'a>(&self, updates: impl Iterator<Item = &'a Update>, edits: &[Edit<'_>]) -> Self {
        let mut after = self.clone();
        for update in updates {
            match update {
                Update::Participants(_) => {}
                Update::Metadata(metadata) => after.metadata = Some(Arc::new(metadata.clone())),
                Update::Roles(roles) => after.roles = Arc::new(roles.clone()),
                Update::Base(base) => after.base = Arc::new(base.clone()),
                Update::Preauth(list) => after.preauth = list.clone().map(Arc::new),
                Update::JoinLink(policy) => after.join_link = policy.clone().map(Arc::new),
                Update::Identity(policy) => after.identity = policy.clone().map(Arc::new),
                Update::Anchors(anchors) => after.anchors = anchors.clone().map(Arc::new),
                Update::Bans(bans) => after.bans = bans.clone().map(Arc::new),
            }
        }
        if !edits.is_empty() {
            after.participants = Arc::new(self.participants.edited(edits));
        }
        after
    }
}

fn decode<T: Wire>(component: u16, content: &[u8]) -> Result<T, Refusal> {
    decode_exact(content).map_err(|error| Refusal::Malformed { component, error })
}
