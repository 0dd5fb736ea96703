//! Coming in by oneself, and leaving, as a hub sees it.

use std::collections::BTreeSet;

use mimi_mls::{Admission, CommitBundle, CommitRefusal, ProposalRefusal, seal_with_label};
use mimi_pseudonym::{Domain, RoomUri, Wire};
use mimi_room::How;
use mimi_wire::{
    CommitMessage, FanoutEvent, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoOption, GroupInfoRatchetTreeTbe,
    GroupInfoResponseTbs, Problem, ProposalMessage, RatchetTreeOption, SenderType, UnverifiedCommitReport,
    UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse, UpdateOutcome, UpdateRequest, UpdateRoomResponse,
    local::{JoinLinkEntry, JoinLinkOperation, JoinLinksRequest, JoinLinksResponse},
};

use super::{World, provider::Served};

impl World {
    /// A commit or proposals of this device's, a member or not.
    pub fn update_by(&mut self, device: usize, own: &Domain, room: &RoomUri, body: &[u8]) -> Served {
        let request = UpdateRequest::decode(body).map_err(|_| Problem::Malformed)?;
        match request {
            UpdateRequest::Commit { commit, group_info: GroupInfoOption::Full(group_info), .. }
                if commit.message().sender_type() == Some(SenderType::NewMemberCommit) =>
            {
                let bundle = CommitBundle { commit: commit.clone().into_message(), welcome: None, group_info };
                self.join(device, own, room, commit, &bundle)
            }
            _ if self.providers[own].is_in_room(device, room) => self.update(own, room, body),
            _ => Err(Problem::UnknownRoom),
        }
    }

    fn join(
        &mut self,
        device: usize,
        from: &Domain,
        room: &RoomUri,
        commit: CommitMessage,
        bundle: &CommitBundle,
    ) -> Served {
        let (trust, now) = (self.trust.clone(), self.now);
        let answer = |outcome| Ok(UpdateRoomResponse { description: String::new(), outcome }.encode());
        let provider = self.providers.get_mut(room.domain()).ok_or(Problem::UnknownRoom)?;
        let key = (room.clone(), commit.encode());
        if let Some(accepted) = provider.seen.get(&key) {
            return answer(UpdateOutcome::Accepted { accepted: *accepted });
        }
        let hub = provider.rooms.get_mut(room).ok_or(Problem::UnknownRoom)?;
        // Who has shown a code, and which: any key that fits, for the commit tells who it is only when it is read.
        let mut refusal = CommitRefusal::Kind;
        let shown = provider.visitors.iter().filter(|((of, _), _)| of == room);
        let codes: Vec<_> = shown.map(|((_, key), code)| (key.clone(), *code)).collect();
        let mut ways = vec![(Admission::Open, None)];
        for (key, code) in codes {
            let Some((role, uses)) = provider.links.get(&(room.clone(), code)) else { continue };
            let key = mimi_pseudonym::PublicKey::new(self.suite.signature_scheme(), &key).unwrap();
            if *uses != Some(0) {
                ways.push((Admission::Code { key, role: *role }, Some(code)));
            }
        }
        let mut accepted = None;
        for (admission, code) in ways {
            match hub.accept_join(bundle, from, &admission, false, &trust, now) {
                Ok(done) => {
                    accepted = Some((done, code));
                    break;
                }
                Err(CommitRefusal::WrongEpoch { current }) => {
                    return answer(UpdateOutcome::WrongEpoch { current_epoch: current });
                }
                Err(other) => refusal = other,
            }
        }
        let Some((accepted, code)) = accepted else {
            self.refusals.push(refusal);
            return answer(UpdateOutcome::NotAllowed);
        };
        let joined = accepted.joined.unwrap();
        if let Some((_, Some(uses))) =
            code.filter(|_| joined.by_code).and_then(|code| provider.links.get_mut(&(room.clone(), code)))
        {
            *uses -= 1;
        }
        provider.seen.insert(key, now);
        let own = self.providers.get_mut(from).unwrap();
        own.members.entry(room.clone()).or_default().insert(joined.client, device);
        self.fan_out(room, FanoutEvent::Commit { commit, external_proposals: Vec::new() }, &accepted.recipients);
        answer(UpdateOutcome::Accepted { accepted: now })
    }

    pub fn propose(
        &mut self,
        from: &Domain,
        room: &RoomUri,
        proposal: ProposalMessage,
        more: Vec<ProposalMessage>,
    ) -> Served {
        let now = self.now;
        let answer = |outcome| Ok(UpdateRoomResponse { description: String::new(), outcome }.encode());
        let provider = self.providers.get_mut(room.domain()).unwrap();
        let key = (room.clone(), proposal.encode());
        if let Some(accepted) = provider.seen.get(&key) {
            return answer(UpdateOutcome::Accepted { accepted: *accepted });
        }
        let hub = provider.rooms.get_mut(room).ok_or(Problem::UnknownRoom)?;
        let all: Vec<_> = std::iter::once(proposal.clone()).chain(more.clone()).collect();
        match hub.propose(&all, from, now) {
            Ok(accepted) => {
                provider.seen.insert(key, now);
                self.fan_out(room, FanoutEvent::Proposal { proposal, more }, &accepted.recipients);
                answer(UpdateOutcome::Accepted { accepted: now })
            }
            Err(ProposalRefusal::WrongEpoch { current }) => {
                answer(UpdateOutcome::WrongEpoch { current_epoch: current })
            }
            Err(refusal) => {
                self.proposals_refused.push(refusal);
                answer(UpdateOutcome::NotAllowed)
            }
        }
    }

