//! What the arguments of the program ask for.

mod help;
mod names;
pub mod tie;

use std::{net::SocketAddr, path::PathBuf};

use lexopt::prelude::*;
use mimi_abuse::remedy::HomeRemedy;
use mimi_provider::{
    Setting,
    operate::{Init, NewPeer, Order},
};
use mimi_pseudonym::{Domain, RoomUri, UserUri};
use tie::{OfOperator, OfProvider, Tie};

pub use help::help;
pub use names::Names;

/// What is asked for.
#[derive(Debug)]
pub enum Command {
    /// About the commands that begin with these words.
    Help(Vec<String>),
    Version,
    Init(Init),
    ListShares {
        operator: PathBuf,
        witness: PathBuf,
        request: PathBuf,
        shares: PathBuf,
    },
    TieHelp,
    Tie(OfOperator),
    With {
        config: Option<PathBuf>,
        settings: Vec<(Setting, String, String)>,
        task: Task,
    },
}

/// What to do with a configuration.
#[derive(Debug)]
pub enum Task {
    Run { clock_offset: i64, quiet: bool, record: Option<PathBuf> },
    Check,
    Ready,
    Status,
    Accounts,
    AddAccount { name: String, display_name: String, email: String },
    DeleteAccount(String),
    Rooms,
    Order { room: RoomUri, order: Order, at: Option<SocketAddr> },
    Peers,
    AddPeer(NewPeer),
    CheckPeer(Domain),
    Backup(PathBuf),
    Explain(UserUri),
    Pardon(UserUri),
    Remedies,
    SetRemedy(String, Option<HomeRemedy>),
    Relate(Vec<String>),
    Unrelate(String),
    Names(Names),
    Appeals,
    AnswerAppeal { name: String, granted: bool },
    Tie(OfProvider),
}

/// Everything that may stand on a command line.
#[derive(Default)]
struct Words {
    values: Vec<String>,
    config: Option<PathBuf>,
    settings: Vec<(Setting, String, String)>,
    clock_offset: Option<i64>,
    quiet: bool,
    record: Option<PathBuf>,
    folder: Option<PathBuf>,
    domain: Option<Domain>,
    listen: Option<SocketAddr>,
    port: Option<u16>,
    authority: Option<PathBuf>,
    display_name: Option<String>,
    email: Option<String>,
    anchor: Option<PathBuf>,
    address: Option<SocketAddr>,
    seconds: Option<u64>,
    yes: bool,
}

pub fn parse(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut words = Words::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") if words.values.first().is_some_and(|word| word == "tie") => {
                return Ok(Command::TieHelp);
            }
            Short('h') | Long("help") => {
                // What stands behind it belongs to the question.
                while let Some(Value(word)) = parser.next()? {
                    words.values.push(word.string()?);
                }
                return Ok(Command::Help(words.values));
            }
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("config") => words.config = Some(parser.value()?.into()),
            Long("listen") => {
                let value = parser.value()?;
                words.listen = Some(value.parse()?);
                words.settings.push((Setting::Listen, "--listen".into(), value.string()?));
            }
            Long("port") => {
                let value = parser.value()?;
                words.port = Some(value.parse()?);
                words.settings.push((Setting::Port, "--port".into(), value.string()?));
            }
            Long("admin") => {
                let value = parser.value()?;
                value.parse::<SocketAddr>()?;
                words.settings.push((Setting::Admin, "--admin".into(), value.string()?));
            }
            Long("data") => words.settings.push((Setting::Data, "--data".into(), parser.value()?.string()?)),
            Long("registration") => {
                words.settings.push((Setting::Registration, "--registration".into(), parser.value()?.string()?));
            }
            Long("clock-offset") => words.clock_offset = Some(parser.value()?.parse()?),
            Long("quiet") => words.quiet = true,
            Long("record") if cfg!(feature = "record") => words.record = Some(parser.value()?.into()),
            Long("folder") => words.folder = Some(parser.value()?.into()),
            Long("domain") => words.domain = Some(parser.value()?.parse()?),
            Long("authority") => words.authority = Some(parser.value()?.into()),
            Long("display-name") => words.display_name = Some(parser.value()?.string()?),
            Long("email") => words.email = Some(parser.value()?.string()?),
            Long("anchor") => words.anchor = Some(parser.value()?.into()),
            Long("address") => words.address = Some(parser.value()?.parse()?),
            Long("seconds") => words.seconds = Some(parser.value()?.parse()?),
            Long("yes") => words.yes = true,
            Value(value) => words.values.push(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    words.command()
}

