use mimi_pseudonym::UserUri;

use crate::{Refusal, RoomState};

impl RoomState {
    /// Whether this room keeps what it owes the room it depends on (draft-ietf-mimi-room-policy-03, section 5): it is that
    /// room, at the same hub, and the participants are a strict subset of its. The banned count on neither side. For a
    /// hub, which has both rooms: when the room is created, and before it accepts a commit of either.
    ///
    /// # Errors
    /// [`Refusal::OtherParent`], [`Refusal::NotInParent`], [`Refusal::WholeParent`].
    pub fn check_subset_of(&self, parent: &Self) -> Result<(), Refusal> {
        if self.base.parent_room.as_ref() != Some(parent.room()) || self.room.domain() != parent.room.domain() {
            return Err(Refusal::OtherParent);
        }
        if self.outside(parent).next().is_some() {
            return Err(Refusal::NotInParent);
        }
        if self.users() < parent.users() { Ok(()) } else { Err(Refusal::WholeParent) }
    }

    /// The participants that the parent room has not, or not any more: those whom the hub removes after a change there.
    pub fn outside<'a>(&'a self, parent: &'a Self) -> impl Iterator<Item = &'a UserUri> {
        let here = self.participants.iter().filter(|(_, role)| !self.roles.is_banned(*role)).map(|(user, _)| user);
        here.filter(|user| parent.participants.role_of(user).is_none() || parent.is_banned(user))
    }
}
