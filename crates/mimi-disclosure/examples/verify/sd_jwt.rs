//! Cases for SD-JWT, compact or in JSON. If `aud` and `nonce` are null, the token has no key binding.

use std::{error::Error, time::Duration};

use mimi_disclosure::sd_jwt::{
    Expectations, Holder, IssuerKey, Limits, ProcessedPayload, SdJwtError, TokenExpectations, TokenType, TrustedIssuer,
    UnverifiedSdJwt,
};
use mimi_pseudonym::{PublicKey, SignatureScheme, Timestamp};
use serde_json::{Map, Value};

use super::{Outcome, issuer_key, text};

/// A key binding may be a day old. The window is a choice of the verifier; a message may be that long on its way.
const MAX_AGE: Duration = Duration::from_secs(86_400);
/// Claims that say how to verify, and are left out of what is printed.
const REGISTERED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "cnf"];

pub fn verify(case: &Value) -> Result<Outcome, Box<dyn Error>> {
    let issuers = [TrustedIssuer::dangerous_any_name(vec![key(&issuer_key(case)?)?])];
    let expected = TokenExpectations {
        issuers: &issuers,
        token_type: TokenType::AnySdJwt,
        required_claims: &[],
        now: Timestamp::from_secs(case["now"].as_u64().ok_or("no time")?),
        leeway: Duration::ZERO,
    };
    let token = text(case, "token")?.as_bytes();
    let parsed = if token.starts_with(b"{") {
        UnverifiedSdJwt::parse_json(token, &Limits::default())
    } else {
        UnverifiedSdJwt::parse(token, &Limits::default())
    };
    let token = match parsed {
        Ok(token) => token,
        Err(error) => return Ok(Err(format!("{error:?}"))),
    };
    let payload = if case["aud"].is_null() && case["nonce"].is_null() {
        token.dangerous_verify_without_key_binding(&expected, "")
    } else {
        let (audience, nonce) = (text(case, "aud")?, text(case, "nonce")?);
        bound(token, &Expectations { token: expected, audience, nonce, holder: Holder::AnyNamed, max_age: MAX_AGE })
    };
    Ok(match payload {
        Ok(payload) => {
            let mut claims: Map<String, Value> = serde_json::from_str(payload.json())?;
            claims.retain(|name, _| !REGISTERED.contains(&name.as_str()));
            Ok(Value::Object(claims))
        }
        Err(error) => Err(format!("{error:?}")),
    })
}

fn bound(token: UnverifiedSdJwt<'_>, expected: &Expectations<'_>) -> Result<ProcessedPayload, SdJwtError> {
    Ok(token.verify(expected)?.payload().clone())
}

/// The key of a SubjectPublicKeyInfo of one of the three kinds that are supported.
fn key(der: &[u8]) -> Result<IssuerKey, Box<dyn Error>> {
    let key = |scheme, octets| Ok(IssuerKey::new(&PublicKey::new(scheme, octets)?)?);
    match der.len() {
        44 => key(SignatureScheme::Ed25519, &der[12..]),
        91 => key(SignatureScheme::EcdsaP256Sha256, &der[26..]),
        120 => Ok(IssuerKey::p384(&der[23..])?),
        _ => Err("the issuer's key is of no known kind".into()),
    }
}
