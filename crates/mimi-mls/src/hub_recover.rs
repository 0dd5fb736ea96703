//! A hub that goes back behind a commit that its members refuse (`docs/profile-recovery.md`).

use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, UserUri, Wire};
use mimi_wire::{MlsMessage, SenderType, UnverifiedCommitReport};
use ring::digest::{SHA256, digest};

use crate::{HubRestoreError, HubRoom, hub_log::LogEntry};

/// A room as it was before a commit.
#[derive(Debug)]
pub struct PastRoom {
    room: HubRoom,
    entries: usize,
    committer: (UserUri, ClientUri),
    /// The users who had clients in the room and have some after the commit, without the committer's: those who have to go
    /// along with it.
    voters: BTreeSet<UserUri>,
    joined: bool,
    commit_hash: [u8; 32],
}

/// Why a report does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportRefusal {
    /// It is of another room, epoch or commit.
    #[error("the report is of another room, epoch or commit")]
    Other,
    /// The client was not in the room then, is of the user who made the commit, or of one whom the commit removes.
    #[error("the report is of none of those who have to go along")]
    Reporter,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

impl HubRoom {
    /// Reads a room from a snapshot and the log entries that came after it, up to the commit with this SHA-256 and without
    /// it; none if that commit is not among them.
    ///
    /// # Errors
    /// [`HubRestoreError`]
    pub fn restore_before<'a>(
        snapshot: &[u8],
        log: impl IntoIterator<Item = &'a [u8]>,
        commit_hash: &[u8; 32],
    ) -> Result<Option<PastRoom>, HubRestoreError> {
        let log: Vec<_> = log.into_iter().collect();
        let mut room = Self::restore(snapshot, std::iter::empty())?;
        for (entries, entry) in log.iter().copied().enumerate() {
            if let LogEntry::Commit { known, .. } = LogEntry::decode(entry)?
                && sha256(&known.commit) == *commit_hash
            {
                let joined = known.commit.sender_type() == Some(SenderType::NewMemberCommit);
                let leaf = match known.commit.sender_type() {
                    Some(SenderType::Member(index)) => room.roster.leaf(index).cloned(),
                    _ => known.added.first().cloned(),
                };
                let leaf = leaf.ok_or(HubRestoreError::Damaged)?;
                let committer = (leaf.user, leaf.client);
                let after = Self::restore(snapshot, log.iter().copied().take(entries + 1))?.users();
                let voters = room.users().intersection(&after).filter(|user| **user != committer.0).cloned().collect();
                room.tree_len = room.ratchet_tree().ok_or(HubRestoreError::Damaged)?.as_bytes().len();
                return Ok(Some(PastRoom { room, entries, committer, voters, joined, commit_hash: *commit_hash }));
            }
            room.replay(entry)?;
        }
        Ok(None)
    }
}

impl PastRoom {
    /// Verifies a member's report of the commit, and says whose it is.
    ///
    /// # Errors
    /// [`ReportRefusal`]
    pub fn verify(&self, report: UnverifiedCommitReport) -> Result<UserUri, ReportRefusal> {
        let said = report.unverified();
        if said.room != *self.room.uri() || said.epoch != self.room.epoch() || said.commit_hash != self.commit_hash {
            return Err(ReportRefusal::Other);
        }
        let leaf = self.room.roster.iter().map(|(_, leaf)| leaf).find(|leaf| leaf.client == said.client);
        let leaf = leaf.filter(|leaf| self.voters.contains(&leaf.user)).ok_or(ReportRefusal::Reporter)?;
        report.verify(&leaf.key).map_err(|_| ReportRefusal::Signature)?;
        Ok(leaf.user.clone())
    }

    /// Whether the room goes back: more than half of those who have to go along with the commit have reported it. Whom it
    /// removes need not go along.
    pub fn is_refused_by(&self, reporters: &BTreeSet<UserUri>) -> bool {
        self.voters.intersection(reporters).count() * 2 > self.voters.len()
    }

    /// Whether the committer's user was in the room, and only one other user has to go along: it is the word of one against
    /// that of the other, and nobody can tell who is right.
    pub fn is_between_two(&self) -> bool {
        self.voters.len() == 1 && self.room.users().contains(&self.committer.0)
    }

    /// User and client that made the commit.
    pub fn committer(&self) -> &(UserUri, ClientUri) {
        &self.committer
    }

    /// Whether the commit was an external one, made with the GroupInfo of this epoch.
    pub fn was_join(&self) -> bool {
        self.joined
    }

    /// How many of the log entries are still good.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The room as it was.
    pub fn room(&self) -> &HubRoom {
        &self.room
    }

    /// The room as it is again.
    pub fn into_room(self) -> HubRoom {
        self.room
    }
}

fn sha256(commit: &MlsMessage) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, commit.as_bytes()).as_ref()) {
        *to = *from;
    }
    hash
}
