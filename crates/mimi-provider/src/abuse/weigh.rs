use std::sync::Arc;

use mimi_abuse::signal::{Fact, SignalKind, Source};
use mimi_mls::{Moderated, Moderation};
use mimi_pseudonym::{ClientUri, RoomUri, Timestamp, UserUri};

use super::ask::ask;
use crate::{
    fail::Fail,
    hash,
    provider::Inner,
    store::{AccountId, Evidence, Remedy},
};

/// Adds a fact to those about a user, decides from all of them, and writes down what was decided and why.
pub(super) fn weigh(
    inner: &Inner,
    subject: &UserUri,
    room: &RoomUri,
    fact: &Fact,
    evidence: &[Evidence],
) -> Result<(), Fail> {
    let facts = inner.store.note_fact(subject, fact, evidence)?;
    decide(inner, subject, room, &facts)
}

/// Decides about users from what was just stored about them with an event of a room.
pub(crate) fn noted(inner: &Inner, room: &RoomUri, facts: &[(UserUri, Fact)]) -> Result<(), Fail> {
    for (subject, _) in facts {
        decide(inner, subject, room, &inner.store.facts(subject)?)?;
    }
    Ok(())
}

fn decide(inner: &Inner, subject: &UserUri, room: &RoomUri, facts: &[Fact]) -> Result<(), Fail> {
    let now = inner.now();
    let decision = inner.abuse.table.decide(facts, now);
    if let Some(step) = &decision.step
        && inner.store.decide(subject, room, step, &decision.to_string(), now)?
    {
        inner.abuse.news.notify_one();
        ask(inner, subject, step, &decision)?;
        inner.log.note(format_args!("abuse: {} decided", step.remedy.name()));
    }
    Ok(())
}

/// What a commit says about users: what participants have done to others, whatever their motive, and that somebody comes into
/// rooms faster than people do. The moderators of one provider in one room are one source.
pub(crate) fn facts_of(
    inner: &Inner,
    room: &RoomUri,
    moderated: &[Moderated],
    joined: Option<&UserUri>,
    now: Timestamp,
) -> Vec<(UserUri, Fact)> {
    let mut facts = Vec::new();
    for Moderated { by, of, what } in moderated {
        let kind = match what {
            Moderation::Mute => SignalKind::Mute,
            Moderation::Kick => SignalKind::Kick,
            Moderation::Ban => SignalKind::Ban,
            _ => continue,
        };
        let tag = hash(&[b"moderators of a room", room.as_str().as_bytes()]);
        let source = Source { domain: by.domain().clone(), tag };
        facts.push((of.clone(), Fact { kind, room: Some(room.clone()), source, at: now }));
    }
    if let Some(user) = joined.filter(|user| inner.abuse.joins_too_often(user, now)) {
        facts.push((user.clone(), own_fact(inner, SignalKind::JoinRate, Some(room), now)));
    }
    facts
}

/// What this provider has seen itself.
fn own_fact(inner: &Inner, kind: SignalKind, room: Option<&RoomUri>, now: Timestamp) -> Fact {
    let source = Source { domain: inner.domain().clone(), tag: [0; 32] };
    Fact { kind, room: room.cloned(), source, at: now }
}

/// A user has sent a message to a room.
pub(crate) async fn sent(inner: &Arc<Inner>, room: &RoomUri, user: &UserUri, now: Timestamp) -> Result<(), Fail> {
    if !inner.abuse.sends_too_often(user, now) {
        return Ok(());
    }
    let (room, user) = (room.clone(), user.clone());
    inner
        .blocking(move |inner| {
            let fact = own_fact(inner, SignalKind::MessageRate, Some(&room), now);
            weigh(inner, &user, &room, &fact, &[])
        })
        .await
}

/// Whether what speaks against a user is not enough for a step of the table.
pub(crate) fn is_clear(inner: &Inner, facts: &[Fact], now: Timestamp) -> bool {
    inner.abuse.table.decide(facts, now).step.is_none()
}

/// Whether a user may send to a room, as far as this hub has decided: not while a step of the table is reached, nor before a
/// ban for a time is over.
fn may_send(inner: &Inner, room: &RoomUri, user: &UserUri) -> Result<bool, Fail> {
    let Some(until) = inner.store.decided_about(user, room)? else { return Ok(true) };
    let now = inner.now();
    Ok(now >= until && is_clear(inner, &inner.store.facts(user)?, now))
}

/// Whether this hub keeps a user or one of its clients out of a room: the operator has banned it, or it was decided to ban it,
/// and that has not lapsed.
pub(crate) fn is_banned(inner: &Inner, room: &RoomUri, user: &UserUri, client: &ClientUri) -> Result<bool, Fail> {
    let now = inner.now();
    let store = &inner.store;
    Ok(store.holds(room, user.as_str(), Remedy::Ban, now)?
        || store.holds(room, client.as_str(), Remedy::Ban, now)?
        || (store.decided_to_ban(user, room)? && !may_send(inner, room, user)?))
}

/// As a local provider: an account has joined a room of whatever hub, or sent a message, under whatever pseudonym. If it does so
/// faster than people do, that is a fact. The operator sees it; nothing is decided from it.
pub(crate) async fn own_did(inner: &Arc<Inner>, account: AccountId, kind: SignalKind) -> Result<(), Fail> {
    let now = inner.now();
    let too_often = match kind {
        SignalKind::JoinRate => inner.abuse.own_joins_too_often(account, now),
        _ => inner.abuse.own_sends_too_often(account, now),
    };
    if !too_often {
        return Ok(());
    }
    inner
        .blocking(move |inner| {
            let user = inner.store.profile(account)?.user;
            inner.store.note_fact(&user, &own_fact(inner, kind, None, now), &[])?;
            Ok(())
        })
        .await
}
