use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use mimi_content::ExternalError;
use mimi_credential::TrustStore;
use mimi_flow::{Command, CommandError, Context, Device, Effect, Event, EventId, FlowId, RestoreError};
use mimi_pseudonym::{ClientUri, Clock, Entropy, Timestamp, Wire};
use mimi_wire::local::{DEVICES_PATH, DeviceToken, DevicesResponse};

use crate::{
    ProviderAddress, StoreError, StoreKey, TransportError,
    store::Store,
    taken::Taken,
    transport::{Feed, Transport},
};

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The saved device cannot be read. Nothing was written.
    #[error("the saved device: {0}")]
    Restore(#[from] RestoreError),
    /// The command is not carried out.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The own provider gave no usable answer, where trying again does not help.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no device in the store.
    #[error("there is no device in the store")]
    NoDevice,
    /// There is a device in the store already.
    #[error("there is a device in the store already")]
    DeviceExists,
    /// The provider shows another key for tokens than before: perhaps one for this account alone.
    #[error("the provider shows another key for tokens than before")]
    TokenKey,
    /// A token is taken for a store, which has a name.
    #[error("a token is taken for a store that has a name")]
    TokenName,
    /// A file is longer than the application takes.
    #[error("the file is longer than {0} octets")]
    FileTooLong(usize),
    /// A file is not what the message names.
    #[error("the file: {0}")]
    File(#[from] ExternalError),
    /// The provider shows another log of openings than before, one that has become shorter, or one that does not fit its root.
    #[error("the provider's log of openings does not go on from the one that was seen before")]
    OpeningsLog,
}

/// What a client needs from its surroundings.
pub struct Surroundings {
    /// Its own provider.
    pub provider: ProviderAddress,
    /// The issuers that are trusted, each for its domains.
    pub trust: TrustStore,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The generator of random octets.
    pub entropy: Box<dyn Entropy>,
    /// The key the store is encrypted under.
    pub store_key: StoreKey,
}

/// One device of one account, connected to its provider and kept on disk. Whatever it has told the provider or the
/// application can be told again after a crash, and is not done twice.
pub struct Client {
    device: Device,
    pub(crate) store: Store,
    pub(crate) transport: Transport,
    pub(crate) surroundings: Surroundings,
    sending: VecDeque<(mimi_flow::RequestId, mimi_flow::Request)>,
    telling: VecDeque<(EventId, Event)>,
    /// The event that the application was given last, until it says that it has it.
    given: Option<EventId>,
    wake: Option<Timestamp>,
    backoff: Duration,
    feed: Option<Feed>,
    received: u64,
    acknowledged: u64,
    /// Events that are kept here and that the provider has not been told of, and since when there are any.
    untold: (usize, Option<tokio::time::Instant>),
    /// What was taken and perhaps not acknowledged, before or after the device was opened.
    taken: Taken,
}

pub(crate) const TOKEN: &str = "token";
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// So many events are acknowledged together at the most.
const TOGETHER: usize = 64;
/// How long the first of them waits for others.
const PATIENCE: Duration = Duration::from_secs(1);

impl Client {
    /// Opens the device in a store.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::NoDevice`] if there is none.
    pub fn open(path: &Path, mut surroundings: Surroundings) -> Result<Self, ClientError> {
        let mut store = Store::open(path, &surroundings.store_key, surroundings.entropy.as_mut())?;
        let token = store.read(TOKEN)?.ok_or(ClientError::NoDevice)?;
        let token = DeviceToken::decode(&token).map_err(|_| StoreError::Key)?;
        let mut live = store.load()?;
        let taken = Taken::out_of(&mut live);
        let device = Device::open(live, store.vault())?;
        let transport = Transport::new(&surroundings.provider, Some(&token))?;
        Ok(Self { taken, ..Self::with(device, store, transport, surroundings) })
    }

    pub(crate) fn with(device: Device, store: Store, transport: Transport, surroundings: Surroundings) -> Self {
        Self {
            device,
            store,
            transport,
            surroundings,
            sending: VecDeque::new(),
            telling: VecDeque::new(),
            given: None,
            wake: None,
            backoff: BACKOFF_MIN,
            feed: None,
            received: 0,
            acknowledged: 0,
            untold: (0, None),
            taken: Taken::default(),
        }
    }

    /// The device's state, for looking at.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The account's devices, this one among them, in the order in which they were added: the client that each is for the account,
    /// and what its owner calls it.
    ///
    /// # Errors
    /// [`ClientError::Transport`]
    pub async fn devices(&self) -> Result<Vec<(ClientUri, String)>, ClientError> {
        let listed: DevicesResponse = self.transport.fetch(DEVICES_PATH).await?;
        Ok(listed.devices.into_iter().map(|device| (device.client, device.name)).collect())
    }

    /// How many entries of each kind the device has on disk, and how many octets they take. Reads all of them.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn usage(&self) -> Result<BTreeMap<String, (usize, u64)>, ClientError> {
        Ok(self.store.usage()?)
    }

    /// Carries out a command of the application. When this returns, the decision is on disk.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn command(&mut self, command: Command) -> Result<Option<FlowId>, ClientError> {
        let surroundings = &mut self.surroundings;
        let mut cx = Context {
            now: surroundings.clock.now(),
            entropy: surroundings.entropy.as_mut(),
            trust: &surroundings.trust,
        };
        let flow = self.device.command(command, &mut cx)?;
        self.save()?;
        Ok(flow)
    }

    /// Does what is to be done — sends, receives, wakes — until there is something to tell the application or `wait`
    /// is over. An event counts as told when this is called again or [`Client::told`] is.
    ///
    /// # Errors
    /// [`ClientError`] where trying again does not help. A provider that cannot be reached is no error: it is tried
    /// again.
    pub async fn next_event(&mut self, wait: Duration) -> Result<Option<Event>, ClientError> {
        self.told()?;
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            self.drain();
            if let Some((id, event)) = self.telling.front() {
                self.given = Some(*id);
                return Ok(Some(event.clone()));
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if let Some((id, request)) = self.sending.front().cloned() {
                match self.transport.call(id, &request).await {
                    Ok(answer) => {
                        self.sending.pop_front();
                        self.backoff = BACKOFF_MIN;
                        self.with_context(|device, cx| device.answer(id, answer, cx));
                        self.save()?;
                    }
                    Err(error) => self.pause(error, left).await?,
                }
                if left.is_zero() {
                    return Ok(None);
                }
                continue;
            }
            if self.wake.is_some_and(|at| at <= self.surroundings.clock.now()) {
                self.wake = None;
                self.with_context(Device::tick);
                self.save()?;
                continue;
            }
            self.receive(left).await?;
            self.drain();
            let over = tokio::time::Instant::now() >= deadline;
            if over && self.sending.is_empty() && self.telling.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Says that the application has been told the last event that [`Client::next_event`] gave it. An event that it was
    /// not given yet stays.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn told(&mut self) -> Result<(), ClientError> {
        if let Some(id) = self.given.take() {
            self.telling.retain(|(waiting, _)| *waiting != id);
            self.device.told(id);
            self.save()?;
        }
        Ok(())
    }

    fn drain(&mut self) {
        while let Some(effect) = self.device.poll() {
            match effect {
                Effect::Send { id, request } => self.sending.push_back((id, request)),
                Effect::Tell { id, event } => self.telling.push_back((id, event)),
                Effect::WakeAt(at) => self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at))),
                _ => {}
            }
        }
    }

    /// Waits for events, takes what is there, keeps it, and acknowledges it only then: several together, where more come
    /// within a moment.
    async fn receive(&mut self, left: Duration) -> Result<(), ClientError> {
        let now = tokio::time::Instant::now();
        let due = self.untold.1.map(|since| (since + PATIENCE).saturating_duration_since(now));
        if due == Some(Duration::ZERO) || self.untold.0 >= TOGETHER {
            return self.acknowledge(left).await.map(drop);
        }
        let mut feed = match self.feed.take() {
            Some(feed) => feed,
            None => match self.transport.events(self.received).await {
                Ok(feed) => feed,
                Err(error) => return self.pause(error, left).await,
            },
        };
        let until_wake = self.wake.map(|at| at.since(self.surroundings.clock.now()));
        let wait = left.min(until_wake.unwrap_or(Duration::MAX)).min(due.unwrap_or(Duration::from_secs(20)));
        let events = match feed.next(wait).await {
            Ok(events) => events,
            Err(error) => return self.pause(error, left).await,
        };
        self.feed = Some(feed);
        self.backoff = BACKOFF_MIN;
        let Some(last) = events.last().map(|event| event.sequence) else {
            // Nothing more comes within the time there is: whoever waits may go away now.
            return if wait == left { self.acknowledge(Duration::ZERO).await.map(drop) } else { Ok(()) };
        };
        let count = events.len();
        for event in events {
            if !self.taken.is_new(&event) {
                continue;
            }
            self.with_context(|device, cx| device.receive(event, cx));
        }
        self.save()?;
        self.received = last;
        self.untold = (self.untold.0 + count, self.untold.1.or(Some(now)));
        Ok(())
    }

    /// Lets the provider forget what is kept here. If it cannot be reached, that is tried again before events are looked for
    /// the next time; what comes once more after a restart does no harm.
    async fn acknowledge(&mut self, left: Duration) -> Result<bool, ClientError> {
        if self.acknowledged == self.received {
            return Ok(true);
        }
        match self.transport.acknowledge(self.received).await {
            Ok(()) => {
                self.acknowledged = self.received;
                self.untold = (0, None);
                self.taken.acknowledged(self.received);
                Ok(true)
            }
            Err(error) => self.pause(error, left).await.map(|()| false),
        }
    }

    /// Waits a little longer each time; gives up where that does not help.
    async fn pause(&mut self, error: TransportError, left: Duration) -> Result<(), ClientError> {
        match error {
            TransportError::Unreachable | TransportError::Busy => {
                tokio::time::sleep(self.backoff.min(left)).await;
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                Ok(())
            }
            error => Err(error.into()),
        }
    }

    fn with_context<T>(&mut self, act: impl FnOnce(&mut Device, &mut Context<'_>) -> T) -> T {
        let surroundings = &mut self.surroundings;
        let mut cx = Context {
            now: surroundings.clock.now(),
            entropy: surroundings.entropy.as_mut(),
            trust: &surroundings.trust,
        };
        act(&mut self.device, &mut cx)
    }

    fn save(&mut self) -> Result<(), ClientError> {
        self.device.is_sound()?;
        let mut changes = self.device.changes();
        changes.live.push(self.taken.entry());
        self.store.save(&changes, self.surroundings.entropy.as_mut())?;
        self.device.kept();
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("device", &self.device).finish_non_exhaustive()
    }
}
