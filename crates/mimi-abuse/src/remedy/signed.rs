//! What one provider says to another, signed with the key with which it signs for its own rooms.

use std::time::Duration;

use mimi_pseudonym::{CipherSuite, DecodeError, PublicKey, Reader, SignError, Signer, Timestamp, Wire, Writer};
use mimi_wire::label::{sign_with_label, verify_with_label};

/// How far a request's time may be from the present.
const AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Whether something was made too far from now to be believed.
pub(super) fn is_stale(made_at: Timestamp, now: Timestamp) -> bool {
    now.since(made_at).max(made_at.since(now)) > AGE_MAX
}

/// A request with a signature that may or may not verify.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Signed<T> {
    pub(super) tbs: T,
    pub(super) suite: CipherSuite,
    signature: Vec<u8>,
}

/// Why nothing is signed.
pub(super) enum SignedError {
    /// The signer's key is none of the suite.
    Key,
    /// The key cannot be used.
    Sign(SignError),
}

impl<T: Wire> Signed<T> {
    pub(super) fn sign(label: &str, tbs: T, suite: CipherSuite, signer: &dyn Signer) -> Result<Self, SignedError> {
        if signer.public_key().scheme() != suite.signature_scheme() {
            return Err(SignedError::Key);
        }
        let signature = sign_with_label(signer, label, &covered(&tbs, suite)).map_err(SignedError::Sign)?;
        Ok(Self { tbs, suite, signature })
    }

    /// Whether the signature is by this key.
    pub(super) fn is_by(&self, label: &str, key: &PublicKey) -> bool {
        key.scheme() == self.suite.signature_scheme()
            && verify_with_label(key, label, &covered(&self.tbs, self.suite), &self.signature).is_ok()
    }
}

/// The suite is signed as well.
fn covered<T: Wire>(tbs: &T, suite: CipherSuite) -> Vec<u8> {
    let mut writer = Writer::default();
    tbs.write(&mut writer);
    suite.write(&mut writer);
    writer.into_octets()
}

impl<T: Wire> Wire for Signed<T> {
    const MAX_LEN: usize = T::MAX_LEN + 1024;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { tbs: Wire::read(reader)?, suite: Wire::read(reader)?, signature: reader.vector()?.to_vec() })
    }

    fn write(&self, writer: &mut Writer) {
        self.tbs.write(writer);
        self.suite.write(writer);
        writer.vector(&self.signature);
    }
}
