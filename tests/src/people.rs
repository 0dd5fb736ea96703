//! Alice, Bob and perhaps Cathy with two devices each, as applications of `mimi-client`.

mod at_once;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mimi_client::{Account, Client, ProviderAddress, StoreKey, Surroundings, SystemClock, SystemEntropy};
use mimi_credential::TrustStore;
use mimi_flow::{Command, Delays, Event, FlowId};
use mimi_pseudonym::{CipherSuite, ClaimName, Clock, Content, DisclosureFormat, RoomUri, Timestamp, UserUri};
use mimi_wire::local::EnrolmentCode;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::fixture::Fixture;

/// How long a device may find nothing to do before it counts as quiet.
const QUIET: Duration = Duration::from_millis(250);

/// What Alice is called, and where: the values that nobody but her provider and Bob may learn.
pub mod alice {
    /// The name part of her handle.
    pub const HANDLE: &str = "alice.wonder";
    /// Her account.
    pub const URI: &str = "mimi://a.example/u/alice.wonder";
    /// The name she shows.
    pub const DISPLAY_NAME: &str = "Alice Canary-Liddell";
    /// Her address.
    pub const EMAIL: &str = "a.liddell@mail.example";
    /// What she writes to Bob.
    pub const NOTE: &str = "We met at the canary tea party";
}

/// What Bob is called, and where.
pub mod bob {
    /// The name part of his handle.
    pub const HANDLE: &str = "bob.builder";
    /// His handle, as Alice knows it.
    pub const IM_URI: &str = "im:bob.builder@b.example";
    /// His account.
    pub const URI: &str = "mimi://b.example/u/bob.builder";
    /// The name he shows.
    pub const DISPLAY_NAME: &str = "Bob Canary-Hatter";
    /// His address.
    pub const EMAIL: &str = "b.hatter@mail.example";
    /// What he answers.
    pub const GREETING: &str = "Good to hear from you, canary";
}

/// What Cathy is called, and where.
pub mod cathy {
    /// The name part of her handle.
    pub const HANDLE: &str = "cathy.cat";
    /// Her account.
    pub const URI: &str = "mimi://c.example/u/cathy.cat";
    /// The name she shows.
    pub const DISPLAY_NAME: &str = "Cathy Canary-Cheshire";
    /// Her address.
    pub const EMAIL: &str = "c.cheshire@mail.example";
    /// What she writes to the moderators.
    pub const NOTE: &str = "The canary said you would let me in";
}

/// The system's clock, moved.
#[derive(Debug, Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    /// A clock that is ahead by so many seconds; behind, if negative.
    pub fn new(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds))
    }

    /// Moves it.
    pub fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let seconds = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemClock.now();
        if seconds < 0 { now.before(by) } else { now.after(by) }
    }
}

/// Seconds until the machine's clock begins another day (UTC). What holds in whole days, such as KeyPackages, ends there.
pub fn seconds_to_midnight() -> i64 {
    let second = SystemClock.now().as_secs() % 86_400;
    86_400 - i64::try_from(second).unwrap_or_default()
}

/// Waits for the next day if it is near: what begins today is to be over before it.
pub async fn away_from_midnight() {
    let left = seconds_to_midnight();
    if left < 180 {
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs() + 1)).await;
    }
}

/// A device of someone's.
pub struct Device {
    /// Its name in the draft, for example ClientA1.
    pub name: &'static str,
    /// The client.
    pub client: Client,
}

