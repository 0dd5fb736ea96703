//! A commit may hold proposals of several actors: what each of them does, for the room's policy to judge.

use mimi_pseudonym::{ClientUri, UserUri};
use mimi_room::{Actor, Change, ClientRef, ComponentUpdate, How, Members, Refusal, RoomAt, RoomState, Step};

/// What one actor does in a commit.
pub(crate) struct Part {
    pub(crate) actor: Actor,
    pub(crate) how: How,
    pub(crate) updates: Vec<ComponentUpdate>,
    /// The clients that come in.
    pub(crate) incoming: Vec<ClientRef>,
    /// The clients that go.
    pub(crate) outgoing: Vec<(UserUri, ClientUri)>,
}

impl Part {
    pub(crate) fn new(actor: Actor, how: How) -> Self {
        Self { actor, how, updates: Vec::new(), incoming: Vec::new(), outgoing: Vec::new() }
    }

    /// The part of an actor among others; what the one who commits has proposed before belongs to its commit.
    pub(crate) fn of(parts: &mut Vec<Self>, actor: Actor, how: How) -> Option<&mut Self> {
        if parts.iter().all(|part| part.actor != actor) {
            parts.push(Self::new(actor.clone(), how));
        }
        parts.iter_mut().find(|part| part.actor == actor)
    }

    fn change<'a>(&self, members: &'a Members) -> Change<'a> {
        Change { updates: self.updates.clone(), added: self.incoming.clone(), removed: self.outgoing.clone(), members }
    }
}

/// The state behind a commit with these parts, among the clients that are there, if the room's policy allows it.
pub(crate) fn judge(room: RoomAt<'_>, parts: &[Part], members: &Members) -> Result<RoomState, Refusal> {
    let changes: Vec<_> = parts.iter().map(|part| part.change(members)).collect();
    let parts = parts.iter().zip(&changes);
    let steps: Vec<_> = parts.map(|(part, change)| Step { actor: &part.actor, how: part.how, change }).collect();
    room.apply_together(&steps)
}
