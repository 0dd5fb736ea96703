//! As a hub: requests for remedies to users' own providers (docs/profile-remedy.md).

use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_abuse::{
    remedy::{RemedyReceipt, RemedyRequest, RemedyRequestTbs, Wanted},
    signal::{Decision, Remedy, Step},
};
use mimi_pseudonym::{CipherSuite, Domain, Entropy, Timestamp, UserUri, Wire};
use mimi_wire::{AbusiveMessage, Endpoint};

use crate::{
    StoreError,
    clock::OsEntropy,
    fail::Fail,
    keys,
    provider::Inner,
    store::{Asked, Store},
};

/// Messages that a request shows.
const SHOWN: u16 = 4;
/// Requests go out at moments that are this far apart, whatever was decided when.
const TICK_MILLIS: u64 = 3_600_000;
/// How often is looked whether a moment has come.
const TURN: Duration = Duration::from_secs(20);
/// How long a request waits that could not be sent.
const AGAIN: Duration = Duration::from_secs(600);

/// What a hub asks for that wants this.
fn wanted(remedy: Remedy) -> Option<Wanted> {
    match remedy {
        Remedy::AskSuspend => Some(Wanted::Suspend),
        Remedy::AskRemove => Some(Wanted::Remove),
        Remedy::AskDelete => Some(Wanted::Delete),
        _ => None,
    }
}

/// Asks the user's provider for what was decided, with the messages that show it.
pub(super) fn ask(inner: &Inner, subject: &UserUri, step: &Step, decision: &Decision) -> Result<(), Fail> {
    let Some(wanted) = wanted(step.remedy) else { return Ok(()) };
    let shown = inner.store.evidence(subject, SHOWN)?;
    let shown = shown.iter().filter_map(|message| AbusiveMessage::decode(message).ok()).collect();
    let note = format!("score {:.2}", decision.score);
    let what = What { wanted, related: step.related, note, evidence: shown };
    Ok(put(&inner.store, inner.domain(), subject, what, inner.now())?)
}

/// Asks for what was asked for about a user to be reversed.
pub(super) fn reverse(store: &Store, hub: &Domain, subject: &UserUri, now: Timestamp) -> Result<(), StoreError> {
    let what = What { wanted: Wanted::Reversal, related: false, note: String::new(), evidence: Vec::new() };
    put(store, hub, subject, what, now)
}

/// What is asked for, and why.
struct What {
    wanted: Wanted,
    related: bool,
    note: String,
    evidence: Vec<AbusiveMessage>,
}

fn put(store: &Store, hub: &Domain, subject: &UserUri, what: What, now: Timestamp) -> Result<(), StoreError> {
    let What { wanted, related, note, evidence } = what;
    let (id, hub, subject) = (OsEntropy.bits128(), hub.clone(), subject.clone());
    let tbs = RemedyRequestTbs { id, hub, subject, wanted, related, made_at: now, note, evidence };
    let suite = CipherSuite::X25519Aes128Ed25519;
    let own = tbs.subject.domain() == &tbs.hub;
    let request = RemedyRequest::sign(tbs, suite, &keys::hub_signer(store, suite)?);
    let request = request.map_err(|_| StoreError::damaged("a request for a remedy"))?;
    if own { store.requested(&request, u32::MAX, now).map(drop) } else { store.ask(&request, next_tick(now)) }
}

fn next_tick(now: Timestamp) -> Timestamp {
    Timestamp::from_millis((now.as_millis() / TICK_MILLIS + 1).saturating_mul(TICK_MILLIS))
}

/// Sends requests at their moments, as long as the provider runs.
pub(super) async fn run(inner: &Arc<Inner>) -> Infallible {
    loop {
        let due = inner.blocking(|inner| Ok(inner.store.asked(inner.now())?)).await;
        for asked in due.unwrap_or_default() {
            if let Err(error) = send(inner, asked).await {
                inner.log.fault(format_args!("remedies: {error}"));
            }
        }
        tokio::time::sleep(TURN).await;
    }
}

async fn send(inner: &Arc<Inner>, asked: Asked) -> Result<(), Fail> {
    let Asked { id, peer, body } = asked;
    let sent = inner.peers.post(&peer, Endpoint::RequestRemedy, peer.as_str(), body, RemedyReceipt::MAX_LEN).await;
    let again = match sent {
        // That its peer says the same of every request is what this hub has to be content with.
        Ok(receipt) if RemedyReceipt::decode(&receipt) == Ok(RemedyReceipt { id }) => None,
        Ok(_) => Some(inner.now().after(AGAIN)),
        Err(error) if error.is_temporary() => Some(inner.now().after(AGAIN)),
        Err(error) => {
            inner.log.note(format_args!("{} of {peer}: a request for a remedy was refused", error.code()));
            None
        }
    };
    inner.blocking(move |inner| Ok(inner.store.asked_until(&id, again)?)).await
}