/// Alice, Bob and, where there is a third provider, Cathy, with their devices.
pub struct People {
    /// ClientA1, ClientA2, ClientB1, ClientB2, and perhaps ClientC1 and ClientC2.
    pub devices: Vec<Device>,
    /// Their clock.
    pub clock: Arc<MovedClock>,
    /// What each was told.
    pub told: Vec<(&'static str, Event)>,
    /// What is put behind their names, to tell them from others of the same name.
    tag: String,
    /// What lets the next device of each account in, by the domain of its provider.
    codes: Vec<(&'static str, EnrolmentCode)>,
    pace: Pace,
}

/// Whether the devices take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// One after the other, in short turns: for a diagram in which the order can be followed.
    InTurn,
    /// All at once, with few and long requests for their inboxes.
    AtOnce,
}

/// Which of the devices.
pub const A1: usize = 0;
/// Which of the devices.
pub const A2: usize = 1;
/// Which of the devices.
pub const B1: usize = 2;
/// Which of the devices.
pub const B2: usize = 3;
/// Which of the devices.
pub const C1: usize = 4;
/// Which of the devices.
pub const C2: usize = 5;

/// A person: the domain of the provider, handle, display name, address, and the names of the devices.
type Person = (&'static str, [&'static str; 3], [&'static str; 2]);

/// Everybody there is.
const PEOPLE: [Person; 3] = [
    ("a.example", [alice::HANDLE, alice::DISPLAY_NAME, alice::EMAIL], ["ClientA1", "ClientA2"]),
    ("b.example", [bob::HANDLE, bob::DISPLAY_NAME, bob::EMAIL], ["ClientB1", "ClientB2"]),
    ("c.example", [cathy::HANDLE, cathy::DISPLAY_NAME, cathy::EMAIL], ["ClientC1", "ClientC2"]),
];

/// The domain of the provider of a device.
fn domain_of(device: &str) -> Result<&'static str> {
    let found = PEOPLE.iter().find(|(.., names)| names.contains(&device));
    found.map(|(domain, ..)| *domain).with_context(|| format!("there is no device {device}"))
}

/// Destruction after a day or two, so that a moved clock reaches it; commits for others soon.
fn delays() -> Delays {
    let day = Duration::from_secs(86_400);
    let commit_spread = Duration::from_secs(2);
    let (sibling_spread, removal_spread) = (Duration::from_secs(2), Duration::from_secs(2));
    let spreads = Delays { commit_spread, sibling_spread, removal_spread, ..Delays::default() };
    Delays { destroy_after: day, destroy_spread: day, ..spreads }
}

/// The issuers of all providers, each trusted for its domain.
///
/// # Errors
/// If their files cannot be read.
pub fn trust(fixture: &Fixture) -> Result<TrustStore> {
    let mut trust = TrustStore::default();
    for site in fixture.sites() {
        let issuer = CertificateDer::from_pem_file(site.issuer())?;
        trust = trust.with_anchor(&issuer, [site.domain().clone()])?;
    }
    Ok(trust)
}

/// What a client of a provider needs from its surroundings.
///
/// # Errors
/// If there is no such provider, or its files cannot be read.
pub fn surroundings(fixture: &Fixture, domain: &str, clock: &Arc<MovedClock>) -> Result<Surroundings> {
    let trust = trust(fixture)?;
    let site = fixture.site(domain)?;
    Ok(Surroundings {
        provider: ProviderAddress {
            domain: site.domain().clone(),
            port: site.address().port(),
            address: Some(site.address()),
            roots: std::fs::read(fixture.roots())?,
        },
        trust,
        clock: clock.clone(),
        entropy: Box::new(SystemEntropy::default()),
        store_key: StoreKey::from_bytes([42; 32]),
    })
}

fn store(fixture: &Fixture, name: &str) -> PathBuf {
    fixture.root().join(format!("{name}.sqlite"))
}

impl People {
    /// Registers an account at each provider, with two devices each.
    ///
    /// # Errors
    /// If a provider refuses.
    pub async fn register(fixture: &Fixture, suite: CipherSuite, clock: Arc<MovedClock>) -> Result<Self> {
        Ok(Self { pace: Pace::InTurn, ..Self::register_as(fixture, suite, clock, "").await? })
    }

