//! Two providers and four devices in one process, with a clock that stands until it is moved.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod bring;
pub mod door;
pub mod provider;
pub mod rogue;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mimi_credential::TrustStore;
use mimi_flow::{
    Answer, Command, CommandError, Context, Delays, Device, Effect, Entry, Event, FlowId, NewRoom, Profile, Request,
    RequestId,
};
use mimi_mls::{CommitRefusal, ProposalRefusal};
use mimi_pseudonym::{
    CipherSuite, ClaimName, ClientUri, Content, DisclosurePolicy, Domain, Entropy, IdentityPolicy, PseudonymUse,
    SeededEntropy, Timestamp, UserUri,
};
use mimi_room::JoinLinkPolicy;
use mimi_wire::{
    GroupInfoRatchetTreeTbe,
    local::{InboxBody, InboxEvent},
};

pub use provider::Provider;

pub const DAY: Duration = Duration::from_secs(86_400);
pub const A1: usize = 0;
pub const A2: usize = 1;
pub const B1: usize = 2;
pub const B2: usize = 3;
pub const ALL: [usize; 4] = [A1, A2, B1, B2];
pub const SUITES: [CipherSuite; 2] = CipherSuite::ALL;

/// What goes wrong on the way.
#[derive(Default, Clone, Copy)]
pub struct Trouble {
    /// Everything in an inbox comes twice.
    pub doubled: bool,
    /// Every answer comes twice.
    pub answered_twice: bool,
    /// The device is saved and restored after every step.
    pub restored: bool,
    /// The device loses every step once, after the provider has done its part.
    pub crashes: bool,
}

