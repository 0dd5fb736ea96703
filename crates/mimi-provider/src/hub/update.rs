use std::{collections::BTreeSet, sync::Arc};

use mimi_mls::{AcceptedCommit, Admission, CommitBundle, CommitRefusal, HubProposals, HubRoom, Moderated};
use mimi_pseudonym::{Domain, PublicKey, RoomUri, Timestamp, Wire};
use mimi_room::{Members, RoomPurpose};
use mimi_wire::{
    CommitMessage, FanoutEvent, FanoutMessage, GroupInfoOption, Problem, RatchetTree, RatchetTreeOption,
    RatchetTreePresence, UpdateOutcome, UpdateRequest, UpdateRoomResponse, Welcome,
};

use super::{
    Requester,
    audience::{Audience, audience, changes},
    for_inbox, for_peers,
    group_info::key_hash,
    guests,
    propose::{proposals_hash, propose},
    rooms,
};
use crate::{
    abuse,
    fail::Fail,
    hash,
    provider::Inner,
    store::{CommitRecord, Hash, JoinRecord},
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
        let hash = request_hash(&request);
        if let Some(accepted) = inner.store.accepted_at(&room, &hash)? {
            return Ok(taken(accepted));
        }
        let arrival = arrival(inner, hub, &room, &request)?;
        // Who is no member of the room, and was not given what it needs to join, is told nothing about it.
        if !hub.domains().contains(from) && arrival.is_none() {
            return Err(Problem::UnknownRoom.into());
        }
        if let UpdateRequest::Proposal { proposal, more } = request {
            let proposals = std::iter::once(proposal).chain(more).collect();
            return propose(inner, hub, from, proposals).or_else(|error| behind(inner, slot, &room, &hash, error));
        }
        let offered = match offered(hub, request) {
            Ok(offered) => offered,
            Err(answer) => return Ok(answer),
        };
        // A commit that adds clients is never replayed from the log: KeyPackages are checked again then, and would be found
        // expired one day.
        let with_snapshot = offered.bundle.welcome.is_some() || (hub.epoch() + 1).is_multiple_of(SNAPSHOT_EVERY);
        let now = inner.now();
        let references = offered.bundle.welcome.as_ref().map(Welcome::key_package_refs).unwrap_or_default();
        if !references.is_empty() && inner.store.were_used(references, now)? {
            return Ok(refused("a KeyPackage was used before"));
        }
        let before = Before { waiting: hub.additions(), members: hub.members().clone(), audience: audience(hub) };
        let accepted = match &arrival {
            Some(_) if guests::is_full(inner, hub) => return Ok(refused("the room is full")),
            Some(arrival) => {
                hub.accept_join(&offered.bundle, from, &arrival.admission, with_snapshot, &inner.trust, now)
            }
            None => hub.accept(&offered.bundle, from, with_snapshot, &inner.trust, now),
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => return Ok(response(&refusal)),
        };
        // From here on the room in memory is ahead of the one in the store: it is kept only if the store follows.
        if offered.tree.as_ref().is_some_and(|tree| *tree != accepted.ratchet_tree) {
            *slot = None;
            return Ok(refused("the ratchet tree is not the group's"));
        }
        // Nobody brings in whom the hub has banned, nor does it come by itself, with whatever client.
        match brings_a_banned(inner, hub, &before) {
            Ok(false) => {}
            Ok(true) => {
                *slot = None;
                return Ok(refused("a user is banned from the room"));
            }
            Err(error) => {
                *slot = None;
                return Err(error);
            }
        }
        let again = match again(inner, hub, &accepted, now) {
            Ok(again) => again,
            Err(error) => return behind(inner, slot, &room, &hash, error),
        };
        let stored = store(inner, hub, Taken { again, hash, now, offered, accepted: &accepted, before, arrival });
        match stored {
            Ok(()) => Ok(taken(now)),
            Err(error) => behind(inner, slot, &room, &hash, error),
        }
    })
    .await
}

/// What could not be stored: the room is read again, and if somebody else was faster, the requester is told so.
fn behind(
    inner: &Inner,
    slot: &mut Option<HubRoom>,
    room: &RoomUri,
    hash: &Hash,
    error: Fail,
) -> Result<UpdateRoomResponse, Fail> {
    *slot = None;
    if matches!(&error, Fail::Store(error) if error.is_stale()) { overtaken(inner, room, hash) } else { Err(error) }
}

/// How the client comes that joins by an external commit.
struct Arrival {
    admission: Admission,
    key_hash: Hash,
    code_hash: Option<Hash>,
}

