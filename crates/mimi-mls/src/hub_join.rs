use mimi_credential::TrustStore;
use mimi_pseudonym::{Domain, PublicKey, Timestamp};
use mimi_room::{How, Refusal, Role};
use mimi_wire::SenderType;

use crate::{
    AcceptedCommit, CommitBundle, CommitRefusal, HubRoom,
    group::{Committer, effect},
    hub_commit::{Checked, Joined},
    hub_info,
    part::judge,
};

/// What a hub knows of a client that comes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: the room's policy alone says whether it may come in.
    Open,
    /// Whoever holds this key has shown a join code for this role, and the code is good for one more.
    Code {
        /// The key that signed the request in which the code was shown.
        key: PublicKey,
        /// The role that the link grants, and no other.
        role: u32,
    },
}

impl HubRoom {
    /// Checks the external commit by which a client joins, or joins again, completely, and moves the room to its epoch
    /// (draft-ietf-mimi-protocol-06, sections 5.3 and 5.6). As [`HubRoom::accept`] in all that is not said here: proposals
    /// that wait become void by it; a client that is about to leave, and one whose user is, does not come back in the
    /// same epoch. Recipients are all providers, the joiner's too.
    ///
    /// # Errors
    /// [`CommitRefusal`]; the room is unchanged then.
    pub fn accept_join(
        &mut self,
        bundle: &CommitBundle,
        peer: &Domain,
        admission: &Admission,
        with_snapshot: bool,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<AcceptedCommit, CommitRefusal> {
        self.check_framing(&bundle.commit)?;
        if bundle.commit.sender_type() != Some(SenderType::NewMemberCommit) {
            return Err(CommitRefusal::Kind);
        }
        let (staged, next) = self.stage(&bundle.commit)?;
        let how = if *admission == Admission::Open { How::ExternalCommit } else { How::JoinCode };
        let effect = effect(&staged, Committer::Joiner(how), &self.roster, self.suite, trust, now)?;
        let leaf = effect.added.first().cloned().ok_or(CommitRefusal::Kind)?;
        if leaf.client.domain() != peer {
            return Err(CommitRefusal::ForeignCommitter);
        }
        if self.is_leaving(&leaf.user, &leaf.client) {
            return Err(CommitRefusal::Leaving);
        }
        let room = self.state.at(now);
        judge(room, &effect.parts, self.roster.members())?;
        let known = self.state.participants().role_of(&leaf.user).is_some_and(|_| !room.is_banned(&leaf.user));
        let granted = next.participants().role_of(&leaf.user).unwrap_or(Role::NONE);
        let by_code = match admission {
            Admission::Code { key, role } if !known => {
                if *key != leaf.key || *role != granted {
                    return Err(Refusal::RoleChange { from: Role::NONE, to: granted }.into());
                }
                true
            }
            _ => false,
        };
        if bundle.welcome.is_some() {
            return Err(CommitRefusal::Welcome);
        }
        let signer = self.group.ext_commit_sender_index(&staged).map_err(|_| CommitRefusal::Mls)?;
        hub_info::check(bundle, &staged, &leaf.key, signer.u32())?;
        self.check_tree(bundle, 1)?;
        let joined = Some(Joined { user: leaf.user, client: leaf.client, by_code });
        self.take(bundle, Checked { staged, next, effect, added: Vec::new(), joined }, with_snapshot)
    }
}
