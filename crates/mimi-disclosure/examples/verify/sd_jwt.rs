//! Cases for SD-JWT. Beside `token` a case has `issuer_key_pem`, `aud`, `nonce` and `now`, in seconds. If `aud` and
//! `nonce` are null, the token has no key binding.

use std::{error::Error, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use mimi_disclosure::sd_jwt::{
    Expectations, Holder, IssuerKey, Limits, ProcessedPayload, SdJwtError, TokenExpectations, TokenType, TrustedIssuer,
    UnverifiedSdJwt,
};
use mimi_pseudonym::{PublicKey, SignatureScheme, Timestamp};
use serde_json::{Map, Value};

/// A key binding may be a day old. The window is a choice of the verifier; a message may be that long on its way.
const MAX_AGE: Duration = Duration::from_secs(86_400);
/// Claims that say how to verify, and are left out of what is printed.
const REGISTERED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "cnf"];

/// The claims beyond the registered ones, or the error's name; the outer error means that the case itself is malformed.
pub fn verify(case: &Value) -> Result<Result<Value, String>, Box<dyn Error>> {
    let text = |name: &str| case[name].as_str().ok_or_else(|| format!("{}: no {name}", case["id"]));
    let issuers = [TrustedIssuer::dangerous_any_name(vec![issuer_key(text("issuer_key_pem")?)?])];
    let expected = TokenExpectations {
        issuers: &issuers,
        token_type: TokenType::AnySdJwt,
        required_claims: &[],
        now: Timestamp::from_secs(case["now"].as_u64().ok_or("no time")?),
        leeway: Duration::ZERO,
    };
    let token = text("token")?.as_bytes();
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
        let (audience, nonce) = (text("aud")?, text("nonce")?);
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

/// A SubjectPublicKeyInfo in PEM, of one of the three kinds of keys that are supported.
fn issuer_key(pem: &str) -> Result<IssuerKey, Box<dyn Error>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64_STANDARD.decode(body)?;
    let key = |scheme, octets| Ok(IssuerKey::new(&PublicKey::new(scheme, octets)?)?);
    match der.len() {
        44 => key(SignatureScheme::Ed25519, &der[12..]),
        91 => key(SignatureScheme::EcdsaP256Sha256, &der[26..]),
        120 => Ok(IssuerKey::p384(&der[23..])?),
        _ => Err("the issuer's key is of no known kind".into()),
    }
}
