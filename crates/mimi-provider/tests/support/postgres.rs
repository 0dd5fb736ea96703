//! A PostgreSQL of one's own, for tests: started from the programs that are found, on a socket in a temporary folder, and
//! gone when the process ends. Where there is none, tests that need it say so and are skipped; with
//! `MIMI_TEST_POSTGRES=required` in the environment they fail.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::indexing_slicing, missing_docs)]

use std::{
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A server.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    durable: bool,
    /// Besides those that every server of these tests has.
    options: Vec<String>,
    /// Whether the folder goes with the process, which cannot drop this.
    once: bool,
    shell: Option<Child>,
}

/// Ends the server when nobody holds the other end of its input any more.
const SHELL: &str = r#"
"$@" >"$FOLDER/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -INT $server 2>/dev/null
wait $server
if [ -n "$ONCE" ]; then rm -rf "$FOLDER"; fi
"#;

/// A database on a server that all tests of this process share, by its connection string.
pub fn database(name: &str) -> Option<String> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(|| Postgres::start_as(false, true)).as_ref()?;
    Some(server.create(&format!("{name}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))))
}

impl Postgres {
    /// Starts a server. A `durable` one writes to disk what it has committed.
    pub fn start(durable: bool) -> Option<Self> {
        Self::start_as(durable, false)
    }

    fn start_as(durable: bool, once: bool) -> Option<Self> {
        Self::start_with(durable, once, &[], &[], &[])
    }

    /// Starts a server with more options for `initdb` and for itself, and more files in its folder, which nobody else can
    /// read.
    pub fn start_with(
        durable: bool,
        once: bool,
        init: &[&str],
        files: &[(&str, &str)],
        options: &[&str],
    ) -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var_os("MIMI_TEST_POSTGRES").is_some_and(|value| value == "required");
            assert!(!required, "there is no PostgreSQL on this machine: no initdb");
            eprintln!("SKIPPED: there is no PostgreSQL on this machine (no initdb)");
            return None;
        };
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mimi-pg-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { folder, programs, durable, options, once, shell: None };
        let always = ["initdb", "--auth=trust", "--username=mimi", "--no-sync", "--encoding=UTF8", "--locale=C"];
        server.run(&[&always[..], init, &["-D"]].concat());
        for (name, text) in files {
            let path = server.folder.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let owner = std::fs::metadata(&server.folder).unwrap();
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        server.begin();
        Some(server)
    }

    /// Starts the server again that has been killed.
    pub fn begin(&mut self) {
        let folder = self.folder.to_str().unwrap().to_owned();
        let mut command = self.command("postgres");
        command.args(["-D", &folder, "-k", &folder, "-c", "listen_addresses=", "-c", "max_connections=200"]);
        command.args(&self.options);
        if !self.durable {
            command.args(["-c", "fsync=off"]);
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.env("FOLDER", &self.folder).env("ONCE", if self.once { "1" } else { "" }).stdin(Stdio::piped());
        self.shell = Some(shell.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        while self.psql("postgres", "SELECT 1").is_none() {
            assert!(Instant::now() < until, "PostgreSQL does not start: see {}/log", self.folder.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The processes of the server, the first of them the one that starts the others.
    pub fn processes(&self) -> Vec<String> {
        let file = std::fs::read_to_string(self.folder.join("postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        std::iter::once(postmaster.as_str()).chain(children.split_whitespace()).map(str::to_owned).collect()
    }

    /// Makes every process of the server stand still until what is returned is dropped: it takes connections, and says
    /// nothing on any.
    pub fn halt(&self) -> Halted {
        // The first of them starts no others meanwhile.
        signal("-STOP", &self.processes()[..1]);
        let processes = self.processes();
        signal("-STOP", &processes);
        Halted(processes)
    }

    /// Kills every process of the server, without warning.
    pub fn kill(&mut self) {
        // The first of them starts no others any more: one that outlives it keeps the next server from starting.
        signal("-STOP", &self.processes()[..1]);
        signal("-KILL", &self.processes());
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    /// Makes a database and returns its connection string.
    pub fn create(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        self.address(name)
    }

    /// Copies a database that is in use, as its operator would; the copy's connection string.
    pub fn copy(&self, from: &str, to: &str) -> String {
        let (folder, file) = (
            self.folder.to_str().unwrap(),
            std::env::temp_dir().join(format!("mimi-pg-copy-{to}-{}", std::process::id())),
        );
        let mut dump = Command::new("pg_dump");
        dump.args(["-h", folder, "-U", "mimi", "-d", from, "-f"]).arg(&file);
        assert!(dump.status().unwrap().success());
        let address = self.create(to);
        let mut load = Command::new("psql");
        load.args(["-h", folder, "-U", "mimi", "-d", to, "-Xq", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file);
        assert!(load.stdout(Stdio::null()).status().unwrap().success());
        std::fs::remove_file(&file).unwrap();
        address
    }

    /// The connection string of a database.
    pub fn address(&self, name: &str) -> String {
        format!("host={} user=mimi dbname={name}", self.folder.display())
    }

    /// What a query answers, as text without alignment; nothing if the server does not answer.
    pub fn psql(&self, database: &str, query: &str) -> Option<String> {
        // The socket has the port in its name.
        let port = self.options.iter().find_map(|option| option.strip_prefix("port="));
        let mut psql = Command::new("psql");
        psql.args(["-h", self.folder.to_str().unwrap(), "-p", port.unwrap_or("5432")]);
        psql.args(["-U", "mimi", "-d", database, "-XAtq", "-c", query]);
        let output = psql.stderr(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Octets on disk.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program of PostgreSQL, run by somebody it lets itself be run by: it refuses the superuser.
    fn command(&self, program: &str) -> Command {
        self.owners(&self.programs.join(program))
    }

    /// A program that the owner of the server's processes runs.
    pub fn owners(&self, path: &Path) -> Command {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return Command::new(path);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = if users.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), "--clear-groups".into()]).arg(path);
        command
    }

    fn run(&self, command: &[&str]) {
        let mut run = self.command(command[0]);
        let output = run.args(&command[1..]).arg(&self.folder).current_dir("/").output().unwrap();
        if !output.status.success() {
            let _ = std::io::stderr().write_all(&output.stderr);
            panic!("{} failed", command[0]);
        }
    }
}

/// A server that stands still.
pub struct Halted(Vec<String>);

impl Drop for Halted {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, processes: &[String]) {
    for process in processes {
        let _ = Command::new("kill").args([signal, process]).stderr(Stdio::null()).status();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder of PostgreSQL's programs, of the newest version there is.
pub fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
        versions.sort();
        folders.extend(versions.into_iter().rev());
    }
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
