//! What the program says about its commands.

use std::fmt::Write;

/// What there is to say about one command.
struct Page {
    words: &'static str,
    usage: &'static str,
    says: &'static str,
    options: &'static [&'static str],
    example: &'static str,
}

/// Of commands that are asked of the provider that runs.
const ADDRESS: &str = "--address ADDRESS  where the provider listens, if not where the configuration says";

const PAGES: [Page; 33] = [
    Page {
        words: "init",
        usage: "init --folder DIR --domain NAME [--listen ADDRESS] [--port PORT] [--data DIR] [--authority DIR]",
        says: "makes a folder with keys, certificates for development, and a configuration",
        options: &[
            "--folder DIR       where everything goes; must not have any of it yet",
            "--domain NAME      the provider's domain",
            "--listen ADDRESS   where it listens: 0.0.0.0:443 if absent",
            "--port PORT        where others reach it: that of --listen if absent",
            "--data DIR         where the database will be: data in that folder if absent",
            "--authority DIR    of the authority for TLS, made if it is not there; DIR/authority if absent",
        ],
        example: "init --folder a --domain a.example --listen 127.0.0.1:8443 --authority authority",
    },
    Page {
        words: "run",
        usage: "run [--clock-offset SECONDS] [--quiet] [--record DIR]",
        says: "serves until it is asked to end",
        options: &[
            "--clock-offset SECONDS",
            "                   moves the provider's clock; may be negative",
            "--quiet            no line for each request on standard error",
            "--record DIR       appends every exchange to DIR/exchanges.jsonl and counts of cryptographic operations to",
            "                   DIR/operations.jsonl; only in a build with the feature `record`",
        ],
        example: "run --config a/provider.toml",
    },
    Page {
        words: "check",
        usage: "check",
        says: "looks at certificates, keys, trust, files and the database, and says what is wrong",
        options: &[],
        example: "check --config a/provider.toml",
    },
    Page {
        words: "ready",
        usage: "ready",
        says: "asks a provider that runs whether it can serve, at the address of [admin]",
        options: &[],
        example: "ready --config a/provider.toml",
    },
    Page {
        words: "status",
        usage: "status",
        says: "whether a provider runs, how much there is, and what waits for whom",
        options: &[],
        example: "status --config a/provider.toml",
    },
    Page {
        words: "account list",
        usage: "account list",
        says: "the accounts with the number of their devices",
        options: &[],
        example: "account list --config a/provider.toml",
    },
    Page {
        words: "account add",
        usage: "account add NAME [--display-name TEXT] [--email ADDRESS]",
        says: "opens an account and prints the code that lets its first device in",
        options: &[
            "--display-name TEXT",
            "                   what others are shown",
            "--email ADDRESS    by which others can find it",
        ],
        example: "account add alice --display-name Alice --config a/provider.toml",
    },
    Page {
        words: "account delete",
        usage: "account delete NAME",
        says: "deletes an account with its devices, pseudonyms and KeyPackages, for good",
        options: &[],
        example: "account delete alice --config a/provider.toml",
    },
    Page {
        words: "room list",
        usage: "room list",
        says: "the rooms of this hub with their epochs",
        options: &[],
        example: "room list --config a/provider.toml",
    },
    Page {
        words: "room mute",
        usage: "room mute ROOM USER [--seconds N]",
        says: "the user may read there but not send",
        options: &["--seconds N        after which it is over: never if absent", ADDRESS],
        example: "room mute mimi://a.example/r/club mimi://b.example/u/bob --seconds 3600 --config a/provider.toml",
    },
    Page {
        words: "room unmute",
        usage: "room unmute ROOM USER",
        says: "the user may send again",
        options: &[ADDRESS],
        example: "room unmute mimi://a.example/r/club mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "room kick",
        usage: "room kick ROOM USER",
        says: "the user's clients are removed, and may come back",
        options: &[ADDRESS],
        example: "room kick mimi://a.example/r/club mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "room ban",
        usage: "room ban ROOM USER [--seconds N]",
        says: "they are removed, and do not come back",
        options: &["--seconds N        after which it is over: never if absent", ADDRESS],
        example: "room ban mimi://a.example/r/club mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "room unban",
        usage: "room unban ROOM USER",
        says: "they may come back",
        options: &[ADDRESS],
        example: "room unban mimi://a.example/r/club mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "room destroy",
        usage: "room destroy ROOM --yes",
        says: "ends a room for everybody; as the five before it, asked of the provider that runs",
        options: &["--yes              it is meant", ADDRESS],
        example: "room destroy mimi://a.example/r/club --yes --config a/provider.toml",
    },
    Page {
        words: "peer list",
        usage: "peer list",
        says: "the providers of the configuration, and where they are",
        options: &[],
        example: "peer list --config a/provider.toml",
    },
    Page {
        words: "peer add",
        usage: "peer add DOMAIN --anchor FILE [--address ADDRESS] [--port PORT]",
        says: "adds a provider to the configuration, for when the provider is started again",
        options: &[
            "--anchor FILE      certifies the peer's users; relative to the folder of the configuration",
            "--address ADDRESS  where it is, if not where the name service says",
            "--port PORT        of its directory: 443 if absent",
        ],
        example: "peer add b.example --anchor b.pem --config a/provider.toml",
    },
    Page {
        words: "peer check",
        usage: "peer check DOMAIN",
        says: "connects to a provider as the one that runs would, and says what it found",
        options: &[],
        example: "peer check b.example --config a/provider.toml",
    },
    Page {
        words: "explain",
        usage: "explain USER",
        says: "what speaks against a user in this hub's rooms, and what is decided from it",
        options: &[],
        example: "explain mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "pardon",
        usage: "pardon USER",
        says: "forgets all that, and asks the user's provider to reverse what it was asked for",
        options: &[],
        example: "pardon mimi://b.example/u/bob --config a/provider.toml",
    },
    Page {
        words: "remedy list",
        usage: "remedy list",
        says: "what is decided about accounts of this provider, and why",
        options: &[],
        example: "remedy list --config a/provider.toml",
    },
    Page {
        words: "remedy set",
        usage: "remedy set NAME suspend|remove|delete",
        says: "decides that about an account",
        options: &[],
        example: "remedy set bob suspend --config b/provider.toml",
    },
    Page {
        words: "remedy lift",
        usage: "remedy lift NAME",
        says: "takes back what the operator has decided",
        options: &[],
        example: "remedy lift bob --config b/provider.toml",
    },
    Page {
        words: "remedy relate",
        usage: "remedy relate NAME NAME...",
        says: "what is asked for about one account, with related ones, is done to all of these",
        options: &[],
        example: "remedy relate alice bob --config a/provider.toml",
    },
    Page {
        words: "remedy unrelate",
        usage: "remedy unrelate NAME",
        says: "it is related to no other account",
        options: &[],
        example: "remedy unrelate bob --config a/provider.toml",
    },
    Page {
        words: "names request",
        usage: "names request NAME REQUESTER REASON",
        says: "writes an entry about an account into the log of openings: operators are to find its pseudonyms together; prints its position",
        options: &[],
        example: "names request alice desk spam --config a/provider.toml",
    },
    Page {
        words: "names ask",
        usage: "names ask NAME POSITION SEEN REQUEST",
        says: "writes what an operator is given who has seen SEEN entries of the log",
        options: &[],
        example: "names ask alice 1 0 request --config a/provider.toml",
    },
    Page {
        words: "names share",
        usage: "names share OPERATOR WITNESS REQUEST SHARES",
        says: "as an operator, without a configuration: writes its shares",
        options: &[],
        example: "names share operator-0.share seen request shares-0",
    },
    Page {
        words: "names act",
        usage: "names act REQUEST suspend|remove|delete|lift SHARES...",
        says: "decides that about the account and all its pseudonyms, from as many shares as are needed",
        options: &[],
        example: "names act request suspend shares-0 shares-1 --config a/provider.toml",
    },
    Page {
        words: "appeal list",
        usage: "appeal list",
        says: "what users say against what was decided about their accounts",
        options: &[],
        example: "appeal list --config a/provider.toml",
    },
    Page {
        words: "appeal grant",
        usage: "appeal grant NAME",
        says: "takes back what was decided",
        options: &[],
        example: "appeal grant bob --config a/provider.toml",
    },
    Page {
        words: "appeal refuse",
        usage: "appeal refuse NAME",
        says: "it stays as it was decided",
        options: &[],
        example: "appeal refuse bob --config a/provider.toml",
    },
    Page {
        words: "backup",
        usage: "backup FILE",
        says: "a copy of the database (SQLite), while the provider goes on",
        options: &[],
        example: "backup copy.sqlite --config a/provider.toml",
    },
];

