use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mimi_abuse::{remedy::PolicyError, signal::TableError};
use mimi_credential::{Issuer, TrustStore};
use mimi_pseudonym::{Clock, Domain, Timestamp};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Config, KeyFileError, Options, StoreError,
    abuse::{self, Abuse},
    admin,
    assets::Assets,
    chain, couriers,
    fail::Fail,
    forget,
    franking::{self, Franking},
    gate::Gate,
    hub::{self, Rooms},
    keys::{self, HubKey},
    limiter::Limiter,
    lock::Lock,
    log::{Fault, Logger, Note},
    looks::Looks,
    news, outbox,
    pace::Pace,
    peers::Peers,
    private,
    record::Recorder,
    server,
    store::{Opening, Store, Wake},
    ties::Ties,
    wake::Wakers,
};

/// How long to clear up at the end.
const LAST_SWEEP: Duration = Duration::from_secs(1);
/// In which refusals of a GroupInfo are counted.
const REFUSAL_PERIOD: Duration = Duration::from_secs(600);

/// A provider that listens: the hub of its domain's rooms, and the local provider of its users' devices.
pub struct Provider {
    listener: TcpListener,
    admin: Option<TcpListener>,
    address: SocketAddr,
    inner: Arc<Inner>,
    stop: watch::Sender<bool>,
    /// Given back when it has ended.
    _lock: Option<Lock>,
}

/// Why a provider does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that the configuration names cannot be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The policy for remedies makes no sense.
    #[error("{}: {error}", .path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: PolicyError,
    },
    /// The table of signals makes no sense.
    #[error("{}: {error}", .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TableError,
    },
    /// The folder of the database, or what has to be in it, cannot be made.
    #[error("{}: {error}", .path.display())]
    Data {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Another process serves from the same SQLite database.
    #[error("{}: another mimi-provider serves from this folder; several processes can share PostgreSQL alone", .0.display())]
    Taken(PathBuf),
    /// An address cannot be listened at.
    #[error("{what} {address}: {error}")]
    Listen {
        /// What it is in the configuration.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// Tools would ask where devices and providers do.
    #[error("listen of [admin] is {0}, and so is that of devices and providers: each needs an address of its own")]
    Clash(SocketAddr),
}

impl StartError {
    pub(crate) fn data(path: &Path, error: std::io::Error) -> Self {
        Self::Data { path: path.to_owned(), error }
    }
}

/// What every request shares.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) trust: TrustStore,
    pub(crate) issuer: Issuer,
    /// What this provider is as a hub, for each suite.
    pub(crate) senders: Vec<HubKey>,
    /// The hash of the operator's token, if it has one.
    pub(crate) operator: Option<[u8; 32]>,
    /// How often somebody may be refused a GroupInfo.
    pub(crate) limiter: Limiter,
    /// How long that takes.
    pub(crate) floor: hub::Floor,
    pub(crate) store: Store,
    pub(crate) ties: Ties,
    pub(crate) franking: Franking,
    pub(crate) abuse: Abuse,
    pub(crate) rooms: Rooms,
    pub(crate) wakers: Wakers,
    /// Devices that listen, and look into the database.
    pub(crate) looks: Looks,
    pub(crate) untold: news::Untold,
    /// Processes that serve the same domain from the same database.
    pub(crate) others: news::Others,
    pub(crate) peers: Peers,
    pub(crate) assets: Assets,
    pub(crate) log: Logger,
    pub(crate) recorder: Recorder,
    pub(crate) stopping: watch::Receiver<bool>,
    /// Why the provider cannot go on, once it cannot.
    pub(crate) broken: watch::Sender<Option<StoreError>>,
    /// Of requests of any kind.
    pub(crate) requests: Pace,
    /// Of queries for users.
    pub(crate) queries: Pace,
    /// Of what is sent about consent.
    pub(crate) consents: Pace,
    /// One permit for each connection there may be.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) gate: Gate,
    /// For new connections; another one after the certificates were read again.
    pub(crate) tls: RwLock<TlsAcceptor>,
    clock: Arc<dyn Clock>,
}

impl Provider {
    /// Reads keys, opens the database, and listens. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] names what is missing.
    pub async fn start(config: Config, options: Options) -> Result<Self, StartError> {
        config.admin_is_apart()?;
        let made = private::folders().recursive(true).create(&config.data);
        made.map_err(|error| StartError::data(&config.data, error))?;
        let lock = Lock::take(&config)?;
        let Opened { store, senders, franking, abuse } = open_store(&config, options.clock.now()).await?;
        let tls = TlsAcceptor::from(Arc::new(keys::server_tls(&config)?));
        let log = Logger::new(Arc::clone(&options.clock), options.quiet, config.log.format);
        log.metrics().certificate_ends(chain::end(&config));
        let (stop, stopping) = watch::channel(false);
        let inner = Inner {
            trust: keys::trust(&config)?,
            issuer: keys::issuer(&config)?,
            senders,
            franking,
            abuse,
            store,
            ties: Ties::load(&config.ties, &config.domain)?,
            operator: keys::operator(&config)?,
            limiter: Limiter::new(REFUSAL_PERIOD),
            floor: hub::Floor::default(),
            rooms: Rooms::default(),
            looks: Looks::default(),
            untold: news::Untold::default(),
            others: news::Others::default(),
            wakers: Wakers::new(config.peers.iter().map(|peer| peer.domain.clone())),
            assets: Assets::new(&config)?,
            peers: Peers::new(
                &config,
                keys::client_tls(&config)?,
                options.names,
                log.clone(),
                options.recorder.clone(),
            ),
            log,
            recorder: options.recorder,
            stopping,
            broken: watch::Sender::new(None),
            requests: Pace::new(config.limits.rates()),
            queries: Pace::new(config.limits.queries()),
            consents: Pace::new(config.limits.consents()),
            connections: Arc::new(Semaphore::new(config.limits.connections.into())),
            gate: Gate::new(&config.limits),
            tls: RwLock::new(tls),
            clock: options.clock,
            config,
        };
        let (listener, address) = listen("listen", inner.config.listen).await?;
        let admin = match &inner.config.admin {
            Some(admin) => Some(listen("listen of [admin], or --admin,", admin.listen).await?.0),
            None => None,
        };
        Ok(Self { listener, admin, address, inner: Arc::new(inner), stop, _lock: lock })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Says in the log where it listens.
    pub fn announce(&self) {
        self.inner.log.note(Note::Listening(self.address));
    }

    /// What reads the certificates again while the provider serves.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.inner))
    }

