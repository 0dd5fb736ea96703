use coset_sd_cwt::{Claims, Limits, NoAeadKeys, PublicKey, TrustedIssuer, UnverifiedPresentation, VerifyParams};
use serde_json::Value as Json;

use super::pem;

/// Verifies one case. The error is the name of the rule that is broken.
pub fn verify(case: &Json) -> Result<Claims, String> {
    let text = |name: &str| case.get(name).and_then(Json::as_str).unwrap_or_default();
    let key = PublicKey::from_spki(&pem::decode(text("issuer_key_pem"))).map_err(|error| format!("{error:?}"))?;
    let token = pem::unhex(text("token"));
    let presentation =
        UnverifiedPresentation::parse(&token, &Limits::default()).map_err(|error| format!("{error:?}"))?;
    // A case gives a key but no name for its issuer: the name is taken from the token, as the one the key is known for.
    let name = presentation.claimed_issuer().unwrap_or_default().to_owned();
    let verified = presentation.verify(&VerifyParams {
        issuers: &[TrustedIssuer { name, key }],
        audience: text("aud"),
        credential_audiences: &[],
        nonce: &pem::unhex(text("nonce")),
        now: case.get("now").and_then(Json::as_i64).unwrap_or_default(),
        leeway: 0,
        holder_keys: &[],
        aead_keys: &NoAeadKeys,
    });
    verified.map(|verified| verified.claims().clone()).map_err(|error| format!("{error:?}"))
}