/// What is known of a client that joins: whether it was given the GroupInfo, and which code it has shown; none if it is
/// no external commit, or one of somebody who was not given anything.
fn arrival(inner: &Inner, hub: &HubRoom, room: &RoomUri, request: &UpdateRequest) -> Result<Option<Arrival>, Fail> {
    let UpdateRequest::Commit { commit, .. } = request else { return Ok(None) };
    let Some((key, _)) = commit.message().joiner() else { return Ok(None) };
    let Ok(key) = PublicKey::new(hub.suite().signature_scheme(), key) else { return Ok(None) };
    let (key_hash, now) = (key_hash(&key), inner.now());
    let Some(visitor) = inner.store.visitor(room, &key_hash, now)? else { return Ok(None) };
    if inner.store.is_closed(room)? {
        return Ok(None);
    }
    let link = match &visitor.code_hash {
        Some(code) => inner.store.link(room, code, now)?,
        None => None,
    };
    let admission = link.as_ref().map_or(Admission::Open, |link| Admission::Code { key, role: link.role });
    Ok(Some(Arrival { admission, key_hash, code_hash: link.map(|link| link.code_hash) }))
}

/// Whether a client has come in whose user is banned, or itself is.
fn brings_a_banned(inner: &Inner, hub: &HubRoom, before: &Before) -> Result<bool, Fail> {
    for (user, client) in hub.members().iter() {
        if before.members.user_of(client).is_none() && abuse::is_banned(inner, hub.uri(), user, client)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The room before a commit.
struct Before {
    waiting: u64,
    members: Members,
    audience: Audience,
}

/// Another process was faster: it has accepted the same commit, or another one, or used one of the KeyPackages.
fn overtaken(inner: &Inner, room: &RoomUri, hash: &Hash) -> Result<UpdateRoomResponse, Fail> {
    if let Some(accepted) = inner.store.accepted_at(room, hash)? {
        return Ok(taken(accepted));
    }
    let current = inner.store.room_epoch(room)?.ok_or(Problem::UnknownRoom)?;
    Ok(response(&CommitRefusal::WrongEpoch { current }))
}

fn request_hash(request: &UpdateRequest) -> Hash {
    match request {
        UpdateRequest::Commit { commit, .. } => hash(&[b"commit", &commit.encode()]),
        UpdateRequest::Proposal { proposal, more } => {
            proposals_hash(&std::iter::once(proposal.clone()).chain(more.iter().cloned()).collect::<Vec<_>>())
        }
    }
}

/// What a request offers, or the answer why that is not taken. Of the GroupInfo a committer may send what the hub cannot work
/// out by itself (draft-mahy-mls-ratchet-tree-options-02, section 4).
fn offered(hub: &HubRoom, request: UpdateRequest) -> Result<Offered, UpdateRoomResponse> {
    let UpdateRequest::Commit { commit, welcome, group_info, ratchet_tree } = request else {
        return Err(refused("no commit"));
    };
    let tree = match ratchet_tree {
        RatchetTreeOption::DistributionService => None,
        RatchetTreeOption::Full(tree) => Some(tree),
        RatchetTreeOption::HttpsUri { .. } | RatchetTreeOption::OutOfBand { .. } => {
            return Err(refused("the ratchet tree is taken whole or not at all"));
        }
    };
    let message = commit.clone().into_message();
    let group_info = match group_info {
        GroupInfoOption::Full(group_info) => group_info,
        GroupInfoOption::Partial(partial) if partial.ratchet_tree_presence != RatchetTreePresence::NoRatchetTree => {
            return Err(refused("the ratchet tree has no place in the GroupInfo"));
        }
        GroupInfoOption::Partial(partial) => hub.complete(&message, &partial).map_err(|refusal| response(&refusal))?,
    };
    let bundle = CommitBundle { commit: message, welcome, group_info };
    Ok(Offered { commit, bundle, tree })
}

/// What an external commit has made void, the hub proposes again.
fn again(
    inner: &Inner,
    hub: &mut HubRoom,
    accepted: &AcceptedCommit,
    now: Timestamp,
) -> Result<Option<HubProposals>, Fail> {
    if accepted.voided.is_empty() {
        return Ok(None);
    }
    let key = inner.senders.iter().find(|key| key.suite == hub.suite()).ok_or(Fail::Fault("no key of the hub"))?;
    let proposed = hub.propose_removals(&accepted.voided, &key.key, now);
    proposed.map_err(|_| Fail::Fault("the hub cannot propose again what was made void"))
}

/// A commit that the hub has taken, and what is known of it.
struct Taken<'a> {
    again: Option<HubProposals>,
    hash: Hash,
    now: Timestamp,
    offered: Offered,
    accepted: &'a AcceptedCommit,
    before: Before,
    arrival: Option<Arrival>,
}

/// Stores the commit and everything that follows from it, and wakes those whom it concerns.
fn store(inner: &Inner, hub: &HubRoom, taken: Taken<'_>) -> Result<(), Fail> {
    let Taken { again, hash, now, offered, accepted, before, arrival } = taken;
    let room = hub.uri();
    let external_proposals = again.as_ref().map(|again| again.proposals.clone()).unwrap_or_default();
    let event = FanoutEvent::Commit { commit: offered.commit, external_proposals };
    let commit = FanoutMessage { timestamp: now, event };
    let mut outbox = for_peers(inner, &accepted.recipients, &commit);
    let welcome = offered.bundle.welcome.map(|welcome| welcome_message(welcome, now, accepted));
    if let Some(welcome) = &welcome {
        outbox.extend(for_peers(inner, &providers_of_added(inner, accepted)?, welcome));
    }
    outbox.extend(changes(inner, &before.audience, hub, now));
    let gone = before.members.users().filter(|user| hub.members().count(user) == 0);
    let gone: Vec<_> = gone.cloned().collect();
    let joined = accepted.joined.as_ref().zip(arrival.as_ref()).map(|(joined, arrival)| JoinRecord {
        user: &joined.user,
        client: &joined.client,
        key_hash: &arrival.key_hash,
        code_hash: arrival.code_hash.as_ref().filter(|_| joined.by_code),
        is_guest: hub.state().message_limit(&joined.user).is_some(),
    });
    let welcome = welcome.map(|welcome| for_inbox(room, welcome));
    let newcomer = joined.as_ref().map(|joined| joined.user);
    let moderated = against_somebody(hub.state().purpose(), &accepted.moderated);
    let facts = abuse::facts_of(inner, room, moderated, newcomer, now);
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
        reusable: &accepted.reusable,
        removed: &accepted.removed,
        waiting: before.waiting,
        again: again.as_ref().map(|again| again.accepted.log_entry.as_slice()),
        joined,
        gone: &gone,
        facts: &facts,
        judge: &|subject, facts| abuse::verdict(inner, subject, facts, now),
    };
    let stored = inner.store.accept_commit(&record);
    if let Some(user) = newcomer {
        abuse::joined(inner, user, stored.is_ok());
    }
    let (wake, decided) = stored?;
    inner.wake(&wake);
    abuse::told(inner, decided);
    Ok(())
}

