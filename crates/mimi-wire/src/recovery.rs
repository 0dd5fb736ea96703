//! How a room recovers from a commit that its hub accepted and its members refuse: our own convention, written down in
//! `docs/profile-recovery.md`.

use mimi_pseudonym::{CipherSuite, ClientUri, PublicKey, RoomUri, SignError, Signer, Timestamp, VerifyError, Wire};

use crate::{
    codec::{codes, wire_struct},
    label::{sign_with_label, verify_with_label},
};

/// Label of the signature over [`CommitReportTbs`].
const REPORT_LABEL: &str = "MimiCommitReport";

/// Label of the signature over [`RollbackTbs`].
const ROLLBACK_LABEL: &str = "MimiRollback";

codes! {
    /// Why a member does not go along with a commit.
    pub enum ReportReason: "reason" {
        /// MLS refuses it: a membership tag, a confirmation tag, a path that does not decrypt.
        Mls = 1,
        /// The room's policy does not allow it.
        Policy = 2,
        /// A credential in it does not hold.
        Credential = 3,
    }
}

/// What a member signs who cannot go along with a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitReportTbs {
    /// The room.
    pub room: RoomUri,
    /// The epoch in which the member is, and for which the commit was.
    pub epoch: u64,
    /// SHA-256 of the commit, an MLSMessage.
    pub commit_hash: [u8; 32],
    /// Why.
    pub reason: ReportReason,
    /// The member's client.
    pub client: ClientUri,
}

wire_struct!(CommitReportTbs, 4096, { room, epoch, commit_hash: array, reason, client });

/// A member's word that it cannot go along with a commit, as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedCommitReport {
    tbs: CommitReportTbs,
    signature: Vec<u8>,
}

wire_struct!(UnverifiedCommitReport, 8192, { tbs, signature });

impl UnverifiedCommitReport {
    /// Signs a report with the key in the member's leaf of that epoch.
    ///
    /// # Errors
    /// [`SignError`] if the key cannot be used.
    pub fn sign(tbs: CommitReportTbs, signer: &dyn Signer) -> Result<Self, SignError> {
        let signature = sign_with_label(signer, REPORT_LABEL, &tbs.encode())?;
        Ok(Self { tbs, signature })
    }

    /// What it says, not verified yet: to find the key that it has to be verified with.
    pub fn unverified(&self) -> &CommitReportTbs {
        &self.tbs
    }

    /// Checks the signature with the key of the member's leaf.
    ///
    /// # Errors
    /// [`VerifyError`]
    pub fn verify(self, key: &PublicKey) -> Result<CommitReportTbs, VerifyError> {
        verify_with_label(key, REPORT_LABEL, &self.tbs.encode(), &self.signature)?;
        Ok(self.tbs)
    }
}

/// What a hub signs when it has gone back to an earlier epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RollbackTbs {
    /// The room.
    pub room: RoomUri,
    /// The epoch in which the room is again.
    pub epoch: u64,
    /// SHA-256 of the commit that led out of it and is void now, an MLSMessage. All that came after it is void as well.
    pub commit_hash: [u8; 32],
    /// When the hub went back.
    pub at: Timestamp,
    /// The suite whose scheme the signature has: the room's.
    pub cipher_suite: CipherSuite,
}

wire_struct!(RollbackTbs, 4096, { room, epoch, commit_hash: array, at, cipher_suite });

/// A hub's word that it has gone back to an earlier epoch, as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedRollback {
    tbs: RollbackTbs,
    signature: Vec<u8>,
}

wire_struct!(UnverifiedRollback, 8192, { tbs, signature });

impl UnverifiedRollback {
    /// Signs with the hub's key in the room's list of external senders.
    ///
    /// # Errors
    /// [`SignError`] if the key cannot be used.
    pub fn sign(tbs: RollbackTbs, signer: &dyn Signer) -> Result<Self, SignError> {
        let signature = sign_with_label(signer, ROLLBACK_LABEL, &tbs.encode())?;
        Ok(Self { tbs, signature })
    }

    /// Checks the signature with the hub's key in the room's list of external senders.
    ///
    /// # Errors
    /// [`VerifyError`]
    pub fn verify(self, key: &PublicKey) -> Result<RollbackTbs, VerifyError> {
        verify_with_label(key, ROLLBACK_LABEL, &self.tbs.encode(), &self.signature)?;
        Ok(self.tbs)
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{DecodeError, SeededEntropy, SigningKey};

    use super::*;

    fn room() -> RoomUri {
        "mimi://a.example/r/club".parse().unwrap()
    }

    fn key(seed: u8) -> SigningKey {
        let scheme = CipherSuite::X25519Aes128Ed25519.signature_scheme();
        SigningKey::generate(scheme, &mut SeededEntropy::new([seed; 32])).unwrap()
    }

    #[test]
    fn a_report_is_good_for_what_was_signed_and_no_more() {
        let tbs = CommitReportTbs {
            room: room(),
            epoch: 7,
            commit_hash: [1; 32],
            reason: ReportReason::Mls,
            client: "mimi://b.example/d/ClientB1".parse().unwrap(),
        };
        let report = UnverifiedCommitReport::sign(tbs.clone(), &key(1)).unwrap();
        assert_eq!(UnverifiedCommitReport::decode(&report.encode()).as_ref(), Ok(&report));
        assert_eq!(report.clone().verify(key(1).public_key()), Ok(tbs.clone()));
        assert_eq!(report.clone().verify(key(2).public_key()), Err(VerifyError));
        let other = UnverifiedCommitReport { tbs: CommitReportTbs { epoch: 8, ..tbs }, ..report };
        assert_eq!(other.verify(key(1).public_key()), Err(VerifyError));
    }

    #[test]
    fn a_rollback_is_the_hubs_word() {
        let cipher_suite = CipherSuite::X25519Aes128Ed25519;
        let tbs =
            RollbackTbs { room: room(), epoch: 7, commit_hash: [1; 32], at: Timestamp::from_millis(9), cipher_suite };
        let rollback = UnverifiedRollback::sign(tbs.clone(), &key(1)).unwrap();
        assert_eq!(UnverifiedRollback::decode(&rollback.encode()).as_ref(), Ok(&rollback));
        assert_eq!(rollback.clone().verify(key(1).public_key()), Ok(tbs));
        assert_eq!(rollback.verify(key(2).public_key()), Err(VerifyError));
    }

    #[test]
    fn a_reason_that_does_not_exist() {
        assert_eq!(ReportReason::decode(&[4]), Err(DecodeError::Value { field: "reason", value: 4 }));
    }
}
