//! The scenarios from the command line. `cargo xtask e2e` builds the provider and runs this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its user")]

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use mimi_e2e::{
    bench::{self, Bench},
    fixture::Keep,
    interrupt::unless_interrupted,
    load::{Load, Store},
    scenario::{Report, Variant, abuse, client_crash, connection, consent, crash, devices, join_link, knock, recovery},
};
use mimi_pseudonym::{CipherSuite, DisclosureFormat};

const HELP: &str = "\
Usage: e2e [scenario] [options]

Scenarios; all of them without a name:
  connection    Alice finds Bob, meets him under a pseudonym, and both move to a room of two pseudonyms
  consent       Bob does not let everybody connect; and KeyPackages end before he accepts
  many-pseudonyms  one account with a thousand pseudonyms: acquired, kept fresh for thirty days, written to
  join-link     Alice makes a link into a room, and Bob comes in by it and says who he is
  knock         Cathy knocks at a room between three providers, and is let in much later
  recovery      clients that do not keep the rules make commits that nobody can follow, and the room goes on without them
  devices       a device that is added to an account later comes into the account's rooms by itself
  abuse         spam under many pseudonyms, with every way of tying them to accounts: reports, every remedy, and who has
                learned what
  client-crash  every flow with clients that are processes and are killed at every step; not with suite 2 unless asked for
  crash         the connection flow again, while both providers are killed over and over, and clients as well
  load          clients send and receive for a moment: everything arrives once and in order
  bench-flow    what the connection flow costs: requests, octets, processor time, cryptographic operations
  bench-refusals  how long it takes to be refused what is needed to join a room, by the reason
  bench-pseudonyms  what a pseudonym costs, with 10, 100, 1,000 and 10,000 of them in one account, and what opening the
                wallet costs with 10, 100 and 1,000 rooms

Options:
  --format F    not of crash: identities are disclosed as x509, sd-jwt or sd-cwt; without it in all three, and where
                all scenarios run, as x509 with both suites and as a token with one
  --suite 1|2   with one MLS suite: 1 (X25519, Ed25519) or 2 (P-256); both without
  --rounds N    of bench-flow: so many flows, of which the mean is printed; 5 without
  --count N     of many-pseudonyms and bench-pseudonyms: with so many
  --store S     of crash: sqlite or postgres; both without it, where PostgreSQL is on the machine
  --seed N      of crash: says when providers and clients are killed; 1 without
  --write       of abuse: puts its tables into docs/abuse-scenario.md; without it they are held against the page
  --keep        leaves databases, logs and recordings behind, and says where
  --help        this text

Ends with 0 if everything was as it should be, with 1 if not, with 2 if it could not be run.
";

/// How many flows the benchmark runs.
const ROUNDS: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Help,
    Scenarios,
    Connection,
    JoinLink,
    Knock,
    Recovery,
    Devices,
    Crash,
    Load,
    ClientCrash,
    Consent,
    Abuse,
    Many,
    Bench,
    BenchMany,
    Refusals,
}

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    command: Command,
    suites: Vec<CipherSuite>,
    format: Option<DisclosureFormat>,
    rounds: u32,
    seed: u64,
    count: Option<u32>,
    write: bool,
    store: Option<Store>,
    keep: Keep,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        // A process that the scenario `client-crash` starts.
        Some((first, rest)) if first == "client" => client_crash::child::main(rest).map(|()| true),
        _ => parse(&words).and_then(|arguments| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(unless_interrupted(run(&arguments)))
        }),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Arguments> {
    let suites = CipherSuite::ALL.to_vec();
    let mut arguments = Arguments {
        command: Command::Scenarios,
        suites,
        format: None,
        rounds: ROUNDS,
        seed: 1,
        count: None,
        write: false,
        store: None,
        keep: Keep::No,
    };
    let mut named = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--help" | "-h" => arguments.command = Command::Help,
            "--rounds" => match words.next().and_then(|rounds| rounds.parse().ok()) {
                Some(rounds @ 1..) => arguments.rounds = rounds,
                _ => bail!("--rounds is a number above 0"),
            },
            "--seed" => match words.next().and_then(|seed| seed.parse().ok()) {
                Some(seed) => arguments.seed = seed,
                None => bail!("--seed is a number"),
            },
            "--count" => match words.next().and_then(|count| count.parse().ok()) {
                Some(count @ 1..) => arguments.count = Some(count),
                _ => bail!("--count is a number above 0"),
            },
            "--store" => match words.next() {
                Some("sqlite") => arguments.store = Some(Store::Sqlite),
                Some("postgres") => arguments.store = Some(Store::Postgres),
                _ => bail!("--store is sqlite or postgres"),
            },
            "--keep" => arguments.keep = Keep::Yes,
            "--write" => arguments.write = true,
            "--format" => match words.next().map(str::parse) {
                Some(Ok(format)) => arguments.format = Some(format),
                _ => bail!("--format is x509, sd-jwt or sd-cwt"),
            },
            "--suite" => {
                let code = words.next().and_then(|code| code.parse().ok());
                match code.and_then(CipherSuite::from_code) {
                    Some(suite) => arguments.suites = vec![suite],
                    None => bail!("--suite is 1 or 2"),
                }
            }
            "connection" if !named => (named, arguments.command) = (true, Command::Connection),
            "join-link" if !named => (named, arguments.command) = (true, Command::JoinLink),
            "knock" if !named => (named, arguments.command) = (true, Command::Knock),
            "recovery" if !named => (named, arguments.command) = (true, Command::Recovery),
            "devices" if !named => (named, arguments.command) = (true, Command::Devices),
            "crash" if !named => (named, arguments.command) = (true, Command::Crash),
            "load" if !named => (named, arguments.command) = (true, Command::Load),
            "client-crash" if !named => (named, arguments.command) = (true, Command::ClientCrash),
            "consent" if !named => (named, arguments.command) = (true, Command::Consent),
            "abuse" if !named => (named, arguments.command) = (true, Command::Abuse),
            "many-pseudonyms" if !named => (named, arguments.command) = (true, Command::Many),
            "bench-pseudonyms" if !named => (named, arguments.command) = (true, Command::BenchMany),
            "bench-refusals" if !named => (named, arguments.command) = (true, Command::Refusals),
            "bench-flow" if !named => (named, arguments.command) = (true, Command::Bench),
            _ => bail!("`{word}` is not understood\n\n{HELP}"),
        }
    }
    Ok(arguments)
}

async fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.command == Command::Help {
        print!("{HELP}");
        return Ok(true);
    }
    let mut passed = true;
    if matches!(arguments.command, Command::Load | Command::Scenarios) {
        passed &= load().await?;
    }
    if arguments.command == Command::Load {
        return Ok(passed);
    }
    for suite in &arguments.suites {
        if arguments.command == Command::Bench {
            let Arguments { rounds, keep, .. } = *arguments;
            eprintln!("e2e: {rounds} connection flows with suite {}", suite.code());
            let costs = bench::run(Bench { suite: *suite, rounds, keep }).await?;
            println!("Connection flow, suite {}\n\n{costs}", suite.code());
            continue;
        }
        if arguments.command == Command::Refusals {
            eprintln!("e2e: refusals with suite {}", suite.code());
            println!("Refusals, suite {}\n\n{}", suite.code(), bench::refusals(*suite, arguments.keep).await?);
            continue;
        }
        if matches!(arguments.command, Command::Many | Command::BenchMany) {
            passed &= many(arguments, *suite).await?;
            continue;
        }
        let variant = |format| Variant { suite: *suite, format, keep: arguments.keep };
        let is = |command| arguments.command == command || arguments.command == Command::Scenarios;
        if is(Command::Consent) {
            eprintln!("e2e: consent with suite {}: two providers, two clients each", suite.code());
            let report = consent::run(variant(DisclosureFormat::X509)).await?;
            println!("{}\n\n{report}", report.name);
            passed &= judge(&report.name, &report.failures, report.elapsed, report.kept.as_deref());
        }
        if is(Command::Abuse) {
            eprintln!("e2e: abuse with suite {}: a hub and six homes", suite.code());
            let report = abuse::run(*suite, arguments.keep, arguments.write).await?;
            println!("{}\n\n{report}", report.name);
            passed &= judge(&report.name, &report.failures, report.elapsed, report.kept.as_deref());
        }
        if is(Command::Scenarios) {
            passed &= many(arguments, *suite).await?;
        }
        for format in formats(arguments, *suite) {
            if is(Command::Connection) {
                eprintln!("e2e: connection with suite {} and {format}: two providers, two clients each", suite.code());
                passed &= show(&connection::run(variant(format)).await?)?;
            }
            if is(Command::JoinLink) {
                eprintln!("e2e: join link with suite {} and {format}: two providers, two clients each", suite.code());
                passed &= show(&join_link::run(variant(format)).await?)?;
            }
            if is(Command::Knock) {
                eprintln!("e2e: knock with suite {} and {format}: three providers, two clients each", suite.code());
                passed &= show(&knock::run(variant(format)).await?)?;
            }
        }
        if is(Command::Recovery) {
            eprintln!(
                "e2e: recovery with suite {}: two providers, two clients each, and some that are faulty",
                suite.code()
            );
            let report = recovery::run(variant(DisclosureFormat::X509)).await?;
            println!("{}\n\n{report}", report.name);
            passed &= judge(&report.name, &report.failures, report.elapsed, report.kept.as_deref());
        }
        if is(Command::Devices) {
            eprintln!("e2e: devices with suite {}: two providers, and a third device", suite.code());
            let report = devices::run(variant(DisclosureFormat::X509)).await?;
            println!("{}\n\n{report}", report.name);
            passed &= judge(&report.name, &report.failures, report.elapsed, report.kept.as_deref());
        }
        if is(Command::ClientCrash) && client_crash_in(arguments, *suite) {
            eprintln!("e2e: every flow with suite {}, by clients that are killed at every step", suite.code());
            let report = client_crash::run(*suite, arguments.keep).await?;
            println!("client-crash-{}\n\n{report}", suite.code());
            passed &= judge(&format!("client-crash-{}", suite.code()), &report.failures, report.elapsed, None);
        }
        if is(Command::Crash) {
            // Where everything runs, once on PostgreSQL is enough.
            let once = arguments.command == Command::Scenarios && arguments.suites.first() != Some(suite);
            let both = if once { vec![Store::Sqlite] } else { vec![Store::Sqlite, Store::Postgres] };
            let stores = arguments.store.map_or(both, |store| vec![store]);
            for store in stores {
                if arguments.store.is_none() && store == Store::Postgres && !store.is_there() {
                    eprintln!("e2e: SKIPPED: crash on PostgreSQL: there is none on this machine (no initdb)");
                    continue;
                }
                eprintln!("e2e: the same with suite {} on {store:?}, killed over and over", suite.code());
                let variant = variant(arguments.format.unwrap_or_default());
                let report = crash::run(variant, store, arguments.seed).await?;
                println!("{}\n\n{report}", report.name);
                passed &= judge(&report.name, &report.failures(), report.elapsed, report.kept.as_deref());
            }
        }
    }
    Ok(passed)
}

