//! What a device may change in a room while something was decided about its account: until the moment of its name whatever it
//! might before, so that nobody sees from its rooms when it was decided, save that it lets nobody in and comes in nowhere; and
//! leave, always.

use std::sync::Arc;

use mimi_pseudonym::{RoomUri, Wire};
use mimi_room::{ComponentId, ParticipantListUpdate};
use mimi_wire::{Problem, Proposed, SenderType, UpdateRequest};

use crate::{
    fail::Fail,
    provider::Inner,
    store::{ClientsInRoom, Device},
};

/// Refuses a change of a room by a device about whose account something was decided, unless it is how somebody leaves, or the
/// moment of its name has not come and nobody comes in.
pub(crate) async fn check_change(
    inner: &Arc<Inner>,
    device: &Device,
    room: &RoomUri,
    request: &UpdateRequest,
) -> Result<(), Fail> {
    let account = device.account;
    if !inner.blocking(move |inner| Ok(inner.store.is_suspended(account)?)).await? {
        return Ok(());
    }
    let room = room.clone();
    let found = inner.blocking(move |inner| Ok(inner.store.clients_in_room(account, &room, inner.now())?));
    let ClientsInRoom { clients, silenced } = found.await?;
    let goes_on = clients > 0 && silenced == 0 && lets_nobody_in(request);
    if goes_on || leaves(request, clients) { Ok(()) } else { Err(Problem::Forbidden.into()) }
}

/// Whether nobody comes into the room by this: neither who makes it, nor anybody who is added.
fn lets_nobody_in(request: &UpdateRequest) -> bool {
    match request {
        UpdateRequest::Commit { commit, welcome, .. } => welcome.is_none() && commit.message().joiner().is_none(),
        UpdateRequest::Proposal { .. } => true,
    }
}

/// Whether these are the proposals by which a member leaves, of whose account so many clients are in the room: to remove itself
/// and no more clients than those, and to take one user from the list. That they are its own is for the hub to see, which
/// knows who stands where; with one client in the room, as most have, it is certain here already.
fn leaves(request: &UpdateRequest, clients: u64) -> bool {
    let UpdateRequest::Proposal { proposal, more } = request else { return false };
    let Some(SenderType::Member(own)) = proposal.message().sender_type() else { return false };
    let (mut removed, mut lists, mut goes) = (0_u64, 0, false);
    for message in std::iter::once(proposal).chain(more).map(mimi_wire::ProposalMessage::message) {
        match message.proposed() {
            Some(Proposed::Remove(leaf)) => {
                removed += 1;
                goes |= *leaf == own;
            }
            Some(Proposed::SelfRemove) => {
                removed += 1;
                goes = true;
            }
            Some(Proposed::AppDataUpdate { component, update })
                if *component == ComponentId::PARTICIPANT_LIST && takes_one(update) =>
            {
                lists += 1;
            }
            _ => return false,
        }
    }
    goes && removed <= clients && lists <= 1
}

fn takes_one(update: &[u8]) -> bool {
    let Ok(ParticipantListUpdate { changed, removed, added }) = ParticipantListUpdate::decode(update) else {
        return false;
    };
    changed.is_empty() && added.is_empty() && removed.len() == 1
}

#[cfg(test)]
mod tests {
    use mimi_wire::{CommitMessage, GroupInfoOption, MlsMessage, ProposalMessage, RatchetTreeOption, Welcome, Writer};

    use super::*;

    const LEAF: u32 = 3;

    /// A public message by the member at a leaf: its kind of content, and what stands behind that.
    fn message(leaf: u32, kind: u8, rest: &[&[u8]]) -> MlsMessage {
        let mut writer = Writer::default();
        writer.u16(1);
        writer.u16(1);
        writer.vector(b"group");
        writer.u64(7);
        writer.u8(1);
        writer.u32(leaf);
        writer.vector(&[]);
        writer.u8(kind);
        MlsMessage::decode(&[&writer.into_octets(), &rest.concat()[..]].concat()).unwrap()
    }