fn user(text: &str) -> Result<UserUri, lexopt::Error> {
    text.parse().map_err(|_| format!("{text}: no user").into())
}

impl Words {
    fn command(mut self) -> Result<Command, lexopt::Error> {
        let values = std::mem::take(&mut self.values);
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let task = match values.as_slice() {
            [] => return Err("a command is missing; see --help".into()),
            // As the option of that name.
            ["help", words @ ..] => return Ok(Command::Help(words.iter().map(|word| (*word).to_owned()).collect())),
            ["init"] => return self.init(),
            ["names", "share", operator, witness, request, shares] => {
                self.nothing_else()?;
                let [operator, witness, request, shares] = [operator, witness, request, shares].map(PathBuf::from);
                return Ok(Command::ListShares { operator, witness, request, shares });
            }
            ["names", words @ ..] => Task::Names(Names::parse(words)?),
            ["tie", rest @ ..] => match tie::parse(rest)? {
                Tie::OfOperator(command) => {
                    self.nothing_else()?;
                    return Ok(Command::Tie(command));
                }
                Tie::OfProvider(task) => Task::Tie(task),
            },
            ["run"] => Task::Run {
                clock_offset: self.clock_offset.take().unwrap_or_default(),
                quiet: std::mem::take(&mut self.quiet),
                record: self.record.take(),
            },
            ["check"] => Task::Check,
            ["ready"] => Task::Ready,
            ["status"] => Task::Status,
            ["account", "list"] => Task::Accounts,
            ["account", "add", name] => Task::AddAccount {
                name: (*name).to_owned(),
                display_name: self.display_name.take().unwrap_or_default(),
                email: self.email.take().unwrap_or_default(),
            },
            ["account", "delete", name] => Task::DeleteAccount((*name).to_owned()),
            ["room", "list"] => Task::Rooms,
            ["room", verb @ ("mute" | "unmute" | "kick" | "ban" | "unban" | "destroy"), rest @ ..] => {
                self.order(verb, rest)?
            }
            ["peer", "list"] => Task::Peers,
            ["peer", "add", domain] => {
                // They say where the peer is, and not where this provider is.
                self.settings.retain(|(setting, ..)| *setting != Setting::Port);
                Task::AddPeer(NewPeer {
                    domain: domain.parse().map_err(|_| format!("{domain}: no domain"))?,
                    address: self.address.take(),
                    port: self.port.take().unwrap_or(443),
                    anchor: self.anchor.take().ok_or("--anchor FILE is missing")?,
                })
            }
            ["peer", "check", domain] => Task::CheckPeer(domain.parse().map_err(|_| format!("{domain}: no domain"))?),
            ["explain", name] => Task::Explain(user(name)?),
            ["pardon", name] => Task::Pardon(user(name)?),
            ["remedy", "list"] => Task::Remedies,
            ["remedy", "set", name, remedy] => {
                let remedy =
                    HomeRemedy::from_name(remedy).ok_or_else(|| format!("{remedy}: suspend, remove or delete"))?;
                Task::SetRemedy((*name).to_owned(), Some(remedy))
            }
            ["remedy", "lift", name] => Task::SetRemedy((*name).to_owned(), None),
            ["remedy", "relate", one, others @ ..] if !others.is_empty() => {
                Task::Relate(std::iter::once(one).chain(others).map(|name| (*name).to_owned()).collect())
            }
            ["remedy", "unrelate", name] => Task::Unrelate((*name).to_owned()),
            ["appeal", "list"] => Task::Appeals,
            ["appeal", "grant", name] => Task::AnswerAppeal { name: (*name).to_owned(), granted: true },
            ["appeal", "refuse", name] => Task::AnswerAppeal { name: (*name).to_owned(), granted: false },
            ["backup", file] => Task::Backup((*file).into()),
            other => return Err(help::wrong(other).into()),
        };
        self.nothing_else()?;
        Ok(Command::With { config: self.config, settings: self.settings, task })
    }

