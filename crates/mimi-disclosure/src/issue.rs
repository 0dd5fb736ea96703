use ciborium::Value;
use coset_sd_cwt::{IssueParams, Label};
use mimi_credential::{Validity, check_claims};
use mimi_pseudonym::{ClaimName, Claims, Domain, Entropy, PublicKey, Signer};

use crate::{
    ClaimFault,
    cwt::{CoseSigner, cose_key, seconds},
    mapping::{self, TokenValue},
    sd_jwt::{self, Object},
};

/// How many digests a token has, decoys among them, whatever the account has of claims.
const DIGESTS: usize = 8;

/// The `typ` of an SD-JWT.
const TOKEN_TYPE: &str = "mimi-identity+sd-jwt";

/// Why a token is not issued. Names no one: it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The account is not among the claims.
    #[error("the account is missing")]
    MissingUserUri,
    /// A claim is not fit to be issued.
    #[error("a claim cannot be issued: {0}")]
    Claims(#[from] ClaimFault),
    /// The end does not lie after the beginning.
    #[error("the validity is empty")]
    Validity,
    /// The key of the issuer or of the holder is of a scheme that tokens do not have.
    #[error("a key is of no scheme for tokens")]
    KeyScheme,
    /// The SD-JWT cannot be made.
    #[error("the SD-JWT cannot be issued: {0}")]
    SdJwt(#[from] sd_jwt::IssueError),
    /// The SD-CWT cannot be made.
    #[error("the SD-CWT cannot be issued: {0}")]
    SdCwt(#[from] coset_sd_cwt::IssueError),
}

/// Issues an identity as an SD-JWT in compact form, for the key of one pseudonym's leaf. The signer's key is that of
/// the domain's anchor.
///
/// Every claim can be disclosed or withheld, and decoys bring the number of digests to 8, so that it says nothing.
/// Whoever sees two presentations of one token can link them: a token is for one pseudonym, and its holder's key, which
/// is in no other leaf, sees to it that it can be presented in no other room.
///
/// # Errors
/// [`IssueError`]
pub fn issue_sd_jwt(
    signer: &dyn Signer,
    domain: &Domain,
    claims: &Claims,
    holder: &PublicKey,
    validity: Validity,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, IssueError> {
    let (from, to) = check(domain, claims, validity)?;
    let mut object = Object::new()
        .plain("iss", mapping::issuer_name(domain))
        .plain("iat", from)
        .plain("nbf", from)
        .plain("exp", to)
        .decoys(DIGESTS.saturating_sub(claims.len()));
    for (claim, value) in claims.iter() {
        let name = mapping::jwt_name(claim).ok_or(ClaimFault::Unmapped)?;
        object = match mapping::to_token(claim, value) {
            TokenValue::Text(text) => object.hidden(name, text),
            TokenValue::Flag(flag) => object.hidden(name, flag),
        };
    }
    Ok(sd_jwt::Issuer::new(signer, TOKEN_TYPE).issue(&object, holder, entropy)?.into_bytes())
}

/// Issues an identity as an SD-CWT; otherwise as [`issue_sd_jwt`].
///
/// # Errors
/// [`IssueError`]
pub fn issue_sd_cwt(
    signer: &dyn Signer,
    domain: &Domain,
    claims: &Claims,
    holder: &PublicKey,
    validity: Validity,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, IssueError> {
    const TO_BE_REDACTED: u64 = 58;
    const TO_BE_DECOY: u64 = 62;
    let (from, to) = check(domain, claims, validity)?;
    let signer = CoseSigner::new(signer).ok_or(IssueError::KeyScheme)?;
    let holder = cose_key(holder).ok_or(IssueError::KeyScheme)?;
    let mut map = vec![
        (Value::from(1), Value::from(mapping::issuer_name(domain))),
        (Value::from(4), Value::from(to)),
        (Value::from(5), Value::from(from)),
        (Value::from(6), Value::from(from)),
        (Value::from(8), holder.to_cnf()),
    ];
    for (claim, value) in claims.iter() {
        let label = match mapping::cwt_label(claim).ok_or(ClaimFault::Unmapped)? {
            Label::Int(number) => Value::from(number),
            Label::Text(text) => Value::from(text),
        };
        let value = match mapping::to_token(claim, value) {
            TokenValue::Text(text) => Value::from(text),
            TokenValue::Flag(flag) => Value::from(flag),
        };
        map.push((Value::Tag(TO_BE_REDACTED, Box::new(label)), value));
    }
    for decoy in claims.len()..DIGESTS {
        map.push((Value::Tag(TO_BE_DECOY, Box::new(Value::from(decoy as u64 + 1))), Value::Null));
    }
    let mut fill = |buffer: &mut [u8]| entropy.fill(buffer);
    Ok(coset_sd_cwt::issue(&Value::Map(map), &IssueParams::default(), &signer, &mut fill)?)
}

/// Checks the claims; gives the seconds of beginning and end.
fn check(domain: &Domain, claims: &Claims, validity: Validity) -> Result<(i64, i64), IssueError> {
    if claims.value(ClaimName::UserUri).is_none() {
        return Err(IssueError::MissingUserUri);
    }
    check_claims(claims, domain).map_err(ClaimFault::from)?;
    let (from, to) = (seconds(validity.not_before), seconds(validity.not_after));
    if from < to { Ok((from, to)) } else { Err(IssueError::Validity) }
}
