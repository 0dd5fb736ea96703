//! The GroupInfo that comes with a commit, and the part of it that a hub cannot work out by itself.

use mimi_pseudonym::{DecodeError, PublicKey, Reader, Wire, Writer};
use mimi_wire::{
    GroupInfo, MlsMessage, PartialGroupInfo, RatchetTreePresence, SenderType, label::verify_with_label, mls::Extensions,
};
use openmls::{group::StagedCommit, prelude::tls_codec::Serialize as _};

use crate::{CommitBundle, CommitRefusal, HubRoom};

/// The parts of a GroupInfo (RFC 9420, section 12.4.3) behind its GroupContext.
struct Tail<'a> {
    confirmation_tag: &'a [u8],
    signer: u32,
    signature: &'a [u8],
}

fn read<'a>(reader: &mut Reader<'a>) -> Result<Tail<'a>, DecodeError> {
    reader.vector()?;
    Ok(Tail { confirmation_tag: reader.vector()?, signer: reader.u32()?, signature: reader.vector()? })
}

/// A GroupInfo is signed over the whole context and the confirmation tag of the new epoch. Both have to be what the
/// commit itself leads to, and the signature the committer's.
pub(crate) fn check(
    bundle: &CommitBundle,
    staged: &StagedCommit,
    key: &PublicKey,
    signer: u32,
) -> Result<(), CommitRefusal> {
    if bundle.group_info.has_ratchet_tree() {
        return Err(CommitRefusal::GroupInfo);
    }
    let octets = bundle.group_info.as_bytes();
    let rest = tail_of(&bundle.group_info, staged).ok_or(CommitRefusal::GroupInfo)?;
    let tail = read(&mut Reader::new(&rest)).map_err(|_| CommitRefusal::GroupInfo)?;
    if Some(tail.confirmation_tag) != bundle.commit.confirmation_tag() || signer != tail.signer {
        return Err(CommitRefusal::GroupInfo);
    }
    let mut signature = Writer::default();
    signature.vector(tail.signature);
    let signed = octets.strip_suffix(signature.into_octets().as_slice()).ok_or(CommitRefusal::GroupInfo)?;
    verify_with_label(key, "GroupInfoTBS", signed, tail.signature).map_err(|_| CommitRefusal::GroupInfo)
}

/// What stands in a GroupInfo behind the context of the epoch that a commit leads to; none if it has another context.
pub(crate) fn tail_of(info: &GroupInfo, staged: &StagedCommit) -> Option<Vec<u8>> {
    let context = staged.group_context().tls_serialize_detached().ok()?;
    info.as_bytes().strip_prefix(context.as_slice()).map(<[u8]>::to_vec)
}

/// The whole GroupInfo of the epoch that a commit leads to, of which the committer has sent only what a hub cannot work out:
/// extensions and signature. Nothing of it is checked here.
pub(crate) fn complete(
    commit: &MlsMessage,
    staged: &StagedCommit,
    partial: &PartialGroupInfo,
    signer: u32,
) -> Option<GroupInfo> {
    let mut writer = Writer::default();
    writer.raw(&staged.group_context().tls_serialize_detached().ok()?);
    partial.group_info_extensions.write(&mut writer);
    writer.vector(commit.confirmation_tag()?);
    writer.u32(signer);
    writer.vector(&partial.signature);
    GroupInfo::decode(&writer.into_octets()).ok()
}

impl CommitBundle {
    /// What a hub cannot work out of the GroupInfo by itself (draft-mahy-mls-ratchet-tree-options-02, section 4): it takes
    /// this in place of the whole, which contains the room's state.
    pub fn partial_group_info(&self) -> Option<PartialGroupInfo> {
        let mut reader = Reader::new(self.group_info.as_bytes());
        // The GroupContext: version, cipher suite, group, epoch; tree hash, confirmed transcript hash, extensions.
        reader.u16().ok()?;
        reader.u16().ok()?;
        reader.vector().ok()?;
        reader.u64().ok()?;
        for _ in 0..3 {
            reader.vector().ok()?;
        }
        let group_info_extensions = Extensions::read(&mut reader).ok()?;
        // The confirmation tag stands in the commit too, and who the signer is the hub sees.
        reader.vector().ok()?;
        reader.u32().ok()?;
        let signature = reader.vector().ok()?.to_vec();
        let ratchet_tree_presence = RatchetTreePresence::NoRatchetTree;
        Some(PartialGroupInfo { ratchet_tree_presence, group_info_extensions, signature })
    }
}

impl HubRoom {
    /// Puts the whole GroupInfo together from what a committer has sent in its place: the context is the one that the commit
    /// leads to. Whether it is signed rightly is checked with the commit.
    ///
    /// # Errors
    /// [`CommitRefusal`] if the commit cannot be read as one of this epoch; [`CommitRefusal::GroupInfo`] if the ratchet tree
    /// is to stand in the GroupInfo, or the parts make none.
    pub fn complete(&self, commit: &MlsMessage, partial: &PartialGroupInfo) -> Result<GroupInfo, CommitRefusal> {
        self.check_framing(commit)?;
        if partial.ratchet_tree_presence != RatchetTreePresence::NoRatchetTree {
            return Err(CommitRefusal::GroupInfo);
        }
        let (staged, _) = self.stage(commit)?;
        let signer = match commit.sender_type() {
            Some(SenderType::Member(index)) => index,
            _ => self.group.ext_commit_sender_index(&staged).map_err(|_| CommitRefusal::Mls)?.u32(),
        };
        complete(commit, &staged, partial, signer).ok_or(CommitRefusal::GroupInfo)
    }

    /// The GroupInfo of the present epoch, without ratchet tree, as the one who made the epoch has signed it.
    pub fn group_info(&self) -> Option<GroupInfo> {
        let mut octets = self.group.group_context().tls_serialize_detached().ok()?;
        octets.extend_from_slice(&self.info);
        GroupInfo::decode(&octets).ok()
    }
}
