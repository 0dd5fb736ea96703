//! External commits: of a participant's further client, of a client that lost its state, or of a new user.

use mimi_pseudonym::{ClientUri, UserUri};

use crate::{Capability, How, Refusal, Role, RoomState, TemporaryBans, at::require, authorise::Wanted, update::Update};

/// Whether the user may do what its external commit does.
pub(crate) fn authorise_join(
    wanted: &Wanted<'_>,
    user: &UserUri,
    client: Option<&ClientUri>,
    how: How,
) -> Result<(), Refusal> {
    let (before, change) = (wanted.before, wanted.step.change);
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
    if wanted.updates.is_empty() {
        return Err(Refusal::NotParticipant);
    }
    // The user comes onto the list, or gets a role again after its ban has ended, and the ban goes.
    let lists = wanted.updates.iter().filter(|update| matches!(update, Update::Participants(_))).count();
    let fits = wanted.updates.iter().all(|update| match update {
        Update::Participants(_) => true,
        Update::Bans(bans) => lifts_only(before.state, bans.as_ref(), user),
        _ => false,
    });
    let edit = match wanted.ordered.as_slice() {
        [edit] if lists == 1 && fits && edit.user == user && edit.to != Role::NONE => edit,
        _ => return Err(Refusal::ExternalCommit),
    };
    if before.state.base.fixed_membership {
        return Err(Refusal::FixedMembership);
    }
    admit(before.state, user, &added.client, how, Some(edit.to))
}

/// Whether somebody who is not in the list may come in by itself.
pub(crate) fn may_join(state: &RoomState, user: &UserUri, client: &ClientUri, how: How) -> Result<(), Refusal> {
    if state.base.fixed_membership { Err(Refusal::FixedMembership) } else { admit(state, user, client, how, None) }
}

/// By open door, by join code, or preauthorized; `to` is the role that is wanted, none for any.
pub(crate) fn admit(
    state: &RoomState,
    user: &UserUri,
    client: &ClientUri,
    how: How,
    to: Option<u32>,
) -> Result<(), Refusal> {
    let capability = if how == How::JoinCode { Capability::UseJoinCode } else { Capability::OpenJoin };
    let stranger = state.roles.role(Role::NONE).ok_or(Refusal::Capability(capability));
    let by_door = stranger.and_then(|stranger| {
        if !stranger.can(Capability::OpenJoin) {
            require(stranger, capability)?;
        }
        match to {
            Some(to) if !stranger.may_change(Role::NONE, to) => Err(Refusal::RoleChange { from: Role::NONE, to }),
            None if !stranger.may_add() => Err(Refusal::Capability(capability)),
            _ => Ok(()),
        }
    });
    let Err(refusal) = by_door else { return Ok(()) };
    let preauthorized = state
        .preauthorized(user, client)
        .filter(|role| state.roles.role(*role).is_some_and(|role| role.can(Capability::JoinIfPreauthorized)));
    match preauthorized {
        Some(role) if to.is_none_or(|to| to == role) => Ok(()),
        Some(_) => Err(Refusal::NotPreauthorized),
        None => Err(refusal),
    }
}

/// Whether an update takes the ban of this user away, and changes no other.
fn lifts_only(state: &RoomState, bans: Option<&TemporaryBans>, user: &UserUri) -> bool {
    let none = TemporaryBans::default();
    let rest = state.bans.as_deref().unwrap_or(&none).clone().without(user);
    *bans.unwrap_or(&none) == rest
}
