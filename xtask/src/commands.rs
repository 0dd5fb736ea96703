use std::time::Instant;

use anyhow::Result;

use crate::{
    shell::{cargo, stage},
    tidy,
};

/// Packages that are not published.
const UNPUBLISHED: [&str; 2] = ["mimi-e2e", "xtask"];

/// `[profile.dev]` of the workspace's manifest. If the two differ, packing is slower and nothing else.
const PROFILE: [&str; 3] = [
    "profile.dev.debug=\"line-tables-only\"",
    "profile.dev.package.\"*\".opt-level=1",
    "profile.dev.build-override.opt-level=0",
];

/// Every test there is: in the libraries, beside them, and in their documentation. All run, also after a failure.
pub fn test() -> Result<u8> {
    let code = stage("build the tests", cargo().args(["test", "--workspace", "--no-run"]))?;
    if code != 0 {
        return Ok(code);
    }
    let code = stage("run the tests", cargo().args(["test", "--workspace", "--no-fail-fast"]))?;
    eprintln!("{}", if code == 0 { "All tests passed." } else { "There are failed tests: see above." });
    Ok(code)
}

/// The scenarios. The provider is built first, as the process the scenarios start: with the feature that records what
/// it receives, for the table of what each provider could see.
pub fn e2e(args: &[&str]) -> Result<u8> {
    scenarios(&[], args)
}

/// The cost of the connection flow.
pub fn bench_flow(args: &[&str]) -> Result<u8> {
    scenarios(&["--release"], &[&["bench-flow"], args].concat())
}

fn scenarios(profile: &[&str], args: &[&str]) -> Result<u8> {
    let build = ["build", "--package", "mimi-provider", "--features", "record", "--bin", "mimi-provider"];
    let code = stage("build the provider", cargo().args(build).args(profile))?;
    if code != 0 {
        return Ok(code);
    }
    let run = ["run", "--quiet", "--package", "mimi-e2e", "--bin", "e2e"];
    stage("run the scenarios", cargo().args(run).args(profile).arg("--").args(args))
}

/// Packs every published crate, and builds each from its package alone. None is on a registry yet; cargo lets the crates
/// of one workspace find each other meanwhile. A package does not know the workspace's profile: given here once more, the
/// builds share what has been compiled for the tests, and the whole takes an eighth of the time.
pub fn package() -> Result<u8> {
    let mut command = cargo();
    command.args(["package", "--workspace", "--allow-dirty", "--quiet"]);
    for name in UNPUBLISHED {
        command.args(["--exclude", name]);
    }
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    stage("package", &mut command)
}

/// Gives back the exit code of what it ran.
type Gate = fn() -> Result<u8>;

/// The gates. All are tried, so that one run shows everything that is wrong.
pub fn ci() -> Result<u8> {
    let start = Instant::now();
    let gates: [(&str, Gate); 5] = [
        ("format", format),
        ("clippy", clippy),
        ("documentation", documentation),
        ("tidy", tidy::run),
        ("package", package),
    ];
    let mut closed = Vec::new();
    for (name, gate) in gates {
        if gate()? != 0 {
            closed.push(name);
        }
    }
    let elapsed = start.elapsed().as_secs_f32();
    if closed.is_empty() {
        eprintln!("All {} gates passed in {elapsed:.1} s.", gates.len());
        return Ok(0);
    }
    eprintln!("Failed after {elapsed:.1} s: {}.", closed.join(", "));
    Ok(1)
}

fn format() -> Result<u8> {
    stage("format", cargo().args(["fmt", "--all", "--check"]))
}

/// With all features, so that what is behind one is looked at too.
fn clippy() -> Result<u8> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--", "--deny", "warnings"];
    stage("clippy", cargo().args(clippy))
}

fn documentation() -> Result<u8> {
    let doc = ["doc", "--workspace", "--no-deps", "--quiet"];
    stage("documentation", cargo().args(doc).env("RUSTDOCFLAGS", "--deny warnings"))
}
