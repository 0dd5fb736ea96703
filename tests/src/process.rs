//! A provider as a process of its own.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::TlsConnector;

/// How long a provider may take to accept connections, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// What a provider's process needs to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub binary: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// The folder for recorded exchanges.
    pub record: PathBuf,
    /// The file for the log; appended to.
    pub log: PathBuf,
    /// The provider's domain.
    pub domain: String,
    /// Where it will listen.
    pub address: SocketAddr,
    /// TLS to ask it whether it does.
    pub tls: Arc<ClientConfig>,
}

/// A provider's process: running, or killed and able to start again. Killed when dropped.
#[derive(Debug)]
pub struct ProviderProcess {
    launch: Launch,
    child: Option<Child>,
    /// What processes that have ended used.
    spent: Usage,
}

/// What processes used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Seconds of processor time, in user and kernel mode.
    pub cpu_seconds: f64,
    /// The most memory that was resident at a time, in KiB.
    pub peak_kib: u64,
}

impl Usage {
    /// What a running process has used so far. Zero where the system has no `/proc`.
    pub fn of_process(id: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
        Self {
            cpu_seconds: cpu_seconds(&read("stat")).unwrap_or_default(),
            peak_kib: peak_kib(&read("status")).unwrap_or_default(),
        }
    }
}

impl ProviderProcess {
    /// Starts a provider with its clock ahead by so many seconds, and waits until it accepts TLS connections.
    ///
    /// # Errors
    /// If it ends or does not accept connections in time. The error has the end of its log.
    pub async fn start(launch: Launch, clock_offset: i64) -> Result<Self> {
        let mut process = Self { launch, child: None, spent: Usage::default() };
        process.restart(clock_offset).await?;
        Ok(process)
    }

    /// Starts it again with another clock; kills it first if it is running.
    ///
    /// # Errors
    /// As [`ProviderProcess::start`].
    pub async fn restart(&mut self, clock_offset: i64) -> Result<()> {
        self.kill()?;
        let Launch { binary, config, record, log, .. } = &self.launch;
        let log = OpenOptions::new().create(true).append(true).open(log).context("no log can be written")?;
        let child = Command::new(binary)
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg(format!("--clock-offset={clock_offset}"))
            .arg("--record")
            .arg(record)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        self.child = Some(child);
        self.accepts().await
    }

    /// Kills it without a warning (SIGKILL).
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.spent = self.usage();
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// If it was not running, does not end in time, or ends with an error.
    pub async fn stop(&mut self) -> Result<()> {
        let before = self.usage();
        let child = self.child.as_mut().ok_or_else(|| anyhow!("{} is not running", self.launch.domain))?;
        // The library has no other signal than SIGKILL; every shell has `kill`.
        let asked = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status()?;
        if !asked.success() {
            bail!("{} could not be asked to end", self.launch.domain);
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => bail!("{} does not end{}", self.launch.domain, self.log_tail()),
                None => sleep(PAUSE).await,
            }
        };
        self.child = None;
        self.spent = before;
        if status.success() { Ok(()) } else { Err(self.ended(status)) }
    }

    /// What it has used so far, over all its starts. Zero where the system has no `/proc`.
    pub fn usage(&self) -> Usage {
        let now = self.child.as_ref().map(|child| Usage::of_process(child.id())).unwrap_or_default();
        Usage { cpu_seconds: self.spent.cpu_seconds + now.cpu_seconds, peak_kib: self.spent.peak_kib.max(now.peak_kib) }
    }

    /// The provider's domain.
    pub fn domain(&self) -> &str {
        &self.launch.domain
    }

    async fn accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let child = self.child.as_mut().ok_or_else(|| anyhow!("nothing was started"))?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Err(self.ended(status));
            }
            let Err(error) = handshake(&self.launch).await else { return Ok(()) };
            if Instant::now() > deadline {
                let (domain, address) = (&self.launch.domain, self.launch.address);
                bail!("{domain} does not accept TLS at {address} ({error:#}){}", self.log_tail());
            }
            sleep(PAUSE).await;
        }
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        anyhow!("{} ended with {status}{}", self.launch.domain, self.log_tail())
    }

    fn log_tail(&self) -> String {
        tail(&self.launch.log, 20).map(|tail| format!(". The end of its log:\n{tail}")).unwrap_or_default()
    }
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _ = self.kill();
    }
}

