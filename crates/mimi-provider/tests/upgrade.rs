//! Who makes a database, and who brings its tables up to date: `run`, and nobody else. What an operator asks is refused
//! where there is no database, or one of another version, and says so; a copy can be taken of any.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use support::{free_address, postgres::Postgres, sites::Sites};

const SITE: &str = "a.example";
const PATIENCE: Duration = Duration::from_secs(60);
/// The lock that processes of every version have to agree about.
const LOCK: &str = "5278103469917264511";

/// What a program has left that knew of no tables yet: the oldest version there can be.
const OLDER: &str = "CREATE TABLE schema_version (one BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                     INSERT INTO schema_version VALUES (1, 0)";
/// What of an operator's commands asks a database.
const ASKED: [&str; 8] = [
    "account list",
    "account add alice",
    "account delete alice",
    "room list",
    "remedy list",
    "appeal list",
    "explain mimi://a.example/u/alice",
    "pardon mimi://a.example/u/alice",
];

/// Whether it went well, and all that it has said.
fn ran(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    (output.status.success(), said)
}

fn asked(sites: &Sites, line: &str) -> (bool, String) {
    ran(sites.command(SITE, &line.split(' ').collect::<Vec<_>>()))
}

fn refused(sites: &Sites, line: &str) -> String {
    let (well, said) = asked(sites, line);
    assert!(!well, "{line}: {said}");
    said
}

fn good(sites: &Sites, line: &str) -> String {
    let (well, said) = asked(sites, line);
    assert!(well, "{line}: {said}");
    said
}

fn version(file: &Path) -> i64 {
    let database = rusqlite::Connection::open(file).unwrap();
    database.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).unwrap()
}

/// The version of the tables of this program.
fn own(sites: &Sites) -> i64 {
    let status = good(sites, "status");
    status.lines().next().unwrap().strip_prefix("schema").unwrap().trim().parse().unwrap()
}

#[test]
fn nothing_but_run_makes_a_database() {
    let mut sites = Sites::new("makes", &[(SITE, None)]);
    let elsewhere = sites.folder.join("elsewhere");
    let there = |line: &str| format!("{line} --data {}", elsewhere.display());
    let file = elsewhere.join("provider.sqlite");
    let none = format!("there is no database at {}: `mimi-provider run` makes what is missing", file.display());
    for line in ASKED.iter().chain(&["status", "backup copy.sqlite"]) {
        let said = refused(&sites, &there(line));
        assert!(said.contains(&none), "{line}: {said}");
    }
    // It can run: this is not wrong, and is said.
    let said = good(&sites, &there("check"));
    assert!(said.contains(&format!("WARN   database: {none}")), "{said}");
    assert!(!elsewhere.exists());
    let mut empty = sites.command(SITE, &["run"]);
    empty.env("MIMI_DATA", "");
    assert_eq!(ran(empty), (false, "mimi-provider: MIMI_DATA: it must not be empty\n".into()));
    sites.start(SITE, 0);
    good(&sites, "status");
    let no_folder = sites.folder.join(SITE).join("provider.toml").join("data");
    let said = refused(&sites, &format!("run --data {}", no_folder.display()));
    assert!(said.contains(&format!("{}: ", no_folder.display())), "an error names the path: {said}");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(&file, [b'x'; 4096]).unwrap();
    for line in ["status", "account list", "check", "run"] {
        let said = refused(&sites, &there(line));
        assert!(said.contains(&format!("{}: file is not a database", file.display())), "{line}: {said}");
    }
}

#[test]
fn nobody_else_can_read_the_database_wherever_it_is() {
    let mut sites = Sites::new("private", &[(SITE, None)]);
    let data = sites.folder.join(SITE).join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    sites.start(SITE, 0);
    good(&sites, "account add alice");
    for name in ["provider.sqlite", "provider.sqlite-wal", "provider.sqlite-shm", "provider.lock"] {
        let mode = std::fs::metadata(data.join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}: {mode:o}");
    }
}

