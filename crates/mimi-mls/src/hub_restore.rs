use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use mimi_wire::MlsMessage;

use crate::{HubRestoreError, HubRoom, group::Effect, identity::Leaf};

/// What the log keeps of an accepted commit: the commit, and the leaves whose credentials were verified then.
pub(crate) struct LogEntry {
    pub(crate) commit: MlsMessage,
    pub(crate) added: Vec<Leaf>,
}

impl Wire for LogEntry {
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

impl HubRoom {
    /// Applies a commit that was accepted before.
    pub(crate) fn replay(&mut self, entry: &[u8]) -> Result<(), HubRestoreError> {
        let entry = LogEntry::decode(entry)?;
        let (staged, next) = self.stage(&entry.commit).map_err(|_| HubRestoreError::Damaged)?;
        let removed = staged.remove_proposals().map(|remove| remove.remove_proposal().removed().u32()).collect();
        let effect = Effect { added: entry.added, removed, ..Effect::default() };
        self.merge(staged, next, effect, false).map_err(|_| HubRestoreError::Damaged)?;
        Ok(())
    }
}
