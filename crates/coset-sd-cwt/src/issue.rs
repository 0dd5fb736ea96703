use ciborium::Value;
use coset::{CborSerializable, Header};
use thiserror::Error;

use crate::cbor::{ARRAY, MAP, write_head, write_integer};
use crate::confirmation::Confirmation;
use crate::header::{SD_AEAD, SD_ALG, SD_CLAIMS, TYP, TYP_SD_CWT};
use crate::redact::Redactor;
use crate::registered::Registered;
use crate::sign1;
use crate::{
    AeadAlgorithm, ConfirmationError, Entropy, HashAlgorithm, Limits, RedactError, RegisteredClaimError, Signer,
    SigningFailed, TimeError,
};

/// Why an SD-CWT is not issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The marked claims.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// A registered claim.
    #[error(transparent)]
    Claims(#[from] RegisteredClaimError),
    /// The `cnf` claim.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
    /// The times contradict each other.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// There is no `sub` claim, redacted or not.
    #[error("no sub claim")]
    MissingSubject,
    /// The header given holds a parameter that this crate sets, or cannot be encoded.
    #[error("the header cannot be used")]
    Header,
    /// The token would be beyond the limits.
    #[error("beyond the limits")]
    Limits,
    /// The signer failed.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// How an SD-CWT is issued.
#[derive(Debug, Clone, Default)]
pub struct IssueParams {
    /// The hash that hides claims; always written as `sd_alg`.
    pub hash: HashAlgorithm,
    /// The cipher for disclosures that the holder encrypts; written as `sd_aead` unless it is the default.
    pub aead: AeadAlgorithm,
    /// Further protected parameters, such as `kid` or certificates. `alg`, `typ` and those of SD-CWT are set by this
    /// crate and must not be there.
    pub header: Header,
    /// Bounds that the token must keep; those of the verifiers it is for.
    pub limits: Limits,
}

/// Issues an SD-CWT (`application/sd-cwt`), with all its disclosures, for the holder.
///
/// `claims` is a map. Tag 58 around a key, or around an element of an array, marks what is to be redacted, at any depth;
/// tag 62 around a positive integer, different each time, marks the place of a decoy (as a key, with null as value; or
/// as an element). `sub` and `cnf` must be there; see [`PublicKey::to_cnf`](crate::PublicKey::to_cnf).
///
/// # Errors
/// [`IssueError`].
pub fn issue(
    claims: &Value,
    params: &IssueParams,
    signer: &dyn Signer,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, IssueError> {
    let mut redactor = Redactor::new(params.hash, entropy, params.limits.max_depth);
    let payload = redactor.payload(claims)?;
    let (disclosures, subject) = (redactor.disclosures, redactor.subject);

    let registered = Registered::scan(&payload)?;
    Confirmation::parse(registered.cnf)?;
    registered.check_credential_order()?;
    if !subject {
        return Err(IssueError::MissingSubject);
    }

    let protected = protected(params, signer.public_key().algorithm().id())?;
    let signature = signer.sign(&sign1::to_be_signed(&protected, &payload))?;
    let mut unprotected = Vec::new();
    if disclosures.is_empty() {
        write_head(&mut unprotected, MAP, 0);
    } else {
        write_head(&mut unprotected, MAP, 1);
        write_integer(&mut unprotected, SD_CLAIMS as i64);
        write_head(&mut unprotected, ARRAY, disclosures.len() as u64);
        disclosures.iter().for_each(|disclosure| unprotected.extend_from_slice(disclosure));
    }
    let token = sign1::encode(&protected, &unprotected, &payload, &signature);
    if token.len() > params.limits.max_bytes || disclosures.len() > params.limits.max_disclosures {
        return Err(IssueError::Limits);
    }
    Ok(token)
}

fn protected(params: &IssueParams, algorithm: i64) -> Result<Vec<u8>, IssueError> {
    let Value::Map(mut entries) =
        coset::AsCborValue::to_cbor_value(params.header.clone()).map_err(|_| IssueError::Header)?
    else {
        return Err(IssueError::Header);
    };
    entries.push((Value::from(1), Value::from(algorithm)));
    entries.push((Value::from(TYP), Value::from(TYP_SD_CWT)));
    entries.push((Value::from(SD_ALG), Value::from(params.hash.id())));
    if params.aead != AeadAlgorithm::default() {
        entries.push((Value::from(SD_AEAD), Value::from(params.aead.id())));
    }
    let mut out = Vec::new();
    ciborium::into_writer(&Value::Map(entries), &mut out).map_err(|_| IssueError::Header)?;
    // Reading it back finds what was set twice or stands in the wrong place.
    let empty = sign1::Sign1 { protected: &out, unprotected: &[0xa0], payload: &[], signature: &[] };
    let headers = crate::header::Headers::parse(&empty, crate::header::Message::Credential, &params.limits);
    let headers = headers.map_err(|_| IssueError::Header)?;
    if headers.cwt_claims.is_some() {
        return Err(IssueError::Header);
    }
    Header::from_slice(&out).map_err(|_| IssueError::Header)?;
    Ok(out)
}
