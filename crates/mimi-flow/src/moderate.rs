//! What keeping order means for a room's components and clients (draft-ietf-mimi-room-policy-03, section 8).

use mimi_mls::{Room, Wanted};
use mimi_pseudonym::{ClientUri, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::{
    Capability, ComponentId, ComponentUpdate, ParticipantListUpdate, Role, RoleAssignment, RoomState, TemporaryBans,
};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request,
    change::{Change, Then, What},
    device::Flow,
};

/// What whoever keeps order in a room may do to a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Action {
    /// They may read, but not send: the role [`RoomState::MUTED`].
    Mute,
    /// They may send again: the role [`RoomState::PARTICIPANT`].
    Unmute,
    /// They go, and may come back as anyone may.
    Kick,
    /// They go, and may not come back.
    Ban {
        /// When the ban ends by itself; never without.
        until: Option<Timestamp>,
    },
    /// They may come back.
    Unban,
    /// They get the role of this index.
    SetRole(u32),
}

/// The end of a room, as the application wants it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Destroy {
    pub(crate) room: RoomUri,
}

/// What a commit has to do so that the participant stands as wanted; `None` if it does already.
pub(crate) fn moderation(room: &Room, user: &UserUri, action: Action) -> Option<Wanted> {
    let state = room.state();
    let role = state.participants().role_of(user);
    let banned = role.is_some_and(|role| state.roles().is_banned(role));
    let until = state.temporary_bans().and_then(|bans| bans.until(user));
    let (to, bans) = match action {
        Action::Mute => (RoomState::MUTED, None),
        Action::Unmute if role == Some(RoomState::MUTED) => (RoomState::PARTICIPANT, None),
        Action::Kick if !banned => (Role::NONE, None),
        Action::Unban if banned => (Role::NONE, until.map(|_| None)),
        Action::Ban { until: wanted } => (Role::BANNED, (until != wanted).then_some(wanted)),
        Action::SetRole(to) => (to, until.map(|_| None)),
        Action::Unmute | Action::Kick | Action::Unban => return None,
    };
    let mut updates = Vec::new();
    if to != role.unwrap_or(Role::NONE) {
        let update = match state.participants().index_of(user) {
            Some(index) if to == Role::NONE => ParticipantListUpdate { removed: vec![index], ..Default::default() },
            Some(index) => {
                ParticipantListUpdate { changed: vec![RoleAssignment { index, role: to }], ..Default::default() }
            }
            // Whom to keep out need not have been here.
            None if to == Role::BANNED => ParticipantListUpdate::add(user.clone(), to),
            None => return None,
        };
        updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode()));
    }
    if let Some(until) = bans {
        let others = state.temporary_bans().cloned().unwrap_or_default();
        let bans: TemporaryBans = match until {
            Some(until) => others.with(user.clone(), until),
            None => others.without(user),
        };
        updates.push(ComponentUpdate::update(ComponentId::TEMPORARY_BANS, bans.encode()));
    }
    let goes = to == Role::NONE || to == Role::BANNED;
    let clients = room.members().of(user).filter(|_| goes);
    let remove: Vec<_> = clients.cloned().collect();
    (!updates.is_empty() || !remove.is_empty()).then(|| Wanted { updates, add: Vec::new(), remove })
}

/// The client in the room and its user.
pub(crate) fn client_of(room: &Room, client: &ClientUri) -> Option<(UserUri, ClientUri)> {
    room.members().user_of(client).map(|user| (user.clone(), client.clone()))
}

/// Whether a participant keeps order: brings others in, and out again.
pub(crate) fn keeps_order(state: &RoomState, user: &UserUri) -> bool {
    let needed = [Capability::AddParticipant, Capability::RemoveParticipant, Capability::Ban];
    needed.into_iter().all(|capability| state.may(user, capability).is_ok())
}

impl Device {
    pub(crate) fn moderate(
        &mut self,
        room: RoomUri,
        user: UserUri,
        action: Action,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let known = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?.state().participants().role_of(&user);
        if known.is_none() && !matches!(action, Action::Ban { .. }) {
            return Err(CommandError::NoSuchUser);
        }
        self.change_and_tell(room, What::Moderate { user, action }, cx)
    }

    pub(crate) fn remove_client(
        &mut self,
        room: RoomUri,
        client: ClientUri,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        client_of(open, &client).ok_or(CommandError::NoSuchUser)?;
        self.change_and_tell(room, What::Remove { client }, cx)
    }

    pub(crate) fn add_own_clients(&mut self, room: RoomUri, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        if !self.rooms.contains_key(&room) {
            return Err(CommandError::NoSuchRoom);
        }
        let flow = self.upcoming();
        let change = Change::own_clients(room, Then::Tell(Event::Done { flow }));
        Ok(self.begin(Flow::Change(Box::new(change)), cx))
    }

    fn change_and_tell(&mut self, room: RoomUri, what: What, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let flow = self.upcoming();
        self.change(Change::new(room, what, Then::Tell(Event::Done { flow })), cx)
    }

    pub(crate) fn destroy(&mut self, room: RoomUri, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        open.state().may_destroy(open.identity().user()).map_err(|_| CommandError::NotAllowed)?;
        self.change(Change::new(room, What::Empty, Then::Destroy), cx)
    }

    /// Nobody but this client is in the room any more.
    pub(crate) fn destroy_emptied(&mut self, id: FlowId, room: RoomUri) {
        self.flows.insert(id, Flow::Destroy(Destroy { room: room.clone() }));
        self.request(Request { call: Call::DestroyRoom(room), body: Vec::new() }, Some(id));
    }

    pub(crate) fn destroy_answered(&mut self, flow: &Destroy, cx: &mut Context<'_>) -> Result<(), FailureReason> {
        self.closed(&flow.room, cx);
        Ok(())
    }
}
