//! Whether an actor may do what it wants, by its role before the change.

use std::collections::HashMap;

use mimi_pseudonym::{ClientUri, UserUri};

use crate::{
    Actor, Capability, How, Refusal, Role, RoomMetadata, RoomState, Step, TemporaryBans,
    at::{RoomAt, require},
    join::authorise_join,
    participants::Edit,
    update::Update,
};

/// One step, with its updates parsed.
pub(crate) struct Wanted<'a> {
    pub(crate) before: RoomAt<'a>,
    /// The state that would result from all steps.
    pub(crate) after: &'a RoomState,
    /// All steps, this one among them.
    pub(crate) steps: &'a [Step<'a>],
    pub(crate) step: Step<'a>,
    pub(crate) updates: &'a [Update],
    /// In the order in which they were proposed.
    pub(crate) ordered: Vec<Edit<'a>>,
}

/// Whether such an actor can act in such a way at all.
pub(crate) fn standing(room: RoomAt<'_>, actor: &Actor, how: How) -> Result<(), Refusal> {
    match (actor, how) {
        (Actor::Hub, How::Hub) => Ok(()),
        (Actor::User { user, .. }, How::Commit | How::Proposal) => room.standing(user).map(|_| ()),
        (Actor::User { user, .. }, How::ExternalCommit | How::JoinCode) => match room.standing(user) {
            Ok(_) | Err(Refusal::NotParticipant) => Ok(()),
            Err(refusal) => Err(refusal),
        },
        (Actor::Hub, _) | (Actor::User { .. }, How::Hub) => Err(Refusal::Sender),
    }
}

impl Wanted<'_> {
    /// Whether the actor of the step may do all of it.
    pub(crate) fn authorise(&self) -> Result<(), Refusal> {
        match (self.step.actor, self.step.how) {
            (Actor::Hub, _) => self.hub(),
            (Actor::User { user, client }, How::Commit | How::Proposal) => {
                let edits = self.ordered.iter().map(|edit| (edit.user, *edit)).collect();
                let role = self.before.standing(user)?;
                Participant { user, client: client.as_ref(), role, edits, wanted: self }.all()
            }
            (Actor::User { user, client }, how) => authorise_join(self, user, client.as_ref(), how),
        }
    }

    fn hub(&self) -> Result<(), Refusal> {
        let change = self.step.change;
        if change.updates.is_empty() && change.added.is_empty() { Ok(()) } else { Err(Refusal::Hub) }
    }

    /// Whether proposals of the hub in this commit remove every client of a user who has any.
    fn hub_removes(&self, user: &UserUri) -> bool {
        let by_hub = self.steps.iter().filter(|step| *step.actor == Actor::Hub).flat_map(|step| &step.change.removed);
        let removed = by_hub.filter(|(of, _)| of == user).count();
        removed > 0 && self.step.change.members.count(user) == removed
    }
}

/// A participant who proposes or commits.
struct Participant<'a> {
    user: &'a UserUri,
    client: Option<&'a ClientUri>,
    role: &'a Role,
    edits: HashMap<&'a UserUri, Edit<'a>>,
    wanted: &'a Wanted<'a>,
}

