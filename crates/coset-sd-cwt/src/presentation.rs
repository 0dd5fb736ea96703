use std::borrow::Cow;

use thiserror::Error;

use crate::cbor::CborError;
use crate::confirmation::Confirmation;
use crate::expand::{NoTrace, expand};
use crate::header::{Headers, Message, Sealed};
use crate::registered::{Date, Registered};
use crate::sign1::Sign1;
use crate::{
    AeadAlgorithm, AeadKeys, Backend, Claims, ConfirmationError, DisclosureError, HeaderError, Limits, PublicKey,
    RegisteredClaimError, SignatureVerifier, TimeError,
};

/// An issuer's name and one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// What `iss` must say in a token signed with the key.
    pub name: String,
    /// The key, and with it the algorithm: what a token says of its algorithm is only compared.
    pub key: PublicKey,
}

/// Why bytes are not a presentation or a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Longer than the limit.
    #[error("longer than the limit")]
    TooLarge,
    /// The outer COSE_Sign1 is malformed, or not tagged with 18.
    #[error("malformed COSE_Sign1: {0}")]
    Message(CborError),
    /// The SD-CWT in `kcwt` is malformed, or not tagged with 18.
    #[error("malformed SD-CWT: {0}")]
    Credential(CborError),
    /// A header of the key binding token.
    #[error("key binding token: {0}")]
    BindingHeader(HeaderError),
    /// A header of the SD-CWT.
    #[error("SD-CWT: {0}")]
    CredentialHeader(HeaderError),
}

/// Why a presentation is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No trusted key has the algorithm that the SD-CWT names.
    #[error("no trusted issuer key for the algorithm of the SD-CWT")]
    NoIssuerKey,
    /// The issuer's signature does not verify under any trusted key.
    #[error("the issuer's signature does not verify")]
    IssuerSignature,
    /// `iss` is not the name of the issuer whose key verified.
    #[error("iss is not the name of the issuer")]
    IssuerName,
    /// The registered claims of the SD-CWT.
    #[error("SD-CWT: {0}")]
    CredentialClaims(RegisteredClaimError),
    /// The `cnf` claim.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
    /// The key binding token names another algorithm than that of the confirmed key.
    #[error("the key binding token names another algorithm than that of its key")]
    BindingAlgorithm,
    /// The holder's signature does not verify.
    #[error("the holder's signature does not verify")]
    HolderSignature,
    /// The claims of the key binding token.
    #[error("key binding token: {0}")]
    BindingClaims(RegisteredClaimError),
    /// The key binding token holds something other than plain claims.
    #[error("malformed claims of the key binding token: {0}")]
    BindingCbor(CborError),
    /// The key binding token has `iss` or `sub`.
    #[error("iss or sub in the key binding token")]
    BindingSubject,
    /// The key binding token has no `aud`, or another one.
    #[error("the key binding token is for another audience")]
    BindingAudience,
    /// The SD-CWT is restricted to another audience.
    #[error("the SD-CWT is for another audience")]
    CredentialAudience,
    /// The key binding token has no `cnonce`.
    #[error("the key binding token has no nonce")]
    MissingNonce,
    /// The key binding token has another `cnonce`.
    #[error("the key binding token has another nonce")]
    Nonce,
    /// A rule on times.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A rule on claims and disclosures.
    #[error(transparent)]
    Disclosure(#[from] DisclosureError),
    /// `sub` is neither there nor possibly redacted.
    #[error("no sub claim")]
    MissingSubject,
}

/// Everything a verifier must know before it believes a presentation.
#[derive(Clone, Copy)]
pub struct VerifyParams<'a> {
    /// The issuers that are trusted. A key is tried if it has the algorithm that the SD-CWT names.
    pub issuers: &'a [TrustedIssuer],
    /// What `aud` of the key binding token must be.
    pub audience: &'a str,
    /// Further values for `aud` of the SD-CWT itself, if it has one; `audience` is always accepted.
    pub credential_audiences: &'a [&'a str],
    /// What `cnonce` of the key binding token must be.
    pub nonce: &'a [u8],
    /// Seconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// By how many seconds clocks may differ.
    pub leeway: u32,
    /// Keys that a `cnf` may name by thumbprint. A COSE_Key in `cnf` needs none of them.
    pub holder_keys: &'a [PublicKey],
    /// Keys for encrypted disclosures.
    pub aead_keys: &'a dyn AeadKeys,
}

