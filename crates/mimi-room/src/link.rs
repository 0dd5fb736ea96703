use std::time::Duration;

use mimi_pseudonym::UserUri;

use crate::{Capability, JoinLinkPolicy, Refusal, Role, RoomState};

/// A join link that somebody wants to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLink {
    /// The role of those who join by it.
    pub role: u32,
    /// Whether several may join by it.
    pub multiuser: bool,
    /// For how long it is valid; none for always.
    pub lifetime: Option<Duration>,
}

impl RoomState {
    /// Whether a user may make such a join link. The role of the link is one that the user may bring someone into, and
    /// one that outsiders may take who show a code; the rest is up to the room's [`JoinLinkPolicy`], and without one, a
    /// link is for one user. Whether the code in a link is right is for the hub, which keeps it.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`]; [`Refusal::Capability`] with `canCreateJoinCode`, or with
    /// `canUseJoinCode` if nobody can join this room by a link; [`Refusal::UnknownRole`], [`Refusal::RoleChange`],
    /// [`Refusal::LinkMultiuser`], [`Refusal::LinkLifetime`].
    pub fn may_create_link(&self, user: &UserUri, link: &NewLink) -> Result<(), Refusal> {
        self.may(user, Capability::CreateJoinCode)?;
        let maker = self.participants.role_of(user).and_then(|role| self.roles.role(role));
        let stranger = self.roles.role(Role::NONE).filter(|role| role.can(Capability::UseJoinCode));
        let stranger = stranger.ok_or(Refusal::Capability(Capability::UseJoinCode))?;
        if link.role == Role::NONE || self.roles.role(link.role).is_none() || self.roles.is_banned(link.role) {
            return Err(Refusal::UnknownRole(link.role));
        }
        let may = |role: &Role| role.may_change(Role::NONE, link.role);
        if !maker.is_some_and(may) || !may(stranger) {
            return Err(Refusal::RoleChange { from: Role::NONE, to: link.role });
        }
        let default = JoinLinkPolicy::default();
        let policy = self.join_link.as_deref().unwrap_or(&default);
        if link.multiuser && !policy.multiuser {
            return Err(Refusal::LinkMultiuser);
        }
        let limit = Duration::from_secs(policy.expiration.into());
        if policy.expiration > 0 && link.lifetime.is_none_or(|lifetime| lifetime > limit) {
            return Err(Refusal::LinkLifetime(policy.expiration));
        }
        Ok(())
    }

    /// Whether a user may take back join links.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`] or [`Refusal::Capability`] with `canDeleteJoinCode`.
    pub fn may_delete_link(&self, user: &UserUri) -> Result<(), Refusal> {
        self.may(user, Capability::DeleteJoinCode)
    }
}