pub struct World {
    pub suite: CipherSuite,
    pub now: Timestamp,
    pub entropy: SeededEntropy,
    pub trust: TrustStore,
    pub providers: BTreeMap<Domain, Provider>,
    pub profiles: Vec<UserUri>,
    pub devices: Vec<Device>,
    pub inboxes: Vec<VecDeque<InboxEvent>>,
    /// Everything that ever was in an inbox.
    pub history: Vec<Vec<InboxEvent>>,
    pub sending: Vec<VecDeque<(RequestId, Request)>>,
    pub answers: Vec<VecDeque<(RequestId, Request, Answer)>>,
    /// Names of the calls that were served, in order.
    pub calls: Vec<Vec<&'static str>>,
    pub told: Vec<Vec<Event>>,
    pub wake: Vec<Option<Timestamp>>,
    pub refusals: Vec<CommitRefusal>,
    pub proposals_refused: Vec<ProposalRefusal>,
    /// What a hub gives in place of the room that was asked for.
    pub swap: Option<GroupInfoRatchetTreeTbe>,
    pub trouble: Trouble,
    /// Draws the order of steps; without one they are done in a fixed order.
    pub order: Option<SeededEntropy>,
    /// Requests that wait until this is taken away: of this device, with this name.
    pub hold_request: Option<(usize, &'static str)>,
    /// Answers that wait likewise.
    pub hold_answer: Option<(usize, &'static str)>,
    /// Inboxes that nobody looks into.
    pub hold_inbox: Vec<usize>,
    /// What lets the next devices in, where a lost one was removed.
    pub codes: Vec<mimi_wire::local::EnrolmentCode>,
    /// Answers in place of the provider's own.
    pub instead: Option<(usize, &'static str, Answer)>,
    /// Of devices that are added.
    pub delays: Delays,
    /// The number of the request that is being served: the same one once more is the same request.
    pub serving: u32,
    crashed: std::collections::BTreeSet<(usize, u8, u64)>,
    sequence: u64,
}

#[derive(Clone, Copy)]
enum Step {
    Serve(usize),
    Answer(usize),
    Inbox(usize),
}

pub fn text(text: &str) -> Content {
    Content { media_type: "text/plain".into(), body: text.as_bytes().to_vec() }
}

impl World {
    /// Accounts and devices, with nothing prepared.
    pub fn new(suite: CipherSuite) -> Self {
        Self::with_delays(suite, Delays::default())
    }

    pub fn with_delays(suite: CipherSuite, delays: Delays) -> Self {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // openmls compares lifetimes with the system's clock, besides ours: both hold for 60 days from here.
        let now = Timestamp::from_secs(system).before(DAY * 60);
        let mut entropy = SeededEntropy::new([3; 32]);
        let a = Provider::new("a.example", suite, &mut entropy, now);
        let b = Provider::new("b.example", suite, &mut entropy, now);
        let trust = [&a, &b].into_iter().fold(TrustStore::default(), |trust, provider| {
            trust.with_anchor(provider.issuer.certificate(), [provider.domain.clone()]).unwrap()
        });
        let mut world = Self {
            suite,
            now,
            entropy,
            trust,
            providers: [a, b].into_iter().map(|provider| (provider.domain.clone(), provider)).collect(),
            profiles: Vec::new(),
            devices: Vec::new(),
            inboxes: Vec::new(),
            history: Vec::new(),
            sending: Vec::new(),
            answers: Vec::new(),
            calls: Vec::new(),
            told: Vec::new(),
            wake: Vec::new(),
            refusals: Vec::new(),
            proposals_refused: Vec::new(),
            swap: None,
            trouble: Trouble::default(),
            order: None,
            hold_request: None,
            hold_answer: None,
            hold_inbox: Vec::new(),
            codes: Vec::new(),
            instead: None,
            delays,
            serving: 0,
            crashed: Default::default(),
            sequence: 0,
        };
        for user in
            ["mimi://a.example/u/alice", "mimi://a.example/u/alice", "mimi://b.example/u/bob", "mimi://b.example/u/bob"]
        {
            world.add_device(user);
        }
        world
    }

    pub fn add_device(&mut self, user: &str) -> usize {
        let user: UserUri = user.parse().unwrap();
        let number = self.devices.len();
        let client = ClientUri::pseudonym(user.domain(), self.entropy.bits128());
        let provider = self.providers.get_mut(user.domain()).unwrap();
        provider.accounts.entry(user.clone()).or_default().push(number);
        let (hub, franking_agent) = (provider.sender.clone(), provider.agent());
        let profile =
            Profile { user: user.clone(), client, suite: self.suite, hub, franking_agent, delays: self.delays };
        self.devices.push(Device::new(profile));
        self.profiles.push(user);
        self.inboxes.push(VecDeque::new());
        self.history.push(Vec::new());
        self.sending.push(VecDeque::new());
        self.answers.push(VecDeque::new());
        self.calls.push(Vec::new());
        self.told.push(Vec::new());
        self.wake.push(None);
        number
    }

    /// Everyone is ready: Bob can be found, and all have pseudonyms. What was told and called is forgotten.
    pub fn ready(suite: CipherSuite) -> Self {
        let mut world = Self::new(suite);
        world.prepare(2);
        world
    }

    pub fn prepare(&mut self, pseudonyms: u16) {
        for device in [B1, B2] {
            self.command(device, Command::Publish { key_packages: 2 }).unwrap();
        }
        self.run();
        for device in ALL {
            self.command(device, Command::Prepare { pseudonyms }).unwrap();
            self.run();
        }
        for device in ALL {
            assert_eq!(self.devices[device].fresh_pseudonyms(), usize::from(pseudonyms));
        }
        self.forget();
    }

    /// A device makes so many rooms, each from a pseudonym of its own.
    pub fn found_rooms(&mut self, device: usize, count: usize) {
        for number in 0..count {
            let room = NewRoom {
                name: format!("Room {number}"),
                description: String::new(),
                identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() },
                links: JoinLinkPolicy::default(),
                discoverable: false,
            };
            self.command(device, Command::CreateRoom { room }).unwrap();
            self.run();
        }
    }

    /// Forgets what was told and called.
    pub fn forget(&mut self) {
        self.told.iter_mut().for_each(Vec::clear);
        self.calls.iter_mut().for_each(Vec::clear);
    }

    pub fn forget_calls(&mut self) {
        self.calls.iter_mut().for_each(Vec::clear);
    }

    pub fn connect() -> Command {
        Command::Connect {
            handle: "im:bob@b.example".into(),
            domain: "b.example".parse().unwrap(),
            disclose: vec![ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email],
            note: "it is me".into(),
        }
    }

    pub fn put(&mut self, device: usize, body: InboxBody) {
        self.sequence += 1;
        let event = InboxEvent { sequence: self.sequence, body };
        self.history[device].push(event.clone());
        if self.trouble.doubled {
            self.inboxes[device].push_back(event.clone());
        }
        self.inboxes[device].push_back(event);
    }

    pub fn command(&mut self, device: usize, command: Command) -> Result<Option<FlowId>, CommandError> {
        let result = self.with(device, |device, cx| device.command(command, cx));
        self.after(device);
        result
    }

    /// The request that was told last.
    pub fn request(&self, device: usize) -> FlowId {
        let requests = self.told[device].iter().rev();
        requests
            .filter_map(|event| match event {
                Event::ConnectionRequested { request, .. } => Some(*request),
                _ => None,
            })
            .next()
            .unwrap()
    }

    pub fn accept(&mut self, device: usize) {
        let accept = Command::Accept { request: self.request(device), greeting: text("hello Alice") };
        self.command(device, accept).unwrap();
    }

    pub fn with<T>(&mut self, device: usize, act: impl FnOnce(&mut Device, &mut Context<'_>) -> T) -> T {
        let mut cx = Context { now: self.now, entropy: &mut self.entropy, trust: &self.trust };
        act(&mut self.devices[device], &mut cx)
    }

    /// Takes what the device wants.
    fn drain(&mut self, device: usize) {
        while let Some(effect) = self.devices[device].poll() {
            match effect {
                Effect::Send { id, request } => self.sending[device].push_back((id, request)),
                Effect::Tell { id, event } => {
                    self.told[device].push(event);
                    self.devices[device].told(id);
                }
                Effect::WakeAt(at) => self.wake[device] = Some(self.wake[device].map_or(at, |other| other.min(at))),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Takes what a restored device wants.
    pub fn take(&mut self, device: usize) {
        self.drain(device);
    }

    fn after(&mut self, device: usize) {
        if self.trouble.restored {
            let saved = self.devices[device].save();
            self.restore(device, saved);
        }
        self.drain(device);
        if self.trouble.restored {
            let saved = self.devices[device].save();
            self.restore(device, saved);
            self.drain(device);
        }
    }

    /// The device begins again from what was saved; what it was about to send or take is lost.
    pub fn restore(&mut self, device: usize, saved: Vec<Entry>) {
        let restored = Device::restore(saved.clone()).unwrap();
        assert!(restored.save() == saved, "what is restored is saved alike");
        self.devices[device] = restored;
        self.sending[device].clear();
        self.wake[device] = None;
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for device in 0..self.devices.len() {
            let held = |held: Option<(usize, &str)>, name: &str| held == Some((device, name));
            if let Some((_, _, _)) =
                self.answers[device].front().filter(|(_, request, _)| !held(self.hold_answer, request.call.name()))
            {
                steps.push(Step::Answer(device));
            }
            if let Some((_, _)) =
                self.sending[device].front().filter(|(_, request)| !held(self.hold_request, request.call.name()))
            {
                steps.push(Step::Serve(device));
            }
            if !self.inboxes[device].is_empty() && !self.hold_inbox.contains(&device) {
                steps.push(Step::Inbox(device));
            }
        }
        steps
    }

    /// Goes on until nobody wants anything.
    pub fn run(&mut self) {
        for _ in 0..5_000 {
            let steps = self.steps();
            let Some(step) = (match &mut self.order {
                Some(order) if !steps.is_empty() => Some(steps[order.bits128()[0] as usize % steps.len()]),
                _ => steps.first().copied(),
            }) else {
                return;
            };
            self.step(step);
        }
        panic!("it does not come to rest");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Serve(device) => {
                let (id, request) = self.sending[device].pop_front().unwrap();
                let name = request.call.name();
                self.serving = self.number(&id);
                let answer = match &self.instead {
                    Some((of, call, answer)) if (*of, *call) == (device, name) => answer.clone(),
                    _ => self.serve(device, &request),
                };
                self.calls[device].push(name);
                self.answers[device].push_back((id, request, answer));
            }
            Step::Answer(device) => {
                let (id, _, answer) = self.answers[device].pop_front().unwrap();
                let saved = self.saved(device);
                self.with(device, |device, cx| device.answer(id, answer.clone(), cx));
                if self.crash(device, 1, u64::from(self.number(&id)), saved) {
                    return;
                }
                if self.trouble.answered_twice {
                    self.with(device, |device, cx| device.answer(id, answer, cx));
                }
                self.after(device);
            }
            Step::Inbox(device) => {
                let event = self.inboxes[device].front().unwrap().clone();
                let saved = self.saved(device);
                let sequence = event.sequence;
                self.with(device, |device, cx| device.receive(event, cx));
                if self.crash(device, 2, sequence, saved) {
                    return;
                }
                self.inboxes[device].pop_front();
                self.after(device);
            }
        }
    }

    fn number(&self, id: &RequestId) -> u32 {
        let digits: String = format!("{id:?}").chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// Loses the step that has just been done, the first time.
    fn crash(&mut self, device: usize, kind: u8, number: u64, saved: Option<Vec<Entry>>) -> bool {
        let crash = saved.filter(|_| self.crashed.insert((device, kind, number)));
        let crashed = crash.is_some();
        if let Some(saved) = crash {
            self.restore(device, saved);
            self.answers[device].clear();
            self.drain(device);
        }
        crashed
    }

    /// What a crash leads back to.
    fn saved(&self, device: usize) -> Option<Vec<Entry>> {
        self.trouble.crashes.then(|| self.devices[device].save())
    }

    /// Moves the clock, and wakes whoever wants to be woken by then.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now.after(by);
        for device in 0..self.devices.len() {
            if self.wake[device].is_some_and(|at| at <= self.now) {
                self.wake[device] = None;
                self.with(device, Device::tick);
                self.after(device);
            }
        }
        self.run();
    }

    /// What the four devices see of rooms: for each whether it is temporary, the epoch, how many users and clients.
    pub fn outline(&self) -> Vec<Vec<(String, u64, usize, usize)>> {
        ALL.iter()
            .map(|device| {
                let rooms = self.devices[*device].rooms();
                let mut rooms: Vec<_> = rooms
                    .map(|(uri, state)| {
                        let hub = &self.providers[uri.domain()].rooms[uri];
                        let mut clients = self.devices[*device].clients(uri);
                        let mut at_hub = hub.clients();
                        clients.sort();
                        at_hub.sort();
                        assert_eq!(clients, at_hub, "device and hub agree who is in the room");
                        let purpose = format!("{:?}", state.purpose());
                        (purpose, hub.epoch(), state.participants().len(), clients.len())
                    })
                    .collect();
                rooms.sort();
                rooms
            })
            .collect()
    }

    pub fn hub_rooms(&self) -> usize {
        self.providers.values().map(|provider| provider.rooms.len()).sum()
    }
}
