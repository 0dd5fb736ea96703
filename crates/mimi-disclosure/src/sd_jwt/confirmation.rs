use std::borrow::Cow;

use mimi_pseudonym::{PublicKey, SignatureScheme};

use super::{base64url, error::KeyBindingError, json::write_string, key::JwsAlgorithm, payload};

/// Which key a token must be bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder<'a> {
    /// This one, and no other.
    Key(&'a PublicKey),
    /// Whichever key the issuer named; [`VerifiedSdJwt::holder`](super::VerifiedSdJwt::holder) says which, and the
    /// caller decides whether that is the one in question.
    AnyNamed,
}

/// The holder's key in the claim `cnf` of a processed payload: a JWK for Ed25519 or P-256 (RFC 7800, section 3.2;
/// RFC 8037; RFC 7518, section 6.2).
pub(super) fn confirmation_key(cnf: Option<&str>, holder: Holder<'_>) -> Result<PublicKey, KeyBindingError> {
    let [jwk] = payload::members_of(cnf.ok_or(KeyBindingError::NoConfirmationKey)?, ["jwk"])
        .ok_or(KeyBindingError::ConfirmationKey)?;
    let jwk = jwk.ok_or(KeyBindingError::NoConfirmationKey)?;
    let (scheme, octets) = read_jwk(&jwk).ok_or(KeyBindingError::ConfirmationKey)?;
    match holder {
        Holder::Key(key) if key.scheme() == scheme && key.as_bytes() == octets => Ok(key.clone()),
        Holder::Key(_) => Err(KeyBindingError::OtherHolder),
        Holder::AnyNamed => PublicKey::new(scheme, &octets).map_err(|_| KeyBindingError::ConfirmationKey),
    }
}

fn read_jwk(jwk: &str) -> Option<(SignatureScheme, Vec<u8>)> {
    let wanted = ["kty", "crv", "x", "y", "d", "alg", "use"];
    let [kty, crv, x, y, d, alg, usage] = payload::members_of(jwk, wanted)?;
    // A private key in a token is everyone's key.
    if d.is_some() {
        return None;
    }
    let coordinate = |json: &str| base64url::decode(&payload::string(json)?).ok().filter(|octets| octets.len() == 32);
    let is = |json: &Option<String>, text: &str| json.as_deref().and_then(payload::string).as_deref() == Some(text);
    let x = coordinate(x.as_deref()?)?;
    let (scheme, octets) = if is(&kty, "OKP") && is(&crv, "Ed25519") && y.is_none() {
        (SignatureScheme::Ed25519, x)
    } else if is(&kty, "EC") && is(&crv, "P-256") {
        (SignatureScheme::EcdsaP256Sha256, [vec![4], x, coordinate(y.as_deref()?)?].concat())
    } else {
        return None;
    };
    let algorithm = JwsAlgorithm::of(scheme)?;
    let fits = |json: &String| payload::string(json).is_some_and(|name: Cow<'_, str>| algorithm.is_named(&name));
    (alg.as_ref().is_none_or(fits) && (usage.is_none() || is(&usage, "sig"))).then_some((scheme, octets))
}

/// Appends `{"jwk":{…}}` for a key.
#[cfg_attr(not(feature = "issuer"), allow(dead_code, reason = "only issuers write keys"))]
pub(super) fn write_confirmation(key: &PublicKey, out: &mut String) {
    let mut members: Vec<(&str, String)> = Vec::new();
    match key.scheme() {
        SignatureScheme::EcdsaP256Sha256 => {
            let (x, y) = key.as_bytes().get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
            members.extend([("kty", "EC".to_owned()), ("crv", "P-256".to_owned())]);
            members.extend([("x", base64url::encode(x)), ("y", base64url::encode(y))]);
        }
        _ => {
            members.extend([("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned())]);
            members.push(("x", base64url::encode(key.as_bytes())));
        }
    }
    out.push_str("{\"jwk\":{");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_string(value, out);
    }
    out.push_str("}}");
}