/// Short runs of what `cargo xtask load` does, for the check at its end: small rooms over two providers, one provider alone,
/// and two processes of each provider on PostgreSQL.
async fn load() -> Result<bool> {
    let [first, second] = CipherSuite::ALL;
    let small = Load {
        store: Store::Sqlite,
        processes: 1,
        providers: 2,
        size: 2,
        suite: first,
        rooms: 3,
        seconds: 1,
        octets: 100,
        pause: Duration::ZERO,
    };
    let runs = [
        small.clone(),
        Load { size: 10, suite: second, ..small.clone() },
        Load { providers: 1, size: 4, ..small.clone() },
        Load { store: Store::Postgres, processes: 2, size: 4, ..small },
    ];
    let mut passed = true;
    for load in runs {
        let Load { store, processes, providers, size, rooms, .. } = load;
        if !store.is_there() {
            println!("SKIPPED: load on PostgreSQL, which is not on this machine (no initdb)");
            continue;
        }
        eprintln!("e2e: load: {rooms} rooms of {size} at {providers} providers, {processes} processes each, {store:?}");
        let costs = load.run().await?;
        println!("load: {} messages, {} received", costs.sent, costs.delivered);
        let nothing = (costs.delivered == 0).then(|| "nothing was received".to_owned());
        let failures: Vec<_> = costs.faults.into_iter().chain(nothing).collect();
        passed &= judge("load", &failures, costs.elapsed, None);
    }
    Ok(passed)
}

/// Steps are the same in all suites: one is enough, unless another is asked for.
fn client_crash_in(arguments: &Arguments, suite: CipherSuite) -> bool {
    arguments.suites.first() == Some(&suite)
}

/// The formats in which the connection flow is gone through with a suite.
fn formats(arguments: &Arguments, suite: CipherSuite) -> Vec<DisclosureFormat> {
    match (arguments.command, arguments.format) {
        (Command::Crash | Command::ClientCrash | Command::Load | Command::Consent | Command::Abuse, _)
        | (Command::Recovery | Command::Devices, _) => Vec::new(),
        (_, Some(format)) => vec![format],
        (Command::Connection | Command::JoinLink | Command::Knock, None) => DisclosureFormat::ALL.to_vec(),
        _ if suite == CipherSuite::X25519Aes128Ed25519 => vec![DisclosureFormat::X509, DisclosureFormat::SdJwt],
        _ => vec![DisclosureFormat::X509, DisclosureFormat::SdCwt],
    }
}