    /// Registers all under names with a tag behind them: for one of many groups at the same providers. Their devices go on
    /// all at once.
    ///
    /// # Errors
    /// If a provider refuses.
    pub async fn register_as(fixture: &Fixture, suite: CipherSuite, clock: Arc<MovedClock>, tag: &str) -> Result<Self> {
        Self::register_with(fixture, suite, clock, tag, delays()).await
    }

    /// The same with other delays.
    ///
    /// # Errors
    /// If a provider refuses.
    pub async fn register_with(
        fixture: &Fixture,
        suite: CipherSuite,
        clock: Arc<MovedClock>,
        tag: &str,
        delays: Delays,
    ) -> Result<Self> {
        let store = |fixture: &Fixture, name: &str| store(fixture, &format!("{name}{tag}"));
        let (mut devices, mut codes) = (Vec::new(), Vec::new());
        let there = |domain: &str| fixture.sites().iter().any(|site| site.domain().as_str() == domain);
        for (domain, [handle, display_name, email], [first, second]) in PEOPLE {
            if !there(domain) {
                continue;
            }
            let account = Account {
                handle: format!("{handle}{tag}"),
                display_name: display_name.to_owned(),
                email: email.to_owned(),
                device_name: "first".to_owned(),
            };
            let around = surroundings(fixture, domain, &clock)?;
            let (one, code) = Client::register(&store(fixture, first), account, suite, delays, around)
                .await
                .with_context(|| format!("{first} cannot be registered"))?;
            let around = surroundings(fixture, domain, &clock)?;
            let path = store(fixture, second);
            let (two, code) = Client::add_device(&path, code, "second", suite, delays, around)
                .await
                .with_context(|| format!("{second} cannot be added"))?;
            codes.push((domain, code));
            devices.extend([Device { name: first, client: one }, Device { name: second, client: two }]);
        }
        Ok(Self { devices, clock, told: Vec::new(), tag: tag.to_owned(), codes, pace: Pace::AtOnce })
    }

    /// What the account at a provider says of its owner. `None` if nobody has one there.
    pub fn account(domain: &str) -> Option<Account> {
        let (_, [handle, display_name, email], _) = PEOPLE.into_iter().find(|(of, ..)| *of == domain)?;
        let [handle, display_name, email, device_name] = [handle, display_name, email, "first"].map(str::to_owned);
        Some(Account { handle, display_name, email, device_name })
    }

    /// Adds one more device to the account at a provider, some time later. It is the last of the devices.
    ///
    /// # Errors
    /// If there is no such account, or the provider refuses.
    pub async fn add_device(&mut self, fixture: &Fixture, domain: &str, name: &'static str) -> Result<usize> {
        let at = self.codes.iter().position(|(of, _)| *of == domain).context("there is no such account")?;
        let (domain, code) = self.codes.swap_remove(at);
        let suite = self.devices.first().context("there is nobody")?.client.device().profile().suite;
        let around = surroundings(fixture, domain, &self.clock)?;
        let path = store(fixture, &format!("{name}{}", self.tag));
        let (client, code) = Client::add_device(&path, code, "later", suite, delays(), around).await?;
        self.codes.push((domain, code));
        self.devices.push(Device { name, client });
        Ok(self.devices.len() - 1)
    }

    /// What lets the next device of an account in, from now on.
    pub fn next_code(&mut self, domain: &'static str, code: EnrolmentCode) -> Option<EnrolmentCode> {
        let before = self.codes.iter().position(|(of, _)| *of == domain).map(|at| self.codes.swap_remove(at).1);
        self.codes.push((domain, code));
        before
    }

    /// From now on the devices take turns.
    #[must_use]
    pub fn in_turn(self) -> Self {
        Self { pace: Pace::InTurn, ..self }
    }