impl std::fmt::Debug for VerifyParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyParams")
            .field("issuers", &self.issuers.len())
            .field("now", &self.now)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// A key binding token that has been taken apart, and of which nothing is believed yet.
#[derive(Debug)]
pub struct UnverifiedPresentation<'a> {
    binding: Sign1<'a>,
    binding_headers: Headers<'a>,
    credential: Sign1<'a>,
    headers: Headers<'a>,
    max_depth: u8,
}

impl<'a> UnverifiedPresentation<'a> {
    /// Takes a key binding token (`application/kb+cwt`) apart, with the SD-CWT in its `kcwt`.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.max_bytes {
            return Err(ParseError::TooLarge);
        }
        let binding = Sign1::parse(bytes).map_err(ParseError::Message)?;
        let binding_headers =
            Headers::parse(&binding, Message::KeyBinding, limits).map_err(ParseError::BindingHeader)?;
        let kcwt = binding_headers.kcwt.ok_or(ParseError::BindingHeader(HeaderError::MissingCredential))?;
        let credential = Sign1::parse(kcwt).map_err(ParseError::Credential)?;
        let headers = Headers::parse(&credential, Message::Credential, limits).map_err(ParseError::CredentialHeader)?;
        Ok(Self { binding, binding_headers, credential, headers, max_depth: limits.max_depth })
    }

    /// `iss` of the SD-CWT as it claims to be; only good for finding the keys to verify with.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&'a str> {
        registered(&self.credential, &self.headers).ok()?.iss
    }

    /// `kid` of the SD-CWT's protected header, as a hint to its key.
    #[must_use]
    pub fn issuer_key_id(&self) -> Option<&'a [u8]> {
        self.headers.key_id
    }

    /// The encoded protected header of the SD-CWT, for parameters such as certificates that this crate passes over.
    #[must_use]
    pub fn issuer_protected(&self) -> &'a [u8] {
        self.credential.protected
    }

    /// Verifies both signatures and every rule of the draft's section on verifier validation.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, params: &VerifyParams<'_>) -> Result<Verified, VerifyError> {
        self.verify_with(params, &Backend)
    }

    /// As [`UnverifiedPresentation::verify`], with signatures checked by `verifier`.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify_with(
        &self,
        params: &VerifyParams<'_>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Verified, VerifyError> {
        let (credential, now) = (&self.credential, Date::from_seconds(params.now));
        let issuer = issuer_of(credential, &self.headers, params.issuers, verifier)?;
        let claims = registered(credential, &self.headers).map_err(VerifyError::CredentialClaims)?;
        if claims.iss.is_some_and(|iss| iss != issuer.name) {
            return Err(VerifyError::IssuerName);
        }
        claims.check_credential_order()?;
        claims.check_credential_now(now, params.leeway)?;

        let holder_key = Confirmation::parse(claims.cnf)?.resolve(params.holder_keys)?;
        if holder_key.algorithm() != self.binding_headers.algorithm {
            return Err(VerifyError::BindingAlgorithm);
        }
        verifier
            .verify(&holder_key, &self.binding.to_be_signed(), self.binding.signature)
            .map_err(|_| VerifyError::HolderSignature)?;

        let binding = Registered::scan(self.binding.payload).map_err(VerifyError::BindingClaims)?;
        if binding.iss.is_some() || binding.sub.is_some() {
            return Err(VerifyError::BindingSubject);
        }
        if binding.aud != Some(params.audience) {
            return Err(VerifyError::BindingAudience);
        }
        let accepted = |aud| aud == params.audience || params.credential_audiences.contains(&aud);
        if !claims.aud.is_none_or(accepted) {
            return Err(VerifyError::CredentialAudience);
        }
        if binding.cnonce.ok_or(VerifyError::MissingNonce)? != params.nonce {
            return Err(VerifyError::Nonce);
        }
        binding.check_binding(&claims, now, params.leeway)?;
        let binding_claims = plain_claims(self.binding.payload, self.max_depth).map_err(VerifyError::BindingCbor)?;

        let (opened, sealed) = open(&self.headers.sealed, self.headers.aead, params.aead_keys)?;
        let disclosures = all_disclosures(&self.headers.disclosures, &opened);
        let (hash, header) = (self.headers.hash, self.headers.cwt_claims);
        let expanded = expand(hash, header, credential.payload, &disclosures, self.max_depth, &mut NoTrace)?;
        if !expanded.subject_possible {
            return Err(VerifyError::MissingSubject);
        }
        Ok(Verified {
            claims: Claims::new(expanded.claims),
            binding_claims,
            issuer: issuer.clone(),
            holder_key,
            hidden: expanded.hidden,
            sealed,
        })
    }
}

