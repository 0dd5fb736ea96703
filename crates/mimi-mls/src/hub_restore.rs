use mimi_pseudonym::Wire;

use crate::{HubRestoreError, HubRoom, known::KnownCommit};

impl HubRoom {
    /// Applies a commit that was accepted before.
    pub(crate) fn replay(&mut self, entry: &[u8]) -> Result<(), HubRestoreError> {
        let entry = KnownCommit::decode(entry)?;
        let (staged, next) = self.stage(&entry.commit).map_err(|_| HubRestoreError::Damaged)?;
        let effect = entry.effect(&staged);
        self.merge(staged, next, effect, false).map_err(|_| HubRestoreError::Damaged)?;
        Ok(())
    }
}