    /// A proposal by the member at a leaf, with what stands in it.
    fn by(leaf: u32, proposal: &[u8]) -> ProposalMessage {
        let (signature, membership_tag) = ([1, 0xee], [1, 0xee]);
        message(leaf, 2, &[proposal, &signature, &membership_tag]).try_into().unwrap()
    }

    fn remove(leaf: u8) -> Vec<u8> {
        vec![0, 3, 0, 0, 0, leaf]
    }

    fn list(update: &ParticipantListUpdate) -> Vec<u8> {
        let update = update.encode();
        [&[0, 8, 0, 0x22, 1, u8::try_from(update.len()).unwrap()][..], &update].concat()
    }

    fn request(proposals: &[Vec<u8>]) -> UpdateRequest {
        let mut proposals = proposals.iter().map(|proposal| by(LEAF, proposal));
        UpdateRequest::Proposal { proposal: proposals.next().unwrap(), more: proposals.collect() }
    }

    #[test]
    fn to_leave_is_let_through_and_nothing_else_is() {
        let off = list(&ParticipantListUpdate { removed: vec![5], ..ParticipantListUpdate::default() });
        let self_remove = vec![0, 10];
        for (proposals, clients) in [
            (vec![remove(3)], 1),
            (vec![remove(3), off.clone()], 1),
            (vec![remove(8), remove(3), off.clone()], 2),
            (vec![self_remove.clone(), off.clone()], 1),
        ] {
            assert!(leaves(&request(&proposals), clients), "{proposals:?}");
        }
        let two = list(&ParticipantListUpdate { removed: vec![5, 6], ..ParticipantListUpdate::default() });
        let role = mimi_room::RoleAssignment { index: 5, role: 4 };
        let promotes = list(&ParticipantListUpdate { changed: vec![role], ..ParticipantListUpdate::default() });
        let member = "mimi://a.example/u/alice".parse().unwrap();
        let adds = list(&ParticipantListUpdate::add(member, 2));
        let other_component = [&[0, 8, 0, 0x23, 1, 1, 0][..]].concat();
        for (proposals, clients) in [
            (vec![off.clone()], 1),
            (vec![remove(4)], 1),
            (vec![remove(4), off.clone()], 1),
            (vec![remove(3), remove(4), off.clone()], 1),
            (vec![remove(3), two], 1),
            (vec![remove(3), off.clone(), off.clone()], 1),
            (vec![remove(3), promotes], 1),
            (vec![remove(3), adds], 1),
            (vec![remove(3), other_component], 1),
            (vec![remove(3), vec![0, 9, 0, 1, 1, 5]], 1),
            (vec![remove(3)], 0),
        ] {
            assert!(!leaves(&request(&proposals), clients), "{proposals:?}");
        }
    }

    #[test]
    fn a_commit_does_not_leave_and_lets_nobody_in_without_a_welcome() {
        // No proposals, no path; the signature, the confirmation tag and the membership tag.
        let commit = CommitMessage::try_from(message(LEAF, 3, &[&[0, 0, 1, 0xee, 1, 0xee, 1, 0xee]])).unwrap();
        let group_info = GroupInfoOption::Partial(mimi_wire::PartialGroupInfo {
            group_info_extensions: mimi_wire::Extensions::empty(),
            signature: vec![],
            ratchet_tree_presence: mimi_wire::RatchetTreePresence::NoRatchetTree,
        });
        let with = |welcome: Option<Welcome>| UpdateRequest::Commit {
            commit: commit.clone(),
            welcome,
            group_info: group_info.clone(),
            ratchet_tree: RatchetTreeOption::DistributionService,
        };
        assert!(!leaves(&with(None), 1));
        assert!(lets_nobody_in(&with(None)));
        // Of cipher suite 1, for nobody, with nothing in it.
        assert!(!lets_nobody_in(&with(Some(Welcome::decode(&[0, 1, 0, 0]).unwrap()))));
        assert!(lets_nobody_in(&request(&[remove(4)])));
    }
}
