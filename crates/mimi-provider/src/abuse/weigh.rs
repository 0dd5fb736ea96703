use std::sync::Arc;

use mimi_abuse::signal::{Fact, Remedy as Step, SignalKind, Source};
use mimi_mls::{Moderated, Moderation};
use mimi_pseudonym::{ClientUri, RoomUri, Timestamp, UserUri};

use super::ask::{What, asks, wanted};
use crate::{
    fail::Fail,
    hash,
    log::Note,
    provider::Inner,
    store::{AccountId, Evidence, Judge, Remedy, TooOften, Verdict},
};

/// Adds a fact to those about a user, decides from all of them, and writes down what was decided and why.
pub(super) fn weigh(
    inner: &Inner,
    subject: &UserUri,
    room: &RoomUri,
    fact: &Fact,
    evidence: &[Evidence],
) -> Result<(), Fail> {
    let now = inner.now();
    let judge = |subject: &UserUri, facts: &[Fact]| verdict(inner, subject, facts, now);
    let decided = inner.store.weigh(subject, room, fact, evidence, &judge)?;
    told(inner, decided);
    Ok(())
}

/// Decides about users when something is stored that speaks against them.
pub(crate) fn judge(inner: &Arc<Inner>, now: Timestamp) -> Box<Judge<'static>> {
    let inner = Arc::clone(inner);
    Box::new(move |subject, facts| verdict(&inner, subject, facts, now))
}

/// What is to be decided about a user by what speaks against it.
pub(crate) fn verdict(inner: &Inner, subject: &UserUri, facts: &[Fact], now: Timestamp) -> Option<Verdict> {
    let decision = inner.abuse.table.decide(facts, now);
    let step = decision.step?;
    let asks = wanted(step.remedy).and_then(|wanted| {
        let note = format!("score {:.2}", decision.score);
        asks(&inner.senders, inner.domain(), subject, What { wanted, related: step.related, note }, now)
    });
    Some(Verdict { step, explanation: decision.to_string(), asks })
}

/// Something was decided: whoever carries it out is told.
pub(crate) fn told(inner: &Inner, decided: impl IntoIterator<Item = Step>) {
    for remedy in decided {
        inner.abuse.news.notify_one();
        inner.log.note(Note::Decided(remedy.name()));
    }
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
    if let Some(user) = joined.filter(|user| inner.abuse.joins.note(user, now)) {
        facts.push((user.clone(), own_fact(inner, SignalKind::JoinRate, Some(room), now)));
    }
    facts
}

/// What this provider has seen itself.
fn own_fact(inner: &Inner, kind: SignalKind, room: Option<&RoomUri>, now: Timestamp) -> Fact {
    let source = Source { domain: inner.domain().clone(), tag: [0; 32] };
    Fact { kind, room: room.cloned(), source, at: now }
}

/// Counts that a user has joined: with the commit that was stored the fact is known, or it has not joined.
pub(crate) fn joined(inner: &Inner, user: &UserUri, stored: bool) {
    if stored { inner.abuse.joins.known(user) } else { inner.abuse.joins.take_back(user) }
}

/// Counts a message before it is stored, as the sender's and as the account's whose device sends it: if there are too many, that
/// is stored with it.
pub(crate) fn sends(
    inner: &Inner,
    room: &RoomUri,
    user: &UserUri,
    account: Option<AccountId>,
    now: Timestamp,
) -> TooOften {
    let fact = |room| own_fact(inner, SignalKind::MessageRate, room, now);
    TooOften {
        sender: inner.abuse.messages.note(user, now).then(|| fact(Some(room))),
        account: account.filter(|account| inner.abuse.own_messages.note(account, now)).map(|_| fact(None)),
    }
}

/// Whether a message was stored that was counted, and what was said with it.
pub(crate) fn sent(inner: &Inner, user: &UserUri, account: Option<AccountId>, stored: Option<&TooOften>) {
    match stored {
        Some(TooOften { sender, account: by_account }) => {
            if sender.is_some() {
                inner.abuse.messages.known(user);
            }
            if by_account.is_some()
                && let Some(account) = account
            {
                inner.abuse.own_messages.known(&account);
            }
        }
        None => {
            inner.abuse.messages.take_back(user);
            if let Some(account) = account {
                inner.abuse.own_messages.take_back(&account);
            }
        }
    }
}

/// Whether a user may send to a room, as far as this hub has decided: not while a step of the table is reached, nor before a
/// ban for a time is over.
fn may_send(inner: &Inner, room: &RoomUri, user: &UserUri) -> Result<bool, Fail> {
    let Some(until) = inner.store.decided_about(user, room)? else { return Ok(true) };
    let now = inner.now();
    let is_clear = |facts: &[Fact]| inner.abuse.table.decide(facts, now).step.is_none();
    Ok(now >= until && is_clear(&inner.store.facts(user)?))
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

/// As a local provider: an account has joined a room of whatever hub, or sent a message to one of another hub, under whatever
/// pseudonym. If it does so faster than people do, that is a fact. The operator sees it; nothing is decided from it.
pub(crate) async fn own_did(inner: &Arc<Inner>, account: AccountId, kind: SignalKind) -> Result<(), Fail> {
    let now = inner.now();
    if !inner.abuse.own(kind).note(&account, now) {
        return Ok(());
    }
    inner
        .blocking(move |inner| {
            let user = inner.store.profile(account)?.user;
            inner.store.note_fact(&user, &own_fact(inner, kind, None, now))?;
            inner.abuse.own(kind).known(&account);
            Ok(())
        })
        .await
}
