//! The Key Binding JWT (RFC 9901, sections 4.3 and 7.3).

use std::borrow::Cow;

use mimi_pseudonym::{PublicKey, Timestamp};

use super::{
    base64url,
    error::{JsonError, JwtError, KeyBindingError},
    hash::HashAlgorithm,
    json::{Names, Scanner},
    jwt::{Header, Parts, decode_text},
    key::JwsAlgorithm,
    payload::numeric_date,
    token::UnverifiedSdJwt,
    verify::Expectations,
};

/// The `typ` of a Key Binding JWT.
pub(super) const KEY_BINDING_TYPE: &str = "kb+jwt";

/// The claims of a Key Binding JWT.
#[derive(Default)]
struct Claims<'a> {
    audience: Option<Cow<'a, str>>,
    nonce: Option<Cow<'a, str>>,
    sd_hash: Option<Cow<'a, str>>,
    issued: Option<Timestamp>,
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

/// Verifies a key binding; gives the time at which it was made.
pub(super) fn verify(
    jwt: Parts<'_>,
    holder: &PublicKey,
    token: &UnverifiedSdJwt<'_>,
    hash: HashAlgorithm,
    expected: &Expectations<'_>,
) -> Result<Timestamp, KeyBindingError> {
    let depth = token.limits.max_depth();
    verify_signature(jwt, holder, depth)?;
    let payload = decode_text(jwt.payload)?;
    let claims = Claims::read(&payload, depth)?;
    let (Some(audience), Some(nonce), Some(sd_hash), Some(issued)) =
        (claims.audience, claims.nonce, claims.sd_hash, claims.issued)
    else {
        return Err(KeyBindingError::Claims);
    };
    let (now, leeway) = (expected.token.now, expected.token.leeway);
    let latest = now.after(leeway);
    if issued > latest || claims.not_before.is_some_and(|not_before| not_before > latest) {
        return Err(KeyBindingError::InFuture);
    }
    let oldest = now.before(expected.max_age).before(leeway);
    if issued < oldest || claims.expires.is_some_and(|expires| now >= expires.after(leeway)) {
        return Err(KeyBindingError::TooOld);
    }
    if audience != expected.audience {
        return Err(KeyBindingError::Audience);
    }
    if nonce != expected.nonce {
        return Err(KeyBindingError::Nonce);
    }
    if sd_hash != hash.digest(token.presented()) {
        return Err(KeyBindingError::SdHash);
    }
    Ok(issued)
}

fn verify_signature(jwt: Parts<'_>, holder: &PublicKey, depth: usize) -> Result<(), JwtError> {
    let header = decode_text(jwt.header)?;
    let header = Header::read(&header, &[], depth)?;
    if header.token_type.as_deref() != Some(KEY_BINDING_TYPE) {
        return Err(JwtError::Type);
    }
    let algorithm = JwsAlgorithm::of(holder.scheme()).ok_or(JwtError::Algorithm)?;
    if !algorithm.is_named(&header.algorithm) {
        return Err(JwtError::Algorithm);
    }
    let signature = base64url::decode(jwt.signature)?;
    if !algorithm.verifies(holder.as_bytes(), jwt.signed.as_bytes(), &signature) {
        return Err(JwtError::Signature);
    }
    Ok(())
}

impl<'a> Claims<'a> {
    fn read(payload: &'a str, depth: usize) -> Result<Self, KeyBindingError> {
        let mut claims = Self::default();
        let mut scan = Scanner::new(payload);
        scan.members(&mut Names::default(), depth, |name, scan, names, depth| {
            match name {
                "aud" => claims.audience = Some(text(scan)?),
                "nonce" => claims.nonce = Some(text(scan)?),
                "sd_hash" => claims.sd_hash = Some(text(scan)?),
                "iat" => claims.issued = Some(time(scan)?),
                "exp" => claims.expires = Some(time(scan)?),
                "nbf" => claims.not_before = Some(time(scan)?),
                _ => scan.skip(names, depth)?,
            }
            Ok::<_, KeyBindingError>(())
        })?;
        scan.end()?;
        Ok(claims)
    }
}

fn text<'a>(scan: &mut Scanner<'a>) -> Result<Cow<'a, str>, KeyBindingError> {
    if scan.peek() != Some(b'"') {
        return Err(KeyBindingError::Claims);
    }
    Ok(scan.string()?.value)
}

fn time(scan: &mut Scanner<'_>) -> Result<Timestamp, KeyBindingError> {
    if !matches!(scan.peek(), Some(b'-' | b'0'..=b'9')) {
        return Err(KeyBindingError::Claims);
    }
    numeric_date(scan.scalar()?).ok_or(KeyBindingError::Claims)
}

impl From<JsonError> for KeyBindingError {
    fn from(fault: JsonError) -> Self {
        Self::Jwt(fault.into())
    }
}
