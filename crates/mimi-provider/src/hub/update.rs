use std::{collections::BTreeSet, sync::Arc};

use mimi_mls::{AcceptedCommit, CommitBundle, CommitRefusal};
use mimi_pseudonym::{Domain, RoomUri, Timestamp, Wire};
use mimi_wire::{
    CommitMessage, FanoutEvent, FanoutMessage, GroupInfoOption, Problem, RatchetTree, RatchetTreeOption, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse, Welcome,
};

use super::{Requester, for_inbox, for_peers, rooms};
use crate::{
    fail::Fail,
    hash,
    provider::Inner,
    store::{CommitRecord, Hash},
};

/// The most commits between two snapshots of a room.
const SNAPSHOT_EVERY: u64 = 32;

/// A commit with what has to come with it.
struct Offered {
    commit: CommitMessage,
    bundle: CommitBundle,
    /// The tree, if the committer sent it: it has to be the one the hub gets.
    tree: Option<RatchetTree>,
}

/// Takes a change of a room (draft-ietf-mimi-protocol-06, section 5.3) and fans it out, to the committer's provider too.
/// The same commit once more gets the same answer and is not fanned out again.
pub(crate) async fn update(
    inner: &Arc<Inner>,
    requester: Requester,
    room: RoomUri,
    request: UpdateRequest,
) -> Result<UpdateRoomResponse, Fail> {
    rooms::with(inner, room.clone(), move |inner, slot| {
        let hub = slot.as_mut().ok_or(Problem::UnknownRoom)?;
        let from = requester.domain(inner);
        let offered = match offered(request) {
            Ok(offered) if hub.domains().contains(from) => offered,
            Err(word) if hub.domains().contains(from) => return Ok(refused(word)),
            // The last client of a provider may have removed itself and ask again for the answer.
            Ok(offered) => match inner.store.accepted_at(&room, &commit_hash(&offered))? {
                Some(accepted) => return Ok(taken(accepted)),
                None => return Err(Problem::UnknownRoom.into()),
            },
            Err(_) => return Err(Problem::UnknownRoom.into()),
        };
        let hash = commit_hash(&offered);
        if let Some(accepted) = inner.store.accepted_at(&room, &hash)? {
            return Ok(taken(accepted));
        }
        // A commit that adds clients is never replayed from the log: KeyPackages are checked again then, and would be found
        // expired one day.
        let with_snapshot = offered.bundle.welcome.is_some() || (hub.epoch() + 1).is_multiple_of(SNAPSHOT_EVERY);
        let now = inner.now();
        let references = offered.bundle.welcome.as_ref().map(Welcome::key_package_refs).unwrap_or_default();
        if !references.is_empty() && inner.store.were_used(references, now)? {
            return Ok(refused("a KeyPackage was used before"));
        }
        let accepted = match hub.accept(&offered.bundle, from, with_snapshot, &inner.trust, now) {
            Ok(accepted) => accepted,
            Err(refusal) => return Ok(response(&refusal)),
        };
        // From here on the room in memory is ahead of the one in the store: it is kept only if the store follows.
        if offered.tree.as_ref().is_some_and(|tree| *tree != accepted.ratchet_tree) {
            *slot = None;
            return Ok(refused("the ratchet tree is not the group's"));
        }
        match store(inner, &room, hash, now, offered, &accepted) {
            Ok(()) => Ok(taken(now)),
            Err(error) => {
                *slot = None;
                if matches!(&error, Fail::Store(error) if error.is_stale()) {
                    overtaken(inner, &room, &hash)
                } else {
                    Err(error)
                }
            }
        }
    })
    .await
}

/// Another process was faster: it has accepted the same commit, or another one, or used one of the KeyPackages.
fn overtaken(inner: &Inner, room: &RoomUri, hash: &Hash) -> Result<UpdateRoomResponse, Fail> {
    if let Some(accepted) = inner.store.accepted_at(room, hash)? {
        return Ok(taken(accepted));
    }
    let current = inner.store.room_epoch(room)?.ok_or(Problem::UnknownRoom)?;
    Ok(response(&CommitRefusal::WrongEpoch { current }))
}

fn commit_hash(offered: &Offered) -> Hash {
    hash(&[b"commit", &offered.bundle.commit.encode()])
}

/// What a request offers, or a word why that is not taken.
fn offered(request: UpdateRequest) -> Result<Offered, &'static str> {
    let UpdateRequest::Commit { commit, welcome, group_info, ratchet_tree } = request else {
        return Err("proposals on their own are not taken");
    };
    let GroupInfoOption::Full(group_info) = group_info else { return Err("a partial GroupInfo is not taken") };
    let tree = match ratchet_tree {
        RatchetTreeOption::DistributionService => None,
        RatchetTreeOption::Full(tree) => Some(tree),
        RatchetTreeOption::HttpsUri { .. } | RatchetTreeOption::OutOfBand { .. } => {
            return Err("the ratchet tree is taken whole or not at all");
        }
    };
    let bundle = CommitBundle { commit: commit.clone().into_message(), welcome, group_info };
    Ok(Offered { commit, bundle, tree })
}

