//! The client as a process of its own: an application that does one thing, and says what it is told. It writes a line
//! before and after whatever may be a step, so that whoever reads them knows how far it came.

use std::{fs::OpenOptions, io::Write, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mimi_client::{Client, ClientError, ProviderAddress, PseudonymToken, StoreKey, Surroundings};
use mimi_credential::TrustStore;
use mimi_flow::{Command, Event};
use mimi_pseudonym::{CipherSuite, ClaimName, Content, DisclosurePolicy};
use mimi_wire::local::EnrolmentCode;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::steps::{Kill, Steps, Watched};
use crate::{
    alone::new_room,
    people::{MovedClock, People, bob, cathy},
};

/// How long it finds nothing to do before it says so.
const IDLE: Duration = Duration::from_millis(150);

/// Says a line.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// What a client needs, in the folder of a fixture.
///
/// # Errors
/// If the files cannot be read.
pub fn surroundings(root: &Path, domain: &str, address: SocketAddr, offset: i64) -> Result<Surroundings> {
    let mut trust = TrustStore::default();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let (issuer, name) = (entry.path().join("issuer.pem"), entry.file_name());
        if issuer.is_file() {
            let certificate = CertificateDer::from_pem_file(issuer)?;
            trust = trust.with_anchor(&certificate, [name.to_string_lossy().parse()?])?;
        }
    }
    let domain = domain.parse()?;
    Ok(Surroundings {
        provider: ProviderAddress {
            domain,
            port: address.port(),
            address: Some(address),
            roots: std::fs::read(root.join("roots.pem"))?,
        },
        trust,
        clock: Arc::new(MovedClock::new(offset)),
        entropy: Box::new(mimi_client::SystemEntropy::default()),
        store_key: StoreKey::from_bytes([42; 32]),
    })
}

/// Runs a client: `ROOT STORE DOMAIN ADDRESS OFFSET KILL [COMMAND…]`. Comes back only with an error.
///
/// # Errors
/// If the client cannot go on.
pub fn main(words: &[String]) -> Result<()> {
    let [root, store, domain, address, offset, kill, command @ ..] = words else { bail!("words are missing") };
    let store = Path::new(store);
    // It is watched from before there is anything in it.
    OpenOptions::new().create(true).append(true).open(store)?;
    let steps = Steps::watch(store, Kill::parse(kill)?)?;
    let around = || -> Result<Surroundings> {
        let entropy = Box::new(Watched::new(steps.clone()));
        Ok(Surroundings { entropy, ..surroundings(Path::new(root), domain, address.parse()?, offset.parse()?)? })
    };
    // One thread: what a client has handed over to be sent waits while its step is looked at.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let registering = command.split_first().filter(|(verb, _)| is_registration(verb));
        let mut client = match registering {
            Some((verb, arguments)) => {
                let client = match steps.watched(register(store, verb, arguments, around()?)).await {
                    Err(ClientError::DeviceExists) => Client::open(store, around()?)?,
                    registered => registered?,
                };
                steps.look();
                say("commanded null")?;
                client
            }
            None => match Client::open(store, around()?) {
                Err(ClientError::NoDevice) => loop {
                    // Nobody is there yet.
                    steps.look();
                    tokio::time::sleep(IDLE).await;
                    say("idle")?;
                },
                client => client?,
            },
        };
        if let [verb, argument] = command
            && is_of_tokens(verb)
        {
            steps.watched(tokens(&mut client, verb, argument)).await?;
            steps.look();
            say("commanded null")?;
        } else if let Some((verb, arguments)) = command.split_first().filter(|(verb, _)| !is_registration(verb)) {
            say("commanding")?;
            let flow = client.command(read(verb, arguments)?)?;
            steps.look();
            say(&format!("commanded {}", serde_json::to_string(&flow)?))?;
        }
        loop {
            let Some(event) = steps.watched(client.next_event(IDLE)).await? else {
                say("idle")?;
                continue;
            };
            if let Event::Failed { reason, .. } = &event {
                bail!("a flow failed: {reason}");
            }
            say(&format!("event {}", serde_json::to_string(&event)?))?;
            client.told()?;
            steps.look();
            say("told")?;
        }
    })
}

/// Whether a word has a device registered, which its client cannot do before there is one.
fn is_registration(verb: &str) -> bool {
    ["register", "add-device", "redeem"].contains(&verb)
}

/// Whether a word has a client do something about tokens. Whoever is interrupted does it again.
fn is_of_tokens(verb: &str) -> bool {
    ["fetch-tokens", "take-token", "forget-token"].contains(&verb)
}

