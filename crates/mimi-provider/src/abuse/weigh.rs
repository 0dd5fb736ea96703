use std::sync::Arc;

use mimi_abuse::signal::{Fact, SignalKind, Source};
use mimi_pseudonym::{RoomUri, Timestamp, UserUri};

use super::ask::ask;
use crate::{fail::Fail, provider::Inner, store::Evidence};

/// Adds a fact to those about a user, decides from all of them, and writes down what was decided and why.
pub(super) fn weigh(
    inner: &Inner,
    subject: &UserUri,
    room: &RoomUri,
    fact: &Fact,
    evidence: &[Evidence],
) -> Result<(), Fail> {
    let now = inner.now();
    let facts = inner.store.note_fact(subject, fact, evidence)?;
    let decision = inner.abuse.table.decide(&facts, now);
    if let Some(step) = &decision.step
        && inner.store.decide(subject, room, step, &decision.to_string(), now)?
    {
        inner.abuse.news.notify_one();
        ask(inner, subject, step.remedy, &decision)?;
        inner.log.note(format_args!("abuse: {} decided", step.remedy.name()));
    }
    Ok(())
}

/// A user has sent a message to a room.
pub(crate) async fn sent(inner: &Arc<Inner>, room: &RoomUri, user: &UserUri, now: Timestamp) -> Result<(), Fail> {
    if !inner.abuse.sends_too_often(user, now) {
        return Ok(());
    }
    let (room, user) = (room.clone(), user.clone());
    inner
        .blocking(move |inner| {
            let source = Source { domain: inner.domain().clone(), tag: [0; 32] };
            let fact = Fact { kind: SignalKind::MessageRate, room: Some(room.clone()), source, at: now };
            weigh(inner, &user, &room, &fact, &[])
        })
        .await
}

/// Whether what speaks against a user is not enough for a step of the table.
pub(crate) fn is_clear(inner: &Inner, facts: &[Fact], now: Timestamp) -> bool {
    inner.abuse.table.decide(facts, now).step.is_none()
}
