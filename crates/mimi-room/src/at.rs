use mimi_pseudonym::{ClientUri, Timestamp, UserUri};

use crate::{Capability, How, Refusal, Role, RoomState, join::may_join};

/// A room at a point in time: its state, with the temporary bans that have ended by then taken for ended. A user whose
/// ban has ended is treated as no participant: it may come back as anyone may who was never there.
///
/// Hub and members come to the same result if they take the same time: that at which the hub accepted the commit, which
/// the fan-out tells. Without a time, as in [`RoomState::apply`], no ban ends.
#[derive(Debug, Clone, Copy)]
pub struct RoomAt<'a> {
    pub(crate) state: &'a RoomState,
    now: Timestamp,
}

impl RoomState {
    /// The room at a point in time.
    pub fn at(&self, now: Timestamp) -> RoomAt<'_> {
        RoomAt { state: self, now }
    }

    /// The room before any ban has ended.
    fn timeless(&self) -> RoomAt<'_> {
        self.at(Timestamp::default())
    }

    /// Whether a user may send messages.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`] or [`Refusal::Capability`] with `canSendMessage`.
    pub fn may_send(&self, user: &UserUri) -> Result<(), Refusal> {
        self.may(user, Capability::SendMessage)
    }

    /// Whether a hub fans application messages out to a user's clients. Commits and proposals go to every client in any
    /// case: without them it could not follow the group.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`] or [`Refusal::Capability`] with `canReceiveMessage`.
    pub fn may_receive(&self, user: &UserUri) -> Result<(), Refusal> {
        self.may(user, Capability::ReceiveMessage)
    }

    /// Whether a user may destroy the room.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`] or [`Refusal::Capability`] with `canDestroyRoom`.
    pub fn may_destroy(&self, user: &UserUri) -> Result<(), Refusal> {
        self.may(user, Capability::DestroyRoom)
    }

    /// Whether a user is a participant whose role has a capability.
    ///
    /// # Errors
    /// [`Refusal::NotParticipant`], [`Refusal::Banned`] or [`Refusal::Capability`].
    pub fn may(&self, user: &UserUri, capability: Capability) -> Result<(), Refusal> {
        require(self.timeless().standing(user)?, capability)
    }

    /// The users to whom application messages are fanned out, in the order of the participant list.
    pub fn receivers(&self) -> impl Iterator<Item = &UserUri> {
        self.participants.iter().map(|(user, _)| user).filter(|user| self.may_receive(user).is_ok())
    }

    /// Whether anyone may join who asks for the GroupInfo.
    pub fn is_open(&self) -> bool {
        let stranger = self.roles.role(Role::NONE);
        !self.base.fixed_membership && stranger.is_some_and(|role| role.can(Capability::OpenJoin) && role.may_add())
    }

    /// As [`RoomAt::may_join`], before any ban has ended.
    ///
    /// # Errors
    /// As there.
    pub fn may_join(&self, user: &UserUri, client: &ClientUri, how: How) -> Result<(), Refusal> {
        self.timeless().may_join(user, client, how)
    }
}

impl<'a> RoomAt<'a> {
    /// Whether a user is banned, and its ban has not ended.
    pub fn is_banned(&self, user: &UserUri) -> bool {
        self.state.is_banned(user) && !self.has_ended(user)
    }

    /// Whether a client could join, or join again, by an external commit: for a hub that is asked for the GroupInfo.
    /// `how` is [`How::JoinCode`] if a valid join code was shown, else [`How::ExternalCommit`]. The commit itself is
    /// judged by [`RoomState::apply`].
    ///
    /// # Errors
    /// [`Refusal::Banned`], [`Refusal::FixedMembership`], or [`Refusal::Capability`] with what is lacking.
    pub fn may_join(&self, user: &UserUri, client: &ClientUri, how: How) -> Result<(), Refusal> {
        match self.standing(user) {
            Ok(role) => require(role, Capability::AddOwnClient),
            Err(Refusal::NotParticipant) => may_join(self.state, user, client, how),
            Err(refusal) => Err(refusal),
        }
    }

    pub(crate) fn has_ended(&self, user: &UserUri) -> bool {
        self.state.bans.as_ref().and_then(|bans| bans.until(user)).is_some_and(|until| until <= self.now)
    }

    /// The role of a participant that is not banned.
    pub(crate) fn standing(&self, user: &UserUri) -> Result<&'a Role, Refusal> {
        let index = self.state.participants.role_of(user).ok_or(Refusal::NotParticipant)?;
        let role = self.state.roles.role(index).ok_or(Refusal::UnknownRole(index))?;
        match role.is_banned() {
            true if self.has_ended(user) => Err(Refusal::NotParticipant),
            true => Err(Refusal::Banned),
            false => Ok(role),
        }
    }
}

pub(crate) fn require(role: &Role, capability: Capability) -> Result<(), Refusal> {
    if role.can(capability) { Ok(()) } else { Err(Refusal::Capability(capability)) }
}
