//! Verifies cases and says what came of each.
//!
//! `cargo run -p mimi-disclosure --example verify -- CASES.jsonl` reads one JSON object a line, with `id`, `format` and
//! what that format needs, and prints one JSON object a line: `id`, `result` (`accept` or `reject`), and then `claims`
//! or the name of the `error`.

// A member that is missing is null, and a malformed case may end the tool.
#![allow(clippy::indexing_slicing)]

mod sd_jwt;

use std::{env, error::Error, fs, io, io::Write};

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: verify CASES.jsonl")?;
    let cases = fs::read_to_string(path)?;
    let mut out = io::stdout().lock();
    for line in cases.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line)?;
        let id = &case["id"];
        let result = match case["format"].as_str() {
            Some("sd-jwt") => sd_jwt::verify(&case)?,
            format => return Err(format!("{id}: format {format:?} is not known").into()),
        };
        let line = match result {
            Ok(claims) => json!({ "id": id, "result": "accept", "claims": claims }),
            Err(error) => json!({ "id": id, "result": "reject", "error": error }),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}
