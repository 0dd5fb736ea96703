//! Clients as processes that end at every step, and are started again until nothing is left to do.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mimi_client::Client;
use mimi_flow::{Event, FlowId};

use super::{
    child::{self, surroundings},
    steps::Kill,
};
use crate::fixture::Fixture;

/// How long a part of a story may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long nobody may do anything before all is done.
const QUIET: Duration = Duration::from_millis(700);

/// How often processes ended, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deaths {
    /// Right before a step was written.
    pub before: usize,
    /// Right after a step was written: the number of steps there were.
    pub after: usize,
    /// Somewhere else, by the hand of the scenario.
    pub anywhere: usize,
}

/// One client.
struct Member {
    name: &'static str,
    domain: &'static str,
    address: SocketAddr,
    store: PathBuf,
    child: Option<Child>,
    /// Number of the process: lines of one before are of no interest.
    run: u64,
    kill: Kill,
    /// What it is to do when it is started, until that is on disk.
    command: Vec<String>,
    commanding: bool,
    commanded: Option<FlowId>,
    /// The event that it was given last, as it said it, and whether the client knows that it has it.
    given: Option<(String, Known)>,
    told: Vec<Event>,
    idle: u32,
    /// Whether its device is nobody's any more.
    lost: bool,
}

/// Whether a client has written down that its application has an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It has: the event never comes again.
    Yes,
    /// It has not: the event comes again, and is the next that comes.
    No,
    /// It was killed while it did so, or may have been.
    Perhaps,
}

enum News {
    Line(String),
    End,
}

/// All clients of a story, with their processes.
pub struct Crew {
    root: PathBuf,
    members: Vec<Member>,
    offset: i64,
    kills: bool,
    deaths: Deaths,
    sender: Sender<(usize, u64, News)>,
    news: Receiver<(usize, u64, News)>,
    last: Instant,
}

impl Crew {
    /// The clients whose stores are in a fixture's folder, by name and domain. With `kills`, each ends at every step.
    ///
    /// # Errors
    /// If a process cannot be started.
    pub fn start(
        fixture: &Fixture,
        clients: &[(&'static str, &'static str)],
        offset: i64,
        kills: bool,
    ) -> Result<Self> {
        let (sender, news) = channel();
        let member = |(name, domain): &(&'static str, &'static str)| -> Result<Member> {
            Ok(Member {
                name,
                domain,
                address: fixture.site(domain)?.address(),
                store: fixture.root().join(format!("{name}.sqlite")),
                child: None,
                run: 0,
                kill: if kills { Kill::Before } else { Kill::Never },
                command: Vec::new(),
                commanding: false,
                commanded: None,
                given: None,
                told: Vec::new(),
                idle: 0,
                lost: false,
            })
        };
        let members = clients.iter().map(member).collect::<Result<_>>()?;
        let root = fixture.root().to_owned();
        let deaths = Deaths::default();
        let mut crew = Self { root, members, offset, kills, deaths, sender, news, last: Instant::now() };
        (0..crew.members.len()).try_for_each(|at| crew.run(at))?;
        Ok(crew)
    }

    /// How often processes ended.
    pub fn deaths(&self) -> Deaths {
        self.deaths
    }

    /// What a client was told, each event once.
    ///
    /// # Errors
    /// If there is no such client.
    pub fn told(&self, name: &str) -> Result<&[Event]> {
        let member = self.members.iter().find(|member| member.name == name);
        Ok(&member.with_context(|| format!("no {name}"))?.told)
    }

    fn at(&self, name: &str) -> Result<usize> {
        self.members.iter().position(|member| member.name == name).with_context(|| format!("no {name}"))
    }

    fn member(&mut self, at: usize) -> Result<&mut Member> {
        self.members.get_mut(at).context("no such client")
    }