async fn tokens(client: &mut Client, verb: &str, argument: &str) -> Result<()> {
    match verb {
        "fetch-tokens" => {
            let count = argument.parse()?;
            if client.tokens()? < usize::from(count) {
                client.fetch_tokens(count, Duration::ZERO).await?;
            }
        }
        "take-token" => drop(client.token_for(argument)?.context("there is no token")?),
        _ => client.forget_token(&PseudonymToken::from_bytes(serde_json::from_str(argument)?))?,
    }
    Ok(())
}

/// The account of a domain, with this as its first device: `register SUITE`; one more device of it: `add-device SUITE CODE`; or
/// a pseudonym that is nobody's: `redeem SUITE TOKEN`.
async fn register(path: &Path, verb: &str, arguments: &[String], around: Surroundings) -> Result<Client, ClientError> {
    let suite = |text: &String| text.parse().ok().and_then(CipherSuite::from_code).ok_or(ClientError::NoDevice);
    let (client, _) = match (verb, arguments) {
        ("register", [code]) => {
            let account = People::account(around.provider.domain.as_str());
            let account = account.ok_or(ClientError::NoDevice)?;
            Client::register(path, account, suite(code)?, super::delays(None), around).await?
        }
        ("redeem", [code, token]) => {
            let token = serde_json::from_str(token).map_err(|_| ClientError::NoDevice)?;
            let token = PseudonymToken::from_bytes(token);
            return Client::redeem(path, &token, suite(code)?, super::delays(None), around).await;
        }
        (_, [code, secret]) => {
            let secret = serde_json::from_str(secret).map_err(|_| ClientError::NoDevice)?;
            let secret = EnrolmentCode::from_bytes(secret);
            Client::add_device(path, secret, "second", suite(code)?, super::delays(None), around).await?
        }
        _ => return Err(ClientError::NoDevice),
    };
    Ok(client)
}

/// A command, as words.
fn read(verb: &str, arguments: &[String]) -> Result<Command> {
    let one = || arguments.first().with_context(|| format!("{verb} needs an argument"));
    let flow = || -> Result<_> { Ok(serde_json::from_str(one()?)?) };
    let room = || -> Result<_> { Ok(one()?.parse()?) };
    let all = || ClaimName::ALL.into_iter().filter(|name| super::super::rooms::is_issued(*name)).collect::<Vec<_>>();
    let text = |text: &str| Content { media_type: "text/plain".into(), body: text.as_bytes().to_vec() };
    Ok(match verb {
        "prepare" => Command::Prepare { pseudonyms: one()?.parse()? },
        "publish" => Command::Publish { key_packages: one()?.parse()? },
        "connect" => People::connecting("")?,
        "accept" => Command::Accept { request: flow()?, greeting: text(bob::GREETING) },
        "create-room" => Command::CreateRoom { room: new_room(super::super::rooms::NAME)? },
        "create-link" => Command::CreateLink { room: room()?, role: None, uses: Some(1), lifetime: None },
        "create-knock-room" => Command::CreateKnockRoom {
            target: room()?,
            disclosure: DisclosurePolicy::new(
                [ClaimName::Handle],
                all().into_iter().filter(|name| *name != ClaimName::Handle),
                [],
            )?,
        },
        "look" => Command::Look { link: one()?.parse()?, as_account: false },
        "join" => Command::JoinSeen { visit: flow()? },
        "knock" => Command::Knock { visit: flow()?, disclose: all(), note: cathy::NOTE.to_owned() },
        "admit" => Command::AdmitKnock { knock: flow()? },
        "disclose" => Command::Disclose { room: room()?, claims: all() },
        "send" => {
            let [_, said] = arguments else { bail!("send needs a room and a word") };
            Command::Send { room: room()?, content: text(said) }
        }
        "remove-device" => Command::RemoveDevice { client: one()?.parse()? },
        "leave" => Command::Leave { room: room()? },
        "connections" => Command::ConsentToConnections { allowed: one()?.parse()? },
        "grant" => Command::GrantConsent { consent: serde_json::from_str(one()?)? },
        _ => bail!("no such command: {verb}"),
    })
}

/// Checks that words are a command before a process is started for them.
pub(super) fn check(words: &[String]) -> Result<()> {
    let (verb, arguments) = words.split_first().context("a command is missing")?;
    if !is_registration(verb) && !is_of_tokens(verb) {
        read(verb, arguments).map(drop)?;
    }
    ensure!(words.iter().all(|word| !word.contains('\n')), "a command is one line");
    Ok(())
}
