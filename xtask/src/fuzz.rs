//! Builds the fuzz targets with coverage, and runs each of them for some time. A stable toolchain does it: what a fuzzer
//! needs of the compiler are passes of LLVM, which every toolchain has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    shell::{cargo, stage},
    workspace,
};

/// What makes the compiler count which code is reached, and tell the fuzzer what is compared with what.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What is asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    /// How long each target runs.
    seconds: u32,
    /// Targets by name; all if there is none.
    targets: Vec<&'a str>,
}

/// Runs the targets one after the other, and gives back the exit code. Inputs that reach new code stay in
/// `target/fuzz/corpus`, and are where the next run begins; one that makes a target fail is in `target/fuzz/found`.
pub fn run(args: &[&str]) -> Result<u8> {
    let wanted = wanted(args)?;
    let (root, host) = (workspace::root(), host()?);
    let targets = targets(&root.join("fuzz/fuzz_targets"))?;
    if let Some(unknown) = wanted.targets.iter().find(|wanted| !targets.iter().any(|known| known == *wanted)) {
        bail!("there is no target `{unknown}`; there are: {}", targets.join(", "));
    }
    let folder = root.join("target/fuzz");
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host, "--target-dir"]);
    build.arg(&folder).env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    let code = stage("build the fuzz targets", &mut build)?;
    if code != 0 {
        eprintln!("The fuzz targets cannot be built. Beside Rust they need a C++ compiler that is called c++.");
        return Ok(code);
    }
    let (programs, corpus) = (folder.join(&host).join("release"), folder.join("corpus"));
    let code = stage("write what they begin with", Command::new(programs.join("seeds")).arg(&corpus))?;
    if code != 0 {
        return Ok(code);
    }
    let mut failed = Vec::new();
    for target in targets.iter().filter(|name| wanted.targets.is_empty() || wanted.targets.contains(&name.as_str())) {
        if !fuzz(&programs.join(target), target, &folder, wanted.seconds)? {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    eprintln!("Failed: {}. The inputs are in target/fuzz/found.", failed.join(", "));
    Ok(1)
}

/// Runs one target; false if it failed. What it says goes into a file, and is shown if it failed.
fn fuzz(program: &Path, target: &str, folder: &Path, seconds: u32) -> Result<bool> {
    let (corpus, found) = (folder.join("corpus").join(target), folder.join("found").join(target));
    let logs = folder.join("log");
    for folder in [&corpus, &found, &logs] {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let log = logs.join(target).with_extension("log");
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", found.display()));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=16384"]).arg(&corpus);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
    let status = command.status().with_context(|| format!("{} cannot be started", program.display()))?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    match executions(&said) {
        Some(executions) if status.success() => eprintln!("    {target}: {executions} executions, nothing found"),
        _ => {
            eprintln!("    {target}: failed ({status}). The end of {}:\n{}", log.display(), end(&said));
            return Ok(false);
        }
    }
    Ok(true)
}

fn wanted<'a>(args: &[&'a str]) -> Result<Wanted<'a>> {
    let mut wanted = Wanted { seconds: 60, targets: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--seconds" => {
                let seconds = args.next().and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0);
                wanted.seconds = seconds.context("--seconds wants a number")?;
            }
            option if option.starts_with('-') => bail!("there is no option `{option}`: only --seconds"),
            target => wanted.targets.push(target),
        }
    }
    Ok(wanted)
}

/// The names of the targets, sorted.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// The machine as the compiler calls it. It has to be named, so that the flags are for the targets alone and not for what
/// runs while they are built.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("-vV").current_dir(workspace::root()).output().context("rustc is missing")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for which machine it is")?.to_owned())
}

/// How many inputs were tried, as the fuzzer says at its end.
fn executions(said: &str) -> Option<u64> {
    said.lines().rev().find_map(|line| line.strip_prefix("Done ")?.split(' ').next()?.parse().ok())
}

fn end(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(40)).map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        assert_eq!(wanted(&[]).unwrap(), Wanted { seconds: 60, targets: vec![] });
        let some = wanted(&["wire", "--seconds", "10", "room"]).unwrap();
        assert_eq!(some, Wanted { seconds: 10, targets: vec!["wire", "room"] });
        for bad in [&["--seconds"][..], &["--seconds", "x"], &["--seconds", "0"], &["--jobs"]] {
            assert!(wanted(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_targets_are_those_of_the_manifest() {
        let targets = targets(&workspace::root().join("fuzz/fuzz_targets")).unwrap();
        let manifest = fs::read_to_string(workspace::root().join("fuzz/Cargo.toml")).unwrap();
        assert!(targets.len() >= 7, "{targets:?}");
        for target in &targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
        assert!(run(&["no_such_target"]).unwrap_err().to_string().contains("wire"));
    }

    #[test]
    fn the_fuzzer_says_how_often_it_ran() {
        assert_eq!(executions("#2 INITED\nDone 1517 runs in 11 second(s)\n"), Some(1517));
        assert_eq!(executions("==1== ERROR: libFuzzer: deadly signal\n"), None);
        assert_eq!(end("a\nb\n"), "    | a\n    | b\n");
    }
}
