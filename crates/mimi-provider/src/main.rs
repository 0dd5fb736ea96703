//! The program `mimi-provider`.

mod command;
mod environment;

use std::{io::Write, path::Path, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use command::{Command, Names, Task};
use environment::EnvironmentError;
use mimi_abuse::remedy::HomeRemedy;
use mimi_provider::{
    Config, ConfigError, OffsetClock, Options, Provider, Setting, StartError,
    operate::{
        self, AccountNote, Finding, InitError, NewPeer, OperateError, Operator, OrderError, ReachError, Verdict,
    },
};
use mimi_pseudonym::Clock;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a thread that is there to wait for the database has nothing to do before it ends.
const IDLE: Duration = Duration::from_secs(1);
/// How long threads may take to end after the provider has.
const LAST: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Arguments(#[from] lexopt::Error),
    #[error("--config FILE is missing, and MIMI_CONFIG is not set")]
    NoConfig,
    #[error("{0}")]
    Environment(#[from] EnvironmentError),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Init(#[from] InitError),
    #[error("{0}")]
    Operate(#[from] OperateError),
    #[error("{0}")]
    Order(#[from] OrderError),
    #[error("{0}")]
    Reach(#[from] ReachError),
    #[error("not everything is as it should be")]
    Check,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let result = command::parse(lexopt::Parser::from_env()).map_err(Failure::from).and_then(|command| match command {
        Command::Help(words) => Ok(std::io::stdout().write_all(command::help(&words).as_bytes())?),
        Command::Version => Ok(writeln!(std::io::stdout(), "mimi-provider {}", env!("CARGO_PKG_VERSION"))?),
        Command::Init(init) => {
            init.write()?;
            Ok(writeln!(std::io::stdout(), "{}", init.folder.join("provider.toml").display())?)
        }
        Command::ListShares { operator, witness, request, shares } => {
            Ok(operate::give_list_shares(&operator, &witness, &request, &shares, OffsetClock::default().now())?)
        }
        Command::TieHelp => Ok(std::io::stdout().write_all(command::tie::HELP.as_bytes())?),
        Command::Tie(command) => command.run(&mut std::io::stdout().lock()),
        Command::With { config, settings, task } => with(config, &settings, task),
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

fn with(config: Option<PathBuf>, settings: &[(Setting, String, String)], task: Task) -> Result<(), Failure> {
    let said = environment::settings(std::env::vars_os())?;
    let path = config.or_else(|| std::env::var_os(environment::CONFIG).map(PathBuf::from)).ok_or(Failure::NoConfig)?;
    let mut config = Config::load(&path)?;
    for (setting, variable, value) in said {
        config.set(setting, variable, &value)?;
    }
    for (setting, flag, value) in settings {
        config.set(*setting, flag, value)?;
    }
    match task {
        Task::Run { clock_offset, quiet, record } => run(config, clock_offset, quiet, record),
        task => operate(&path, config, task, &mut std::io::stdout().lock()),
    }
}

fn operate(path: &Path, config: Config, task: Task, out: &mut impl Write) -> Result<(), Failure> {
    match task {
        Task::Check => {
            let findings = operate::check(&config, OffsetClock::default().now());
            for Finding { what, verdict, .. } in &findings {
                match verdict {
                    Verdict::Good => writeln!(out, "good   {what}")?,
                    Verdict::Warning(warning) => writeln!(out, "WARN   {what}: {warning}")?,
                    Verdict::Wrong(wrong) => writeln!(out, "WRONG  {what}: {wrong}")?,
                }
            }
            let wrong = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Wrong(_)));
            if wrong { Err(Failure::Check) } else { Ok(()) }
        }
        Task::Ready => Ok(operate::ready(&config)?),
        Task::AddPeer(peer) => {
            peer.add_to(path)?;
            let NewPeer { domain, .. } = peer;
            let then =
                format!("a provider that runs knows it after it was started again; then see peer check {domain}");
            Ok(writeln!(out, "{domain}: added to {}; {then}", path.display())?)
        }
        Task::CheckPeer(domain) => {
            let reached = operate::reach(&config, &domain, OffsetClock::default().now())?;
            writeln!(out, "good   {reached}").map_err(Into::into)
        }
        Task::Peers => {
            config.peers().try_for_each(|(domain, address)| writeln!(out, "{domain} {address}")).map_err(Into::into)
        }
        Task::Explain(user) => {
            let text = mimi_provider::explain(&config, &user, OffsetClock::default().now())?;
            Ok(out.write_all(text.as_bytes())?)
        }
        Task::Pardon(user) => Ok(mimi_provider::pardon(&config, &user, OffsetClock::default().now())?),
        Task::Order { room, order, at } => Ok(operate::order(&config, &room, &order, at)?),
        Task::Status => status(&Operator::open_as_it_is(config)?, out),
        Task::Backup(file) => Ok(Operator::open_as_it_is(config)?.backup(&file)?),
        task => asked(&Operator::open(config)?, task, out),
    }
}

fn status(operator: &Operator, out: &mut impl Write) -> Result<(), Failure> {
    let schema = operator.schema()?;
    writeln!(out, "schema             {schema}")?;
    let runs = match operator.runs() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known: there is no [admin] to ask at",
    };
    writeln!(out, "runs               {runs}")?;
    if !schema.is_own() {
        // What stands in tables of another version, another version can say.
        return Ok(());
    }
    let status = operator.status()?;
    writeln!(out, "octets on disk     {}", status.octets)?;
    writeln!(out, "accounts           {}", status.accounts)?;
    writeln!(out, "devices            {}", status.devices)?;
    writeln!(out, "rooms of this hub  {}", status.rooms)?;
    writeln!(out, "waits for devices  {} events", status.inbox)?;
    for (peer, rooms, messages) in status.outbox {
        writeln!(out, "waits for {peer}  {messages} messages of {rooms} rooms")?;
    }
    Ok(())
}

/// What is asked of the database.
fn asked(operator: &Operator, task: Task, out: &mut impl Write) -> Result<(), Failure> {
    match task {
        Task::Accounts => {
            for (user, devices) in operator.accounts()? {
                writeln!(out, "{user} {devices}")?;
            }
        }
        Task::AddAccount { name, display_name, email } => {
            writeln!(out, "{}", operator.open_account(&name, &display_name, &email)?)?;
        }
        Task::DeleteAccount(name) => operator.delete_account(&name)?,
        Task::Rooms => {
            for (room, epoch) in operator.rooms()? {
                writeln!(out, "{room} {epoch}")?;
            }
        }
        Task::Remedies => notes(&operator.remedies()?, out)?,
        Task::Appeals => notes(&operator.appeals()?, out)?,
        Task::SetRemedy(name, remedy) => operator.set_remedy(&name, remedy, OffsetClock::default().now())?,
        Task::Relate(names) => operator.relate(&names)?,
        Task::Unrelate(name) => operator.unrelate(&name)?,
        Task::Names(task) => names(operator, task, out)?,
        Task::Tie(task) => task.run(operator, out)?,
        Task::AnswerAppeal { name, granted } => operator.answer_appeal(&name, granted)?,
        Task::Run { .. }
        | Task::Order { .. }
        | Task::Check
        | Task::Status
        | Task::Backup(_)
        | Task::Ready
        | Task::Peers
        | Task::AddPeer(_)
        | Task::CheckPeer(_)
        | Task::Explain(_)
        | Task::Pardon(_) => {}
    }
    Ok(())
}

fn names(operator: &Operator, task: Names, out: &mut impl Write) -> Result<(), Failure> {
    let now = OffsetClock::default().now();
    match task {
        Names::Request { name, requester, reason } => {
            writeln!(out, "{}", operator.log_list_opening(&name, &requester, &reason, now)?)?;
        }
        Names::Ask { name, position, seen, file } => operator.ask_for_list(&name, position, seen, &file)?,
        Names::Act { request, remedy, shares } => {
            let shares: Vec<&Path> = shares.iter().map(PathBuf::as_path).collect();
            writeln!(out, "{} pseudonyms", operator.act_on_list(&request, remedy, &shares, now)?)?;
        }
    }
    Ok(())
}

/// One line each: the account, what is done, since when, and a text in one line.
fn notes(notes: &[AccountNote], out: &mut impl Write) -> Result<(), Failure> {
    for AccountNote { user, remedy, text, at, .. } in notes {
        let what = remedy.map_or("appeal", HomeRemedy::name);
        writeln!(out, "{user} {what} {} {}", at.as_secs(), one_line(text))?;
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn run(config: Config, clock_offset: i64, quiet: bool, record: Option<PathBuf>) -> Result<(), Failure> {
    let mut options = Options::default().with_clock(Arc::new(OffsetClock::new(clock_offset)));
    if quiet {
        options = options.quiet();
    }
    #[cfg(feature = "record")]
    if let Some(folder) = record {
        let failed = |error| OperateError::File { path: folder.clone(), error };
        options = options.recorded(&folder).map_err(failed)?;
    }
    #[cfg(not(feature = "record"))]
    drop(record);
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_keep_alive(IDLE).enable_all().build()?;
    let served = runtime.block_on(async {
        // Before anything else: a signal that nobody listens to ends the process at once.
        let mut stopped = Box::pin(stopped()?);
        #[cfg(unix)]
        let hangups = signal(SignalKind::hangup())?;
        let provider = tokio::select! {
            provider = Provider::start(config, options) => provider?,
            () = &mut stopped => return Ok(()),
        };
        provider.announce();
        #[cfg(unix)]
        tokio::spawn(reload_when_told(provider.reloader(), hangups));
        Ok(provider.serve(stopped).await.map_err(StartError::from)?)
    });
    // Threads may wait for a database that does not answer. What they do was acknowledged to nobody.
    runtime.shutdown_timeout(LAST);
    served
}

/// Reads the certificates again whenever the process gets SIGHUP.
#[cfg(unix)]
async fn reload_when_told(reloader: mimi_provider::Reloader, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        // What came of it is in the log.
        let _ = reloader.reload();
    }
}

/// Ready when the process is asked to end, from the call on.
#[cfg(unix)]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Ready when the process is asked to end.
#[cfg(not(unix))]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