    pub(super) fn group_info(&mut self, room: &RoomUri, body: &[u8]) -> Served {
        let request = UnverifiedGroupInfoRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let request = request.verify().map_err(|_| Problem::SignatureInvalid)?;
        let tbs = request.tbs();
        let refused = || Ok(UnverifiedGroupInfoResponse::not_authorized(room.clone()).encode());
        let provider = self.providers.get_mut(room.domain()).ok_or(Problem::UnknownRoom)?;
        let Some(hub) = provider.rooms.get(room) else { return refused() };
        let code = tbs.joining_code.as_ref().map(|code| *mimi_link::JoinCodeHash::of(code).as_bytes());
        if let Some(code) = code {
            match provider.links.get(&(room.clone(), code)) {
                Some((_, uses)) if *uses != Some(0) => {}
                _ => return refused(),
            }
            provider.visitors.insert((room.clone(), tbs.requesting_signature_key.as_bytes().to_vec()), code);
        }
        let chain =
            mimi_credential::CertificateChain::try_from(tbs.requesting_credential.certificates().unwrap().to_vec());
        let leaf = mimi_credential::UnverifiedLeaf::new(chain.unwrap());
        let leaf = leaf.verify(&tbs.requesting_signature_key, &self.trust, self.now).unwrap();
        let how = if code.is_some() { How::JoinCode } else { How::ExternalCommit };
        if hub.state().at(self.now).may_join(leaf.user(), leaf.client(), how).is_err() {
            return refused();
        }
        let content = GroupInfoRatchetTreeTbe {
            group_info: hub.group_info().unwrap(),
            ratchet_tree: RatchetTreeOption::Full(hub.ratchet_tree().unwrap()),
            pending_proposals: hub.pending_proposals(),
        };
        let content = match &self.swap {
            Some(swap) => swap.clone(),
            None => content,
        };
        let sealed = seal_with_label(
            tbs.cipher_suite,
            &tbs.group_info_public_key,
            GROUP_INFO_ENCRYPTION_LABEL,
            room.as_str().as_bytes(),
            &content.encode(),
        );
        let tbs = GroupInfoResponseTbs {
            room: room.clone(),
            cipher_suite: tbs.cipher_suite,
            hub_sender: provider.sender.clone(),
            encrypted_group_info_and_tree: sealed.unwrap(),
        };
        Ok(UnverifiedGroupInfoResponse::sign(tbs, &provider.hub_key).unwrap().encode())
    }

    pub(super) fn join_links(&mut self, room: &RoomUri, body: &[u8]) -> Served {
        let request = JoinLinksRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let provider = self.providers.get_mut(room.domain()).ok_or(Problem::UnknownRoom)?;
        let hub = provider.rooms.get(room).ok_or(Problem::UnknownRoom)?;
        assert!(hub.state().participants().role_of(&request.participant).is_some());
        match request.operation {
            JoinLinkOperation::Create { code_hash, role, uses, .. } => {
                provider.links.insert((room.clone(), code_hash), (role, uses));
            }
            JoinLinkOperation::Revoke { code_hash } => drop(provider.links.remove(&(room.clone(), code_hash))),
            JoinLinkOperation::List => {}
        }
        let links =
            provider.links.iter().filter(|((of, _), _)| of == room).map(|((_, hash), (role, uses))| JoinLinkEntry {
                code_hash: *hash,
                role: *role,
                uses_left: *uses,
                expires: None,
                maker: request.participant.clone(),
            });
        Ok(JoinLinksResponse { links: links.collect() }.encode())
    }

    pub(super) fn report(&mut self, room: &RoomUri, body: &[u8]) -> Served {
        let report = UnverifiedCommitReport::decode(body).map_err(|_| Problem::Malformed)?;
        let provider = self.providers.get_mut(room.domain()).ok_or(Problem::UnknownRoom)?;
        provider.reports.push(report.unverified().clone());
        Ok(Vec::new())
    }

    /// The devices whose clients are in a room by what its hub says.
    pub fn devices_in(&self, room: &RoomUri) -> BTreeSet<usize> {
        let clients = self.providers[room.domain()].rooms[room].clients();
        let find = |client| self.providers.values().find_map(|p| p.members.get(room).and_then(|all| all.get(client)));
        clients.iter().filter_map(|(_, client)| find(client)).copied().collect()
    }
}
