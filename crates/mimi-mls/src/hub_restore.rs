use mimi_pseudonym::Wire;

use crate::{HubRestoreError, HubRoom, hub_log::LogEntry};

impl HubRoom {
    /// Applies what was accepted before.
    pub(crate) fn replay(&mut self, entry: &[u8]) -> Result<(), HubRestoreError> {
        match LogEntry::decode(entry)? {
            LogEntry::Commit { known, info } => {
                let (staged, next) = self.stage(&known.commit).map_err(|_| HubRestoreError::Damaged)?;
                let effect = known.effect(&staged);
                self.info = info;
                self.merge(staged, next, effect, false).map_err(|_| HubRestoreError::Damaged)?;
            }
            LogEntry::Proposals { accepted, proposals } => {
                let queued = proposals.iter().map(|proposal| self.read_proposal(proposal));
                let queued = queued.collect::<Result<_, _>>().map_err(|_| HubRestoreError::Damaged)?;
                self.keep(proposals, queued, accepted).map_err(|_| HubRestoreError::Damaged)?;
            }
        }
        Ok(())
    }
}