    /// Answers requests and empties the outbox until `shutdown` is ready; then gives what has begun five seconds to end.
    /// What waits for a database that does not answer goes on on threads of the runtime: see
    /// [`tokio::runtime::Runtime::shutdown_timeout`].
    ///
    /// # Errors
    /// [`StoreError`] if it had to end before, because another version of this program has changed the tables.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), StoreError> {
        let Self { listener, admin, inner, stop, .. } = self;
        let mut workers = JoinSet::new();
        let forgetting = forget::run(Arc::clone(&inner));
        workers.spawn(async { match forgetting.await {} });
        let (telling, hearing) = (news::tell(Arc::clone(&inner)), news::hear(Arc::clone(&inner)));
        workers.spawn(async { match telling.await {} });
        workers.spawn(async { match hearing.await {} });
        let guests = hub::guests::run(Arc::clone(&inner));
        workers.spawn(async { match guests.await {} });
        workers.spawn(hub::measure(Arc::clone(&inner)));
        let turning = franking::run(Arc::clone(&inner));
        workers.spawn(async { match turning.await {} });
        let remedies = abuse::run(Arc::clone(&inner));
        workers.spawn(async { match remedies.await {} });
        let looking_out = outbox::look_out(Arc::clone(&inner));
        workers.spawn(async { match looking_out.await {} });
        for peer in &inner.config.peers {
            for _ in 0..outbox::COURIERS {
                workers.spawn(outbox::run(Arc::clone(&inner), peer.domain.clone()));
            }
        }
        if inner.config.federation.open {
            let others = couriers::run(Arc::clone(&inner));
            workers.spawn(async { match others.await {} });
        }
        workers.spawn(inner.recorder.clone().count());
        if let Some(admin) = admin {
            let answering = admin::run(admin, Arc::clone(&inner));
            workers.spawn(async { match answering.await {} });
        }
        let mut broken = inner.broken.subscribe();
        let ended = tokio::select! {
            never = server::accept(listener, Arc::clone(&inner)) => match never {},
            () = shutdown => Ok(()),
            Ok(broken) = broken.wait_for(Option::is_some) => broken.clone().map_or(Ok(()), Err),
        };
        stop.send_replace(true);
        inner.store.live().close();
        server::drained(&inner).await;
        workers.shutdown().await;
        // What is left of it, or if the database does not answer, the next start finds.
        let _ = timeout(LAST_SWEEP, inner.blocking(|inner| Ok(inner.store.sweep()?))).await;
        inner.recorder.write_counts();
        ended
    }
}

/// What is read from the database at the start.
struct Opened {
    store: Store,
    senders: Vec<HubKey>,
    franking: Franking,
    abuse: Abuse,
}

/// Reads a provider's certificates again.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

impl Reloader {
    /// Reads certificate, key and roots for TLS again. Connections that come from then on have them, toward peers too;
    /// those that there are stay as they are. What came of it is said in the log.
    ///
    /// # Errors
    /// [`KeyFileError`] if they cannot be used: everything stays as it was.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let inner = &self.0;
        let read = || Ok((keys::server_tls(&inner.config)?, keys::client_tls(&inner.config)?));
        let (server, client) = read().inspect_err(|error| inner.log.fault(Fault::Certificates(error)))?;
        *inner.tls.write().unwrap_or_else(PoisonError::into_inner) = TlsAcceptor::from(Arc::new(server));
        inner.peers.set_tls(client);
        inner.log.metrics().certificate_ends(chain::end(&inner.config));
        inner.log.note(Note::CertificatesRead);
        Ok(())
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

async fn listen(what: &'static str, at: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { what, address: at, error };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Opens the database, and reads from it what the provider is as a hub.
async fn open_store(config: &Config, now: Timestamp) -> Result<Opened, StartError> {
    let (config, folder) = (config.clone(), config.data.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::of(&config, Opening::Serve)?;
        store.number_from(now)?;
        Ok(Opened {
            senders: keys::hub_keys(&store, &config.domain)?,
            franking: Franking::load(&store, config.abuse.periods(), now)?,
            abuse: Abuse::load(&config, &store)?,
            store,
        })
    });
    let not_opened = || StartError::data(&folder, std::io::Error::other("the database was not opened"));
    opened.await.unwrap_or_else(|_| Err(not_opened()))
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn domain(&self) -> &Domain {
        &self.config.domain
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn wake(&self, wake: &Wake) {
        self.wakers.wake(wake);
        if self.store.is_shared() {
            let live = self.store.live();
            live.look(&wake.devices);
            // Whoever listens here listens nowhere else.
            self.untold.add(&live.absent(&wake.devices));
        }
    }

    /// Runs work that waits for the disk or computes for long. It goes on to its end even if the requester goes away.
    pub(crate) async fn blocking<T, F>(self: &Arc<Self>, work: F) -> Result<T, Fail>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, Fail> + Send + 'static,
    {
        let inner = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(_) => Err(Fail::Fault("a task ended early")),
        }
    }
}
