//! Rooms that others come into by themselves: by a join link (draft-mahy-mimi-pseudonyms-00, section 3.2), or to knock
//! (section 3.3).

use mimi_mls::{Identity, Room};
use mimi_pseudonym::{DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri, UserUri};
use mimi_room::{BaseRoomPolicy, JoinLinkPolicy, RichDescription, RoomMetadata, RoomPurpose, RoomState, StateError};

use crate::{
    CommandError, Context, Device, Event, FlowId, PseudonymState,
    change::{Change, Then},
    device::Flow,
    moderate::keeps_order,
};

/// What a new room is to be like. `Debug` shows neither name nor description.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Its name, for people.
    pub name: String,
    /// What is to be said of it, as plain text; may be empty.
    pub description: String,
    /// Whether its users are pseudonyms, and what they disclose to each other. In a room without pseudonyms the creator
    /// is the account itself.
    pub identity: IdentityPolicy,
    /// How links into it are made.
    pub links: JoinLinkPolicy,
    /// Whether it can be searched for.
    pub discoverable: bool,
}

/// The most octets of a room's name and of its description together: more would not fit into the metadata.
const TEXT_MAX: usize = 60_000;

impl Device {
    pub(crate) fn create_room(&mut self, new: NewRoom, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let texts = [&new.name, &new.description];
        let length: usize = texts.iter().map(|text| text.len()).sum();
        if length > TEXT_MAX || texts.iter().any(|text| text.contains('\0')) {
            return Err(CommandError::RoomKind);
        }
        let (creator, identity) = self.creator(new.identity.pseudonyms)?;
        let uri = RoomUri::pseudonym(self.profile.user.domain(), cx.entropy.bits128());
        let state = shared(&uri, &creator, new).map_err(|_| CommandError::RoomKind)?;
        self.found(identity, state, |flow, room| Then::Tell(Event::RoomCreated { flow, room }), cx)
    }

    pub(crate) fn create_knock_room(
        &mut self,
        target: RoomUri,
        disclosure: DisclosurePolicy,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&target).ok_or(CommandError::NoSuchRoom)?;
        if !keeps_order(open.state(), open.identity().user()) {
            return Err(CommandError::NotAllowed);
        }
        let (creator, identity) = self.creator(PseudonymUse::Required)?;
        let uri = RoomUri::pseudonym(self.profile.user.domain(), cx.entropy.bits128());
        let state = RoomState::knock(uri, target.clone(), creator)
            .and_then(|state| {
                state.with_identity_policy(IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure })
            })
            .map_err(|_| CommandError::RoomKind)?;
        self.found(identity, state, |_, _| Then::Offer(target), cx)
    }

    /// Makes a room from a pseudonym that is in another one: the application wants exactly that.
    pub(crate) fn create_room_as(
        &mut self,
        new: NewRoom,
        pseudonym: &UserUri,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let usable = pseudonym.is_pseudonym() && self.wallet.state(pseudonym) == Some(PseudonymState::InRoom);
        let identity = self.wallet.identity(pseudonym).filter(|_| usable).ok_or(CommandError::NoSuchUser)?;
        if new.identity.pseudonyms == PseudonymUse::Forbidden {
            return Err(CommandError::RoomKind);
        }
        let uri = RoomUri::pseudonym(self.profile.user.domain(), cx.entropy.bits128());
        let state = shared(&uri, pseudonym, new).map_err(|_| CommandError::RoomKind)?;
        self.found(identity, state, |flow, room| Then::Tell(Event::RoomCreated { flow, room }), cx)
    }

    /// Whose name a new room is made in. Nothing is chosen yet.
    fn creator(&self, pseudonyms: PseudonymUse) -> Result<(UserUri, Identity), CommandError> {
        let user = match pseudonyms {
            PseudonymUse::Forbidden => Some(self.profile.user.clone()),
            _ => self.wallet.next(),
        };
        let found = user.and_then(|user| Some((user.clone(), self.wallet.identity(&user)?)));
        found.ok_or(CommandError::TooFewPseudonyms { wanted: 1, fresh: self.wallet.fresh() })
    }

    fn found(
        &mut self,
        identity: Identity,
        state: RoomState,
        then: impl FnOnce(FlowId, RoomUri) -> Then,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        // Everybody in the room is to hold the same issuers: those its creator trusts.
        let anchors = cx.trust.anchors_for(|_| true).map_err(|_| CommandError::RoomKind)?;
        let state = state.with_trust_anchors(anchors);
        let state = match state.purpose() {
            RoomPurpose::Ordinary => self.with_agent(state).map_err(|_| CommandError::RoomKind)?,
            // Nothing is said here but who somebody is: nobody is to be able to prove that to the hub.
            _ => state,
        };
        let (uri, user) = (state.room().clone(), identity.user().clone());
        let created = Room::create(identity, state, &self.profile.hub, cx.now);
        let (room, first) = created.map_err(|_| CommandError::RoomKind)?;
        self.wallet.used(&user, PseudonymState::InRoom);
        self.rooms.insert(uri.clone(), room);
        let id = FlowId(self.number());
        self.flows.insert(id, Flow::Change(Box::new(Change::found(uri.clone(), then(id, uri.clone())))));
        self.send_create_room(id, &uri, first);
        Ok(id)
    }
}

/// The first state of a room that others can be invited into.
fn shared(uri: &RoomUri, creator: &UserUri, new: NewRoom) -> Result<RoomState, StateError> {
    let description = RichDescription { content: new.description.into_bytes(), ..RichDescription::default() };
    let descriptions = if description.content.is_empty() { Vec::new() } else { vec![description] };
    let metadata = RoomMetadata { name: new.name, descriptions, ..RoomMetadata::new(uri.clone()) };
    let preset = RoomState::by_link(uri.clone(), creator.clone(), JoinLinkPolicy::default())?;
    let base = BaseRoomPolicy { discoverable: new.discoverable, ..preset.base().clone() };
    let state = RoomState::new(uri.clone(), preset.participants().clone(), preset.roles().clone(), base)?;
    Ok(state.with_identity_policy(new.identity)?.with_join_link_policy(new.links).with_metadata(metadata))
}

impl std::fmt::Debug for NewRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRoom")
            .field("identity", &self.identity)
            .field("links", &self.links)
            .field("discoverable", &self.discoverable)
            .finish_non_exhaustive()
    }
}
