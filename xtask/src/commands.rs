use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    shell::{cargo, stage},
    tidy,
    workspace::Workspace,
};

/// Packages that are not published.
const UNPUBLISHED: [&str; 2] = ["mimi-e2e", "xtask"];

/// `[profile.dev]` of the workspace's manifest. If the two differ, packing is slower and nothing else.
const PROFILE: [&str; 3] = [
    "profile.dev.debug=\"line-tables-only\"",
    "profile.dev.package.\"*\".opt-level=1",
    "profile.dev.build-override.opt-level=0",
];

/// Every test there is: in the libraries, beside them, and in their documentation. All run, also after a failure. Some
/// start the provider as a process.
pub fn test() -> Result<u8> {
    let provider = match provider(&[])? {
        Ok(provider) => provider,
        Err(code) => return Ok(code),
    };
    let code = stage("build the tests", cargo().args(["test", "--workspace", "--no-run"]))?;
    if code != 0 {
        return Ok(code);
    }
    // What a feature adds is built for one test, not for all.
    let authority = ["test", "--package", "mimi-provider", "--features", "authority", "--test", "credentials"];
    let issued = stage("run the tests of the provider as an authority", cargo().args(authority))?;
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]).env(PROVIDER, provider);
    let code = stage("run the tests", &mut tests)?;
    let code = if code == 0 { issued } else { code };
    eprintln!("{}", if code == 0 { "All tests passed." } else { "There are failed tests: see above." });
    Ok(code)
}

/// The scenarios. The provider is built first, as the process the scenarios start: with the feature that records what
/// it receives, for the table of what each provider could see, and the one that issues every format.
pub fn e2e(args: &[&str]) -> Result<u8> {
    scenarios(&[], args)
}

/// The cost of the connection flow.
pub fn bench_flow(args: &[&str]) -> Result<u8> {
    scenarios(&["--release"], &[&["bench-flow"], args].concat())
}

/// The cost of many pseudonyms in one account.
pub fn bench_pseudonyms(args: &[&str]) -> Result<u8> {
    scenarios(&["--release"], &[&["bench-pseudonyms"], args].concat())
}

/// What messages cost. The provider is built as for operation: without what records.
pub fn load(args: &[&str]) -> Result<u8> {
    let provider = match built(&["--release"], &[])? {
        Ok(provider) => provider,
        Err(code) => return Ok(code),
    };
    let run = ["run", "--quiet", "--release", "--package", "mimi-e2e", "--bin", "load", "--"];
    stage("run the load", cargo().args(run).args(args).env(PROVIDER, provider))
}

fn scenarios(profile: &[&str], args: &[&str]) -> Result<u8> {
    let provider = match provider(profile)? {
        Ok(provider) => provider,
        Err(code) => return Ok(code),
    };
    let run = ["run", "--quiet", "--package", "mimi-e2e", "--bin", "e2e"];
    stage("run the scenarios", cargo().args(run).args(profile).arg("--").args(args).env(PROVIDER, provider))
}

/// The environment variable that says to tests and scenarios which program is the provider.
const PROVIDER: &str = "MIMI_PROVIDER_BIN";

/// Builds the provider as the process that tests and scenarios start, with the features that record and that issue every
/// format, and puts it where no other build writes over it: one of the whole workspace has no such features. Gives its path, or cargo's exit code.
fn provider(profile: &[&str]) -> Result<Result<PathBuf, u8>> {
    let built = match built(profile, &["--features", "record,authority"])? {
        Ok(built) => built,
        Err(code) => return Ok(Err(code)),
    };
    let folder = built.parent().context("the provider is in no folder")?.join("recording");
    let copy = folder.join(built.file_name().context("the provider has no name")?);
    fs::create_dir_all(&folder)?;
    // It may be running just now: then the old one stays with whoever runs it.
    let fresh = copy.with_extension("new");
    fs::copy(&built, &fresh).with_context(|| format!("{} cannot be written", fresh.display()))?;
    fs::rename(&fresh, &copy).with_context(|| format!("{} cannot be written", copy.display()))?;
    Ok(Ok(copy))
}

/// Builds the provider. Gives the path where cargo puts it, or cargo's exit code.
fn built(profile: &[&str], features: &[&str]) -> Result<Result<PathBuf, u8>> {
    let build = ["build", "--package", "mimi-provider", "--bin", "mimi-provider"];
    let code = stage("build the provider", cargo().args(build).args(features).args(profile))?;
    if code != 0 {
        return Ok(Err(code));
    }
    // Once more, for cargo to say where it is: nothing is left to build.
    let json = ["--message-format", "json", "--quiet"];
    let said = cargo().args(build).args(features).args(profile).args(json).output()?;
    executable(&String::from_utf8_lossy(&said.stdout)).context("cargo does not say where the provider is").map(Ok)
}

/// The program in what cargo says of a build, line by line in JSON.
fn executable(said: &str) -> Option<PathBuf> {
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).next_back()
}

/// Packs every published crate, and builds each from its package alone. None is on a registry yet; cargo lets the crates
/// of one workspace find each other meanwhile. A package does not know the workspace's profile: given here once more, the
/// builds share what has been compiled for the tests, and the whole takes an eighth of the time.
pub fn package() -> Result<u8> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    if let Some(home) = home {
        let packages = Workspace::load()?.packages;
        forget_packed(&home, packages.iter().map(|package| format!("{}-{}", package.name, package.version)))?;
    }
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

/// Throws away what cargo has unpacked of these packages in an earlier run: it takes a version that it knows for
/// unchanged, as versions on a registry are. What came from the workspace lies in folders without a host in their names.
fn forget_packed(cargo_home: &Path, packages: impl Iterator<Item = String>) -> Result<()> {
    let Ok(registries) = fs::read_dir(cargo_home.join("registry").join("src")) else { return Ok(()) };
    let local = |name: &str| name.starts_with('-');
    let local: Vec<_> = registries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(local)).collect();
    for package in packages {
        for unpacked in local.iter().map(|registry| registry.path().join(&package)).filter(|path| path.is_dir()) {
            fs::remove_dir_all(&unpacked).with_context(|| format!("{} cannot be removed", unpacked.display()))?;
        }
    }
    Ok(())
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
    let code = stage("format", cargo().args(["fmt", "--all", "--check"]))?;
    let fuzz =
        stage("format the fuzz targets", cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    Ok(code.max(fuzz))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_has_unpacked_is_thrown_away_and_nothing_else() {
        let home = env::temp_dir().join(format!("xtask-unpacked-{}", std::process::id()));
        let folder = |path: &str| home.join("registry/src").join(path);
        let all = ["-0123/ours-0.1.0", "-0123/other-0.1.0", "registry.example-4567/ours-0.1.0"];
        all.iter().for_each(|path| fs::create_dir_all(folder(path).join("src")).unwrap());
        forget_packed(&home, ["ours-0.1.0".to_owned(), "none-0.1.0".to_owned()].into_iter()).unwrap();
        let left = all.map(|path| folder(path).is_dir());
        fs::remove_dir_all(&home).unwrap();
        assert_eq!(left, [false, true, true]);
        forget_packed(&home, ["ours-0.1.0".to_owned()].into_iter()).unwrap();
    }

    #[test]
    fn the_program_is_the_last_one_that_cargo_names() {
        let said = concat!(
            "{\"reason\":\"compiler-artifact\",\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/mimi-provider\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(said), Some("/t/debug/mimi-provider".into()));
        assert_eq!(executable("not JSON"), None);
    }
}
