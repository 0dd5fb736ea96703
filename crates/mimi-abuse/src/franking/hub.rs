use std::fmt;

use mimi_pseudonym::{Entropy, PublicKey, SignError, Signer, Timestamp, Wire};
use mimi_wire::{
    FRANKING_INTEGRITY_LABEL, Frank, FrankAad, FrankingIntegrityTbs, ServerFrankingContext, label::sign_with_label,
};
use ring::hmac;
use zeroize::Zeroizing;

use super::commit::array;

/// `hub_key` of section 5.4.1.2: a secret that only the hub has, for a time. `Debug` shows nothing, and it is overwritten in
/// memory when it is dropped.
#[derive(Clone)]
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// A fresh key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(entropy.bits256()))
    }

    /// The octets as they are.
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, to be stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// The keys by which a hub recognises what it has stamped: a secret for each period, and every key it has signed stamps
/// with. A stamp whose secret was thrown away is no evidence any more, for anybody.
#[derive(Debug, Clone)]
pub struct HubKeys {
    /// Each with the time it is used from; the oldest first.
    secrets: Vec<(Timestamp, MacKey)>,
    pub(super) signature_keys: Vec<PublicKey>,
}

/// Why a message is not stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrankError {
    /// No secret is old enough for the time.
    #[error("there is no secret for this time")]
    NoSecret,
    /// The key that signs is not for the suite of the room, or not among those by which stamps are recognised.
    #[error("the key that signs is not the hub's for this suite")]
    Key,
    /// The key cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl HubKeys {
    /// Secrets with the times they are used from, in any order, and every key that stamps were or are signed with.
    pub fn new(mut secrets: Vec<(Timestamp, MacKey)>, signature_keys: Vec<PublicKey>) -> Self {
        secrets.sort_by_key(|(from, _)| *from);
        Self { secrets, signature_keys }
    }

    /// The secret of a time: which one it was is told by the time alone, for a stamp that is made as for one that is shown.
    pub(super) fn secret(&self, at: Timestamp) -> Option<&MacKey> {
        self.secrets.iter().rev().find(|(from, _)| *from <= at).map(|(_, key)| key)
    }

    /// Stamps a message that was accepted (section 5.4.1.2). `signer` holds the key in the room's franking agent.
    ///
    /// # Errors
    /// [`FrankError`]
    pub fn frank(
        &self,
        frank_aad: &FrankAad,
        context: ServerFrankingContext,
        cipher_suite: mimi_pseudonym::CipherSuite,
        signer: &dyn Signer,
    ) -> Result<Frank, FrankError> {
        let own = signer.public_key();
        if own.scheme() != cipher_suite.signature_scheme() || !self.signature_keys.contains(own) {
            return Err(FrankError::Key);
        }
        let secret = self.secret(context.accepted).ok_or(FrankError::NoSecret)?;
        let server_frank = array(hmac::sign(&secret.key(), &mac_input(frank_aad, &context)).as_ref());
        let tbs = FrankingIntegrityTbs { server_frank, cipher_suite, context };
        let integrity_signature = sign_with_label(signer, FRANKING_INTEGRITY_LABEL, &tbs.encode())?;
        Ok(Frank { server_frank, cipher_suite, integrity_signature })
    }

    /// Whether this hub made a stamp for this commitment and context; `None` if the secret of the time is gone. Takes as
    /// long for a stamp that is almost right as for any other.
    pub(super) fn recognises(
        &self,
        frank: &Frank,
        frank_aad: &FrankAad,
        context: &ServerFrankingContext,
    ) -> Option<bool> {
        let secret = self.secret(context.accepted)?;
        Some(hmac::verify(&secret.key(), &mac_input(frank_aad, context), &frank.server_frank).is_ok())
    }
}

fn mac_input(frank_aad: &FrankAad, context: &ServerFrankingContext) -> Vec<u8> {
    [frank_aad.franking_tag.as_slice(), &context.encode()].concat()
}
