//! What stands in `dist/` fits the program: its commands are run as they stand there, with other folders. An image is not
//! built here, for that needs a registry.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use support::free_address;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(Path::new(TOP).join("dist/Dockerfile")).unwrap().replace("\\\n", "");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).unwrap())
        .collect()
}

fn of<'a>(instructions: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect()
}

/// A command written as a JSON array.
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}

fn program(words: &[String]) -> Command {
    assert_eq!(words[0].rsplit('/').next(), Some("mimi-provider"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
    command.args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

struct Setup {
    folder: PathBuf,
    running: Option<Child>,
}

impl Drop for Setup {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_image_is_made_of_what_is_there_and_of_nothing_it_need_not_have() {
    let all = instructions();
    let stages = of(&all, "FROM");
    assert_eq!(stages.len(), 2, "what compiles is not in the image");
    let manifest = std::fs::read_to_string(Path::new(TOP).join("Cargo.toml")).unwrap();
    let wanted = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(stages[0].starts_with(&format!("rust:{wanted}-slim")), "{}", stages[0]);
    assert!(stages[1].starts_with("debian:") && stages[1].ends_with("-slim"), "{}", stages[1]);
    for copy in of(&all, "COPY") {
        let paths: Vec<_> = copy.split_whitespace().collect();
        if paths[0].starts_with("--from=build") {
            assert_eq!(paths[1..], ["/build/target/release/mimi-provider", "/usr/local/bin/mimi-provider"]);
            continue;
        }
        for path in &paths[..paths.len() - 1] {
            assert!(Path::new(TOP).join(path).exists(), "{path}");
        }
    }
    // Every member of the workspace is there, or Cargo refuses to build one of them.
    let copied = of(&all, "COPY").join(" ");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for member in members.split('"').filter(|part| part.chars().next().is_some_and(char::is_alphabetic)) {
        let folder = member.trim_end_matches("/*");
        assert!(copied.split_whitespace().any(|path| path == folder), "{folder}");
    }
    let user: u32 = of(&all, "USER")[0].parse().unwrap();
    assert!(user > 0 && of(&all, "RUN").iter().any(|run| run.contains(&format!("--uid {user}"))));
    let data = of(&all, "ENV").into_iter().find_map(|env| env.strip_prefix("MIMI_DATA=")).unwrap();
    assert_eq!(words(of(&all, "VOLUME")[0]), [data], "what is stored outlives the container");
}

#[test]
fn the_images_commands_run_and_its_health_check_tells_the_truth() {
    let all = instructions();
    let folder = std::env::temp_dir().join(format!("mimi-provider-dist-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut setup = Setup { folder: folder.clone(), running: None };
    let (listen, admin) = (free_address().to_string(), free_address().to_string());
    let init = ["mimi-provider", "init", "--domain", "a.example", "--listen", &listen, "--folder"].map(str::to_owned);
    assert!(program(&init).arg(folder.join("etc")).output().unwrap().status.success());
    let config = folder.join("etc/provider.toml");
    let without = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{without}\n[admin]\nlisten = \"{admin}\"\n")).unwrap();
    let environment: Vec<_> = of(&all, "ENV")
        .into_iter()
        .map(|env| env.split_once('=').unwrap())
        .map(|(name, path)| (name, path.replace("/etc/mimi-provider", "etc").replace("/var/lib/mimi-provider", "data")))
        .collect();
    assert_eq!(environment.len(), 2);
    let ready = || {
        let mut check = program(&words(of(&all, "HEALTHCHECK")[0]));
        check
            .current_dir(&folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .status()
            .unwrap()
            .success()
    };
    assert!(!ready(), "nothing runs");
    let run = [words(of(&all, "ENTRYPOINT")[0]), words(of(&all, "CMD")[0])].concat();
    let mut command = program(&run);
    command.current_dir(&folder).envs(environment.iter().map(|(name, value)| (name, value)));
    setup.running = Some(command.spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < until, "it does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(folder.join("data/provider.sqlite").exists(), "what is stored is in the volume");
    let mut running = setup.running.take().unwrap();
    let stop = of(&all, "STOPSIGNAL")[0].trim_start_matches("SIG");
    assert!(Command::new("kill").args([&format!("-{stop}"), &running.id().to_string()]).status().unwrap().success());
    assert!(running.wait().unwrap().success());
    assert!(!ready());
    std::fs::write(&config, without).unwrap();
    assert!(!ready(), "it does not say where to ask");
}

#[test]
fn the_units_commands_are_the_programs() {
    let unit = std::fs::read_to_string(Path::new(TOP).join("dist/mimi-provider.service")).unwrap();
    let folder = std::env::temp_dir().join(format!("mimi-provider-unit-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut setup = Setup { folder: folder.clone(), running: None };
    let init = ["mimi-provider", "init", "--domain", "a.example", "--folder"].map(str::to_owned);
    // As it stands in the unit's first lines, with other folders.
    let example =
        unit.lines().find_map(|line| line.strip_prefix("#   mimi-provider init --folder /etc/mimi-provider ")).unwrap();
    let data = example.split_once("--data ").unwrap().1.split(' ').next().unwrap();
    let state = folder.join("state");
    assert!(program(&init).arg(&folder).arg("--data").arg(&state).output().unwrap().status.success());
    let commands = |key: &str| -> Vec<String> {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}/usr/local/bin/")));
        let line = line.unwrap_or_else(|| panic!("{key} is not in the unit"));
        let line = line.replace("/etc/mimi-provider", folder.to_str().unwrap());
        line.split_whitespace().map(str::to_owned).collect()
    };
    // Whatever it finds, the service starts.
    assert!(program(&commands("ExecStartPre=-")).output().unwrap().status.success());
    let mut run = commands("ExecStart=");
    assert_eq!(run[1], "run");
    // The unit says nothing of the database: every command finds it by the configuration.
    assert!(!unit.contains("MIMI_"));
    let name = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    assert_eq!(data, format!("/var/lib/{name}"));
    let address = free_address();
    run.extend(["--listen".into(), address.to_string()]);
    setup.running = Some(program(&run).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut status = commands("ExecStart=");
    status[1] = "status".into();
    assert!(program(&status).output().unwrap().status.success());
    assert!(state.join("provider.sqlite").exists() && !folder.join("data").exists());
    // Whatever is missing at the start, PostgreSQL for example, may come later.
    let section = |name: &str| unit.split(&format!("[{name}]")).nth(1).unwrap().split("\n[").next().unwrap().to_owned();
    assert!(section("Unit").contains("\nStartLimitIntervalSec=0\n"));
    assert!(section("Service").contains("\nRestart=on-failure\nRestartSec=2\n"));
    assert!(
        unit.contains("ExecReload=/bin/kill -HUP $MAINPID") && unit.lines().any(|line| line == "User=mimi-provider")
    );
    drop(setup);
}
