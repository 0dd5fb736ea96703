//! The GroupInfo that comes with a commit, and the part of it that a hub cannot work out by itself.

use mimi_pseudonym::{DecodeError, PublicKey, Reader, Wire, Writer};
use mimi_wire::{GroupInfo, label::verify_with_label};
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

impl HubRoom {
    /// The GroupInfo of the present epoch, without ratchet tree, as the one who made the epoch has signed it.
    pub fn group_info(&self) -> Option<GroupInfo> {
        let mut octets = self.group.group_context().tls_serialize_detached().ok()?;
        octets.extend_from_slice(&self.info);
        GroupInfo::decode(&octets).ok()
    }
}
