//! The signed JWTs of a presentation: three parts of base64url, the first of them a header with strict members.

use std::borrow::Cow;

use super::{
    base64url::{self, Malformed},
    error::{JsonError, JwtError},
    json::{Names, Scanner},
};

/// The three parts of a JWT in compact form.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// Header and payload with the dot between them: what is signed.
    pub(super) signed: &'a str,
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Separates the parts. Only the signature may be empty, as it is without an algorithm.
    pub(super) fn of(jwt: &'a str) -> Option<Self> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let whole = !header.is_empty() && !payload.is_empty() && !payload.contains('.');
        whole.then_some(Self { signed, header, payload, signature })
    }
}

/// What a header says, as far as it matters here.
pub(super) struct Header<'a> {
    pub(super) algorithm: Cow<'a, str>,
    pub(super) token_type: Option<Cow<'a, str>>,
    pub(super) key_id: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Reads a header, which must name an algorithm, no critical parameters, and none that is in the unprotected
    /// header beside it.
    pub(super) fn read(text: &'a str, unprotected: &[String], depth: usize) -> Result<Self, JwtError> {
        let (mut algorithm, mut token_type, mut key_id) = (None, None, None);
        if unprotected.iter().any(|name| name == "crit") {
            return Err(JwtError::Critical);
        }
        let mut scan = Scanner::new(text);
        scan.members(&mut Names::default(), depth, |name, scan, names, depth| match name {
            name if unprotected.iter().any(|other| other == name) => Err(JwtError::HeaderConflict),
            "alg" => set(&mut algorithm, scan),
            "typ" => set(&mut token_type, scan),
            "kid" => set(&mut key_id, scan),
            "crit" => Err(JwtError::Critical),
            _ => Ok(scan.skip(names, depth)?),
        })?;
        scan.end()?;
        Ok(Self { algorithm: algorithm.ok_or(JwtError::Algorithm)?, token_type, key_id })
    }
}

fn set<'a>(place: &mut Option<Cow<'a, str>>, scan: &mut Scanner<'a>) -> Result<(), JwtError> {
    *place = Some(scan.string()?.value);
    Ok(())
}

/// Decodes a part that is JSON.
pub(super) fn decode_text(part: &str) -> Result<String, JwtError> {
    String::from_utf8(base64url::decode(part)?).map_err(|_| JsonError::NotUtf8.into())
}

impl From<Malformed> for JwtError {
    fn from(_: Malformed) -> Self {
        Self::Base64
    }
}