    fn run(&mut self, at: usize) -> Result<()> {
        let (root, offset, sender) = (self.root.clone(), self.offset, self.sender.clone());
        let member = self.member(at)?;
        if member.lost {
            return Ok(());
        }
        member.run += 1;
        member.idle = 0;
        let run = member.run;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("client").arg(root).arg(&member.store).arg(member.domain).arg(member.address.to_string());
        command.arg(offset.to_string()).arg(member.kill.word()).args(&member.command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("nothing can be heard")?;
        member.child = Some(child);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send((at, run, News::Line(line)));
            }
            let _ = sender.send((at, run, News::End));
        });
        self.last = Instant::now();
        Ok(())
    }

    /// Has a client do something, once, whatever becomes of its processes. Returns the flow that it began.
    ///
    /// # Errors
    /// If the client cannot go on.
    pub fn command(&mut self, name: &str, words: &[&str]) -> Result<Option<FlowId>> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        child::check(&words)?;
        let at = self.at(name)?;
        self.end(at)?;
        let member = self.member(at)?;
        member.commanded = None;
        member.command = words;
        self.run(at)?;
        self.listen("a command", |crew| crew.members.get(at).is_some_and(|member| member.command.is_empty()))?;
        Ok(self.member(at)?.commanded)
    }

    /// Ends a client's process wherever it is, and reads what it still said.
    fn end(&mut self, at: usize) -> Result<()> {
        let member = self.member(at)?;
        let run = member.run;
        let Some(mut child) = member.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        self.deaths.anywhere += 1;
        // What others say meanwhile is heard as well.
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (who, of, news) = self.news.recv_timeout(left).context("a process that was killed does not end")?;
            if (who, of) == (at, run) {
                match news {
                    News::Line(line) => self.heard(at, &line)?,
                    News::End => break,
                }
            } else {
                self.take(who, of, news)?;
            }
        }
        let member = self.member(at)?;
        if let Some((_, known @ Known::No)) = &mut member.given {
            *known = Known::Perhaps;
        }
        ensure!(!member.commanding, "{} was killed while it took a command", member.name);
        Ok(())
    }

    /// Goes on until something is so.
    ///
    /// # Errors
    /// If a client cannot go on, is told something twice, or it takes too long.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        self.listen(what, done)
    }

    /// Goes on until nobody has anything to do.
    ///
    /// # Errors
    /// As [`Crew::until`].
    pub fn settle(&mut self) -> Result<()> {
        self.listen("all are quiet", |crew| {
            crew.members.iter().all(|member| member.lost || member.idle >= 2) && crew.last.elapsed() >= QUIET
        })
    }

    fn listen(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            match self.news.recv_timeout(Duration::from_millis(50)) {
                Ok((at, run, news)) => self.take(at, run, news)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("nobody is there"),
            }
            if Instant::now() > deadline {
                let told = |member: &Member| format!("{}: {:?} {:?}", member.name, member.told, member.command);
                let told: Vec<_> = self.members.iter().map(told).collect();
                bail!("not yet so: {what}; told so far:\n{}", told.join("\n"));
            }
        }
        Ok(())
    }

    fn take(&mut self, at: usize, run: u64, news: News) -> Result<()> {
        if self.member(at)?.run != run {
            return Ok(());
        }
        match news {
            News::Line(line) => self.heard(at, &line),
            News::End => {
                let member = self.member(at)?;
                if let Some(mut child) = member.child.take() {
                    let status = child.wait()?;
                    ensure!(!status.success() && status.code().is_none(), "{} ended: {status}", member.name);
                    self.run(at)?;
                }
                Ok(())
            }
        }
    }

    fn heard(&mut self, at: usize, line: &str) -> Result<()> {
        let kills = self.kills;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let member = self.member(at)?;
        if word == "idle" {
            member.idle += 1;
            return Ok(());
        }
        member.idle = 0;
        let mut died = Deaths::default();
        match word {
            "commanding" => member.commanding = true,
            "commanded" => {
                member.commanding = false;
                member.command.clear();
                member.commanded = serde_json::from_str(rest)?;
            }
            "event" => {
                let again = member.given.as_ref().is_some_and(|(before, known)| before == rest && *known != Known::Yes);
                if !again {
                    if let Some((_, Known::No)) = member.given {
                        bail!("{} forgot to tell again what its application may not have", member.name);
                    }
                    member.told.push(serde_json::from_str(rest)?);
                }
                member.given = Some((rest.to_owned(), Known::No));
            }
            "told" => known(member, Known::Yes),
            "died" => {
                let after = rest == "after";
                // What was being written when it died is written, or it is not.
                if std::mem::take(&mut member.commanding) && after {
                    member.command.clear();
                }
                if after && matches!(member.given, Some((_, Known::No))) {
                    known(member, Known::Yes);
                }
                ensure!(kills, "{} was not to die", member.name);
                member.kill = if after { Kill::Before } else { Kill::After };
                died = Deaths { before: usize::from(!after), after: usize::from(after), anywhere: 0 };
            }
            _ => bail!("{} says {line}", member.name),
        }
        self.deaths.before += died.before;
        self.deaths.after += died.after;
        self.last = Instant::now();
        Ok(())
    }

    /// Looks at what a client has on disk, while no process of it is there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn inspect<T>(&mut self, name: &str, look: impl FnOnce(&mimi_flow::Device) -> T) -> Result<T> {
        self.inspect_client(name, |client| Ok(look(client.device())))
    }

    /// As [`Crew::inspect`], with what is the client's own.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn inspect_client<T>(&mut self, name: &str, look: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
        let at = self.at(name)?;
        self.end(at)?;
        let (root, offset) = (self.root.clone(), self.offset);
        let member = self.member(at)?;
        let around = surroundings(&root, member.domain, member.address, offset)?;
        let mut client = Client::open(&member.store, around)?;
        let seen = look(&mut client)?;
        drop(client);
        self.run(at)?;
        Ok(seen)
    }

    /// Ends a client's process for good: its device is lost.
    ///
    /// # Errors
    /// If it does not end.
    pub fn lose(&mut self, name: &str) -> Result<()> {
        let at = self.at(name)?;
        self.end(at)?;
        self.member(at)?.lost = true;
        Ok(())
    }

    /// Ends all processes, for good or until [`Crew::go_on`].
    ///
    /// # Errors
    /// If one does not end.
    pub fn stop(&mut self) -> Result<()> {
        (0..self.members.len()).try_for_each(|at| self.end(at))
    }

    /// Starts all again, by another clock.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn go_on(&mut self, offset: i64) -> Result<()> {
        self.offset = offset;
        (0..self.members.len()).try_for_each(|at| self.run(at))
    }

    /// What all clients were told, by kind and client; of messages with what they say.
    pub fn summary(&self) -> BTreeMap<String, usize> {
        let mut summary = BTreeMap::new();
        for member in &self.members {
            for event in &member.told {
                *summary.entry(format!("{}: {}", member.name, kind(event))).or_default() += 1;
            }
        }
        summary
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            // Nobody is left to hear of an error.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn known(member: &mut Member, known: Known) {
    if let Some((_, state)) = &mut member.given {
        *state = known;
    }
}

/// What kind of event it is; of a message also what it says.
fn kind(event: &Event) -> String {
    match event {
        Event::Message { body, .. } => format!("Message {}", String::from_utf8_lossy(body)),
        event => {
            let text = format!("{event:?}");
            text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}
