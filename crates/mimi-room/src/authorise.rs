//! Whether an actor may do what it wants, by its role before the change.

use std::collections::HashMap;

use mimi_pseudonym::{ClientUri, UserUri};

use crate::{
    Actor, Capability, How, Refusal, Role, RoomMetadata, RoomState, Step, apply::Update, participants::Edit,
    state::require,
};

/// One step, with its updates parsed.
pub(crate) struct Wanted<'a> {
    pub(crate) step: Step<'a>,
    pub(crate) updates: &'a [Update],
    pub(crate) edits: HashMap<&'a UserUri, Edit<'a>>,
    /// In the order in which they were proposed.
    pub(crate) ordered: Vec<Edit<'a>>,
}

/// Whether such an actor can act in such a way at all.
pub(crate) fn standing(state: &RoomState, actor: &Actor, how: How) -> Result<(), Refusal> {
    match (actor, how) {
        (Actor::Hub, How::Hub) => Ok(()),
        (Actor::User { user, .. }, How::Commit | How::Proposal) => state.standing(user).map(|_| ()),
        (Actor::User { user, .. }, How::ExternalCommit | How::JoinCode) => match state.standing(user) {
            Ok(_) | Err(Refusal::NotParticipant) => Ok(()),
            Err(refusal) => Err(refusal),
        },
        (Actor::Hub, _) | (Actor::User { .. }, How::Hub) => Err(Refusal::Sender),
    }
}

/// Whether the actor of a step may do all of it. `after` is the state that would result.
pub(crate) fn authorise(before: &RoomState, after: &RoomState, wanted: &Wanted<'_>) -> Result<(), Refusal> {
    match (wanted.step.actor, wanted.step.how) {
        (Actor::Hub, _) => hub(wanted),
        (Actor::User { user, client }, How::Commit | How::Proposal) => {
            Participant { before, after, user, client: client.as_ref(), role: before.standing(user)?, wanted }.all()
        }
        (Actor::User { user, client }, how) => join(before, user, client.as_ref(), how, wanted),
    }
}

fn hub(wanted: &Wanted<'_>) -> Result<(), Refusal> {
    let change = wanted.step.change;
    if change.updates.is_empty() && change.added.is_empty() { Ok(()) } else { Err(Refusal::Hub) }
}

/// An external commit: of a participant's further client, of a client that lost its state, or of a new user.
fn join(
    before: &RoomState,
    user: &UserUri,
    client: Option<&ClientUri>,
    how: How,
    wanted: &Wanted<'_>,
) -> Result<(), Refusal> {
    let change = wanted.step.change;
    let [added] = change.added.as_slice() else { return Err(Refusal::ExternalCommit) };
    let own = added.user == *user && client.is_none_or(|client| *client == added.client);
    let earlier = |(of, removed): &(UserUri, ClientUri)| of == user && *removed == added.client;
    if !own || !change.removed.iter().all(earlier) {
        return Err(Refusal::ExternalCommit);
    }
    if let Ok(role) = before.standing(user) {
        return if wanted.updates.is_empty() {
            require(role, Capability::AddOwnClient)
        } else {
            Err(Refusal::ExternalCommit)
        };
    }
    let edit = match (wanted.updates, wanted.ordered.as_slice()) {
        ([], _) => return Err(Refusal::NotParticipant),
        ([Update::Participants(_)], [edit]) if edit.user == user => edit,
        _ => return Err(Refusal::ExternalCommit),
    };
    if before.base.fixed_membership {
        return Err(Refusal::FixedMembership);
    }
    let capability = if how == How::JoinCode { Capability::UseJoinCode } else { Capability::OpenJoin };
    let stranger = before.roles.role(Role::NONE).ok_or(Refusal::Capability(capability))?;
    if !stranger.can(Capability::OpenJoin) {
        require(stranger, capability)?;
    }
    transition(stranger, Role::NONE, edit.to)
}

fn transition(role: &Role, from: u32, to: u32) -> Result<(), Refusal> {
    if role.may_change(from, to) { Ok(()) } else { Err(Refusal::RoleChange { from, to }) }
}

/// A participant who proposes or commits.
struct Participant<'a> {
    before: &'a RoomState,
    after: &'a RoomState,
    user: &'a UserUri,
    client: Option<&'a ClientUri>,
    role: &'a Role,
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

    fn update(&self, update: &Update) -> Result<(), Refusal> {
        match update {
            Update::Participants(_) => Ok(()),
            Update::Metadata(metadata) => self.metadata(metadata),
            Update::Roles(_) => require(self.role, Capability::ChangeRoleDefinitions),
            Update::Preauth(_) => require(self.role, Capability::ChangePreauthorizedUserList),
            Update::Base(_) => require(self.role, Capability::ChangeRoomMembershipStyle),
            Update::JoinLink(_) => require(self.role, Capability::ChangeOtherPolicyAttribute),
        }
    }

    /// Each field that differs needs its capability.
    fn metadata(&self, new: &RoomMetadata) -> Result<(), Refusal> {
        let none;
        let old = if let Some(old) = &self.before.metadata {
            old
        } else {
            none = RoomMetadata::new(self.before.room.clone());
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

    fn edit(&self, edit: &Edit<'_>) -> Result<(), Refusal> {
        let own = edit.user == self.user;
        if self.before.base.fixed_membership && (edit.from == Role::NONE || edit.to == Role::NONE) {
            return Err(Refusal::FixedMembership);
        }
        // Whoever may ban may also ban a user who is not in the list.
        let special = if self.before.roles.is_banned(edit.to) {
            Some(Capability::Ban)
        } else if self.before.roles.is_banned(edit.from) && edit.to != Role::NONE {
            Some(Capability::UnBan)
        } else {
            None
        };
        let general = match (edit.from, edit.to) {
            (Role::NONE, _) => Capability::AddParticipant,
            // The one who commits stays in the group, and so in the list.
            (_, Role::NONE) if own && self.wanted.step.how == How::Commit => return Err(Refusal::CommitterLeaves),
            (_, Role::NONE) if own => Capability::RemoveSelf,
            (_, Role::NONE) => Capability::RemoveParticipant,
            _ if own => {
                require(self.role, Capability::ChangeOwnRole)?;
                return Err(Refusal::NotPreauthorized);
            }
            _ => Capability::ChangeUserRole,
        };
        match special {
            Some(special) if !self.role.can(general) => require(self.role, special)?,
            _ => require(self.role, general)?,
        }
        transition(self.role, edit.from, edit.to)
    }

    fn add(&self, user: &UserUri) -> Result<(), Refusal> {
        if user == self.user {
            return require(self.role, Capability::AddOwnClient);
        }
        require(self.role, Capability::AddParticipant)?;
        let role = self.after.participants.role_of(user).ok_or(Refusal::UserNotInList)?;
        transition(self.role, Role::NONE, role)
    }

    fn remove(&self, user: &UserUri, client: &ClientUri) -> Result<(), Refusal> {
        let edit = self.wanted.edits.get(user);
        let leaves = edit.is_some_and(|edit| edit.to == Role::NONE);
        if user == self.user {
            if self.wanted.step.how == How::Commit && self.client == Some(client) {
                return Err(Refusal::CommitterLeaves);
            }
            return if leaves { Ok(()) } else { require(self.role, Capability::RemoveOwnClient) };
        }
        let banned = edit.is_some_and(|edit| self.before.roles.is_banned(edit.to)) && self.role.can(Capability::Ban);
        if leaves || banned { Ok(()) } else { require(self.role, Capability::Kick) }
    }
}