/// The program: what `MIMI_PROVIDER_BIN` names, or the one beside the running program.
///
/// # Errors
/// If there is none.
pub fn provider_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MIMI_PROVIDER_BIN") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(anyhow!("MIMI_PROVIDER_BIN: {} is no file", path.display()))
        };
    }
    let program = std::env::current_exe()?;
    // Tests are one folder below.
    let folders = program.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("mimi-provider")).find(|path| path.is_file());
    found.ok_or_else(|| {
        anyhow!(
            "mimi-provider is not built. `cargo xtask test` and `cargo xtask e2e` build it; by hand: \
         cargo build -p mimi-provider --features record"
        )
    })
}

/// A TLS handshake and nothing after it, which leaves no exchange behind.
async fn handshake(launch: &Launch) -> Result<()> {
    let attempt = async {
        let socket = TcpStream::connect(launch.address).await?;
        let name = ServerName::try_from(launch.domain.clone())?;
        TlsConnector::from(launch.tls.clone()).connect(name, socket).await?;
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(2), attempt).await?
}

/// The last lines of a file, if it has any.
fn tail(path: &Path, lines: usize) -> Option<String> {
    let text = std::io::read_to_string(File::open(path).ok()?).ok()?;
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..)?.join("\n");
    (!last.is_empty()).then_some(last)
}

/// Fields 14 and 15 of `/proc/PID/stat`, in ticks of which Linux has 100 a second. The second field is the program's
/// name in parentheses, which may have anything inside.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, Keep};

    /// A program that takes the place of a provider and does what the script says.
    fn pretender(fixture: &Fixture, script: &str) -> Launch {
        let binary = fixture.root().join("pretender");
        fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        let status = Command::new("chmod").arg("+x").arg(&binary).status().unwrap();
        assert!(status.success());
        let site = fixture.site("a.example").unwrap();
        Launch {
            binary,
            config: site.config(),
            record: fixture.root().join("record"),
            log: site.log(),
            domain: "a.example".into(),
            address: site.address(),
            tls: Arc::new(fixture.client_tls().unwrap()),
        }
    }

    #[tokio::test]
    async fn a_provider_that_ends_at_once_is_an_error_with_its_log() {
        let fixture = Fixture::create("ends", &["a.example"], Keep::No).unwrap();
        let launch = pretender(&fixture, "echo \"no such thing: $*\" >&2; exit 3");
        let error = ProviderProcess::start(launch, -5).await.unwrap_err().to_string();
        assert!(
            error.starts_with("a.example ended with exit status: 3. The end of its log:\nno such thing: run --config ")
        );
        assert!(error.contains("--clock-offset=-5 --record "), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let fixture = Fixture::create("missing", &["a.example"], Keep::No).unwrap();
        let launch = Launch { binary: "/nowhere/mimi-provider".into(), ..pretender(&fixture, "") };
        let error = ProviderProcess::start(launch, 0).await.unwrap_err().to_string();
        assert_eq!(error, "/nowhere/mimi-provider cannot be started");
    }

    /// Waits until a process has used more than this much of a processor, where that can be seen.
    async fn worked(process: &ProviderProcess, seconds: f64) {
        while Path::new("/proc/self/stat").exists() && process.usage().cpu_seconds <= seconds {
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_process_is_killed_and_asked_to_end_and_its_time_is_kept() {
        let fixture = Fixture::create("kill", &["a.example"], Keep::No).unwrap();
        let launch = pretender(&fixture, "trap 'exit 0' TERM; while true; do :; done");
        let spawn = |launch: &Launch| Command::new(&launch.binary).spawn().unwrap();
        let child = spawn(&launch);
        let mut process = ProviderProcess { child: Some(child), launch, spent: Usage::default() };
        worked(&process, 0.0).await;
        process.kill().unwrap();
        let killed = process.usage();
        assert!(process.stop().await.is_err(), "it is not running");
        process.child = Some(spawn(&process.launch));
        worked(&process, killed.cpu_seconds).await;
        process.stop().await.unwrap();
        if Path::new("/proc/self/stat").exists() {
            assert!(killed.cpu_seconds > 0.0 && killed.peak_kib > 0, "{killed:?}");
            assert!(process.usage().cpu_seconds > killed.cpu_seconds, "{:?}", process.usage());
        }
    }

    #[test]
    fn fields_of_proc_are_found_whatever_the_program_is_called() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("42 (a"), None);
        assert_eq!(peak_kib("Name:\ta\nVmHWM:\t   2048 kB\n"), Some(2048));
        assert_eq!(peak_kib("Name:\ta\n"), None);
    }
}
