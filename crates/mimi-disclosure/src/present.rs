use std::collections::BTreeSet;

use mimi_credential::{CertificateChain, ChainError, CredentialError, UnverifiedIdentity};
use mimi_pseudonym::{Content, MessageContext, Writer};

use crate::{MLS_CREDENTIAL, Selection, verify::X509};

/// What its holder can show of an identity. `Debug` shows no content.
#[derive(Clone, Debug)]
pub struct IdentityCredential(Format);

#[derive(Clone, Debug)]
enum Format {
    X509(UnverifiedIdentity),
}

/// Why a credential cannot be presented. Every receiver would refuse it; the sender learns it before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentError {
    /// The credential itself cannot be read.
    #[error("the credential cannot be presented: {0}")]
    Credential(#[from] CredentialError),
    /// The credential's claims are not exactly the selected ones, and its format can hide none.
    #[error("the credential's claims are not the selected ones")]
    Selection,
    /// The credential is for another key than the one in the sender's leaf node.
    #[error("the credential is for another key than the sender's")]
    WrongKey,
    /// The credential and the sender's leaf credential are of different issuers.
    #[error("the credential has another issuer than the sender's leaf")]
    OtherIssuer,
    /// The sender's leaf credential is no chain of certificates.
    #[error("the sender's leaf credential is no chain of certificates: {0}")]
    Leaf(#[from] ChainError),
    /// The identity's account is of another domain than the sender.
    #[error("the identity is of another domain than the sender")]
    ForeignDomain,
}

impl IdentityCredential {
    /// An identity certificate, with those above it.
    pub fn x509(chain: CertificateChain) -> Self {
        Self(Format::X509(UnverifiedIdentity::new(chain)))
    }

    /// The names of the claims it holds.
    ///
    /// # Errors
    /// [`CredentialError`] if it cannot be read.
    pub fn names(&self) -> Result<BTreeSet<mimi_pseudonym::ClaimName>, CredentialError> {
        let Format::X509(identity) = &self.0;
        Ok(identity.claimed()?.names().collect())
    }

    /// Makes the content of the message that discloses the selected claims in this context. An X.509 certificate shows
    /// all it has, so its claims must be exactly the selected ones. What binds it to the message is the message's own
    /// signature, made with the certified key.
    ///
    /// # Errors
    /// [`PresentError`] says why every receiver would refuse it.
    pub fn present(&self, selection: &Selection, context: &MessageContext) -> Result<Content, PresentError> {
        let Format::X509(identity) = &self.0;
        let claims = identity.claimed()?;
        if claims.names().collect::<BTreeSet<_>>() != *selection.names() {
            return Err(PresentError::Selection);
        }
        if !identity.is_for(context.sender_key())? {
            return Err(PresentError::WrongKey);
        }
        if !identity.names_issuer_of(&context.sender_certificates().to_vec().try_into()?)? {
            return Err(PresentError::OtherIssuer);
        }
        if identity.domain()? != *context.sender().domain() {
            return Err(PresentError::ForeignDomain);
        }
        let mut certificates = Writer::default();
        for certificate in identity.chain().certificates() {
            certificates.vector(certificate);
        }
        let mut body = Writer::default();
        body.u16(X509);
        body.vector(&certificates.into_octets());
        Ok(Content { media_type: MLS_CREDENTIAL.to_owned(), body: body.into_octets() })
    }
}