/// Stores the commit and everything that follows from it, and wakes those whom it concerns.
fn store(
    inner: &Inner,
    room: &RoomUri,
    hash: Hash,
    now: Timestamp,
    offered: Offered,
    accepted: &AcceptedCommit,
) -> Result<(), Fail> {
    let event = FanoutEvent::Commit { commit: offered.commit, external_proposals: Vec::new() };
    let commit = FanoutMessage { timestamp: now, event };
    let mut outbox = for_peers(inner, &accepted.recipients, &commit);
    let welcome = offered.bundle.welcome.map(|welcome| welcome_message(welcome, now, accepted));
    if let Some(welcome) = &welcome {
        outbox.extend(for_peers(inner, &providers_of_added(inner, accepted)?, welcome));
    }
    let welcome = welcome.map(|welcome| for_inbox(room, welcome));
    let record = CommitRecord {
        room,
        hash,
        accepted: now,
        epoch: accepted.epoch,
        log_entry: &accepted.log_entry,
        snapshot: accepted.snapshot.as_ref().map(mimi_mls::Snapshot::as_bytes),
        outbox: &outbox,
        commit: &for_inbox(room, commit),
        welcome: welcome.as_ref(),
        added: &accepted.added,
        removed: &accepted.removed,
    };
    inner.wake(&inner.store.accept_commit(&record)?);
    Ok(())
}

fn welcome_message(welcome: Welcome, now: Timestamp, accepted: &AcceptedCommit) -> FanoutMessage {
    let ratchet_tree = RatchetTreeOption::Full(accepted.ratchet_tree.clone());
    FanoutMessage { timestamp: now, event: FanoutEvent::Welcome { welcome, ratchet_tree } }
}

/// Who gets the Welcome: the providers that gave the KeyPackages through this hub; for one that came another way, its
/// client's.
fn providers_of_added(inner: &Inner, accepted: &AcceptedCommit) -> Result<BTreeSet<Domain>, Fail> {
    let mut domains = BTreeSet::new();
    for (reference, client) in &accepted.added {
        domains.insert(inner.store.route_of(reference)?.unwrap_or_else(|| client.domain().clone()));
    }
    Ok(domains)
}

fn taken(accepted: Timestamp) -> UpdateRoomResponse {
    UpdateRoomResponse { description: String::new(), outcome: UpdateOutcome::Accepted { accepted } }
}

fn refused(word: &str) -> UpdateRoomResponse {
    UpdateRoomResponse { description: word.into(), outcome: UpdateOutcome::NotAllowed }
}

/// What the committer is told. The words are fixed: they name neither users nor clients.
fn response(refusal: &CommitRefusal) -> UpdateRoomResponse {
    match refusal {
        CommitRefusal::WrongEpoch { current } => UpdateRoomResponse {
            description: String::new(),
            outcome: UpdateOutcome::WrongEpoch { current_epoch: *current },
        },
        CommitRefusal::OtherRoom => refused("the commit is another room's"),
        CommitRefusal::Kind => refused("not a member's commit in a PublicMessage"),
        CommitRefusal::Signature => refused("a signature does not verify"),
        CommitRefusal::Mls => refused("MLS refuses the commit"),
        CommitRefusal::ForeignCommitter => refused("the committer is no user of the provider"),
        CommitRefusal::Proposal => refused("a proposal has no place in a room"),
        CommitRefusal::CredentialReplaced => refused("a credential was replaced"),
        CommitRefusal::Credential(_) => refused("a credential does not hold"),
        CommitRefusal::NotAllowed(_) => refused("the room's policy does not allow it"),
        CommitRefusal::Welcome => refused("the Welcome is not for exactly the clients that are added"),
        CommitRefusal::GroupInfo => refused("the GroupInfo does not describe the new epoch"),
        _ => refused("refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_names_nobody() {
        let outcome = response(&CommitRefusal::WrongEpoch { current: 7 }).outcome;
        assert_eq!(outcome, UpdateOutcome::WrongEpoch { current_epoch: 7 });
        for refusal in [CommitRefusal::Signature, CommitRefusal::GroupInfo, CommitRefusal::ForeignCommitter] {
            let response = response(&refusal);
            assert_eq!(response.outcome, UpdateOutcome::NotAllowed);
            assert!(!response.description.is_empty() && !response.description.contains("mimi:"));
        }
    }
}