/// What participants have done to others, where that says something against anybody. In a room that connects, or that people
/// knock in, to remove somebody is how it ends.
fn against_somebody(purpose: RoomPurpose, moderated: &[Moderated]) -> &[Moderated] {
    match purpose {
        RoomPurpose::Ordinary => moderated,
        _ => &[],
    }
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

pub(super) fn refused(word: &str) -> UpdateRoomResponse {
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
        CommitRefusal::Kind => refused("not a commit of the right kind in a PublicMessage"),
        CommitRefusal::Signature => refused("a signature does not verify"),
        CommitRefusal::Mls => refused("MLS refuses the commit"),
        CommitRefusal::ForeignCommitter => refused("the committer is no user of the provider"),
        CommitRefusal::Proposal => refused("a proposal has no place in a room"),
        CommitRefusal::CredentialReplaced => refused("a credential was replaced"),
        CommitRefusal::Credential(_) => refused("a credential does not hold"),
        CommitRefusal::NotAllowed(_) => refused("the room's policy does not allow it"),
        // None of those it holds is invalid: the committer makes it again with those that wait.
        CommitRefusal::Omits => UpdateRoomResponse {
            description: "a proposal that waits is missing".into(),
            outcome: UpdateOutcome::InvalidProposal { proposals: Vec::new() },
        },
        CommitRefusal::Leaving => refused("the committer is about to leave"),
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

    #[test]
    fn the_end_of_a_connection_or_of_a_knock_is_no_kick() {
        let user = |name: &str| format!("mimi://a.example/u/{name}").parse().unwrap();
        let kick = Moderated { by: user("alice"), of: user("bob"), what: mimi_mls::Moderation::Kick };
        let moderated = [kick];
        assert_eq!(against_somebody(RoomPurpose::Ordinary, &moderated), moderated);
        for purpose in [RoomPurpose::Connection, RoomPurpose::Knock] {
            assert_eq!(against_somebody(purpose, &moderated), []);
        }
    }
}
