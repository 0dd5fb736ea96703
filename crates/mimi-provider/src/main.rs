//! The program `mimi-provider`.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use lexopt::prelude::*;
use mimi_provider::{Config, ConfigError, OffsetClock, Options, Provider, StartError};
use mimi_pseudonym::{Clock, UserUri};

const HELP: &str = "\
A MIMI provider: hub of rooms and local provider of clients.

Usage: mimi-provider run --config FILE [--clock-offset SECONDS] [--quiet] [--record DIR]
       mimi-provider explain USER --config FILE [--clock-offset SECONDS]
       mimi-provider --help | --version

  explain USER             what speaks against a user in this hub's rooms, and what is decided from it
  --config FILE            the configuration, in TOML
  --clock-offset SECONDS   moves the provider's clock; may be negative
  --quiet                  no line for each request on standard error
  --record DIR             appends every exchange to DIR/exchanges.jsonl and counts of cryptographic operations to
                           DIR/operations.jsonl; only in a build with the feature `record`
";

/// What the arguments ask for.
enum Command {
    Help,
    Version,
    Explain { user: UserUri, config: PathBuf, clock_offset: i64 },
    Run { config: PathBuf, clock_offset: i64, quiet: bool, record: Option<PathBuf> },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Arguments(#[from] lexopt::Error),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let result = arguments(lexopt::Parser::from_env()).map_err(Failure::from).and_then(|command| match command {
        Command::Help => Ok(std::io::stdout().write_all(HELP.as_bytes())?),
        Command::Version => Ok(writeln!(std::io::stdout(), "mimi-provider {}", env!("CARGO_PKG_VERSION"))?),
        Command::Explain { user, config, clock_offset } => {
            let now = OffsetClock::new(clock_offset).now();
            let text = mimi_provider::explain(&Config::load(&config)?, &user, now)?;
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
        Command::Run { config, clock_offset, quiet, record } => run(config, clock_offset, quiet, record),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where standard error is gone, the exit code says enough.
            let _ = writeln!(std::io::stderr(), "mimi-provider: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut run, mut config, mut clock_offset, mut quiet, mut record) = (false, None, 0, false, None);
    let mut user: Option<UserUri> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("config") => config = Some(parser.value()?.into()),
            Long("clock-offset") => clock_offset = parser.value()?.parse()?,
            Long("quiet") => quiet = true,
            Long("record") if cfg!(feature = "record") => record = Some(parser.value()?.into()),
            Value(value) if value == "run" && !run && user.is_none() => run = true,
            Value(value) if value == "explain" && !run && user.is_none() => user = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    match (config, user) {
        (Some(config), Some(user)) => Ok(Command::Explain { user, config, clock_offset }),
        (Some(config), None) if run => Ok(Command::Run { config, clock_offset, quiet, record }),
        (Some(_), None) => Err("the command `run` is missing".into()),
        (None, _) => Err("--config FILE is missing; see --help".into()),
    }
}

fn run(config: PathBuf, clock_offset: i64, quiet: bool, record: Option<PathBuf>) -> Result<(), Failure> {
    let config = Config::load(&config)?;
    let mut options = Options::default().with_clock(Arc::new(OffsetClock::new(clock_offset)));
    if quiet {
        options = options.quiet();
    }
    #[cfg(feature = "record")]
    if let Some(folder) = record {
        options = options.recorded(&folder)?;
    }
    #[cfg(not(feature = "record"))]
    drop(record);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let provider = Provider::start(config, options).await?;
        let _ = writeln!(std::io::stderr(), "listening at {}", provider.local_addr());
        provider.serve(stopped()).await;
        Ok(())
    })
}

/// Ready when the process is asked to end.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            let _ = interrupted.await;
            return;
        };
        tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupted.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, lexopt::Error> {
        super::arguments(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn arguments_are_read() {
        assert!(matches!(parse(&["--help"]), Ok(Command::Help)));
        assert!(matches!(parse(&["--version"]), Ok(Command::Version)));
        let command = parse(&["run", "--config", "a.toml", "--clock-offset", "-60", "--quiet"]).unwrap();
        let Command::Run { config, clock_offset, quiet, record } = command else { panic!("not run") };
        assert_eq!((config, clock_offset, quiet, record), (PathBuf::from("a.toml"), -60, true, None));
        let command = parse(&["explain", "mimi://b.example/u/bob", "--config", "a.toml"]).unwrap();
        assert!(matches!(command, Command::Explain { .. }));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            &["explain", "--config", "a"][..],
            &["explain", "bob", "--config", "a"],
            &["run"],
            &["--config", "a"],
            &["run", "run"],
            &["walk"],
            &["run", "--clock-offset", "x"],
            &[],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        #[cfg(not(feature = "record"))]
        assert!(parse(&["run", "--config", "a", "--record", "b"]).is_err());
    }
}
