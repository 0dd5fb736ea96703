//! Users leave rooms because their own provider wants it (docs/profile-remedy.md): as that provider, asks the rooms' hubs, for
//! one pseudonym and room at a time; as a hub, proposes the removal.

use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_abuse::remedy::{RemedyReceipt, RemovalRefusal, RemovalRequest, RemovalRequestTbs, UnverifiedRemovalRequest};
use mimi_pseudonym::{CipherSuite, Entropy, RoomUri, Timestamp, Wire};
use mimi_wire::{Endpoint, Problem};

use super::{each::at_each, home::key_of};
use crate::{
    clock::OsEntropy,
    fail::Fail,
    hub, keys,
    log::{During, Fault, Note},
    peers::PeerError,
    provider::Inner,
    server::{Peer, Reply},
    store::Removal,
};

/// How often is looked whether a moment has come.
const TURN: Duration = Duration::from_secs(20);
/// How long a request waits that could not be sent.
const AGAIN: Duration = Duration::from_secs(600);
/// How long an account that is to be deleted waits for hubs that do not answer.
const ABANDONED: Duration = Duration::from_secs(60 * 86_400);
/// How long is waited for a member to commit before the hub is asked again.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// As a hub: takes the request of a user's own provider to remove it from a room. The answer is the same whether this was asked
/// before; that the user is not in there, or that there is no such room, its provider is told.
pub(crate) async fn removal(
    inner: &Arc<Inner>,
    peer: &Peer,
    room: RoomUri,
    request: UnverifiedRemovalRequest,
) -> Result<Reply, Fail> {
    if room.domain() != inner.domain() {
        return Err(Problem::NotHub.into());
    }
    let from = peer.domain().clone();
    let key = key_of(inner, &from, request.suite()).await?;
    let request = request.verify(&key, &from, &room, inner.now()).map_err(|refusal| problem(&refusal))?;
    let (receipt, subject) = (RemedyReceipt { id: request.tbs().id }, request.tbs().subject.clone());
    if !hub::is_inside(inner, room.clone(), subject.clone()).await? {
        return Err(Problem::UnknownRoom.into());
    }
    inner.blocking(move |inner| Ok(inner.store.keep_removal(&request, inner.now())?)).await?;
    hub::remove_user(inner, room, subject).await?;
    Ok(Reply::message(&receipt))
}

fn problem(refusal: &RemovalRefusal) -> Problem {
    match refusal {
        RemovalRefusal::ForeignUser => Problem::ForeignUser,
        RemovalRefusal::Signature => Problem::SignatureInvalid,
        _ => Problem::Malformed,
    }
}

/// Asks hubs at the moments that were drawn, and lets accounts end when the last of theirs has come, as long as the provider
/// runs.
pub(super) async fn run(inner: &Arc<Inner>) -> Infallible {
    loop {
        let due = inner.blocking(|inner| Ok(inner.store.due_removals(inner.now(), || OsEntropy.bits128())?)).await;
        let due = due.unwrap_or_default().into_iter().map(|removal| (removal.room.domain().clone(), removal)).collect();
        let act = |removal, answers| async move {
            let asked = ask(inner, removal, answers).await;
            asked.inspect_err(|error| inner.log.fault(Fault::Work(During::Removals, error))).unwrap_or(true)
        };
        at_each(due, act).await;
        if let Err(error) = inner.blocking(end).await {
            inner.log.fault(Fault::Work(During::Removals, &error));
        }
        tokio::time::sleep(TURN).await;
    }
}

/// Lets accounts end that are to be deleted, and the last of whose moments has come.
fn end(inner: &Inner) -> Result<(), Fail> {
    let now = inner.now();
    for account in inner.store.accounts_at_their_end(now, now.before(ABANDONED))? {
        inner.store.delete_account(account, |name| inner.ties.found_by(name))?;
    }
    Ok(())
}

/// Asks the hub of a room, if it answers; whether it does.
async fn ask(inner: &Arc<Inner>, removal: Removal, answers: bool) -> Result<bool, Fail> {
    let Removal { id, subject, room } = removal;
    let mut answered = true;
    let again = if room.domain() == inner.domain() {
        hub::remove_user(inner, room, subject).await?;
        PATIENCE
    } else {
        let hub = room.domain().clone();
        let name = room.to_string();
        let sent = if answers {
            let (about, of) = (subject.clone(), room.clone());
            let body = inner.blocking(move |inner| signed(inner, id, about, of, inner.now())).await?;
            inner.peers.post(&hub, Endpoint::RequestRemoval, &name, body, RemedyReceipt::MAX_LEN).await
        } else {
            Err(PeerError::Unreachable)
        };
        answered = !matches!(sent, Err(PeerError::Unreachable));
        match sent {
            Ok(receipt) if RemedyReceipt::decode(&receipt) == Ok(RemedyReceipt { id }) => PATIENCE,
            Ok(_) => AGAIN,
            // It is out.
            Err(PeerError::Refused(_, Some(Problem::UnknownRoom))) => {
                inner.blocking(move |inner| Ok(inner.store.out_of_room(&subject, &room)?)).await?;
                return Ok(true);
            }
            Err(error) if error.is_temporary() => AGAIN,
            Err(error) => {
                inner.log.note(Note::RemovalRefused(&hub, error));
                PATIENCE
            }
        }
    };
    inner.blocking(move |inner| Ok(inner.store.removal_asked(&id, inner.now().after(again))?)).await?;
    Ok(answered)
}

fn signed(
    inner: &Inner,
    id: [u8; 16],
    subject: mimi_pseudonym::UserUri,
    room: RoomUri,
    now: Timestamp,
) -> Result<Vec<u8>, Fail> {
    let suite = CipherSuite::X25519Aes128Ed25519;
    let tbs = RemovalRequestTbs { id, home: inner.domain().clone(), subject, room, made_at: now };
    let request = RemovalRequest::sign(tbs, suite, &keys::hub_signer(&inner.store, suite)?);
    Ok(request.map_err(|_| Fail::Fault("the hub's key cannot sign"))?.encode())
}