    /// What is to be done in a room.
    fn order(&mut self, verb: &str, rest: &[&str]) -> Result<Task, lexopt::Error> {
        let (room, user) = match (verb, rest) {
            ("destroy", [room]) => (room, None),
            ("destroy", _) => return Err("which room? room destroy ROOM --yes".into()),
            (_, [room, user]) => (room, Some(user)),
            _ => return Err(format!("which room, and who? room {verb} ROOM USER").into()),
        };
        let room: RoomUri = room.parse().map_err(|_| format!("{room}: no room"))?;
        let user = user.map(|user| user.parse::<UserUri>().map_err(|_| format!("{user}: no user"))).transpose()?;
        let order = match (verb, user) {
            ("mute", Some(user)) => Order::Mute { user, seconds: self.seconds.take() },
            ("unmute", Some(user)) => Order::Unmute { user },
            ("kick", Some(user)) => Order::Kick { user },
            ("ban", Some(user)) => Order::Ban { user, seconds: self.seconds.take() },
            ("unban", Some(user)) => Order::Unban { user },
            _ if std::mem::take(&mut self.yes) => Order::Destroy,
            _ => return Err("room destroy ends the room for everybody: say --yes if it is meant".into()),
        };
        Ok(Task::Order { room, order, at: self.address.take() })
    }

