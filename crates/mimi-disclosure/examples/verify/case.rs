//! One case of either format. Beside `token` a case has `issuer_key_pem`, `aud`, `nonce` and `now`, in seconds.

// A member that is missing is null.
#![allow(clippy::indexing_slicing)]

#[path = "sd_cwt.rs"]
mod sd_cwt;
#[path = "sd_jwt.rs"]
mod sd_jwt;

use std::error::Error;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// What came of a case: the claims beyond the registered ones, or the error's name.
pub type Outcome = Result<Value, String>;

/// The line that is printed for a case. The error means that the case itself is malformed.
pub fn answer(case: &Value) -> Result<Value, Box<dyn Error>> {
    let id = &case["id"];
    Ok(match verify(case)? {
        Ok(claims) => json!({ "id": id, "result": "accept", "claims": claims }),
        Err(error) => json!({ "id": id, "result": "reject", "error": error }),
    })
}

fn verify(case: &Value) -> Result<Outcome, Box<dyn Error>> {
    match case["format"].as_str() {
        Some("sd-jwt") => sd_jwt::verify(case),
        Some("sd-cwt") => sd_cwt::verify(case),
        format => Err(format!("{}: format {format:?} is not known", case["id"]).into()),
    }
}

fn text<'a>(case: &'a Value, name: &str) -> Result<&'a str, Box<dyn Error>> {
    Ok(case[name].as_str().ok_or_else(|| format!("{}: no {name}", case["id"]))?)
}

/// The SubjectPublicKeyInfo of the issuer's key.
fn issuer_key(case: &Value) -> Result<Vec<u8>, Box<dyn Error>> {
    let lines = text(case, "issuer_key_pem")?.lines().filter(|line| !line.starts_with("-----"));
    Ok(BASE64_STANDARD.decode(lines.collect::<String>())?)
}