const COMMON: &str = "\
Options of all commands that need a configuration:
  --config FILE      the configuration; without it the one that MIMI_CONFIG names
  --listen, --admin, --port, --data, --registration VALUE
                     instead of what the configuration says; as are MIMI_LISTEN, MIMI_ADMIN, MIMI_PORT, MIMI_DATA,
                     MIMI_REGISTRATION and MIMI_DATABASE (a PostgreSQL connection string), which flags go before
";

/// Commands without a configuration.
const ALONE: [&str; 2] = ["init", "names share"];

/// What is said about commands that begin with these words; about all, if there are none.
pub fn help(words: &[String]) -> String {
    let words = words.join(" ");
    let found: Vec<_> = about(&words).collect();
    match found.as_slice() {
        [page] => page.whole(),
        _ => list(&found),
    }
}

/// How a command is written, where it was written in another way.
pub fn wrong(words: &[&str]) -> String {
    let words = words.join(" ");
    let usages: Vec<_> = about(&words).map(|page| format!("mimi-provider {}", page.usage)).collect();
    match usages.as_slice() {
        [] => format!("no such command: {words}; see --help"),
        usages => format!("{words}: something is missing, or is too much. Usage:\n  {}", usages.join("\n  ")),
    }
}

/// The commands of which these words are the beginning, or which are the beginning of these words.
fn about(words: &str) -> impl Iterator<Item = &'static Page> {
    let begins =
        |whole: &str, part: &str| whole == part || whole.strip_prefix(part).is_some_and(|rest| rest.starts_with(' '));
    let (first, words) = (words.split(' ').next().unwrap_or_default().to_owned(), words.to_owned());
    let exact = PAGES.iter().any(|page| begins(&words, page.words) || begins(page.words, &words));
    PAGES.iter().filter(move |page| match exact {
        true => begins(&words, page.words) || begins(page.words, &words),
        // `account remove`: the others that begin like it.
        false => !first.is_empty() && begins(page.words, &first),
    })
}

