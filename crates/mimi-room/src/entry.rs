//! How somebody comes in who joins by itself.

use mimi_pseudonym::{ClientUri, UserUri, Wire as _};

use crate::{
    Capability, ComponentId, ComponentUpdate, How, ParticipantListUpdate, Refusal, Role, RoleAssignment,
    at::{RoomAt, require},
    join::{admit, may_join},
};

impl RoomAt<'_> {
    /// The role that a user takes who joins by an external commit; none if it is a participant, and this is one more of
    /// its clients. It is the role that the user is preauthorized for, else the first, by number, that outsiders may take.
    /// `how` is [`How::JoinCode`] if a join code is to be shown, else [`How::ExternalCommit`].
    ///
    /// # Errors
    /// As [`RoomAt::may_join`].
    pub fn entry_role(&self, user: &UserUri, client: &ClientUri, how: How) -> Result<Option<u32>, Refusal> {
        self.entry_role_as(user, client, how, None)
    }

    /// As [`RoomAt::entry_role`], where the user wants a certain role, such as the one that a join link grants.
    ///
    /// # Errors
    /// As there; [`Refusal::UnknownRole`] if the role is none that somebody can come in with; [`Refusal::RoleChange`] or
    /// [`Refusal::NotPreauthorized`] if this user cannot.
    pub fn entry_role_as(
        &self,
        user: &UserUri,
        client: &ClientUri,
        how: How,
        wanted: Option<u32>,
    ) -> Result<Option<u32>, Refusal> {
        match self.standing(user) {
            Ok(role) => return require(role, Capability::AddOwnClient).map(|()| None),
            Err(Refusal::NotParticipant) => may_join(self.state, user, client, how)?,
            Err(refusal) => return Err(refusal),
        }
        if let Some(role) = wanted {
            let known = self.state.roles.role(role).is_some_and(|role| !role.is_banned());
            if !known || role == Role::NONE {
                return Err(Refusal::UnknownRole(role));
            }
            return admit(self.state, user, client, how, Some(role)).map(|()| Some(role));
        }
        let mut roles: Vec<u32> = self.state.roles.iter().map(|role| role.index).collect();
        roles.sort_unstable();
        let roles = self.state.preauthorized(user, client).into_iter().chain(roles);
        let mut roles = roles.filter(|role| *role != Role::NONE && !self.state.roles.is_banned(*role));
        let role = roles.find(|role| admit(self.state, user, client, how, Some(*role)).is_ok());
        role.map(Some).ok_or(Refusal::NotPreauthorized)
    }

    /// What an external commit changes in the room's components, so that a user who is no participant comes in with a
    /// role. If a temporary ban of it has ended, the ban goes.
    pub fn entry_updates(&self, user: &UserUri, role: u32) -> Vec<ComponentUpdate> {
        let list = match self.state.participants.index_of(user) {
            Some(index) => ParticipantListUpdate {
                changed: vec![RoleAssignment { index, role }],
                ..ParticipantListUpdate::default()
            },
            None => ParticipantListUpdate::add(user.clone(), role),
        };
        let mut updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        if let Some(bans) = self.state.bans.as_deref().filter(|bans| bans.until(user).is_some()) {
            let rest = bans.clone().without(user);
            updates.push(ComponentUpdate::update(ComponentId::TEMPORARY_BANS, rest.encode()));
        }
        updates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Change, ClientRef, JoinLinkPolicy, RoomState, TemporaryBans};
    use mimi_pseudonym::{RoomUri, Timestamp};

    fn user(number: u8) -> UserUri {
        UserUri::pseudonym(&"a.example".parse().unwrap(), [number; 16])
    }

    fn client() -> ClientUri {
        ClientUri::pseudonym(&"b.example".parse().unwrap(), [7; 16])
    }

    fn uri(name: &str) -> RoomUri {
        format!("mimi://a.example/r/{name}").parse().unwrap()
    }

    fn joined(state: &RoomState, now: Timestamp, user: &UserUri, how: How) -> Result<RoomState, Refusal> {
        let room = state.at(now);
        let role = room.entry_role(user, &client(), how)?;
        let updates = role.map(|role| room.entry_updates(user, role)).unwrap_or_default();
        let new = ClientRef { user: user.clone(), client: client(), initial_only: false };
        let change = Change { updates, added: vec![new], ..Change::default() };
        room.apply(&Actor::client(user.clone(), client()), how, &change)
    }

    #[test]
    fn whoever_may_join_does_so_in_a_role_that_the_room_lets_it_take() {
        let now = Timestamp::from_secs(1_000);
        let by_link = RoomState::by_link(uri("club"), user(1), JoinLinkPolicy::default()).unwrap();
        let after = joined(&by_link, now, &user(2), How::JoinCode).unwrap();
        assert_eq!(after.participants().role_of(&user(2)), Some(RoomState::PARTICIPANT));
        let refused = joined(&by_link, now, &user(2), How::ExternalCommit);
        assert_eq!(refused, Err(Refusal::Capability(Capability::OpenJoin)));
        // One more client of a participant changes nothing in the list.
        assert_eq!(joined(&by_link, now, &user(1), How::ExternalCommit).unwrap(), by_link);

        let knock = RoomState::knock(uri("knock"), uri("club"), user(1)).unwrap();
        let after = joined(&knock, now, &user(2), How::ExternalCommit).unwrap();
        assert_eq!(after.participants().role_of(&user(2)), Some(RoomState::KNOCKER));
        let private = RoomState::private(uri("private"), user(1)).unwrap();
        let refused = joined(&private, now, &user(2), How::JoinCode);
        assert_eq!(refused, Err(Refusal::Capability(Capability::UseJoinCode)));
    }

    #[test]
    fn a_role_that_a_link_grants_is_one_that_the_room_lets_strangers_take() {
        let now = Timestamp::from_secs(1_000);
        let room = RoomState::by_link(uri("club"), user(1), JoinLinkPolicy::default()).unwrap();
        let role =
            |state: &RoomState, role| state.at(now).entry_role_as(&user(2), &client(), How::JoinCode, Some(role));
        for granted in [RoomState::PARTICIPANT, RoomState::MUTED] {
            assert_eq!(role(&room, granted), Ok(Some(granted)));
        }
        let refused = Refusal::RoleChange { from: Role::NONE, to: RoomState::MODERATOR };
        assert_eq!(role(&room, RoomState::MODERATOR), Err(refused));
        for unknown in [Role::NONE, Role::BANNED, 99] {
            assert_eq!(role(&room, unknown), Err(Refusal::UnknownRole(unknown)));
        }
        let open = room.with_link_roles([RoomState::MODERATOR]).unwrap();
        assert_eq!(role(&open, RoomState::MODERATOR), Ok(Some(RoomState::MODERATOR)));
        assert!(role(&open, RoomState::PARTICIPANT).is_err());
        assert!(open.with_link_roles([99]).is_err(), "there is no such role");
    }

    #[test]
    fn a_ban_that_has_ended_is_taken_away_by_the_one_who_comes_back() {
        let ban = ParticipantListUpdate::add(user(2), Role::BANNED);
        let ban = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, ban.encode());
        let state = RoomState::by_link(uri("club"), user(1), JoinLinkPolicy::default()).unwrap();
        let state = state.with_updates(&[ban]).unwrap();
        let end = Timestamp::from_secs(1_000);
        let bans = TemporaryBans::default().with(user(2), end).with(user(3), end);
        assert!(state.clone().with_temporary_bans(bans).is_err(), "user 3 is not banned");
        let state = state.with_temporary_bans(TemporaryBans::default().with(user(2), end)).unwrap();
        let early = joined(&state, Timestamp::from_secs(999), &user(2), How::JoinCode);
        assert_eq!(early, Err(Refusal::Banned));
        let after = joined(&state, end, &user(2), How::JoinCode).unwrap();
        assert_eq!(after.participants().role_of(&user(2)), Some(RoomState::PARTICIPANT));
        assert!(after.temporary_bans().unwrap().is_empty());
    }
}
