//! What messages cost: clients of a process of their own send and receive over real sockets with TLS, providers do what they
//! do in operation, and in the end it is checked that everybody got everything once and in order.
#![allow(clippy::print_stderr, reason = "long work says how far it is")]

mod connection;
mod drive;
mod idle;
mod ledger;
mod person;
pub mod prosody;
pub(crate) mod site;
mod table;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use mimi_credential::TrustStore;
use mimi_pseudonym::CipherSuite;
use mimi_wire::local;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{sync::watch, task::JoinHandle};

use self::{
    connection::Connection,
    drive::{Run, Seen, Sender, receive},
    ledger::{Ledger, Tag, faults, quantile},
    person::{Common, Person},
    site::{Sites, Used},
};
pub use self::{
    idle::Idle,
    site::Store,
    table::{Costs, Share},
};

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Where providers keep what they have.
    pub store: Store,
    /// Processes of each provider.
    pub processes: usize,
    /// How many providers: with one, all clients are its own. The first one is the hub.
    pub providers: usize,
    /// Participants of a room, as many of each provider as of the others, each with one client.
    pub size: usize,
    /// The MLS cipher suite of all rooms.
    pub suite: CipherSuite,
    /// Rooms.
    pub rooms: usize,
    /// How long is measured.
    pub seconds: u64,
    /// Octets of each text.
    pub octets: usize,
    /// How long a sender waits after a message was accepted.
    pub pause: Duration,
}

/// How long goes by before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// What was acknowledged is gone from the databases by then.
const SWEPT: Duration = Duration::from_secs(3);
/// The domains of the providers.
const DOMAINS: [&str; 3] = ["a.example", "b.example", "c.example"];
/// Accounts that are registered at the same time.
const AT_ONCE: usize = 16;

impl Load {
    /// Starts providers, lets clients send for so long, and checks what came of it.
    ///
    /// # Errors
    /// If it cannot be run to its end. What is wrong with what arrived is in the costs.
    pub async fn run(&self) -> Result<Costs> {
        let domains = DOMAINS.get(..self.providers).context("1, 2 or 3 providers")?;
        let sites = Sites::start("load", domains, self.store, self.processes).await?;
        eprintln!("load: {} rooms of {}: registering", self.rooms, self.size);
        let rooms = self.prepare(&sites).await?;
        let run = Arc::<Run>::default();
        let mut clients = Clients::default();
        let mut senders = Vec::new();
        for room in rooms {
            senders.push(clients.listen(room, &run));
        }
        tokio::time::sleep(SWEPT).await;
        let empty = sites.octets()?;
        eprintln!("load: {} rooms of {}: sending for {} s", self.rooms, self.size, self.seconds);
        clients.send(senders, &run, self.pause);
        tokio::time::sleep(WARM_UP).await;
        let before = Snapshot::of(&sites);
        run.measures.store(true, Ordering::Relaxed);
        let begun = std::time::Instant::now();
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        run.measures.store(false, Ordering::Relaxed);
        let (after, elapsed) = (Snapshot::of(&sites), begun.elapsed());
        run.stop.store(true, Ordering::Relaxed);
        eprintln!("load: {} rooms of {}: waiting until everything has come", self.rooms, self.size);
        let End { mut micros, wrong: faults, accepted: stored } = clients.end().await?;
        tokio::time::sleep(SWEPT).await;
        Ok(Costs {
            size: self.size,
            rooms: self.rooms,
            elapsed,
            sent: run.sent.load(Ordering::Relaxed),
            delivered: run.delivered.load(Ordering::Relaxed),
            p50: Duration::from_micros(quantile(&mut micros, 0.5).into()),
            p99: Duration::from_micros(quantile(&mut micros, 0.99).into()),
            shares: after.since(&before),
            disk: sites.octets()?.saturating_sub(empty),
            stored,
            faults,
        })
    }

    async fn prepare(&self, sites: &Sites) -> Result<Vec<Prepared>> {
        let hub = sites.sites.first().context("no provider runs")?;
        let anonymous = hub.connect(0, &sites.tls).await?;
        let mut trust = TrustStore::default();
        for site in sites.fixture.sites() {
            let issuer = CertificateDer::from_pem_file(site.issuer())?;
            trust = trust.with_anchor(&issuer, [site.domain().clone()])?;
        }
        let common = Arc::new(Common {
            suite: self.suite,
            trust,
            hub: anonymous.fetch(local::INFO_PATH).await?,
            hub_domain: hub.domain.parse()?,
        });
        let mut prepared = Vec::new();
        for room in 0..self.rooms {
            let mut people = Vec::new();
            let numbers: Vec<_> = (0..self.size).collect();
            for some in numbers.chunks(AT_ONCE) {
                let registering = some.iter().map(|number| self.person(sites, room, *number, &common));
                people.extend(try_join_all(registering).await?);
            }
            prepared.push(self.room(people, &common).await?);
        }
        Ok(prepared)
    }

    async fn person(&self, sites: &Sites, room: usize, number: usize, common: &Arc<Common>) -> Result<Person> {
        let site = sites.sites.get(number % self.providers).context("no such provider")?;
        let connection = site.connect(room + number / self.providers, &sites.tls).await?;
        Person::register(&connection, format!("load-{room}-{number}"), common).await
    }

