//! Verifies cases and says what came of each.
//!
//! `cargo run -p mimi-disclosure --example verify -- CASES.jsonl` reads one JSON object a line, with `id`, `format`
//! (`sd-jwt` or `sd-cwt`) and what that format needs, and prints one JSON object a line: `id`, `result` (`accept` or
//! `reject`), and then `claims` or the name of the `error`.

mod case;

use std::{env, error::Error, fs, io, io::Write};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: verify CASES.jsonl")?;
    let cases = fs::read_to_string(path)?;
    let mut out = io::stdout().lock();
    for line in cases.lines().filter(|line| !line.trim().is_empty()) {
        writeln!(out, "{}", case::answer(&serde_json::from_str(line)?)?)?;
    }
    Ok(())
}
