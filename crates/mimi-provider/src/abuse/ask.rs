//! As a hub: requests for remedies to users' own providers (docs/profile-remedy.md).

use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_abuse::{
    remedy::{RemedyReceipt, RemedyRequestTbs, Wanted},
    signal::Remedy,
};
use mimi_pseudonym::{CipherSuite, Domain, Entropy, Timestamp, UserUri, Wire};
use mimi_wire::{Endpoint, Problem};

use super::each::at_each;
use crate::{
    clock::OsEntropy,
    fail::Fail,
    keys::HubKey,
    log::{During, Fault, Note},
    peers::PeerError,
    provider::Inner,
    store::{Asked, Asks},
};

/// The suite whose key signs requests.
const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// Messages that a request shows.
const SHOWN: u16 = 4;
/// Requests go out at moments that are this far apart, whatever was decided when.
const TICK_MILLIS: u64 = 3_600_000;
/// How often is looked whether a moment has come.
const TURN: Duration = Duration::from_secs(20);
/// How long a request waits that could not be sent.
const AGAIN: Duration = Duration::from_secs(600);

/// What a hub asks for that wants this.
pub(super) fn wanted(remedy: Remedy) -> Option<Wanted> {
    match remedy {
        Remedy::AskSuspend => Some(Wanted::Suspend),
        Remedy::AskRemove => Some(Wanted::Remove),
        Remedy::AskDelete => Some(Wanted::Delete),
        _ => None,
    }
}

/// What is asked for, and why.
pub(super) struct What {
    pub(super) wanted: Wanted,
    pub(super) related: bool,
    pub(super) note: String,
}

/// A request to a user's provider, which is signed when it is stored; none if this hub has no key for it.
pub(super) fn asks(hub_keys: &[HubKey], hub: &Domain, subject: &UserUri, what: What, now: Timestamp) -> Option<Asks> {
    let What { wanted, related, note } = what;
    let key = hub_keys.iter().find(|key| key.suite == SUITE)?.key.clone();
    let (hub, subject) = (hub.clone(), subject.clone());
    let (id, evidence) = (OsEntropy.bits128(), Vec::new());
    let tbs = RemedyRequestTbs { id, hub, subject, wanted, related, made_at: now, note, evidence };
    let shows = if wanted == Wanted::Reversal { 0 } else { SHOWN };
    Some(Asks { tbs, shows, suite: SUITE, key, due_at: next_tick(now) })
}

/// A request to take back what was asked for about a user.
pub(super) fn reversal(hub_keys: &[HubKey], hub: &Domain, subject: &UserUri, now: Timestamp) -> Option<Asks> {
    asks(hub_keys, hub, subject, What { wanted: Wanted::Reversal, related: false, note: String::new() }, now)
}

fn next_tick(now: Timestamp) -> Timestamp {
    Timestamp::from_millis((now.as_millis() / TICK_MILLIS + 1).saturating_mul(TICK_MILLIS))
}

/// Sends requests at their moments, as long as the provider runs.
pub(super) async fn run(inner: &Arc<Inner>) -> Infallible {
    loop {
        let due = inner.blocking(|inner| Ok(inner.store.asked(inner.now())?)).await;
        let due = due.unwrap_or_default().into_iter().map(|asked| (asked.peer.clone(), asked)).collect();
        let act = |asked, answers| async move {
            let sent = send(inner, asked, answers).await;
            sent.inspect_err(|error| inner.log.fault(Fault::Work(During::Remedies, error))).unwrap_or(false)
        };
        at_each(due, act).await;
        tokio::time::sleep(TURN).await;
    }
}

/// Sends a request, if its receiver answers; whether it does.
async fn send(inner: &Arc<Inner>, asked: Asked, answers: bool) -> Result<bool, Fail> {
    let Asked { id, peer, body } = asked;
    let sent = if answers {
        inner.peers.post(&peer, Endpoint::RequestRemedy, peer.as_str(), body, RemedyReceipt::MAX_LEN).await
    } else {
        Err(PeerError::Unreachable)
    };
    let answers = !matches!(sent, Err(PeerError::Unreachable));
    let again = match sent {
        // That its peer says the same of every request is what this hub has to be content with.
        Ok(receipt) if RemedyReceipt::decode(&receipt) == Ok(RemedyReceipt { id }) => None,
        Err(error) if is_of_the_request(error) => {
            inner.log.note(Note::RemedyRefused(&peer, error));
            None
        }
        _ => Some(inner.now().after(AGAIN)),
    };
    inner.blocking(move |inner| Ok(inner.store.asked_until(&id, again)?)).await?;
    Ok(answers)
}

/// Whether the receiver says of a request itself that it will never take it, as it does in time of any that has become too old.
fn is_of_the_request(error: PeerError) -> bool {
    matches!(error, PeerError::Refused(_, Some(Problem::Malformed | Problem::ForeignUser | Problem::SignatureInvalid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_given_up_for_what_it_says_alone() {
        let of = |problem: Problem| is_of_the_request(PeerError::Refused(problem.status(), Some(problem)));
        for problem in [Problem::Malformed, Problem::ForeignUser, Problem::SignatureInvalid] {
            assert!(of(problem), "{problem:?}");
        }
        for problem in [Problem::Forbidden, Problem::FromMismatch, Problem::NotFound, Problem::Unavailable] {
            assert!(!of(problem), "{problem:?}");
        }
        assert!(!is_of_the_request(PeerError::Unreachable) && !is_of_the_request(PeerError::Refused(403, None)));
    }
}