#[test]
fn a_database_of_another_version_is_told_of_copied_and_not_changed() {
    let mut sites = Sites::new("versions", &[(SITE, None)]);
    let data = sites.folder.join(SITE).join("data");
    std::fs::create_dir(&data).unwrap();
    let (file, copy) = (data.join("provider.sqlite"), sites.folder.join("copy.sqlite"));
    let older = rusqlite::Connection::open(&file).unwrap();
    older.execute_batch(OLDER).unwrap();
    drop(older);
    let told = |sites: &Sites, found: i64, own: &str, why: &str| {
        let versions = format!("schema {found}, and this program has {own}");
        for line in ASKED {
            let said = refused(sites, line);
            assert!(said.contains(&versions) && said.contains(why), "{line}: {said}");
        }
        let status = good(sites, "status");
        assert!(status.starts_with(&format!("schema             {found}, and this program has {own}: ")), "{status}");
        let _ = std::fs::remove_file(&copy);
        good(sites, &format!("backup {}", copy.display()));
        assert_eq!((version(&copy), version(&file)), (found, found));
    };
    // What this program's version is, it says by itself.
    let said = refused(&sites, "account list");
    let own_version = said.split("this program has ").nth(1).unwrap().split(':').next().unwrap().to_owned();
    told(&sites, 0, &own_version, "`mimi-provider run` brings it up to date");
    let check = good(&sites, "check");
    assert!(check.contains(&format!("WARN   database: 0, and this program has {own_version}: ")), "{check}");
    sites.start(SITE, 0);
    assert_eq!(own(&sites).to_string(), own_version);
    good(&sites, "account add alice");
    sites.kill(SITE);
    let newer = own(&sites) + 1;
    let database = rusqlite::Connection::open(&file).unwrap();
    database.execute("UPDATE schema_version SET version = ?1", [newer]).unwrap();
    drop(database);
    told(&sites, newer, &own_version, "written by a newer version");
    assert!(refused(&sites, "check").contains("WRONG  database: "));
    assert!(refused(&sites, "run").contains("written by a newer version"));
}

/// Starts a process besides the one that there may be.
fn another(sites: &Sites) -> (Child, std::net::SocketAddr) {
    let address = free_address();
    let mut run = sites.command(SITE, &["run", "--quiet", "--listen", &address.to_string()]);
    (run.stderr(Stdio::piped()).spawn().unwrap(), address)
}

fn listens(address: std::net::SocketAddr) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a process has said that ends by itself, and not well.
fn failed(mut process: Child) -> String {
    let until = Instant::now() + PATIENCE;
    while process.try_wait().unwrap().is_none() {
        if Instant::now() >= until {
            let _ = process.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = process.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn tables_are_brought_up_to_date_while_nobody_serves_with_older_ones() {
    let Some(server) = Postgres::start(false) else { return };
    let sites = Sites::new("in-use", &[(SITE, Some(server.create("in_use")))]);
    assert!(refused(&sites, "account list").contains("there are no tables in the database"));
    assert!(good(&sites, "status").contains("no tables"));
    server.psql("in_use", OLDER).unwrap();
    assert!(refused(&sites, "account list").contains("schema 0, and this program has"));
    // A process of an older version serves.
    let holds = format!("SELECT pg_advisory_lock_shared({LOCK}); SELECT pg_sleep(600)");
    std::thread::scope(|scope| {
        scope.spawn(|| server.psql("in_use", &holds));
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        let until = Instant::now() + PATIENCE;
        while server.psql("in_use", held).unwrap() != "1" {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = failed(another(&sites).0);
        assert!(said.contains("processes of the older version serve from it"), "{said}");
        assert_eq!(server.psql("in_use", "SELECT version FROM schema_version").unwrap(), "0");
        server.psql("in_use", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'").unwrap();
    });
    // Two begin at once: one makes the tables, the other waits for it, and both serve.
    let mut both = [another(&sites), another(&sites)];
    both.iter().for_each(|(_, address)| listens(*address));
    let holders = "SELECT count(*), bool_and(mode = 'ShareLock') FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(server.psql("in_use", holders).unwrap(), "2|t");
    // The server drops the connections that hold a place: the places are taken again.
    server.psql("in_use", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'").unwrap();
    let until = Instant::now() + PATIENCE;
    while server.psql("in_use", holders).unwrap() != "2|t" {
        assert!(Instant::now() < until, "nobody holds a place any more");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(both.iter_mut().all(|(process, _)| process.try_wait().unwrap().is_none()));
    // Somebody changes the tables all the same, where there are no such locks for example.
    server.psql("in_use", "UPDATE schema_version SET version = version + 1").unwrap();
    for (process, _) in both {
        let said = failed(process);
        assert!(said.contains("the database was written by a newer version"), "{said}");
    }
}
