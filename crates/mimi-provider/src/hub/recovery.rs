//! Going back behind a commit that the members of a room refuse: `docs/profile-recovery.md`.

use std::sync::Arc;

use mimi_mls::{HubRoom, PastRoom};
use mimi_pseudonym::{ClientUri, RoomUri};
use mimi_wire::{FanoutEvent, FanoutMessage, Problem, RollbackTbs, UnverifiedCommitReport, UnverifiedRollback};

use super::{
    Requester,
    audience::{audience, changes},
    for_inbox, for_peers, rooms,
};
use crate::{fail::Fail, limiter::Name, log::Note, provider::Inner, store::RollbackRecord};

/// A member says that it cannot go along with a commit. If enough do, the room goes back behind it.
pub(crate) async fn report(
    inner: &Arc<Inner>,
    requester: Requester,
    room: RoomUri,
    report: UnverifiedCommitReport,
) -> Result<(), Fail> {
    if report.unverified().client.domain() != requester.domain(inner) {
        return Err(Problem::ForeignUser.into());
    }
    // It takes some work to look: what leads to nothing is not asked for often.
    let names = [Name::From(report.unverified().client.to_string())];
    if !inner.limiter.allows(&names, inner.now()) {
        return Err(Problem::RateLimited.into());
    }
    inner.limiter.refused(&names, inner.now());
    rooms::with(inner, room.clone(), move |inner, slot| {
        let hub = slot.as_mut().ok_or(Problem::UnknownRoom)?;
        let domains = hub.domains();
        let hash = report.unverified().commit_hash;
        let stored = inner.store.past_of(&room)?.ok_or(Problem::UnknownRoom)?;
        let log = stored.log.iter().map(|(_, entry)| entry.as_slice());
        let past = HubRoom::restore_before(&stored.snapshot, log, &hash);
        let past = past.map_err(|_| Fail::Fault("a room cannot be read from the store"))?;
        // The hub has gone back already, or it is too late.
        let Some(past) = past else {
            return if domains.contains(requester.domain(inner)) { Ok(()) } else { Err(Problem::UnknownRoom.into()) };
        };
        let user = past.verify(report).map_err(|_| Problem::SignatureInvalid)?;
        // Who has been removed since need not go along with anything: or it would have its own removal taken back, by a report
        // of something that came before.
        if hub.members().count(&user) == 0 {
            return Err(Problem::SignatureInvalid.into());
        }
        let mut reporters = inner.store.add_report(&room, &hash, &user)?;
        reporters.retain(|user| hub.members().count(user) > 0);
        if !past.is_refused_by(&reporters) {
            return Ok(());
        }
        let before =
            past.entries().checked_sub(1).and_then(|at| stored.log.get(at)).map_or(stored.base, |(seq, _)| *seq);
        let done = go_back(inner, hub, past, hash, before);
        // What is in memory is void, or was not stored.
        *slot = None;
        done
    })
    .await
}

fn go_back(inner: &Inner, hub: &HubRoom, past: PastRoom, hash: [u8; 32], last: i64) -> Result<(), Fail> {
    let (now, heard, mut domains) = (inner.now(), audience(hub), hub.domains());
    let key = inner.senders.iter().find(|key| key.suite == hub.suite()).ok_or(Fail::Fault("no key of the hub"))?;
    let (from, closed, committer) = (hub.epoch(), past.was_join(), past.committer().1.clone());
    // Between two nobody can tell whether the commit was bad or the report: to put out whoever is accused would give either of
    // them the room.
    let spared = past.is_between_two();
    let mut room = past.into_room();
    domains.extend(room.domains());
    let proposed = match spared {
        true => None,
        false => room
            .propose_removals(std::slice::from_ref(&committer), &key.key, now)
            .map_err(|_| Fail::Fault("the hub cannot propose to remove a client"))?,
    };
    let uri = room.uri().clone();
    let tbs =
        RollbackTbs { room: uri.clone(), epoch: room.epoch(), commit_hash: hash, at: now, cipher_suite: key.suite };
    let rollback = UnverifiedRollback::sign(tbs, &key.key).map_err(|_| Fail::Fault("the hub's key cannot sign"))?;
    let mut messages = vec![FanoutMessage { timestamp: now, event: FanoutEvent::RolledBack { rollback } }];
    messages.extend(proposed.as_ref().and_then(|proposed| super::propose::fanout(now, proposed.proposals.clone())));
    let mut outbox = Vec::new();
    for message in &messages {
        outbox.extend(for_peers(inner, &domains, message));
    }
    outbox.extend(changes(inner, &heard, &room, now));
    let bodies: Vec<_> = messages.into_iter().map(|message| for_inbox(&uri, message)).collect();
    let clients: Vec<ClientUri> = room.members().iter().map(|(_, client)| client.clone()).collect();
    let record = RollbackRecord {
        room: &uri,
        now,
        from,
        to: room.epoch(),
        last,
        waiting: room.additions(),
        proposals: proposed.as_ref().map(|proposed| proposed.accepted.log_entry.as_slice()),
        out: (!spared).then_some(&committer),
        closed,
        clients: &clients,
        outbox: &outbox,
        bodies: &bodies,
    };
    inner.wake(&inner.store.roll_back(&record)?);
    inner.log.note(Note::WentBack { from, to: room.epoch() });
    Ok(())
}
