use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use mimi_wire::MlsMessage;
use openmls::group::StagedCommit;

use crate::{
    group::{Effect, removed_leaves},
    identity::Leaf,
};

/// A commit that was checked before it was stored, and the leaves it adds, whose credentials were verified then: they
/// are not looked at again, for they may have run out since.
pub(crate) struct KnownCommit {
    pub(crate) commit: MlsMessage,
    pub(crate) added: Vec<Leaf>,
}

impl KnownCommit {
    /// What it does to the roster.
    pub(crate) fn effect(self, staged: &StagedCommit) -> Effect {
        Effect { added: self.added, removed: removed_leaves(staged).collect(), ..Effect::default() }
    }
}

impl Wire for KnownCommit {
    const MAX_LEN: usize = 1 << 24;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let commit = MlsMessage::decode(reader.vector()?)?;
        Ok(Self { commit, added: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.vector(self.commit.as_bytes());
        writer.list(&self.added);
    }
}