    /// Opens all devices again from what is on disk, as after a crash.
    ///
    /// # Errors
    /// If a store cannot be read.
    pub fn reopen(self, fixture: &Fixture) -> Result<Self> {
        let Self { devices, clock, told, tag, codes, pace } = self;
        let names: Vec<_> = devices.iter().map(|device| device.name).collect();
        drop(devices);
        let mut devices = Vec::new();
        for name in names {
            let around = surroundings(fixture, domain_of(name)?, &clock)?;
            let client = Client::open(&store(fixture, &format!("{name}{tag}")), around)?;
            devices.push(Device { name, client });
        }
        Ok(Self { devices, clock, told, tag, codes, pace })
    }

    /// Opens one device again from what is on disk, as after a crash.
    ///
    /// # Errors
    /// If its store cannot be read.
    pub fn reopen_one(&mut self, fixture: &Fixture, device: usize) -> Result<()> {
        let found = self.devices.get_mut(device).context("there is no such device")?;
        let around = surroundings(fixture, domain_of(found.name)?, &self.clock)?;
        found.client = Client::open(&store(fixture, found.name), around)?;
        Ok(())
    }

    /// Carries out a command on one device.
    ///
    /// # Errors
    /// If it is refused.
    pub fn command(&mut self, device: usize, command: Command) -> Result<Option<FlowId>> {
        let device = self.devices.get_mut(device).context("there is no such device")?;
        device.client.command(command).with_context(|| format!("{} refuses the command", device.name))
    }

    /// Lets all devices do what they have to do until all are quiet at once.
    ///
    /// # Errors
    /// If a device cannot go on.
    pub async fn settle(&mut self) -> Result<()> {
        if self.pace == Pace::AtOnce {
            let quiet = QUIET * 2;
            return at_once::drive(&mut self.devices, &mut self.told, quiet, |_, since| Ok(since >= quiet)).await;
        }
        self.settle_where(|_| true).await
    }

    /// Lets some of the devices do what they have to do until all of those are quiet at once.
    ///
    /// # Errors
    /// If a device cannot go on.
    pub async fn settle_where(&mut self, which: impl Fn(usize) -> bool) -> Result<()> {
        loop {
            let mut quiet = true;
            let chosen = self.devices.iter_mut().enumerate().filter(|(index, _)| which(*index));
            for (_, device) in chosen {
                while let Some(event) = device.client.next_event(QUIET).await? {
                    if let Event::Failed { reason, .. } = &event {
                        bail!("{}: {reason}", device.name);
                    }
                    quiet = false;
                    self.told.push((device.name, event));
                }
            }
            if quiet {
                return Ok(());
            }
        }
    }