/// A presentation that has been verified. There is no other way to get one than [`UnverifiedPresentation::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    claims: Claims,
    binding_claims: Claims,
    issuer: TrustedIssuer,
    holder_key: PublicKey,
    hidden: usize,
    sealed: usize,
}

impl Verified {
    /// The Validated Disclosed Claims Set: what the issuer left in the clear and what the holder disclosed, with all
    /// that stayed redacted taken out.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims of the key binding token.
    #[must_use]
    pub fn binding_claims(&self) -> &Claims {
        &self.binding_claims
    }

    /// The issuer whose key verified.
    #[must_use]
    pub fn issuer(&self) -> &TrustedIssuer {
        &self.issuer
    }

    /// The key that the SD-CWT is bound to and that signed the key binding token.
    #[must_use]
    pub fn holder_key(&self) -> &PublicKey {
        &self.holder_key
    }

    /// How many digests, decoys included, were met without a disclosure.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// How many encrypted disclosures stayed sealed because there was no key for them. Whether they belong to a digest
    /// is known only to who can open them.
    #[must_use]
    pub fn sealed(&self) -> usize {
        self.sealed
    }
}

/// The trusted issuer whose key verifies the SD-CWT.
pub(crate) fn issuer_of<'i>(
    credential: &Sign1<'_>,
    headers: &Headers<'_>,
    issuers: &'i [TrustedIssuer],
    verifier: &dyn SignatureVerifier,
) -> Result<&'i TrustedIssuer, VerifyError> {
    let message = credential.to_be_signed();
    let mut candidates = issuers.iter().filter(|issuer| issuer.key.algorithm() == headers.algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(VerifyError::NoIssuerKey);
    }
    candidates
        .find(|issuer| verifier.verify(&issuer.key, &message, credential.signature).is_ok())
        .ok_or(VerifyError::IssuerSignature)
}

/// The registered claims of an SD-CWT, those of its header included.
pub(crate) fn registered<'a>(
    credential: &Sign1<'a>,
    headers: &Headers<'a>,
) -> Result<Registered<'a>, RegisteredClaimError> {
    let claims = Registered::scan(credential.payload)?;
    match headers.cwt_claims {
        None => Ok(claims),
        Some(header) => Ok(claims.or(Registered::scan(header)?)),
    }
}

/// A map without redactions.
fn plain_claims(bytes: &[u8], max_depth: u8) -> Result<Claims, CborError> {
    let mut reader = crate::cbor::Reader::new(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    reader.copy(&mut out, 1, max_depth)?;
    reader.finish()?;
    Ok(Claims::new(out))
}

/// Opens the encrypted disclosures for which there is a key, and counts the others.
pub(crate) fn open(
    sealed: &[Sealed<'_>],
    algorithm: AeadAlgorithm,
    keys: &dyn AeadKeys,
) -> Result<(Vec<Vec<u8>>, usize), DisclosureError> {
    let mut opened = Vec::new();
    for disclosure in sealed {
        if let Some(key) = keys.key(disclosure.tag) {
            let fits = key.algorithm() == algorithm && disclosure.tag.len() == 16;
            let plain = fits.then(|| key.open(disclosure.nonce, disclosure.ciphertext, disclosure.tag)).flatten();
            let plain = plain.ok_or(DisclosureError::Sealed)?;
            let mut reader = crate::cbor::Reader::new(&plain);
            reader.bytes()?;
            reader.finish()?;
            opened.push(plain);
        }
    }
    let left = sealed.len() - opened.len();
    Ok((opened, left))
}

pub(crate) fn all_disclosures<'t>(plain: &'t [&'t [u8]], opened: &'t [Vec<u8>]) -> Cow<'t, [&'t [u8]]> {
    if opened.is_empty() {
        return Cow::Borrowed(plain);
    }
    Cow::Owned(plain.iter().copied().chain(opened.iter().map(Vec::as_slice)).collect())
}