impl Page {
    fn whole(&self) -> String {
        let Self { words, usage, says, options, example } = self;
        let mut text = format!("mimi-provider {words}: {says}\n\nUsage: mimi-provider {usage}\n\n");
        if !options.is_empty() {
            // Writing into memory does not fail.
            let _ = writeln!(text, "Options:\n  {}\n", options.join("\n  "));
        }
        if !ALONE.contains(words) {
            let _ = writeln!(text, "{COMMON}");
        }
        let _ = writeln!(text, "Example:\n  mimi-provider {example}");
        text
    }
}

/// Some commands; all of them, and those of `tie`, if they are none.
fn list(some: &[&Page]) -> String {
    let mut text = String::from(
        "A MIMI provider: hub of rooms and local provider of clients.\n\nUsage: mimi-provider COMMAND [options]\n\n",
    );
    let all: Vec<&Page> = PAGES.iter().collect();
    for Page { usage, says, .. } in if some.is_empty() { &all } else { some } {
        let _ = writeln!(text, "  {usage}\n      {says}");
    }
    if some.is_empty() {
        text += "  tie ...\n      keys that operators share, openings of sealed accounts, questions about scores: see tie --help\n";
    }
    let _ =
        writeln!(text, "\nmimi-provider COMMAND --help says more about a command.\n\n{COMMON}\n  --help, --version");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> String {
        help(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_command_has_a_page_of_its_own() {
        for page in &PAGES {
            let text = of(page.words);
            assert!(text.starts_with(&format!("mimi-provider {}: {}", page.words, page.says)), "{text}");
            assert!(text.contains("\nUsage: ") && text.contains("\nExample:\n"), "{text}");
            assert!(of("").contains(page.usage) && of("").contains(page.says));
        }
        assert!(of("run").contains("--clock-offset") && !of("check").contains("--clock-offset"));
        assert!(!of("init").contains("--config") && of("check").contains("--config"));
        let accounts = of("account");
        assert!(
            accounts.contains("account delete NAME") && !accounts.contains("room list") && !accounts.contains("tie"),
            "{accounts}"
        );
        assert!(of("walk").contains("room list"));
        assert!(of("account add alice").starts_with("mimi-provider account add: "));
    }

    /// What the pages say is what the program reads.
    #[test]
    fn every_example_is_read() {
        for page in &PAGES {
            let read = crate::command::parse(lexopt::Parser::from_args(page.example.split_whitespace()));
            assert!(read.is_ok(), "{}: {read:?}", page.example);
            assert!(page.example.starts_with(page.words) && page.usage.starts_with(page.words));
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(wrong(&["walk"]), "no such command: walk; see --help");
        let said = wrong(&["account"]);
        assert!(said.contains("mimi-provider account list\n  mimi-provider account add NAME ["), "{said}");
        let said = wrong(&["account", "add"]);
        assert!(said.contains("account add NAME") && !said.contains("account list"), "{said}");
        assert!(wrong(&["account", "remove", "bob"]).contains("account delete NAME"));
        assert!(wrong(&["run", "run"]).contains("mimi-provider run ["));
    }
}