impl Participant<'_> {
    fn all(&self) -> Result<(), Refusal> {
        for update in self.wanted.updates {
            self.update(update)?;
        }
        for edit in &self.wanted.ordered {
            self.edit(edit)?;
        }
        for added in &self.wanted.step.change.added {
            self.add(&added.user)?;
        }
        for (user, client) in &self.wanted.step.change.removed {
            self.remove(user, client)?;
        }
        Ok(())
    }

    fn before(&self) -> &RoomState {
        self.wanted.before.state
    }

    fn update(&self, update: &Update) -> Result<(), Refusal> {
        let needed = match update {
            Update::Participants(_) => return Ok(()),
            Update::Metadata(metadata) => return self.metadata(metadata),
            Update::Bans(bans) => return self.bans(bans.as_ref()),
            Update::Roles(_) => Capability::ChangeRoleDefinitions,
            Update::Preauth(_) => Capability::ChangePreauthorizedUserList,
            Update::Base(_) => Capability::ChangeRoomMembershipStyle,
            Update::JoinLink(_) | Update::Identity(_) | Update::Anchors(_) => Capability::ChangeOtherPolicyAttribute,
        };
        require(self.role, needed)
    }

    /// Each field that differs needs its capability.
    fn metadata(&self, new: &RoomMetadata) -> Result<(), Refusal> {
        let none;
        let old = if let Some(old) = &self.before().metadata {
            old
        } else {
            none = RoomMetadata::new((*self.before().room).clone());
            &none
        };
        let fields = [
            (old.name != new.name, Capability::ChangeRoomName),
            (old.descriptions != new.descriptions, Capability::ChangeRoomDescription),
            (old.avatar != new.avatar, Capability::ChangeRoomAvatar),
            (old.subject != new.subject, Capability::ChangeRoomSubject),
            (old.mood != new.mood, Capability::ChangeRoomMood),
        ];
        fields.into_iter().filter(|(differs, _)| *differs).try_for_each(|(_, needed)| require(self.role, needed))
    }

    /// What makes a ban longer is a ban, what makes it shorter lifts one; with a user's new role its ban goes along.
    fn bans(&self, new: Option<&TemporaryBans>) -> Result<(), Refusal> {
        let none = TemporaryBans::default();
        let (old, new) = (self.before().bans.as_deref().unwrap_or(&none), new.unwrap_or(&none));
        for (user, until) in new.iter().filter(|(user, until)| old.until(user) != Some(*until)) {
            let was_banned = self.before().is_banned(user);
            if !was_banned && self.edits.contains_key(user) {
                continue;
            }
            let shorter = was_banned && old.until(user).is_none_or(|old| until < old);
            require(self.role, if shorter { Capability::UnBan } else { Capability::Ban })?;
        }
        let lasting = old.iter().any(|(user, _)| new.until(user).is_none() && self.wanted.after.is_banned(user));
        if lasting { require(self.role, Capability::Ban) } else { Ok(()) }
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<(), Refusal> {
        if self.before().base.fixed_membership && (edit.from == Role::NONE || edit.to == Role::NONE) {
            return Err(Refusal::FixedMembership);
        }
        if !self.before().roles.is_banned(edit.from) || !self.wanted.before.has_ended(edit.user) {
            return self.transition_of(edit);
        }
        // The ban has ended: the entry may be tidied away by anyone, and the user be added as if it were not there.
        // Whoever may lift a ban still may.
        match edit.to {
            Role::NONE => Ok(()),
            _ => self.transition_of(&Edit { from: Role::NONE, ..*edit }).or_else(|_| self.transition_of(edit)),
        }
    }

    fn transition_of(&self, edit: &Edit<'_>) -> Result<(), Refusal> {
        let roles = &self.before().roles;
        let own = edit.user == self.user;
        // Whoever may ban may also ban a user who is not in the list.
        let special = if roles.is_banned(edit.to) {
            Some(Capability::Ban)
        } else if roles.is_banned(edit.from) && edit.to != Role::NONE {
            Some(Capability::UnBan)
        } else {
            None
        };
        let general = match (edit.from, edit.to) {
            (Role::NONE, _) => Capability::AddParticipant,
            // The one who commits stays in the group, and so in the list.
            (_, Role::NONE) if own && self.wanted.step.how == How::Commit => return Err(Refusal::CommitterLeaves),
            (_, Role::NONE) if own => Capability::RemoveSelf,
            // A hub cannot change the list: of whom it removes every client, the committer may take from it.
            (_, Role::NONE) if self.wanted.hub_removes(edit.user) => return Ok(()),
            (_, Role::NONE) => Capability::RemoveParticipant,
            _ if own => {
                require(self.role, Capability::ChangeOwnRole)?;
                let role = self.client.and_then(|client| self.before().preauthorized(self.user, client));
                return if role == Some(edit.to) { Ok(()) } else { Err(Refusal::NotPreauthorized) };
            }
            _ => Capability::ChangeUserRole,
        };
        match special {
            Some(special) if !self.role.can(general) => require(self.role, special)?,
            _ => require(self.role, general)?,
        }
        if self.role.may_change(edit.from, edit.to) {
            Ok(())
        } else {
            Err(Refusal::RoleChange { from: edit.from, to: edit.to })
        }
    }

    fn add(&self, user: &UserUri) -> Result<(), Refusal> {
        if user == self.user {
            return require(self.role, Capability::AddOwnClient);
        }
        require(self.role, Capability::AddParticipant)?;
        let role = self.wanted.after.participants.role_of(user).ok_or(Refusal::UserNotInList)?;
        if self.role.may_change(Role::NONE, role) {
            Ok(())
        } else {
            Err(Refusal::RoleChange { from: Role::NONE, to: role })
        }
    }

    fn remove(&self, user: &UserUri, client: &ClientUri) -> Result<(), Refusal> {
        let edit = self.edits.get(user);
        let leaves = edit.is_some_and(|edit| edit.to == Role::NONE);
        if user == self.user {
            if self.wanted.step.how == How::Commit && self.client == Some(client) {
                return Err(Refusal::CommitterLeaves);
            }
            return if leaves { Ok(()) } else { require(self.role, Capability::RemoveOwnClient) };
        }
        let banned = edit.is_some_and(|edit| self.before().roles.is_banned(edit.to)) && self.role.can(Capability::Ban);
        if leaves || banned { Ok(()) } else { require(self.role, Capability::Kick) }
    }
}
