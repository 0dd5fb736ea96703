use mimi_pseudonym::{Timestamp, UserUri, Wire};
use mimi_room::{Actor, ComponentId, Operation, ParticipantListUpdate, RoomState};

use crate::part::Part;

/// What a participant has done to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Moderation {
    /// It may send no more.
    Mute,
    /// It is a participant no more.
    Kick,
    /// It is banned.
    Ban,
}

/// That a participant has muted, removed or banned another, in a commit of its own or by a proposal that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderated {
    /// Who did it.
    pub by: UserUri,
    /// To whom.
    pub of: UserUri,
    /// What.
    pub what: Moderation,
}

/// What participants do to others in a commit. Whoever takes from the list a user that leaves, or that the hub removes,
/// has done nothing to it.
pub(crate) fn moderated(parts: &[Part], before: &RoomState, after: &RoomState) -> Vec<Moderated> {
    let mut found = Vec::new();
    for part in parts {
        let Actor::User { user: by, .. } = &part.actor else { continue };
        for of in touched(part, before) {
            let left = parts.iter().any(|other| {
                let own = match &other.actor {
                    Actor::User { user, .. } => *user == of,
                    _ => true,
                };
                own && other.outgoing.iter().any(|(user, _)| *user == of)
            });
            let banned = |state: &RoomState| state.at(Timestamp::default()).is_banned(&of);
            let what = if banned(after) && !banned(before) {
                Moderation::Ban
            } else if after.participants().role_of(&of).is_none() && !banned(before) && !left {
                Moderation::Kick
            } else if before.may_send(&of).is_ok() && after.may_send(&of).is_err() && !left {
                Moderation::Mute
            } else {
                continue;
            };
            if *by != of {
                found.push(Moderated { by: by.clone(), of, what });
            }
        }
    }
    found
}

/// The users whose place in the participant list a part changes.
fn touched(part: &Part, before: &RoomState) -> Vec<UserUri> {
    let mut users = Vec::new();
    for update in &part.updates {
        let Operation::Update(content) = &update.operation else { continue };
        if update.id != ComponentId::PARTICIPANT_LIST {
            continue;
        }
        let Ok(list) = ParticipantListUpdate::decode(content) else { continue };
        let places = list.changed.iter().map(|change| change.index).chain(list.removed);
        users.extend(places.filter_map(|at| before.participants().at(at).map(|(user, _)| user.clone())));
        users.extend(list.added.into_iter().map(|added| added.user));
    }
    users
}
