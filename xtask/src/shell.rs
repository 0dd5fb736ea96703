use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context, Result};

use crate::workspace;

/// `cargo` in the root of the workspace: the one that runs this command.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// Runs a command under a headline, says how it went, and gives back its exit code (1 if a signal ended it).
pub fn stage(name: &str, command: &mut Command) -> Result<u8> {
    eprintln!("==> {name}: {}", line(command));
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{} cannot be started", line(command)))?;
    let elapsed = start.elapsed().as_secs_f32();
    if status.success() {
        eprintln!("==> {name}: ok in {elapsed:.1} s");
        return Ok(0);
    }
    eprintln!("==> {name}: failed after {elapsed:.1} s ({status})");
    Ok(exit_code(status.code()))
}

/// The exit code of a child as our own; never 0, since this is asked of failures only.
fn exit_code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_of_a_child_goes_through() {
        assert_eq!(exit_code(Some(101)), 101);
        assert_eq!(exit_code(Some(256)), 1);
        assert_eq!(exit_code(None), 1);
        assert_eq!(
            stage("none", cargo().arg("no-such-command-here").stderr(std::process::Stdio::null())).unwrap(),
            101
        );
    }
}
