//! The scenarios from the command line. `cargo xtask e2e` builds the provider and runs this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its user")]

use std::process::ExitCode;

use anyhow::{Result, bail};
use mimi_e2e::{
    bench::signature_operations,
    fixture::Keep,
    scenario::{Report, Variant, connection},
};
use mimi_pseudonym::CipherSuite;

const HELP: &str = "\
Usage: e2e [scenario] [options]

Scenarios; all of them without a name:
  connection    Alice finds Bob, meets him under a pseudonym, and both move to a room of two pseudonyms
  bench-flow    what the connection flow costs

Options:
  --suite 1|2   with one MLS suite: 1 (X25519, Ed25519) or 2 (P-256); both without
  --keep        leaves databases, logs and recordings behind, and says where
  --help        this text

Ends with 0 if everything was as it should be, with 1 if not, with 2 if it could not be run.
";

/// Times each operation is done in a round of the benchmark.
const TIMES: u32 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Help,
    Scenarios,
    Bench,
}

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    command: Command,
    suites: Vec<CipherSuite>,
    keep: Keep,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match parse(&words) {
        Ok(arguments) => run(&arguments).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Arguments> {
    let mut arguments = Arguments { command: Command::Scenarios, suites: CipherSuite::ALL.to_vec(), keep: Keep::No };
    let mut named = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--help" | "-h" => arguments.command = Command::Help,
            "--keep" => arguments.keep = Keep::Yes,
            "--suite" => {
                let code = words.next().and_then(|code| code.parse().ok());
                match code.and_then(CipherSuite::from_code) {
                    Some(suite) => arguments.suites = vec![suite],
                    None => bail!("--suite is 1 or 2"),
                }
            }
            "connection" if !named => named = true,
            "bench-flow" if !named => (named, arguments.command) = (true, Command::Bench),
            _ => bail!("`{word}` is not understood\n\n{HELP}"),
        }
    }
    Ok(arguments)
}

async fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.command == Command::Help {
        print!("{HELP}");
        return Ok(true);
    }
    let mut passed = true;
    for suite in &arguments.suites {
        eprintln!("e2e: connection with suite {}: two providers, two clients each", suite.code());
        let mut report = connection::run(Variant { suite: *suite, keep: arguments.keep }).await?;
        if arguments.command == Command::Bench {
            report.costs.operations.extend(signature_operations(*suite, TIMES)?);
            println!("{}\n\n{}", report.name, report.costs);
        } else {
            println!("{}\n\n{report}", report.name);
        }
        passed &= verdict(&report)?;
    }
    Ok(passed)
}

/// Prints the verdict and says whether it is a good one.
fn verdict(report: &Report) -> Result<bool> {
    let failures = report.failures()?;
    failures.iter().for_each(|failure| println!("  {failure}"));
    let word = if failures.is_empty() { "PASSED" } else { "FAILED" };
    println!("{}: {word} in {:.1} s", report.name, report.costs.elapsed.as_secs_f64());
    if let Some(folder) = &report.kept {
        println!("databases, logs and recordings: {}", folder.display());
    }
    println!();
    Ok(failures.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Arguments> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        let all = parsed("").unwrap();
        assert_eq!((all.command, all.suites.len(), all.keep), (Command::Scenarios, 2, Keep::No));
        let one = parsed("connection --suite 2 --keep").unwrap();
        assert_eq!((one.suites, one.keep), (vec![CipherSuite::P256Aes128P256], Keep::Yes));
        assert_eq!(parsed("bench-flow").unwrap().command, Command::Bench);
        assert_eq!(parsed("connection --help").unwrap().command, Command::Help);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in ["knock", "--suite", "--suite 3", "--suite x", "connection connection", "--keeps"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