/// One account with many pseudonyms: as a scenario with a thousand, as a benchmark with more and fewer as well.
async fn many(arguments: &Arguments, suite: CipherSuite) -> Result<bool> {
    let counts = match (arguments.command, arguments.count) {
        (_, Some(count)) => vec![count],
        (Command::BenchMany, None) => vec![10, 100, 1_000, 10_000],
        (Command::Many, None) => vec![1_000],
        _ => vec![100],
    };
    let mut passed = true;
    let name = format!("many-pseudonyms-{}", suite.code());
    println!("{name}\n\n{}", bench::ManyCosts::HEAD);
    for count in counts {
        eprintln!("e2e: {count} pseudonyms in one account, with suite {}", suite.code());
        let begun = std::time::Instant::now();
        let costs = bench::many(bench::Many { suite, count, keep: arguments.keep }).await?;
        println!("{costs}");
        passed &= judge(&name, &costs.failures(), begun.elapsed(), None);
    }
    if arguments.command == Command::BenchMany {
        println!("rooms-{}\n\n{}", suite.code(), bench::RoomCosts::HEAD);
        for count in arguments.count.map_or_else(|| vec![10, 100, 1_000], |count| vec![count.min(1_000)]) {
            eprintln!("e2e: one account in {count} rooms, with suite {}", suite.code());
            let begun = std::time::Instant::now();
            let costs = bench::rooms(bench::Many { suite, count, keep: arguments.keep }).await?;
            println!("{costs}");
            passed &= judge(&format!("rooms-{}", suite.code()), &costs.failures(), begun.elapsed(), None);
        }
    }
    Ok(passed)
}

/// Prints a report with its verdict, and says whether that is a good one.
fn show(report: &Report) -> Result<bool> {
    println!("{}\n\n{report}", report.name);
    Ok(judge(&report.name, &report.failures()?, report.elapsed, report.kept.as_deref()))
}

fn judge(name: &str, failures: &[String], elapsed: Duration, kept: Option<&Path>) -> bool {
    failures.iter().for_each(|failure| println!("  {failure}"));
    let word = if failures.is_empty() { "PASSED" } else { "FAILED" };
    println!("{name}: {word} in {:.1} s", elapsed.as_secs_f64());
    if let Some(folder) = kept {
        println!("databases, logs and recordings: {}", folder.display());
    }
    println!();
    failures.is_empty()
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
        assert_eq!((all.command, all.suites.len(), all.keep), (Command::Scenarios, 2, Keep::No));
        let one = parsed("connection --suite 2 --keep").unwrap();
        assert_eq!((one.suites, one.keep), (vec![CipherSuite::P256Aes128P256], Keep::Yes));
        let bench = parsed("bench-flow --rounds 2").unwrap();
        assert_eq!((bench.command, bench.rounds), (Command::Bench, 2));
        assert_eq!(parsed("bench-flow").unwrap().rounds, ROUNDS);
        assert_eq!(parsed("join-link").unwrap().command, Command::JoinLink);
        assert_eq!(parsed("knock --suite 1").unwrap().command, Command::Knock);
        let crash = parsed("crash --seed 7 --suite 1").unwrap();
        assert_eq!((crash.command, crash.seed, crash.store), (Command::Crash, 7, None));
        assert_eq!(parsed("crash --store postgres").unwrap().store, Some(Store::Postgres));
        assert_eq!(parsed("load").unwrap().command, Command::Load);
        assert_eq!(parsed("client-crash").unwrap().command, Command::ClientCrash);
        assert_eq!(parsed("connection").unwrap().command, Command::Connection);
        let many = parsed("bench-pseudonyms --count 70").unwrap();
        assert_eq!((many.command, many.count), (Command::BenchMany, Some(70)));
        assert_eq!(parsed("many-pseudonyms").unwrap().command, Command::Many);
        assert_eq!(parsed("bench-refusals").unwrap().command, Command::Refusals);
        assert_eq!(parsed("devices").unwrap().command, Command::Devices);
        assert_eq!(parsed("recovery").unwrap().command, Command::Recovery);
        assert_eq!(parsed("consent").unwrap().command, Command::Consent);
        let abuse = parsed("abuse --write").unwrap();
        assert_eq!((abuse.command, abuse.write, parsed("abuse").unwrap().write), (Command::Abuse, true, false));
        assert_eq!(parsed("connection --help").unwrap().command, Command::Help);
    }

    #[test]
    fn every_format_is_gone_through() {
        let formats = |text: &str| CipherSuite::ALL.map(|suite| formats(&parsed(text).unwrap(), suite));
        use DisclosureFormat::{SdCwt, SdJwt, X509};
        assert_eq!(formats(""), [[X509, SdJwt], [X509, SdCwt]]);
        assert_eq!(formats("connection"), [DisclosureFormat::ALL; 2]);
        assert_eq!(formats("knock"), [DisclosureFormat::ALL; 2]);
        assert_eq!(formats("connection --format sd-cwt"), [[SdCwt]; 2]);
        assert_eq!(formats("crash --format sd-jwt"), [[]; 2]);
        assert_eq!(formats("recovery"), [[]; 2]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            "--format",
            "--format jwt",
            "knocks",
            "--suite",
            "--suite 3",
            "--suite x",
            "connection connection",
            "--keeps",
            "--rounds 0",
            "--seed x",
            "--store files",
            "--count 0",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