    /// A room of these people, of whom the first founds it, and one of each provider sends.
    async fn room(&self, mut people: Vec<Person>, common: &Common) -> Result<Prepared> {
        let offers = people.iter_mut().skip(1).map(|person| async {
            let offer = person.offer(common).await?;
            Ok::<_, anyhow::Error>((person.pseudonym.clone(), offer))
        });
        let offers = try_join_all(offers).await?;
        let founder = people.first().context("nobody is in the room")?;
        let (room, welcome) = founder.found(common, offers).await?;
        let ledger = Arc::<Ledger>::default();
        let (uri, text) = (room.uri().clone(), "x".repeat(self.octets));
        let sender = |person: &Person, room| Sender {
            connection: person.connection.clone(),
            room,
            user: person.pseudonym.clone(),
            ledger: Arc::clone(&ledger),
            text: text.clone(),
        };
        let mut senders = vec![sender(founder, room)];
        // Whoever is the first of another provider sends as well; with one provider the second one does.
        for number in 1..self.providers.max(2).min(self.size) {
            let person = people.get_mut(number).context("too few people")?;
            let welcome = welcome.as_ref().context("nobody was added")?;
            let room = person.join(common, &uri, welcome).await?;
            senders.push(sender(person, room));
        }
        let receivers = people.into_iter().map(|person| person.connection).collect();
        Ok(Prepared { ledger, senders, receivers })
    }
}

/// A room, before anything was sent to it.
struct Prepared {
    ledger: Arc<Ledger>,
    senders: Vec<Sender>,
    receivers: Vec<Connection>,
}

impl Prepared {
    fn uri(&self) -> Option<String> {
        self.senders.first().map(|sender| sender.room.uri().to_string())
    }
}

/// Clients at work, room by room.
#[derive(Default)]
struct Clients(Vec<Busy>);

struct Busy {
    senders: Vec<JoinHandle<Result<Vec<Tag>>>>,
    receivers: Vec<JoinHandle<Result<Seen>>>,
    expected: watch::Sender<Option<usize>>,
}

impl Clients {
    /// Receives what comes into a room. Who will send to it is given back.
    fn listen(&mut self, room: Prepared, run: &Arc<Run>) -> Vec<Sender> {
        let (expected, told) = watch::channel(None);
        let receivers = room.receivers.into_iter().map(|connection| {
            tokio::spawn(receive(connection, Arc::clone(&room.ledger), Arc::clone(run), told.clone()))
        });
        self.0.push(Busy { senders: Vec::new(), receivers: receivers.collect(), expected });
        room.senders
    }

    /// Begins to send to all rooms, given in the order in which they are listened to.
    fn send(&mut self, senders: Vec<Vec<Sender>>, run: &Arc<Run>, pause: Duration) {
        for (room, senders) in self.0.iter_mut().zip(senders) {
            room.senders.extend(senders.into_iter().map(|sender| tokio::spawn(sender.go_on(Arc::clone(run), pause))));
        }
    }

    /// Waits until everything has arrived, and says how long it took and what is wrong.
    async fn end(self) -> Result<End> {
        let mut rooms = Vec::new();
        for (number, room) in self.0.into_iter().enumerate() {
            let mut accepted = Vec::new();
            for sender in room.senders {
                accepted.push(sender.await?.with_context(|| format!("a sender of room {number}"))?);
            }
            room.expected.send_replace(Some(accepted.iter().map(Vec::len).sum()));
            rooms.push((accepted, room.receivers));
        }
        let mut end = End::default();
        for (number, (accepted, receivers)) in rooms.into_iter().enumerate() {
            let mut received = Vec::new();
            for receiver in receivers {
                let seen = receiver.await?.with_context(|| format!("a receiver of room {number}"))?;
                end.micros.extend(seen.micros);
                received.push(seen.tags);
            }
            end.accepted += accepted.iter().map(|tags| tags.len() as u64).sum::<u64>();
            end.wrong.extend(faults(&accepted, &received).into_iter().map(|fault| format!("room {number}: {fault}")));
        }
        Ok(end)
    }
}

/// What came of it.
#[derive(Default)]
struct End {
    /// How long messages took that were received while it was measured.
    micros: Vec<u32>,
    wrong: Vec<String>,
    accepted: u64,
}

/// What everything has used at a moment.
struct Snapshot {
    used: Vec<(String, Used)>,
}

impl Snapshot {
    fn of(sites: &Sites) -> Self {
        let mut used = Vec::new();
        for site in &sites.sites {
            let processes = site.used();
            for (number, one) in processes.iter().enumerate() {
                let name = if processes.len() == 1 { String::new() } else { format!(" {}", number + 1) };
                used.push((format!("{}{name}", site.domain), *one));
            }
        }
        used.extend(sites.server_used().map(|server| ("PostgreSQL".to_owned(), server)));
        Self { used }
    }

    fn since(&self, before: &Self) -> Vec<Share> {
        let pairs = self.used.iter().zip(&before.used);
        pairs
            .map(|((name, now), (_, then))| Share {
                name: name.clone(),
                cpu: now.cpu - then.cpu,
                peak_kib: now.peak_kib,
            })
            .collect()
    }
}
