use std::fmt;

use mimi_credential::{
    CertificateChain, ChainError, CredentialError, LeafIdentity, TrustStore, UnverifiedIdentity, UnverifiedLeaf,
    check_claims,
};
use mimi_pseudonym::{Claims, Content, DecodeError, MessageContext, PublicKey, Reader, Timestamp};

use crate::{
    ClaimFault, Disclosure, DisclosurePolicy, MLS_CREDENTIAL, PolicyBreach, SD_CWT, SD_JWT, cwt, is_media_type, jwt,
    sd_jwt::{self, JwtError, Limits, SdJwtError, UnverifiedSdJwt},
};

/// `CredentialType` x509 (RFC 9420, section 5.3).
pub(crate) const X509: u16 = 2;

/// The names that draft-mahy-mimi-pseudonyms-00, sections 4.2 and 4.3, gives to the media types.
const OLD_SD_JWT: &str = "application/sd+jwt";
const OLD_SD_CWT: &str = "application/sd+cwt";
/// What an SD-CWT with its key binding is by itself.
const KB_CWT: &str = "application/kb+cwt";

/// An identity that someone presented, not verified yet. `Debug` shows no content.
#[derive(Clone)]
pub struct UnverifiedPresentation(Format);

#[derive(Clone)]
enum Format {
    X509(UnverifiedIdentity),
    SdJwt(UnverifiedSdJwt<'static>),
    SdCwt(Vec<u8>),
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
    /// The body is no SD-JWT.
    #[error("the body is no SD-JWT: {0}")]
    SdJwt(#[from] sd_jwt::ParseError),
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
    /// The SD-JWT is not accepted.
    #[error("the SD-JWT is not accepted: {0}")]
    SdJwt(SdJwtError),
    /// The octets are no SD-CWT in a key binding token.
    #[error("the octets are no SD-CWT with key binding: {0}")]
    SdCwtForm(coset_sd_cwt::ParseError),
    /// The SD-CWT is not accepted.
    #[error("the SD-CWT is not accepted: {0}")]
    SdCwt(coset_sd_cwt::VerifyError),
    /// The SD-CWT names no issuer, or not when it expires. (An SD-JWT then lacks a required claim.)
    #[error("the token names no issuer, or not when it expires")]
    Incomplete,
    /// The key binding of the SD-CWT is older than [`KEY_BINDING_MAX_AGE`](crate::KEY_BINDING_MAX_AGE), or does not say
    /// when it was made in whole seconds.
    #[error("the key binding is too old")]
    KeyBindingAge,
    /// The token is for another key than the one in the sender's leaf node.
    #[error("the token is for another key than the sender's")]
    WrongKey,
    /// What the token says is nothing that can be believed.
    #[error("the claims of the token are not accepted: {0}")]
    Claims(ClaimFault),
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
        let is_one_of = |types: &[&str]| types.iter().any(|one| is_media_type(&content.media_type, one));
        if is_one_of(&[SD_JWT, OLD_SD_JWT]) {
            let token = UnverifiedSdJwt::parse(&content.body, &Limits::default())?;
            return Ok(Self(Format::SdJwt(token.into_owned())));
        }
        if is_one_of(&[SD_CWT, OLD_SD_CWT, KB_CWT]) {
            return Ok(Self(Format::SdCwt(content.body.clone())));
        }
        if !is_one_of(&[MLS_CREDENTIAL]) {
            return Err(PresentationError::MediaType);
        }
        let mut reader = Reader::new(&content.body);
        match reader.u16()? {
            X509 => {}
            other => return Err(PresentationError::CredentialType(other)),
        }
        let certificates: Vec<Vec<u8>> = reader.list()?;
        reader.finish()?;
        Ok(Self(Format::X509(UnverifiedIdentity::new(CertificateChain::try_from(certificates)?))))
    }
}

impl UnverifiedPresentation {
    /// Verifies the obligations of draft-mahy-mimi-pseudonyms-00, section 4:
    ///
    /// 1. what is claimed is what the policy allows and requires, and there is nothing that no policy could name;
    /// 2. the issuer is trusted for the domain of the account and of the sender. An identity certificate ends in the
    ///    anchor that the sender's leaf certificate ends in; a token is signed with that anchor's key;
    /// 3. the certified or confirmed key is the signature key in the sender's leaf node;
    /// 4. certificates and tokens are valid now, by the rules of their format. A token says when it expires;
    /// 5. key binding. A certificate has that of the message: it was signed with that key, which whoever made the
    ///    context has verified. A token has its own beside that;
    /// 6. the message's signature covers the room and the epoch; a token's key binding is for the room, and has the
    ///    nonce of the epoch and leaf. The sender's leaf certificate is verified too, and is for the sender.
    ///
    /// Of a certificate the policy is looked at first, of a token as soon as its disclosures are put together. That the
    /// same message is not opened twice is seen to below, where messages are opened.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that fails, and [`VerifyError::obligation`] what it is for.
    pub fn verify(
        self,
        context: &MessageContext,
        policy: &DisclosurePolicy,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Disclosure, VerifyError> {
        let (claims, user) = match self.0 {
            Format::X509(identity) => {
                policy.check(&identity.claimed().map_err(VerifyError::Identity)?)?;
                let identity = identity.verify(context.sender_key(), trust, now).map_err(VerifyError::Identity)?;
                let leaf = verify_leaf(context, trust, now)?;
                if identity.user().domain() != context.sender().domain() {
                    return Err(VerifyError::ForeignDomain);
                }
                if identity.issuer() != leaf.issuer() {
                    return Err(VerifyError::OtherIssuer);
                }
                (identity.claims().clone(), Some(identity.user().clone()))
            }
            format => {
                let leaf = verify_leaf(context, trust, now)?;
                let claims = verify_token(&format, &leaf, context, trust, now)?;
                policy.check(&claims)?;
                let user = check_claims(&claims, context.sender().domain()).map_err(ClaimFault::from)?;
                (claims, user)
            }
        };
        let sender = context.sender().clone();
        Ok(Disclosure { claims, user, issuer_domain: sender.domain().clone(), sender })
    }
}

fn verify_leaf(context: &MessageContext, trust: &TrustStore, now: Timestamp) -> Result<LeafIdentity, VerifyError> {
    let chain = CertificateChain::try_from(context.sender_certificates().to_vec()).map_err(VerifyError::LeafChain)?;
    let leaf = UnverifiedLeaf::new(chain).verify(context.sender_key(), trust, now).map_err(VerifyError::Leaf)?;
    if leaf.user() != context.sender() || leaf.client() != context.sender_client() {
        return Err(VerifyError::OtherSender);
    }
    Ok(leaf)
}

/// Verifies a token with the key of the issuer of the sender's leaf.
fn verify_token(
    format: &Format,
    leaf: &LeafIdentity,
    context: &MessageContext,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Claims, VerifyError> {
    let verify = |keys: &[PublicKey]| match format {
        Format::SdJwt(token) => jwt::verify(token.clone(), keys, context, now),
        Format::SdCwt(octets) => cwt::verify(octets, keys, context, now),
        Format::X509(_) => Err(VerifyError::OtherIssuer),
    };
    let (own, others): (Vec<_>, Vec<_>) =
        trust.issuer_keys(context.sender().domain()).into_iter().partition(|(issuer, _)| *issuer == leaf.issuer());
    let keys = |keys: Vec<(_, PublicKey)>| keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    match verify(&keys(own)) {
        Err(error) if is_unsigned(&error) && !others.is_empty() => match verify(&keys(others)) {
            Err(other) if is_unsigned(&other) => Err(error),
            _ => Err(VerifyError::OtherIssuer),
        },
        outcome => outcome,
    }
}

/// Whether no key verified the issuer's signature.
fn is_unsigned(error: &VerifyError) -> bool {
    use coset_sd_cwt::VerifyError as Cwt;
    matches!(
        error,
        VerifyError::SdJwt(SdJwtError::Jwt(JwtError::Algorithm | JwtError::Signature))
            | VerifyError::SdCwt(Cwt::NoIssuerKey | Cwt::IssuerSignature)
    )
}

impl From<ClaimFault> for VerifyError {
    fn from(fault: ClaimFault) -> Self {
        match fault {
            ClaimFault::ForeignDomain => Self::ForeignDomain,
            fault => Self::Claims(fault),
        }
    }
}

impl fmt::Debug for UnverifiedPresentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Format::X509(identity) => f.debug_tuple("UnverifiedPresentation").field(identity).finish(),
            Format::SdJwt(token) => f.debug_tuple("UnverifiedPresentation").field(token).finish(),
            Format::SdCwt(octets) => write!(f, "UnverifiedPresentation(SD-CWT of {} octets)", octets.len()),
        }
    }
}
