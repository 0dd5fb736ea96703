//! Rules that hold in every state, whoever made it.

use std::collections::HashMap;

use mimi_pseudonym::{ClientUri, PseudonymUse, UserUri};

use crate::{Capability, Constraint, Members, Refusal, Role, RoomPurpose, RoomState};

impl RoomState {
    /// Whether the state and the clients in its group keep every rule of the room: for a hub that is asked to create
    /// the room. Takes time in proportion to the room.
    ///
    /// # Errors
    /// [`Refusal`] names a rule that is broken.
    pub fn check(&self, members: &Members) -> Result<(), Refusal> {
        self.check_structure()?;
        members.iter().try_for_each(|(user, client)| self.check_client(user, client))?;
        self.check_base(members)?;
        self.check_roles(members)
    }

    /// What concerns the components alone.
    pub(crate) fn check_structure(&self) -> Result<(), Refusal> {
        if (self.pseudonyms() == PseudonymUse::Forbidden) == self.base.pseudonyms_allowed {
            return Err(Refusal::PseudonymPolicy);
        }
        let target = self.knock_target.as_deref();
        if (self.purpose() == RoomPurpose::Knock) != target.is_some() || target == Some(&*self.room) {
            return Err(Refusal::KnockTarget);
        }
        for (user, role) in self.participants.iter() {
            self.check_user(user, role)?;
        }
        let mut roles = self.roles.iter().filter(|role| role.index != Role::NONE && !role.is_banned());
        if self.base.fixed_membership && roles.any(|role| role.can(Capability::AddParticipant)) {
            return Err(Refusal::FixedMembership);
        }
        if self.metadata.as_ref().is_some_and(|metadata| metadata.room != *self.room) {
            return Err(Refusal::OtherRoom);
        }
        self.check_bans()
    }

    /// A temporary ban is of a user who is banned.
    pub(crate) fn check_bans(&self) -> Result<(), Refusal> {
        let mut users = self.bans.iter().flat_map(|bans| bans.iter());
        if users.all(|(user, _)| self.is_banned(user)) { Ok(()) } else { Err(Refusal::TemporaryBan) }
    }

    /// Whether a user has the role of the banned, whenever its ban may end.
    pub(crate) fn is_banned(&self, user: &UserUri) -> bool {
        self.participants.role_of(user).is_some_and(|role| self.roles.is_banned(role))
    }

    /// Whether a user may stand in the list with a role.
    pub(crate) fn check_user(&self, user: &UserUri, role: u32) -> Result<(), Refusal> {
        if role == Role::NONE || self.roles.role(role).is_none() {
            return Err(Refusal::UnknownRole(role));
        }
        match self.pseudonyms() {
            PseudonymUse::Forbidden if user.is_pseudonym() => Err(Refusal::PseudonymForbidden),
            // Whom to keep out may be known by its account.
            PseudonymUse::Required if !user.is_pseudonym() && !self.roles.is_banned(role) => {
                Err(Refusal::PseudonymRequired)
            }
            _ => Ok(()),
        }
    }

    /// Whether a client may be in the group.
    pub(crate) fn check_client(&self, user: &UserUri, client: &ClientUri) -> Result<(), Refusal> {
        let role = self.participants.role_of(user).ok_or(Refusal::UserNotInList)?;
        if self.roles.is_banned(role) {
            return Err(Refusal::Banned);
        }
        match self.pseudonyms() {
            PseudonymUse::Forbidden if user.is_pseudonym() || client.is_pseudonym() => Err(Refusal::PseudonymForbidden),
            PseudonymUse::Required if !user.is_pseudonym() || !client.is_pseudonym() => Err(Refusal::PseudonymRequired),
            _ => Ok(()),
        }
    }

    /// Participants who are not banned.
    pub(crate) fn users(&self) -> usize {
        let banned = if self.roles.is_banned(Role::BANNED) { self.participants.count(Role::BANNED) } else { 0 };
        self.participants.len().saturating_sub(usize::try_from(banned).unwrap_or(usize::MAX))
    }

    pub(crate) fn check_users(&self) -> Result<(), Refusal> {
        match self.base.max_users {
            Some(max) if exceeds(self.users(), max) => Err(Refusal::MaxUsers(max)),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_clients(&self, clients: usize) -> Result<(), Refusal> {
        match self.base.max_clients {
            Some(max) if exceeds(clients, max) => Err(Refusal::MaxClients(max)),
            _ => Ok(()),
        }
    }

    /// The base policy's limits.
    pub(crate) fn check_base(&self, members: &Members) -> Result<(), Refusal> {
        self.check_users()?;
        self.check_clients(members.len())?;
        if !self.base.multi_device && members.users().any(|user| members.count(user) > 1) {
            return Err(Refusal::SingleDevice);
        }
        Ok(())
    }

    /// The limits of all roles.
    pub(crate) fn check_roles(&self, members: &Members) -> Result<(), Refusal> {
        let active = self.active(members);
        for role in self.roles.iter().filter(|role| role.index != Role::NONE) {
            let count = self.participants.count(role.index);
            let active = active.get(&role.index).copied().unwrap_or_default();
            role.allows_more(count)?;
            role.allows_fewer(count)?;
            role.allows_more_active(active)?;
            role.allows_fewer_active(active)?;
        }
        Ok(())
    }

    /// How many participants of each role have clients in the group.
    pub(crate) fn active(&self, members: &Members) -> HashMap<u32, u32> {
        let mut counts = HashMap::new();
        for role in members.users().filter_map(|user| self.participants.role_of(user)) {
            *counts.entry(role).or_default() += 1;
        }
        counts
    }
}

fn exceeds(count: usize, max: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count > max)
}

impl Role {
    pub(crate) fn allows_more(&self, count: u32) -> Result<(), Refusal> {
        self.at_most(count, self.max_participants, Constraint::MaxParticipants)
    }

    pub(crate) fn allows_more_active(&self, count: u32) -> Result<(), Refusal> {
        self.at_most(count, self.max_active, Constraint::MaxActive)
    }

    pub(crate) fn allows_fewer(&self, count: u32) -> Result<(), Refusal> {
        self.at_least(count, self.min_participants, Constraint::MinParticipants)
    }

    pub(crate) fn allows_fewer_active(&self, count: u32) -> Result<(), Refusal> {
        self.at_least(count, self.min_active, Constraint::MinActive)
    }

    fn at_most(&self, count: u32, limit: Option<u32>, constraint: Constraint) -> Result<(), Refusal> {
        match limit {
            Some(limit) if count > limit => Err(Refusal::Constraint { role: self.index, constraint, limit }),
            _ => Ok(()),
        }
    }

    fn at_least(&self, count: u32, limit: u32, constraint: Constraint) -> Result<(), Refusal> {
        if count < limit { Err(Refusal::Constraint { role: self.index, constraint, limit }) } else { Ok(()) }
    }
}
