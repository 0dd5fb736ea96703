use std::collections::HashSet;

use mimi_pseudonym::Timestamp;

use crate::{
    Actor, Change, ComponentId, ComponentUpdate, How, Refusal, Role, RoomState, Step,
    at::RoomAt,
    authorise::{Wanted, standing},
    effects::Effects,
    participants::Edit,
    update::Update,
};

impl RoomState {
    /// The state after an actor's change, if the actor may make it and the result keeps the room's rules.
    ///
    /// Total and deterministic: the hub and every member come to the same result from the same arguments. A commit that
    /// also holds proposals of others is for [`RoomState::apply_together`]; in a room with bans that end by themselves,
    /// [`RoomAt::apply`] takes the time into account.
    ///
    /// # Errors
    /// [`Refusal`] names the first rule that is broken.
    pub fn apply(&self, actor: &Actor, how: How, change: &Change<'_>) -> Result<Self, Refusal> {
        self.at(Timestamp::default()).apply(actor, how, change)
    }

    /// The state after one commit with proposals of several actors, each judged by its own role before the commit. The
    /// limits of the room are those of the result. Places in the participant list refer to the list before the commit,
    /// for all steps. All steps have the same `members`; those of the first are taken.
    ///
    /// # Errors
    /// As [`RoomState::apply`].
    pub fn apply_together(&self, steps: &[Step<'_>]) -> Result<Self, Refusal> {
        self.at(Timestamp::default()).apply_together(steps)
    }

    /// The state behind these updates, if they are well formed, whoever makes them. A party that has to compute the new
    /// components of a commit before it can see the rest of it needs this; [`RoomState::apply`] must still allow it.
    ///
    /// # Errors
    /// A [`Refusal`] for an update that is malformed or cannot be made of this state.
    pub fn with_updates(&self, updates: &[ComponentUpdate]) -> Result<Self, Refusal> {
        let updates = self.read(updates)?;
        let edits = self.edits(&updates)?;
        different_users(&edits)?;
        Ok(self.result(updates.iter(), &edits))
    }

    fn edits<'a>(&'a self, updates: &'a [Update]) -> Result<Vec<Edit<'a>>, Refusal> {
        let mut edits = Vec::new();
        for update in updates {
            if let Update::Participants(update) = update {
                edits.extend(self.participants.edits(update)?);
            }
        }
        Ok(edits)
    }
}

impl RoomAt<'_> {
    /// As [`RoomState::apply`], at this time.
    ///
    /// # Errors
    /// As there.
    pub fn apply(&self, actor: &Actor, how: How, change: &Change<'_>) -> Result<RoomState, Refusal> {
        self.apply_together(&[Step { actor, how, change }])
    }

    /// As [`RoomState::apply_together`], at this time.
    ///
    /// # Errors
    /// As there.
    pub fn apply_together(&self, steps: &[Step<'_>]) -> Result<RoomState, Refusal> {
        let state = self.state;
        for step in steps {
            standing(*self, step.actor, step.how)?;
        }
        let updates = steps.iter().map(|step| state.read(&step.change.updates)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        let ids = steps.iter().flat_map(|step| &step.change.updates).map(|update| update.id);
        if let Some(id) = ids.filter(|id| *id != ComponentId::PARTICIPANT_LIST).find(|id| !seen.insert(*id)) {
            return Err(Refusal::RepeatedUpdate(id));
        }

        let by_step = updates.iter().map(|updates| state.edits(updates)).collect::<Result<Vec<_>, _>>()?;
        let edits = by_step.concat();
        different_users(&edits)?;
        compatible(updates.iter().flatten(), &edits)?;

        let after = state.result(updates.iter().flatten(), &edits);
        for ((step, updates), ordered) in steps.iter().zip(&updates).zip(by_step) {
            Wanted { before: *self, after: &after, steps, step: *step, updates, ordered }.authorise()?;
        }
        Effects::new(state, &after, steps, &edits)?.check()?;
        Ok(after)
    }
}

fn different_users(edits: &[Edit<'_>]) -> Result<(), Refusal> {
    let mut users = HashSet::new();
    if edits.iter().all(|edit| users.insert(edit.user)) { Ok(()) } else { Err(Refusal::UserTwice) }
}

/// Changes too disruptive to come together with changes of the participant list.
fn compatible<'a>(updates: impl Iterator<Item = &'a Update> + Clone, edits: &[Edit<'_>]) -> Result<(), Refusal> {
    let list = updates.clone().any(|update| matches!(update, Update::Participants(_)));
    for update in updates {
        match update {
            Update::Roles(_) if list => return Err(Refusal::WithParticipants(ComponentId::ROLES_LIST)),
            Update::Preauth(_) if edits.iter().any(|edit| edit.to != Role::NONE) => {
                return Err(Refusal::WithParticipants(ComponentId::PREAUTH_LIST));
            }
            _ => {}
        }
    }
    Ok(())
}
