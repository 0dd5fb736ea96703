//! Cases for SD-CWT: `token` and `nonce` in hexadecimal, claims in diagnostic notation, sorted by their labels.

use std::error::Error;

use coset_sd_cwt::{Claims, Label, Limits, NoAeadKeys, PublicKey, TrustedIssuer, UnverifiedPresentation, VerifyParams};
use serde_json::Value;

use super::{Outcome, issuer_key, text};

/// Claims that say how to verify, and are left out of what is printed.
const REGISTERED: [i64; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 39];

pub fn verify(case: &Value) -> Result<Outcome, Box<dyn Error>> {
    let key = PublicKey::from_spki(&issuer_key(case)?)?;
    let (token, nonce) = (unhex(text(case, "token")?)?, unhex(text(case, "nonce")?)?);
    let presentation = match UnverifiedPresentation::parse(&token, &Limits::default()) {
        Ok(presentation) => presentation,
        Err(error) => return Ok(Err(format!("{error:?}"))),
    };
    // A case gives a key but no name for its issuer: the name is taken from the token, as the one the key is known for.
    let name = presentation.claimed_issuer().unwrap_or_default().to_owned();
    let verified = presentation.verify(&VerifyParams {
        issuers: &[TrustedIssuer { name, key }],
        audience: text(case, "aud")?,
        credential_audiences: &[],
        nonce: &nonce,
        now: case["now"].as_i64().ok_or("no time")?,
        leeway: 0,
        holder_keys: &[],
        aead_keys: &NoAeadKeys,
    });
    Ok(match verified {
        Ok(verified) => Ok(further(verified.claims()).into()),
        Err(error) => Err(format!("{error:?}")),
    })
}

fn further(claims: &Claims) -> String {
    let is_registered = |label: &Label| REGISTERED.iter().any(|known| Label::from(*known) == *label);
    let further = claims.iter().filter(|(label, _)| !is_registered(label));
    let mut further: Vec<_> = further.map(|(label, claim)| (label.to_string(), claim.to_string())).collect();
    further.sort();
    let further: Vec<_> = further.iter().map(|(label, claim)| format!("{label}: {claim}")).collect();
    format!("{{{}}}", further.join(", "))
}

fn unhex(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let octet = |at: usize| {
        let digits = hex.get(at..at + 2).ok_or("half an octet")?;
        Ok(u8::from_str_radix(digits, 16)?)
    };
    (0..hex.len()).step_by(2).map(octet).collect()
}
