use std::time::Duration;

use mimi_pseudonym::{PublicKey, Timestamp};

use super::{
    base64url,
    confirmation::{Holder, confirmation_key},
    error::{ClaimError, JwtError, KeyBindingError, SdJwtError},
    jwt::{Header, Parts, decode_text},
    key::TrustedIssuer,
    key_binding,
    payload::{self, ProcessedPayload, Registered, names_audience},
    process::Processed,
    token::UnverifiedSdJwt,
};

/// What the issuer's part of a token must meet.
#[derive(Clone, Copy, Debug)]
pub struct TokenExpectations<'a> {
    /// Whose tokens are accepted.
    pub issuers: &'a [TrustedIssuer],
    /// What the header's `typ` must be.
    pub token_type: TokenType<'a>,
    /// Claims that the processed payload must have. Whatever the application needs for validity belongs here, since a
    /// holder can hide a claim that the issuer made selectively disclosable (RFC 9901, section 9.7).
    pub required_claims: &'a [&'a str],
    /// The present.
    pub now: Timestamp,
    /// By how much the clocks of issuer, holder and verifier may differ.
    pub leeway: Duration,
}

/// What a presentation must meet.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    /// What its issuer's part must meet.
    pub token: TokenExpectations<'a>,
    /// Whom it must be for: `aud` of the key binding, and of the token if that has one.
    pub audience: &'a str,
    /// The nonce of the key binding.
    pub nonce: &'a str,
    /// The key of the holder.
    pub holder: Holder<'a>,
    /// How long ago the key binding may have been made.
    pub max_age: Duration,
}

/// The `typ` of an issuer's JWT (RFC 9901, section 9.11). The prefix `application/` may be left out, and letter case
/// does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TokenType<'a> {
    /// `sd-jwt`, or any type that ends in `+sd-jwt`.
    AnySdJwt,
    /// This one.
    Exactly(&'a str),
    /// Any type, or none: only where no other kind of JWT is signed with the same keys.
    DangerousAny,
}

impl TokenType<'_> {
    fn accepts(self, found: Option<&str>) -> bool {
        let bare = |name: &str| match name.split_at_checked(12) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest.to_ascii_lowercase(),
            _ => name.to_ascii_lowercase(),
        };
        match (self, found.map(bare)) {
            (Self::DangerousAny, _) => true,
            (Self::AnySdJwt, Some(found)) => found == "sd-jwt" || found.ends_with("+sd-jwt"),
            (Self::Exactly(expected), Some(found)) => found == bare(expected),
            (_, None) => false,
        }
    }
}

/// A verified presentation: the claims that were disclosed, and whose they are. Comes only from
/// [`UnverifiedSdJwt::verify`].
#[derive(Clone, Debug)]
pub struct VerifiedSdJwt {
    payload: ProcessedPayload,
    holder: PublicKey,
    bound_at: Timestamp,
}

impl VerifiedSdJwt {
    /// The claims.
    pub fn payload(&self) -> &ProcessedPayload {
        &self.payload
    }

    /// The key in `cnf`, with which the key binding was signed.
    pub fn holder(&self) -> &PublicKey {
        &self.holder
    }

    /// When the key binding was made, as the holder says: its `iat`.
    pub fn bound_at(&self) -> Timestamp {
        self.bound_at
    }
}

