//! A run that is asked to end takes its providers with it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something.
fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that a process has started, by their numbers.
fn started_by(parent: u32) -> Vec<u32> {
    let parent_of = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|id| parent_of(*id) == Some(parent)).collect()
}

fn runs(id: u32) -> bool {
    PathBuf::from(format!("/proc/{id}")).exists()
}

fn ends_with_its_providers(program: &str, arguments: &[&str], signal: &str) {
    let mut run: Child =
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let providers = soon("no provider was started", || {
        assert!(run.try_wait().unwrap().is_none(), "{program} has ended by itself");
        Some(started_by(run.id())).filter(|providers| providers.len() == 2)
    });
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", run.id())).status().unwrap();
    assert!(sent.success());
    let status = soon("it does not end", || run.try_wait().unwrap());
    assert_eq!(status.code(), Some(2), "it says that it was not run to its end");
    for provider in providers {
        soon("a provider goes on", || (!runs(provider)).then_some(()));
    }
}

#[test]
fn a_load_that_is_interrupted_leaves_no_provider_behind() {
    ends_with_its_providers(env!("CARGO_BIN_EXE_load"), &["--sizes", "2", "--rooms", "2", "--seconds", "600"], "TERM");
}

#[test]
fn whoever_copies_rooms_stops_in_the_middle() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_load"));
    run.args(["--idle", "2000000"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let said = std::io::BufReader::new(run.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(said).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("copied")), "it says how far it is");
    let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", run.id())).status().unwrap();
    assert!(sent.success());
    let status = soon("it does not end", || run.try_wait().unwrap());
    assert_eq!(status.code(), Some(2), "{:?}", lines.last());
}

#[test]
fn a_scenario_that_is_interrupted_leaves_no_provider_behind() {
    ends_with_its_providers(env!("CARGO_BIN_EXE_e2e"), &["connection", "--suite", "1"], "INT");
}