    fn init(mut self) -> Result<Command, lexopt::Error> {
        let folder = self.folder.take().ok_or("--folder DIR is missing")?;
        let listen = self.listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 443)));
        let init = Init {
            domain: self.domain.take().ok_or("--domain NAME is missing")?,
            listen,
            port: self.port.unwrap_or(listen.port()),
            data: self
                .settings
                .iter()
                .rfind(|(setting, ..)| *setting == Setting::Data)
                .map_or_else(|| "data".into(), |(_, _, folder)| folder.into()),
            authority: self.authority.take().unwrap_or_else(|| folder.join("authority")),
            folder,
        };
        self.nothing_else()?;
        Ok(Command::Init(init))
    }

    /// Refuses options that the command has no use for.
    fn nothing_else(&self) -> Result<(), lexopt::Error> {
        let left = [
            ("--clock-offset", self.clock_offset.is_some()),
            ("--quiet", self.quiet),
            ("--record", self.record.is_some()),
            ("--folder", self.folder.is_some()),
            ("--domain", self.domain.is_some()),
            ("--authority", self.authority.is_some()),
            ("--display-name", self.display_name.is_some()),
            ("--email", self.email.is_some()),
            ("--anchor", self.anchor.is_some()),
            ("--address", self.address.is_some()),
            ("--seconds", self.seconds.is_some()),
            ("--yes", self.yes),
        ];
        match left.iter().find(|(_, left)| *left) {
            Some((name, _)) => Err(format!("{name} is no option of this command; see --help").into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, lexopt::Error> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    fn task(line: &str) -> Task {
        match read(line).unwrap() {
            Command::With { task, .. } => task,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_are_read() {
        assert!(matches!(read("--help"), Ok(Command::Help(words)) if words.is_empty()));
        assert!(matches!(read("account add --help"), Ok(Command::Help(words)) if words == ["account", "add"]));
        assert!(matches!(read("--version"), Ok(Command::Version)));
        let Task::Run { clock_offset, quiet, record } = task("run --config a.toml --clock-offset -60 --quiet") else {
            panic!("not run")
        };
        assert_eq!((clock_offset, quiet, record), (-60, true, None));
        let Command::Init(init) = read("init --folder a --domain a.example --listen 127.0.0.1:8443").unwrap() else {
            panic!("not init")
        };
        assert_eq!((init.port, init.authority), (8443, PathBuf::from("a/authority")));
        let Task::AddPeer(peer) = task("peer add b.example --anchor b.pem --port 9443 --config a") else {
            panic!("not peer add")
        };
        assert_eq!((peer.port, peer.address), (9443, None));
        assert!(
            matches!(task("account add alice --email a@a.example"), Task::AddAccount { name, .. } if name == "alice")
        );
        assert!(matches!(task("account delete alice"), Task::DeleteAccount(name) if name == "alice"));
        assert!(matches!(task("backup copy.sqlite"), Task::Backup(_)));
        let at = "--address 127.0.0.1:9443 --config a";
        let Task::Order { room, order, at } =
            task(&format!("room ban mimi://a.example/r/club mimi://b.example/u/bob --seconds 60 {at}"))
        else {
            panic!("no order")
        };
        let user: UserUri = "mimi://b.example/u/bob".parse().unwrap();
        assert_eq!((room.as_str(), at), ("mimi://a.example/r/club", Some(SocketAddr::from(([127, 0, 0, 1], 9443)))));
        assert_eq!(order, Order::Ban { user: user.clone(), seconds: Some(60) });
        for (verb, expected) in [
            ("mute", Order::Mute { user: user.clone(), seconds: None }),
            ("unmute", Order::Unmute { user: user.clone() }),
            ("kick", Order::Kick { user: user.clone() }),
            ("unban", Order::Unban { user }),
        ] {
            let Task::Order { order, .. } =
                task(&format!("room {verb} mimi://a.example/r/club mimi://b.example/u/bob"))
            else {
                panic!("no order")
            };
            assert_eq!(order, expected);
        }
        let destroy = task("room destroy mimi://a.example/r/club --yes");
        assert!(matches!(destroy, Task::Order { order: Order::Destroy, at: None, .. }));
        assert!(matches!(task("remedy set bob remove"), Task::SetRemedy(_, Some(HomeRemedy::Remove))));
        assert!(matches!(task("remedy relate alice bob"), Task::Relate(names) if names == ["alice", "bob"]));
        assert!(matches!(task("appeal grant bob"), Task::AnswerAppeal { granted: true, .. }));
        for simple in [
            "check",
            "ready",
            "status",
            "account list",
            "room list",
            "peer list",
            "remedy list",
            "remedy lift bob",
            "remedy unrelate bob",
            "appeal list",
            "appeal refuse bob",
        ] {
            task(simple);
        }
        let Command::With { config, settings, .. } = read("status --config a --data d").unwrap() else { panic!() };
        assert_eq!(config, Some(PathBuf::from("a")));
        assert_eq!(settings, [(Setting::Data, "--data".to_owned(), "d".to_owned())]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            "--config a",
            "run run",
            "walk",
            "run --clock-offset x",
            "",
            "init --domain a.example",
            "init --folder a",
            "status --quiet",
            "check --anchor a",
            "peer add b.example",
            "account add",
            "remedy set bob",
            "remedy set bob forgive",
            "remedy relate bob",
            "names act file",
            "names share a b c",
            "appeal grant",
            "tie deal opening 1 300 a",
            "tie request nobody a b",
            "tie open mimi://a.example/u/~1",
            "account delete",
            "account delete alice --email a@a.example",
            "run --listen nowhere",
            "room kick mimi://a.example/r/club",
            "room kick club mimi://b.example/u/bob",
            "room kick mimi://a.example/r/club bob",
            "room kick mimi://a.example/r/club mimi://b.example/u/bob --seconds 3",
            "room mute mimi://a.example/r/club mimi://b.example/u/bob --seconds soon",
            "room destroy mimi://a.example/r/club",
            "room destroy",
            "room list --yes",
            "room dance mimi://a.example/r/club",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        #[cfg(not(feature = "record"))]
        assert!(read("run --config a --record b").is_err());
    }
    /// Others can read the arguments of a process.
    #[test]
    fn no_option_takes_a_secret() {
        let help = help(&[]);
        let options: Vec<_> =
            help.split_whitespace().filter_map(|word| word.trim_start_matches('[').strip_prefix("--")).collect();
        assert!(options.len() > 10, "{options:?}");
        for option in options {
            for secret in ["password", "token", "secret", "database", "postgres", "code", "private"] {
                assert!(!option.contains(secret), "--{option}");
            }
        }
        for secret in ["--database", "--postgres", "--password", "--operator-token", "--token", "--key"] {
            assert!(read(&format!("run --config a {secret} b")).is_err(), "{secret}");
        }
    }
}
