//! What messages cost, from the command line. `cargo xtask load` builds the provider and runs this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its user")]

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use mimi_e2e::{
    interrupt::unless_interrupted,
    load::{Costs, Load, Store, prosody},
};
use mimi_pseudonym::CipherSuite;

const HELP: &str = "\
Usage: load [options]

Starts providers as processes, lets clients of this process send and receive over TLS, prints a row of a table for each
size of rooms, and checks that every client received every message once and in order.

Options:
  --local         one provider, the hub, whose own all clients are
  --providers N   2 (without it) or 3 providers, each with as many clients as the others
  --sizes A,B     participants of each room: 2,10,100 without it
  --suite 1|2     the MLS cipher suite of the rooms: 1 without it
  --rooms N       so many rooms: without it 50 of 2, 20 of 10, 4 of 100, and otherwise as many as have 200 clients
  --seconds N     measured for so long: 10 without it
  --octets N      of each text: 100 without it
  --pause N       milliseconds that a sender waits after each message: 0 without it
  --store S       sqlite (without it) or postgres, which is started for the providers
  --processes N   so many processes of each provider, on PostgreSQL: 1 without it
  --against prosody  the same load, in the same run, on two servers of Prosody as well, if it is on the machine
  --idle N        instead of all this: what a provider takes with so many rooms of two clients that nobody uses
  --help          this text

Ends with 0 if everything arrived once and in order, with 1 if not, with 2 if it could not be run.
";

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    help: bool,
    against_prosody: bool,
    idle: Option<usize>,
    sizes: Vec<usize>,
    rooms: Option<usize>,
    load: Load,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match parse(&words) {
        Ok(arguments) => unless_interrupted(run(&arguments)).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Arguments> {
    let load = Load {
        store: Store::Sqlite,
        processes: 1,
        providers: 2,
        size: 2,
        suite: CipherSuite::X25519Aes128Ed25519,
        rooms: 1,
        seconds: 10,
        octets: 100,
        pause: Duration::ZERO,
    };
    let mut arguments =
        Arguments { help: false, against_prosody: false, idle: None, sizes: vec![2, 10, 100], rooms: None, load };
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let load = &mut arguments.load;
        let mut number = |name: &str| -> Result<usize> {
            match words.next().and_then(|number| number.parse().ok()) {
                Some(number @ 1..) => Ok(number),
                _ => bail!("{name} is a number above 0"),
            }
        };
        match word {
            "--help" | "-h" => arguments.help = true,
            "--local" => load.providers = 1,
            "--providers" => match number(word)? {
                count @ 2..=3 => load.providers = count,
                _ => bail!("--providers is 2 or 3"),
            },
            "--suite" => match words.next() {
                Some("1") => load.suite = CipherSuite::X25519Aes128Ed25519,
                Some("2") => load.suite = CipherSuite::P256Aes128P256,
                _ => bail!("--suite is 1 or 2"),
            },
            "--rooms" => arguments.rooms = Some(number(word)?),
            "--seconds" => load.seconds = number(word)?.try_into()?,
            "--octets" => load.octets = number(word)?,
            "--pause" => load.pause = Duration::from_millis(number(word)?.try_into()?),
            "--idle" => arguments.idle = Some(number(word)?),
            "--processes" => load.processes = number(word)?,
            "--sizes" => {
                let sizes = words.next().unwrap_or_default().split(',').map(str::parse);
                arguments.sizes = sizes.collect::<Result<_, _>>().unwrap_or_default();
                if arguments.sizes.is_empty() || arguments.sizes.iter().any(|size| *size < 2) {
                    bail!("--sizes are numbers above 1 with commas between them");
                }
            }
            "--against" => match words.next() {
                Some("prosody") => arguments.against_prosody = true,
                _ => bail!("there is nothing to compare with but prosody"),
            },
            "--store" => match words.next() {
                Some("sqlite") => load.store = Store::Sqlite,
                Some("postgres") => load.store = Store::Postgres,
                _ => bail!("--store is sqlite or postgres"),
            },
            _ => bail!("`{word}` is not understood\n\n{HELP}"),
        }
    }
    if arguments.idle.is_some() && arguments.load.store != Store::Sqlite {
        bail!("--idle is measured on SQLite");
    }
    if arguments.load.processes > 1 && arguments.load.store == Store::Sqlite {
        bail!("a SQLite database has one process: --processes needs --store postgres");
    }
    Ok(arguments)
}

async fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.help {
        print!("{HELP}");
        return Ok(true);
    }
    if let Some(rooms) = arguments.idle {
        println!("{}", arguments.load.idle(rooms).await?);
        return Ok(true);
    }
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for size in &arguments.sizes {
        let rooms = arguments.rooms.unwrap_or(match size {
            2 => 50,
            10 => 20,
            100 => 4,
            size => (200 / size).max(1),
        });
        let costs = Load { size: *size, rooms, ..arguments.load.clone() }.run().await?;
        eprintln!("load: {costs}");
        faults.extend(costs.faults.iter().map(|fault| format!("rooms of {size}: {fault}")));
        rows.push(costs);
        if arguments.against_prosody && prosody::is_there() {
            let costs = prosody::run(&Load { size: *size, rooms, ..arguments.load.clone() }).await?;
            eprintln!("load: {costs}");
            faults.extend(costs.faults.iter().map(|fault| format!("Prosody, rooms of {size}: {fault}")));
            rows.push(costs);
        }
    }
    println!("{}", Costs::HEAD);
    rows.iter().for_each(|row| println!("{row}"));
    if arguments.against_prosody && !prosody::is_there() {
        println!("\nSKIPPED: Prosody is not on this machine");
    }
    faults.iter().for_each(|fault| println!("{fault}"));
    let word = if faults.is_empty() { "every client received every message once and in order" } else { "FAILED" };
    println!("\nload: {word}");
    Ok(faults.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Arguments> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        let all = parsed("").unwrap();
        assert_eq!((all.sizes, all.rooms, all.load.providers), (vec![2, 10, 100], None, 2));
        assert_eq!(parsed("--local").unwrap().load.providers, 1);
        assert_eq!(parsed("--suite 2").unwrap().load.suite, CipherSuite::P256Aes128P256);
        let many = parsed("--sizes 2,7 --store postgres --processes 2 --rooms 3 --seconds 4 --pause 5").unwrap();
        assert_eq!((many.sizes, many.rooms), (vec![2, 7], Some(3)));
        let Load { store, processes, seconds, pause, .. } = many.load;
        assert_eq!((store, processes, seconds, pause), (Store::Postgres, 2, 4, Duration::from_millis(5)));
        assert!(parsed("--help").unwrap().help);
        assert_eq!(parsed("--idle 9").unwrap().idle, Some(9));
        assert!(parsed("--against prosody").unwrap().against_prosody);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            "--processes 2",
            "--processes",
            "--providers 4",
            "--sizes 1",
            "--sizes 2,x",
            "--sizes",
            "--store mysql",
            "--rooms 0",
            "--against synapse",
            "--suite 3",
            "--idle 0",
            "--idle 9 --store postgres",
            "load",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
