//! What a member says of a commit that it cannot go along with, and what it believes of a hub that has gone back.

use mimi_pseudonym::{PublicKey, VerifyError, Wire};
use mimi_wire::{
    CommitReportTbs, ExternalSender, MlsMessage, ReportReason, RollbackTbs, UnverifiedCommitReport, UnverifiedRollback,
};
use openmls::prelude::tls_codec::Serialize as _;
use ring::digest::{SHA256, digest};

use crate::Room;

impl Room {
    /// The hub, as the room names it among its external senders.
    pub fn hub(&self) -> Option<ExternalSender> {
        let sender = self.group.extensions().external_senders()?.first()?;
        ExternalSender::decode(&sender.tls_serialize_detached().ok()?).ok()
    }

    /// Signs that this member does not go along with a commit of the present epoch, and gives the commit's SHA-256 hash
    /// too. `None` if the identity's key cannot sign.
    pub fn report(&self, commit: &MlsMessage, reason: ReportReason) -> Option<([u8; 32], UnverifiedCommitReport)> {
        let commit_hash = digest(&SHA256, commit.as_bytes()).as_ref().try_into().ok()?;
        let (room, client) = (self.uri.clone(), self.identity.client().clone());
        let tbs = CommitReportTbs { room, epoch: self.epoch(), commit_hash, reason, client };
        let report = UnverifiedCommitReport::sign(tbs, self.identity.signer()).ok()?;
        Some((commit_hash, report))
    }

    /// Checks that the hub of this very room says that it has gone back.
    ///
    /// # Errors
    /// [`VerifyError`] if another says so, or says it of another room.
    pub fn verify_rollback(&self, rollback: UnverifiedRollback) -> Result<RollbackTbs, VerifyError> {
        let hub = self.hub().ok_or(VerifyError)?;
        let scheme = self.identity.suite().signature_scheme();
        let key = PublicKey::new(scheme, &hub.signature_key).map_err(|_| VerifyError)?;
        let rollback = rollback.verify(&key)?;
        if rollback.room == self.uri { Ok(rollback) } else { Err(VerifyError) }
    }
}
