//! SD-JWT as a format of disclosure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mimi_credential::check_claims;
use mimi_pseudonym::{Claims, MessageContext, PublicKey, SignatureScheme, Signer, Timestamp};

use crate::{
    CLOCK_LEEWAY, ClaimFault, HoldError, Holding, KEY_BINDING_MAX_AGE, PresentError, Selection, VerifyError,
    held::Shown,
    mapping::{self, TokenValue},
    sd_jwt::{
        Expectations, HeldSdJwt, Holder, IssuerKey, KeyBindingError, Limits, ProcessedPayload, SdJwtError,
        TokenExpectations, TokenType, TrustedIssuer, UnverifiedSdJwt,
    },
};

/// Without these, a token could be another provider's, or would never expire.
const REQUIRED: &[&str] = &["iss", "exp"];

/// Takes a token from an issuer.
pub(crate) fn hold(token: &[u8], holding: &Holding<'_>) -> Result<(HeldSdJwt, Shown), HoldError> {
    let token = UnverifiedSdJwt::parse(token, &Limits::default())?;
    let keys: Vec<_> = holding.trust.issuer_keys(holding.domain).into_iter().map(|(_, key)| key).collect();
    let issuers = issuers(&mapping::issuer_name(holding.domain), &keys);
    let held = HeldSdJwt::new(token, &token_expectations(&issuers, holding.now), holding.key)?;
    let is_hidden = |name: &str| {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        held.pointers().any(|hidden| hidden == pointer)
    };
    let plain = read(held.payload(), holding.key, &is_hidden)?;
    check_claims(&plain, holding.domain).map_err(ClaimFault::from)?;
    let hidden = held.payload().names().filter(|name| is_hidden(name)).filter_map(|name| mapping::of_jwt(&name));
    let hidden = hidden.collect();
    Ok((held, Shown { domain: holding.domain.clone(), plain: plain.names().collect(), hidden }))
}

/// Presents the selected claims, which the token allows, with a key binding for the context.
pub(crate) fn present(
    token: &HeldSdJwt,
    shown: &Shown,
    selection: &Selection,
    context: &MessageContext,
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<Vec<u8>, PresentError> {
    let hidden = selection.names().intersection(&shown.hidden).filter_map(|name| mapping::jwt_name(*name));
    let pointers: Vec<_> = hidden.map(|name| format!("/{name}")).collect();
    let pointers: Vec<_> = pointers.iter().map(String::as_str).collect();
    Ok(token.present(&pointers, context.room().as_str(), &nonce(context), now, signer)?.into_bytes())
}

/// Verifies a presentation by one of these keys of the domain of the context's sender. Gives all it discloses.
pub(crate) fn verify(
    token: UnverifiedSdJwt<'_>,
    keys: &[PublicKey],
    context: &MessageContext,
    now: Timestamp,
) -> Result<Claims, VerifyError> {
    let issuers = issuers(&mapping::issuer_name(context.sender().domain()), keys);
    let verified = token
        .verify(&Expectations {
            token: token_expectations(&issuers, now),
            audience: context.room().as_str(),
            nonce: &nonce(context),
            holder: Holder::Key(context.sender_key()),
            max_age: KEY_BINDING_MAX_AGE,
        })
        .map_err(|error| match error {
            SdJwtError::KeyBinding(KeyBindingError::OtherHolder) => VerifyError::WrongKey,
            error => VerifyError::SdJwt(error),
        })?;
    Ok(read(verified.payload(), context.sender_key(), &|_| false)?)
}

fn issuers(name: &str, keys: &[PublicKey]) -> [TrustedIssuer; 1] {
    [TrustedIssuer::new(name, keys.iter().filter_map(|key| IssuerKey::new(key).ok()).collect())]
}

fn token_expectations(issuers: &[TrustedIssuer], now: Timestamp) -> TokenExpectations<'_> {
    TokenExpectations { issuers, token_type: TokenType::AnySdJwt, required_claims: REQUIRED, now, leeway: CLOCK_LEEWAY }
}

fn nonce(context: &MessageContext) -> String {
    URL_SAFE_NO_PAD.encode(context.nonce().as_bytes())
}

/// Reads the claims, save those to be passed over, and refuses whatever else there is. The types of `iss`, `exp`, `nbf`
/// and `iat` have been checked.
fn read(payload: &ProcessedPayload, holder: &PublicKey, skip: &dyn Fn(&str) -> bool) -> Result<Claims, ClaimFault> {
    let mut claims = Claims::default();
    for name in payload.names().filter(|name| !skip(name)) {
        match name.as_ref() {
            "iss" | "exp" | "nbf" | "iat" => {}
            // An array could name more than the room.
            "aud" | "jti" | "vct" if payload.text(&name).is_some() => {}
            "cnf" if payload.claim("cnf").is_some_and(|cnf| is_only_key(cnf, holder)) => {}
            other => {
                let claim = mapping::of_jwt(other).ok_or(ClaimFault::Unmapped)?;
                let text = payload.text(other);
                let flag = payload.flag(other).map(TokenValue::Flag);
                claims.insert(claim, mapping::of_token(claim, text.as_deref().map(TokenValue::Text).or(flag))?);
            }
        }
    }
    Ok(claims)
}

/// Whether a `cnf`, as JSON without white space, says nothing beside the key: a JWK has room for a name.
fn is_only_key(cnf: &str, key: &PublicKey) -> bool {
    const WORDS: [&str; 13] =
        ["jwk", "kty", "crv", "x", "y", "alg", "use", "sig", "OKP", "EC", "P-256", "Ed25519", "EdDSA"];
    let coordinates: Vec<_> = match key.scheme() {
        SignatureScheme::EcdsaP256Sha256 => key.as_bytes().get(1..).unwrap_or_default(),
        _ => key.as_bytes(),
    }
    .chunks(32)
    .map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate))
    .collect();
    // Between the quotation marks stand, in turn, the signs and the words.
    cnf.split('"').enumerate().all(|(at, part)| match at % 2 {
        0 => part.chars().all(|sign| matches!(sign, '{' | '}' | ':' | ',')),
        _ => WORDS.contains(&part) || part == "ES256" || coordinates.iter().any(|coordinate| coordinate == part),
    })
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{SeededEntropy, SigningKey};

    use super::*;

    #[test]
    fn a_confirmation_has_no_room_for_a_name() {
        let key = SigningKey::generate(SignatureScheme::Ed25519, &mut SeededEntropy::new([1; 32])).unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_bytes());
        let good = format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        assert!(is_only_key(&good, key.public_key()));
        for extra in
            [r#","kid":"Alice Smith""#, r#","use":"Alice""#, r#","n":1"#, r#","jwk":["Alice"]"#, r#","\u006b":"x""#]
        {
            let bad = good.replace("}}", &format!("{extra}}}}}"));
            assert!(!is_only_key(&bad, key.public_key()), "{bad}");
        }
    }
}