impl UnverifiedSdJwt<'_> {
    /// Verifies a presentation with its key binding: RFC 9901, section 7.1, and then section 7.3, step 5.
    ///
    /// # Errors
    /// [`SdJwtError`] names the first check that fails.
    pub fn verify(&self, expected: &Expectations<'_>) -> Result<VerifiedSdJwt, SdJwtError> {
        let binding = self.key_binding().ok_or(KeyBindingError::Missing)?;
        let Processed { payload, hash, .. } = self.verify_token(&expected.token, Some(expected.audience), false)?;
        let holder = confirmation_key(payload.registered(Registered::Confirmation), expected.holder)?;
        let bound_at = key_binding::verify(binding, &holder, self, hash, expected)?;
        Ok(VerifiedSdJwt { payload, holder, bound_at })
    }

    /// Verifies a token that has no key binding: whoever has a copy can present it. RFC 9901, section 7.1.
    ///
    /// # Errors
    /// [`SdJwtError`] names the first check that fails. A token that has a key binding is refused too, so that nobody
    /// believes it to have been checked.
    pub fn dangerous_verify_without_key_binding(
        &self,
        expected: &TokenExpectations<'_>,
        audience: &str,
    ) -> Result<ProcessedPayload, SdJwtError> {
        if self.has_key_binding() {
            return Err(KeyBindingError::Unexpected.into());
        }
        Ok(self.verify_token(expected, Some(audience), false)?.payload)
    }

    /// Section 7.1: the issuer's signature, the disclosures, the claims. A holder has no audience.
    pub(super) fn verify_token(
        &self,
        expected: &TokenExpectations<'_>,
        audience: Option<&str>,
        places: bool,
    ) -> Result<Processed, SdJwtError> {
        let jwt = self.jwt().ok_or(JwtError::Base64)?;
        let issuer = self.verify_signature(jwt, expected)?;
        let payload = decode_text(jwt.payload)?;
        let processed = Processed::new(&payload, self, places)?;
        check_claims(&processed.payload, issuer, expected, audience)?;
        Ok(processed)
    }

    /// The issuer whose key verifies one of the signatures.
    fn verify_signature<'a>(
        &self,
        jwt: Parts<'_>,
        expected: &TokenExpectations<'a>,
    ) -> Result<&'a TrustedIssuer, JwtError> {
        let nothing = Vec::new();
        let unprotected = |index: usize| self.unprotected.get(index).unwrap_or(&nothing).as_slice();
        let first = match signer(jwt, unprotected(0), expected, self.limits.max_depth()) {
            Ok(issuer) => return Ok(issuer),
            Err(fault) => fault,
        };
        for (index, (header, signature)) in self.more_signatures.iter().enumerate() {
            let signed = format!("{header}.{}", jwt.payload);
            let parts = Parts { signed: &signed, header, signature, ..jwt };
            if let Ok(issuer) = signer(parts, unprotected(index + 1), expected, self.limits.max_depth()) {
                return Ok(issuer);
            }
        }
        Err(first)
    }
}

/// The issuer whose key verifies this signature.
fn signer<'a>(
    jwt: Parts<'_>,
    unprotected: &[String],
    expected: &TokenExpectations<'a>,
    depth: usize,
) -> Result<&'a TrustedIssuer, JwtError> {
    let header = decode_text(jwt.header)?;
    let header = Header::read(&header, unprotected, depth)?;
    if !expected.token_type.accepts(header.token_type.as_deref()) {
        return Err(JwtError::Type);
    }
    let signature = base64url::decode(jwt.signature)?;
    let mut fault = JwtError::Algorithm;
    for issuer in expected.issuers {
        for key in &issuer.keys {
            if key.fits(&header.algorithm, header.key_id.as_deref()) {
                if key.verifies(jwt.signed.as_bytes(), &signature) {
                    return Ok(issuer);
                }
                fault = JwtError::Signature;
            }
        }
    }
    Err(fault)
}

/// Section 7.1, step 6, over the processed payload: so it holds for a claim that was selectively disclosed too.
fn check_claims(
    claims: &ProcessedPayload,
    issuer: &TrustedIssuer,
    expected: &TokenExpectations<'_>,
    audience: Option<&str>,
) -> Result<(), ClaimError> {
    if expected.required_claims.iter().any(|name| claims.claim(name).is_none()) {
        return Err(ClaimError::Missing);
    }
    if let Some(json) = claims.registered(Registered::Issuer) {
        let iss = payload::string(json).ok_or(ClaimError::Malformed)?;
        if issuer.name.as_ref().is_some_and(|name| *name != iss) {
            return Err(ClaimError::Issuer);
        }
    } else if issuer.name.is_some() {
        return Err(ClaimError::Missing);
    }
    if let (Some(audience), Some(json)) = (audience, claims.registered(Registered::Audience))
        && !names_audience(json, audience).ok_or(ClaimError::Malformed)?
    {
        return Err(ClaimError::Audience);
    }
    let time = |claim| match claims.registered(claim) {
        Some(json) => payload::numeric_date(json).map(Some).ok_or(ClaimError::Malformed),
        None => Ok(None),
    };
    let (expires, not_before, issued) =
        (time(Registered::Expires)?, time(Registered::NotBefore)?, time(Registered::Issued)?);
    let latest = expected.now.after(expected.leeway);
    if expires.is_some_and(|expires| expected.now >= expires.after(expected.leeway)) {
        return Err(ClaimError::Expired);
    }
    if not_before.is_some_and(|not_before| not_before > latest) {
        return Err(ClaimError::NotYetValid);
    }
    if issued.is_some_and(|issued| issued > latest) {
        return Err(ClaimError::IssuedInFuture);
    }
    Ok(())
}
