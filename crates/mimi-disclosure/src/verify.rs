use mimi_credential::{CertificateChain, ChainError, CredentialError, TrustStore, UnverifiedIdentity, UnverifiedLeaf};
use mimi_pseudonym::{Content, DecodeError, MessageContext, Reader, Timestamp};

use crate::{Disclosure, DisclosurePolicy, MLS_CREDENTIAL, PolicyBreach, is_media_type};

/// `CredentialType` x509 (RFC 9420, section 5.3).
pub(crate) const X509: u16 = 2;

/// An identity that someone presented, not verified yet. `Debug` shows no content.
#[derive(Clone, Debug)]
pub struct UnverifiedPresentation {
    identity: UnverifiedIdentity,
}

/// Why a message's content is no presentation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationError {
    /// The media type is not one of a presentation.
    #[error("the media type is not one of a presentation")]
    MediaType,
    /// The body is no MLS Credential.
    #[error("the body is no MLS Credential: {0}")]
    Malformed(#[from] DecodeError),
    /// The MLS Credential is of another type than x509.
    #[error("a credential of type {0} discloses nothing")]
    CredentialType(u16),
    /// The certificates are too many or too long.
    #[error("the certificates are no chain: {0}")]
    Chain(#[from] ChainError),
}

/// Why a presentation is not believed. It never leaves the device: a sender is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// What is disclosed is not what the room allows.
    #[error("the disclosure breaks the room's policy: {0}")]
    Policy(#[from] PolicyBreach),
    /// The identity certificate is not accepted.
    #[error("the identity certificate is not accepted: {0}")]
    Identity(CredentialError),
    /// The sender's leaf credential is no chain of certificates.
    #[error("the sender's leaf credential is no chain of certificates: {0}")]
    LeafChain(ChainError),
    /// The sender's leaf certificate is not accepted.
    #[error("the sender's leaf certificate is not accepted: {0}")]
    Leaf(CredentialError),
    /// The sender's leaf certificate is for another user or client than the context names.
    #[error("the sender's leaf certificate is for someone else")]
    OtherSender,
    /// Identity and leaf certificate are of different issuers.
    #[error("the identity has another issuer than the sender's leaf")]
    OtherIssuer,
    /// The disclosed account is of another domain than the sender.
    #[error("the identity is of another domain than the sender")]
    ForeignDomain,
}

impl TryFrom<&Content> for UnverifiedPresentation {
    type Error = PresentationError;

    fn try_from(content: &Content) -> Result<Self, PresentationError> {
        if !is_media_type(&content.media_type, MLS_CREDENTIAL) {
            return Err(PresentationError::MediaType);
        }
        let mut reader = Reader::new(&content.body);
        match reader.u16()? {
            X509 => {}
            other => return Err(PresentationError::CredentialType(other)),
        }
        let certificates: Vec<Vec<u8>> = reader.list()?;
        reader.finish()?;
        Ok(Self { identity: UnverifiedIdentity::new(CertificateChain::try_from(certificates)?) })
    }
}

impl UnverifiedPresentation {
    /// Verifies the obligations of draft-mahy-mimi-pseudonyms-00, section 4, in this order:
    ///
    /// 1. what is claimed is what the policy allows and requires;
    /// 2. the issuer is trusted for the domain of the account;
    /// 3. the certified key is the signature key in the sender's leaf node;
    /// 4. the certificates are valid now, by the rules of X.509;
    /// 5. key binding: the message was signed with that key, which whoever made the context has verified. The same
    ///    signature binds it to the room and the epoch, so a copy in another message is not accepted;
    /// 6. the sender's leaf certificate is verified too, is for the sender, and has the same issuer and domain.
    ///
    /// # Errors
    /// [`VerifyError`] names the first obligation that is not met.
    pub fn verify(
        self,
        context: &MessageContext,
        policy: &DisclosurePolicy,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Disclosure, VerifyError> {
        policy.check(&self.identity.claimed().map_err(VerifyError::Identity)?)?;
        let identity = self.identity.verify(context.sender_key(), trust, now).map_err(VerifyError::Identity)?;
        let chain =
            CertificateChain::try_from(context.sender_certificates().to_vec()).map_err(VerifyError::LeafChain)?;
        let leaf = UnverifiedLeaf::new(chain).verify(context.sender_key(), trust, now).map_err(VerifyError::Leaf)?;
        if leaf.user() != context.sender() || leaf.client() != context.sender_client() {
            return Err(VerifyError::OtherSender);
        }
        if identity.user().domain() != context.sender().domain() {
            return Err(VerifyError::ForeignDomain);
        }
        if identity.issuer() != leaf.issuer() {
            return Err(VerifyError::OtherIssuer);
        }
        Ok(Disclosure {
            claims: identity.claims().clone(),
            user: identity.user().clone(),
            sender: context.sender().clone(),
            issuer_domain: identity.user().domain().clone(),
        })
    }
}