    /// Lets all devices go on until something has been told, or the time is over.
    ///
    /// # Errors
    /// If a device cannot go on, or the time is over.
    pub async fn until(&mut self, patience: Duration, done: impl Fn(&[(&'static str, Event)]) -> bool) -> Result<()> {
        let deadline = tokio::time::Instant::now() + patience;
        if self.pace == Pace::AtOnce {
            let over = |told: &[(&'static str, Event)], _| match done(told) {
                false if tokio::time::Instant::now() > deadline => bail!("the time is over"),
                done => Ok(done),
            };
            return at_once::drive(&mut self.devices, &mut self.told, QUIET * 4, over).await;
        }
        while !done(&self.told) {
            if tokio::time::Instant::now() > deadline {
                let names: Vec<_> = self.told.iter().map(|(name, event)| format!("{name}: {event:?}")).collect();
                bail!("the time is over; told so far:\n{}", names.join("\n"));
            }
            for device in &mut self.devices {
                if let Some(event) = device.client.next_event(Duration::from_millis(50)).await? {
                    if let Event::Failed { reason, .. } = &event {
                        bail!("{}: {reason}", device.name);
                    }
                    self.told.push((device.name, event));
                }
            }
        }
        Ok(())
    }

    /// From now on, all ask for identities in this format.
    ///
    /// # Errors
    /// If a device refuses.
    pub fn prefer(&mut self, format: DisclosureFormat) -> Result<()> {
        (0..self.devices.len()).try_for_each(|device| self.command(device, Command::Prefer { format }).map(drop))
    }

    /// The first diagram: both get pseudonyms and credentials, and store KeyPackages.
    ///
    /// # Errors
    /// If a device cannot go on.
    pub async fn prepare(&mut self) -> Result<()> {
        for device in [B1, B2] {
            self.command(device, Command::Publish { key_packages: 2 })?;
        }
        self.command(A1, Command::Prepare { pseudonyms: 3 })?;
        self.command(B1, Command::Prepare { pseudonyms: 2 })?;
        self.settle().await
    }

    /// The second diagram: Alice connects. Returns the request that Bob's first device was told of.
    ///
    /// # Errors
    /// If a device cannot go on, or Bob is told something else.
    pub async fn connect(&mut self) -> Result<FlowId> {
        self.command(A1, Self::connecting(&self.tag)?)?;
        let asked = |name: &str, told: &[(&'static str, Event)]| {
            told.iter().any(|(who, event)| *who == name && matches!(event, Event::ConnectionRequested { .. }))
        };
        let patience = Duration::from_secs(60);
        self.until(patience, |told| asked("ClientB1", told) && asked("ClientB2", told)).await?;
        self.settle().await?;
        self.request()
    }

    /// The command with which Alice connects, where names have this tag.
    ///
    /// # Errors
    /// Never.
    pub fn connecting(tag: &str) -> Result<Command> {
        Ok(Command::Connect {
            handle: bob::IM_URI.replace('@', &format!("{tag}@")),
            domain: "b.example".parse()?,
            disclose: vec![ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email],
            note: alice::NOTE.to_owned(),
        })
    }

    /// The request that Bob's first device was told of.
    ///
    /// # Errors
    /// If it was told of none, of more than one, or of something else than what Alice discloses.
    pub fn request(&self) -> Result<FlowId> {
        let requests = self.told.iter().filter_map(|(name, event)| match event {
            Event::ConnectionRequested { request, from, note } if *name == "ClientB1" => Some((request, from, note)),
            _ => None,
        });
        let requests: Vec<_> = requests.collect();
        let [(request, from, note)] = requests.as_slice() else { bail!("Bob was asked {} times", requests.len()) };
        let claims: Vec<_> = from.claims.iter().collect();
        let (uri, handle) =
            (format!("{}{}", alice::URI, self.tag), format!("im:{}{}@a.example", alice::HANDLE, self.tag));
        let expected = [
            (ClaimName::UserUri, uri.as_str()),
            (ClaimName::Handle, handle.as_str()),
            (ClaimName::DisplayName, alice::DISPLAY_NAME),
            (ClaimName::Email, alice::EMAIL),
        ];
        if claims != expected || from.issuer.as_str() != "a.example" || note.as_str() != alice::NOTE {
            bail!("Bob was told something else than what Alice disclosed");
        }
        Ok(**request)
    }

    /// The third diagram: Bob accepts, and Alice gets his message. Returns the new room.
    ///
    /// # Errors
    /// If a device cannot go on, or is told something else.
    pub async fn accept(&mut self, request: FlowId) -> Result<RoomUri> {
        let greeting = Content { media_type: "text/plain".to_owned(), body: bob::GREETING.as_bytes().to_vec() };
        self.command(B1, Command::Accept { request, greeting })?;
        let greeted = |name: &str, told: &[(&'static str, Event)]| {
            told.iter().any(|(who, event)| *who == name && matches!(event, Event::Message { .. }))
        };
        let patience = Duration::from_secs(60);
        self.until(patience, |told| ["ClientA1", "ClientA2", "ClientB2"].iter().all(|name| greeted(name, told)))
            .await?;
        self.settle().await?;
        self.second_room()
    }

    /// The temporary room, which only the devices know of, and Alice's pseudonym in it.
    ///
    /// # Errors
    /// If Alice's first device is not in exactly one room.
    pub fn first_room(&self) -> Result<(RoomUri, UserUri)> {
        let device = self.devices.first().context("there is no device")?;
        let rooms: Vec<_> = device.client.device().rooms().collect();
        let [(room, state)] = rooms.as_slice() else { bail!("ClientA1 is in {} rooms", rooms.len()) };
        let alice = state.participants().iter().find(|(user, _)| user.domain().as_str() == "a.example");
        let (alice, _) = alice.context("Alice is in the room")?;
        Ok(((*room).clone(), alice.clone()))
    }

    /// The pseudonyms of Alice and Bob in a room.
    ///
    /// # Errors
    /// If they are not the two participants.
    pub fn pseudonyms_in(&self, room: &RoomUri) -> Result<[UserUri; 2]> {
        let device = self.devices.first().context("there is no device")?;
        let mut users: Vec<_> = device.client.device().clients(room).into_iter().map(|(user, _)| user).collect();
        users.sort();
        users.dedup();
        users.try_into().map_err(|_| anyhow::anyhow!("two users are in the room"))
    }

    /// Alice's account and her clients, Bob's account and his clients, by what their providers call them.
    pub fn accounts(&self) -> [Vec<String>; 4] {
        let profile = |at: usize| self.devices.get(at).map(|device| device.client.device().profile());
        let user = |at| profile(at).map(|profile| profile.user.to_string()).into_iter().collect();
        let clients =
            |one, two| [one, two].into_iter().filter_map(profile).map(|profile| profile.client.to_string()).collect();
        [user(A1), clients(A1, A2), user(B1), clients(B1, B2)]
    }

    /// The room in which both are by now: all four devices, once each, in one epoch.
    ///
    /// # Errors
    /// If they are not.
    pub fn second_room(&self) -> Result<RoomUri> {
        let connected: Vec<_> = self
            .told
            .iter()
            .filter_map(|(name, event)| match event {
                Event::Connected { room, .. } => Some((*name, room.clone())),
                _ => None,
            })
            .collect();
        let Some((_, room)) = connected.first().cloned() else { bail!("nobody is connected") };
        for name in self.devices.iter().map(|device| device.name) {
            let rooms: Vec<_> = connected.iter().filter(|(who, _)| *who == name).collect();
            if rooms.len() != 1 || rooms.iter().any(|(_, one)| *one != room) {
                bail!("{name} was told {} times that it is connected", rooms.len());
            }
        }
        let views: Vec<_> = self.devices.iter().map(|device| device.client.device().clients(&room)).collect();
        if views.iter().any(|view| view.len() != 4 || Some(view) != views.first()) {
            bail!("the devices do not agree on who is in the room");
        }
        if views.iter().flatten().any(|(user, _)| !user.is_pseudonym()) {
            bail!("someone is in the second room without a pseudonym");
        }
        let greetings = self.told.iter().filter(|(_, event)| {
            matches!(event, Event::Message { room: one, body, .. } if *one == room && body == bob::GREETING.as_bytes())
        });
        match greetings.count() {
            3 => Ok(room),
            count => bail!("the greeting was told {count} times to three devices"),
        }
    }

    /// The temporary room goes at its random time.
    ///
    /// # Errors
    /// If a device cannot go on, or keeps the room.
    pub async fn destroy_first_room(&mut self) -> Result<()> {
        let closed = |told: &[(&'static str, Event)]| {
            told.iter().any(|(name, event)| *name == "ClientA1" && matches!(event, Event::Closed { .. }))
        };
        self.until(Duration::from_secs(60), closed).await?;
        self.settle().await?;
        for device in &self.devices {
            let rooms = device.client.device().rooms().count();
            if rooms != 1 {
                bail!("{} is in {rooms} rooms", device.name);
            }
        }
        Ok(())
    }
}
