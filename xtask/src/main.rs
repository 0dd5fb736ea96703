//! The commands of this workspace. `cargo xtask --help` names them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its user")]

mod commands;
mod fuzz;
mod rust;
mod shell;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask <command>

Commands:
  e2e [scenario] [options]  run the scenarios between two providers, as real processes over TLS; all without a name.
                            What follows goes to the scenarios unchanged, for example:
                              cargo xtask e2e connection --suite 2   with the MLS suite 0x0002 alone
                              cargo xtask e2e connection --keep      leave databases and logs behind
                              cargo xtask e2e --help                 the scenarios and every option
  test                      run every test of the workspace
  bench flow [options]      what the connection flow costs, in release mode
  bench pseudonyms [options]  what many pseudonyms in one account cost, in release mode
  load [options]            what messages cost, in release mode: clients that send and receive without a pause, and a check
                            that all of it arrived once and in order:
                              cargo xtask load --help                every option
  fuzz [target] [options]   give every target, or those that are named, inputs that nobody has thought of:
                              cargo xtask fuzz --seconds 10          each for so long; 60 without it
  tidy                      arrows between crates, invariants, file lengths, crate metadata, links
  package                   pack every published crate, as for the registry
  ci                        the gates: format, clippy, documentation, tidy, package
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command, and gives back the exit code for the process.
fn run(args: &[&str]) -> Result<u8> {
    match args {
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{HELP}");
            Ok(0)
        }
        ["e2e", rest @ ..] => commands::e2e(rest),
        ["test"] => commands::test(),
        ["bench", "flow", rest @ ..] => commands::bench_flow(rest),
        ["bench", "pseudonyms", rest @ ..] => commands::bench_pseudonyms(rest),
        ["bench", ..] => bail!("the benchmarks are: cargo xtask bench flow, cargo xtask bench pseudonyms"),
        ["load", rest @ ..] => commands::load(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["tidy"] => tidy::run(),
        ["package"] => commands::package(),
        ["ci"] => commands::ci(),
        [known @ ("test" | "tidy" | "package" | "ci"), ..] => bail!("`{known}` takes no arguments"),
        [unknown, ..] => bail!("there is no command `{unknown}`\n\n{HELP}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_a_success_and_names_every_command() {
        assert_eq!(run(&["--help"]).unwrap(), 0);
        assert_eq!(run(&[]).unwrap(), 0);
        for command in ["e2e", "test", "bench flow", "bench pseudonyms", "load", "fuzz", "tidy", "package", "ci"] {
            assert!(HELP.contains(&format!("\n  {command} ")), "{command}");
        }
    }

    #[test]
    fn what_is_unknown_is_an_error_that_helps() {
        let error = run(&["tset"]).unwrap_err().to_string();
        assert!(error.contains("`tset`") && error.contains("cargo xtask <command>"), "{error}");
        assert!(run(&["bench"]).unwrap_err().to_string().contains("bench flow"));
        assert!(run(&["tidy", "--fast"]).unwrap_err().to_string().contains("no arguments"));
    }
}
