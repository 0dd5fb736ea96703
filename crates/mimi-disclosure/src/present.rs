use std::collections::BTreeSet;

use coset_sd_cwt::Credential;
use mimi_credential::{CertificateChain, ChainError, CredentialError, UnverifiedIdentity};
use mimi_pseudonym::{ClaimName, Content, MessageContext, Signer, Timestamp, Writer};

use crate::{
    HoldError, Holding, MLS_CREDENTIAL, SD_CWT, SD_JWT, Selection, cwt,
    held::Shown,
    jwt,
    sd_jwt::{self, HeldSdJwt},
    verify::X509,
};

/// What its holder can show of an identity. `Debug` shows no content.
#[derive(Clone, Debug)]
pub struct IdentityCredential(Format);

#[derive(Clone, Debug)]
enum Format {
    X509(UnverifiedIdentity),
    SdJwt(Box<HeldSdJwt>, Shown),
    SdCwt(Box<Credential>, Shown),
}

/// Why a credential cannot be presented. Every receiver would refuse it; the sender learns it before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentError {
    /// The credential itself cannot be read.
    #[error("the credential cannot be presented: {0}")]
    Credential(#[from] CredentialError),
    /// The credential lacks a claim that was selected, or has another one that it cannot hide.
    #[error("the credential's claims are not the selected ones")]
    Selection,
    /// The credential or the signer is for another key than the one in the sender's leaf node.
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
    /// The SD-JWT cannot be presented.
    #[error("the SD-JWT cannot be presented: {0}")]
    SdJwt(sd_jwt::PresentError),
    /// The SD-CWT cannot be presented: so also where its times do not let it be presented now.
    #[error("the SD-CWT cannot be presented: {0}")]
    SdCwt(coset_sd_cwt::PresentError),
}

impl IdentityCredential {
    /// An identity certificate, with those above it.
    pub fn x509(chain: CertificateChain) -> Self {
        Self(Format::X509(UnverifiedIdentity::new(chain)))
    }

    /// An SD-JWT in compact form, as its issuer gave it. It is verified, as a holder must (RFC 9901, section 7.2).
    ///
    /// Two presentations of one token can be linked: a token is for one pseudonym.
    ///
    /// # Errors
    /// [`HoldError`]
    pub fn sd_jwt(token: &[u8], holding: &Holding<'_>) -> Result<Self, HoldError> {
        let (token, shown) = jwt::hold(token, holding)?;
        Ok(Self(Format::SdJwt(Box::new(token), shown)))
    }

    /// An SD-CWT, as its issuer gave it. It is verified, as a holder must.
    ///
    /// Two presentations of one token can be linked: a token is for one pseudonym.
    ///
    /// # Errors
    /// [`HoldError`]
    pub fn sd_cwt(token: &[u8], holding: &Holding<'_>) -> Result<Self, HoldError> {
        let (credential, shown) = cwt::hold(token, holding)?;
        Ok(Self(Format::SdCwt(Box::new(credential), shown)))
    }

    /// The names of the claims it can disclose.
    ///
    /// # Errors
    /// [`CredentialError`] if a certificate cannot be read.
    pub fn names(&self) -> Result<BTreeSet<ClaimName>, CredentialError> {
        match &self.0 {
            Format::X509(identity) => Ok(identity.claimed()?.names().collect()),
            Format::SdJwt(_, shown) | Format::SdCwt(_, shown) => Ok(shown.names()),
        }
    }

    /// Whether the selected claims, and no others, can be disclosed: a certificate shows all it has, a token what is
    /// selected of it.
    ///
    /// # Errors
    /// [`CredentialError`] if a certificate cannot be read.
    pub fn allows(&self, selection: &Selection) -> Result<bool, CredentialError> {
        match &self.0 {
            Format::X509(identity) => Ok(identity.claimed()?.names().collect::<BTreeSet<_>>() == *selection.names()),
            Format::SdJwt(_, shown) | Format::SdCwt(_, shown) => Ok(shown.allows(selection.names())),
        }
    }

    /// Makes the content of the message that discloses the selected claims in this context. The signer has the key of
    /// the sender's leaf.
    ///
    /// An X.509 certificate shows all it has, so its claims must be exactly the selected ones; what binds it to the
    /// message is the message's own signature. Tokens show the selected claims alone, and get a key binding for the
    /// room and the context's nonce, made `now`.
    ///
    /// # Errors
    /// [`PresentError`] says why every receiver would refuse it.
    pub fn present(
        &self,
        selection: &Selection,
        context: &MessageContext,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Content, PresentError> {
        if !self.allows(selection)? {
            return Err(PresentError::Selection);
        }
        let (media_type, body) = match &self.0 {
            Format::X509(identity) => (MLS_CREDENTIAL, present_x509(identity, context, signer)?),
            Format::SdJwt(token, shown) => {
                check_token(shown, context, signer)?;
                (SD_JWT, jwt::present(token, shown, selection, context, signer, now)?)
            }
            Format::SdCwt(credential, shown) => {
                check_token(shown, context, signer)?;
                (SD_CWT, cwt::present(credential, shown, selection, context, signer, now)?)
            }
        };
        Ok(Content { media_type: media_type.to_owned(), body })
    }
}

fn check_token(shown: &Shown, context: &MessageContext, signer: &dyn Signer) -> Result<(), PresentError> {
    // That the token is for the signer's key is seen when it is presented.
    if signer.public_key() != context.sender_key() {
        return Err(PresentError::WrongKey);
    }
    if shown.domain != *context.sender().domain() {
        return Err(PresentError::ForeignDomain);
    }
    Ok(())
}

fn present_x509(
    identity: &UnverifiedIdentity,
    context: &MessageContext,
    signer: &dyn Signer,
) -> Result<Vec<u8>, PresentError> {
    if signer.public_key() != context.sender_key() || !identity.is_for(context.sender_key())? {
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
    Ok(body.into_octets())
}

impl From<sd_jwt::PresentError> for PresentError {
    fn from(error: sd_jwt::PresentError) -> Self {
        match error {
            sd_jwt::PresentError::OtherKey => Self::WrongKey,
            error => Self::SdJwt(error),
        }
    }
}

impl From<coset_sd_cwt::PresentError> for PresentError {
    fn from(error: coset_sd_cwt::PresentError) -> Self {
        match error {
            coset_sd_cwt::PresentError::OtherKey => Self::WrongKey,
            error => Self::SdCwt(error),
        }
    }
}
