//! `verify CASES.jsonl`: verifies one presentation a line, and prints one JSON line for each.
//!
//! A case has an `id`, a `token` in hexadecimal, `issuer_key_pem`, `aud`, `nonce` (hexadecimal) and `now` (seconds). The
//! output has the `id`, `accept` or `reject`, and the claims in diagnostic notation or the name of the error.
#![allow(clippy::print_stdout)]

mod case;
#[path = "../../tests/common/pem.rs"]
mod pem;

use std::io::{Error, ErrorKind};

use serde_json::{Value as Json, json};

fn main() -> std::io::Result<()> {
    let path =
        std::env::args().nth(1).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "usage: verify CASES.jsonl"))?;
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.trim().is_empty()) {
        let case: Json = serde_json::from_str(line)?;
        let id = case.get("id").cloned().unwrap_or_default();
        let answer = match case::verify(&case) {
            Ok(claims) => json!({ "id": id, "result": "accept", "claims": claims.to_string() }),
            Err(error) => json!({ "id": id, "result": "reject", "error": error }),
        };
        println!("{answer}");
    }
    Ok(())
}
