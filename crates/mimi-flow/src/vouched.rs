//! An identity that somebody else than the own provider vouches for: a provider that does not know whose a pseudonym is cannot
//! say who is behind it. An authority below the same anchor can, which is another's business.

use mimi_credential::{CertificateChain, UnverifiedIdentity, UnverifiedLeaf};
use mimi_pseudonym::{PublicKey, UserUri};
use mimi_wire::local::IssuedDisclosure;

use crate::{CommandError, Context, Device, wallet::Held};

impl Device {
    /// The key that an identity behind one of this device's pseudonyms has to be issued for. `None` if the device has no key for it,
    /// or has it no more.
    pub fn key_of(&self, pseudonym: &UserUri) -> Option<PublicKey> {
        let identity = self.wallet.identity(pseudonym).filter(|_| pseudonym.is_pseudonym())?;
        Some(identity.signer().public_key().clone())
    }

    pub(crate) fn take_identity(
        &mut self,
        pseudonym: &UserUri,
        identity: IssuedDisclosure,
        cx: &Context<'_>,
    ) -> Result<(), CommandError> {
        let held = self.wallet.held(pseudonym).filter(|_| pseudonym.is_pseudonym());
        let mut held = held.ok_or(CommandError::NoSuchUser)?;
        if !is_below_the_same_anchor(&held, &identity, cx).unwrap_or_default() {
            return Err(CommandError::Disclosure);
        }
        held.disclosure = Some(identity);
        self.wallet.change(pseudonym, |known| known.disclosure = held.disclosure);
        Ok(())
    }
}

/// Whether receivers will believe a certificate: it is for the pseudonym's key and account of the same domain, and its path ends
/// where that of the leaf ends. Tokens are signed with the anchor's own key, which no other authority has.
fn is_below_the_same_anchor(held: &Held, identity: &IssuedDisclosure, cx: &Context<'_>) -> Option<bool> {
    let IssuedDisclosure::X509(certificates) = identity else { return None };
    let (key, user) = (held.identity.signer().public_key(), held.identity.user());
    let chain = CertificateChain::try_from(certificates.clone()).ok()?;
    let identity = UnverifiedIdentity::new(chain).verify(key, cx.trust, cx.now).ok()?;
    let leaf = UnverifiedLeaf::new(held.identity.certificates().clone()).verify(key, cx.trust, cx.now).ok()?;
    Some(identity.issuer() == leaf.issuer() && identity.user().domain() == user.domain())
}
