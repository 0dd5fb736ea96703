mod error;
mod guard;
mod names;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex as Lock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mimi_pseudonym::Domain;
use mimi_wire::{
    Directory, Endpoint, MEDIA_TYPE, Problem, ProblemDocument, Wire,
    directory::{DIRECTORY_MAX_LEN, DIRECTORY_PATH},
    local::{INFO_PATH, ProviderInfo},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{Mutex, Semaphore},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Config,
    log::{Direction, Logger},
    record::{Exchange, Recorder},
};
pub(crate) use error::PeerError;
use names::Names;
pub(crate) use names::Table;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DIRECTORY_AGE: Duration = Duration::from_secs(3600);
const PROBLEM_MAX_LEN: usize = 1 << 14;
/// The most requests that one provider has not answered, without those of couriers: so that one which does not answer
/// cannot hold everything that devices ask for.
const UNANSWERED: usize = 64;
/// The longest that a peer can ask couriers to wait.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// The most providers that are remembered besides those that are listed.
const OTHERS_MAX: usize = 4096;

/// The providers that this one talks with, over HTTP/2 and TLS 1.3 with its own certificate.
pub(crate) struct Peers {
    tls: RwLock<TlsConnector>,
    own: Domain,
    from: String,
    known: HashMap<Domain, Arc<Peer>>,
    /// Those that are not listed; none if only those that are may be talked with.
    others: Option<Lock<HashMap<Domain, Arc<Peer>>>>,
    /// Of the directory of one that is not listed.
    port: u16,
    /// In which an answer has to come.
    patience: Duration,
    names: Names,
    log: Logger,
    recorder: Recorder,
}

struct Peer {
    domain: Domain,
    address: Option<SocketAddr>,
    port: u16,
    /// One connection for each port.
    connections: Mutex<HashMap<u16, SendRequest<Full<Bytes>>>>,
    directory: Mutex<Option<(Instant, Arc<Directory>)>>,
    unanswered: Semaphore,
    /// Before which couriers do not go again, as the peer has asked for.
    rest: Lock<Option<Instant>>,
}

impl Peer {
    fn new(domain: Domain, address: Option<SocketAddr>, port: u16) -> Arc<Self> {
        let unanswered = Semaphore::new(UNANSWERED);
        let (connections, directory) = (Mutex::default(), Mutex::default());
        Arc::new(Self { domain, address, port, connections, directory, unanswered, rest: Lock::default() })
    }

    fn rests(&self) -> bool {
        let until = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }

    fn let_rest(&self, wait: Duration) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(wait.min(LONGEST_REST));
    }
}

/// A host as it stands in a URL: with its port, unless that is the one of HTTPS.
pub(crate) fn authority(host: &Domain, port: u16) -> String {
    if port == 443 { host.to_string() } else { format!("{host}:{port}") }
}

impl Peers {
    pub(crate) fn new(
        config: &Config,
        tls: ClientConfig,
        names: Option<Table>,
        log: Logger,
        recorder: Recorder,
    ) -> Self {
        let known = config
            .peers
            .iter()
            .map(|entry| (entry.domain.clone(), Peer::new(entry.domain.clone(), entry.address, entry.port)));
        Self {
            tls: RwLock::new(TlsConnector::from(Arc::new(tls))),
            own: config.domain.clone(),
            from: format!("mimi@{}", config.domain),
            known: known.collect(),
            others: config.federation.open.then(Lock::default),
            port: config.federation.port,
            patience: config.limits.answer_timeout(),
            names: Names::new(names, &config.federation.networks),
            log,
            recorder,
        }
    }

    /// Another certificate for connections that begin from now on.
    pub(crate) fn set_tls(&self, tls: ClientConfig) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = TlsConnector::from(Arc::new(tls));
    }

    /// Whether this provider talks with another one.
    pub(crate) fn knows(&self, domain: &Domain) -> bool {
        self.known.contains_key(domain) || (self.others.is_some() && *domain != self.own)
    }

    /// Whether a provider is listed.
    pub(crate) fn lists(&self, domain: &Domain) -> bool {
        self.known.contains_key(domain)
    }

    fn peer(&self, domain: &Domain) -> Result<Arc<Peer>, PeerError> {
        if let Some(known) = self.known.get(domain) {
            return Ok(Arc::clone(known));
        }
        let others = self.others.as_ref().filter(|_| *domain != self.own).ok_or(PeerError::Unknown)?;
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= OTHERS_MAX && !others.contains_key(domain) {
            // Whoever is not in use is found anew when it is needed.
            others.retain(|_, peer| Arc::strong_count(peer) > 1);
            if others.len() >= OTHERS_MAX {
                return Err(PeerError::Busy);
            }
        }
        let fresh = || Peer::new(domain.clone(), None, self.port);
        Ok(Arc::clone(others.entry(domain.clone()).or_insert_with(fresh)))
    }

    /// Posts a body to an endpoint of a peer and returns the body of its answer, of at most `max` octets.
    pub(crate) async fn post(
        &self,
        domain: &Domain,
        endpoint: Endpoint,
        variable: &str,
        body: Vec<u8>,
        max: usize,
    ) -> Result<Vec<u8>, PeerError> {
        let peer = &*self.peer(domain)?;
        let _place = match endpoint {
            Endpoint::Notify if peer.rests() => return Err(PeerError::Busy),
            // Couriers are few, and wait for their answers.
            Endpoint::Notify => None,
            _ => Some(peer.unanswered.try_acquire().map_err(|_| PeerError::Busy)?),
        };
        let directory = self.directory(peer).await?;
        let url = directory.expand(endpoint, variable).ok_or(PeerError::NoEndpoint)?;
        let (port, path) = target(peer, &url)?;
        let answer = self.exchange(peer, port, Method::POST, &path, endpoint.name(), body, max).await;
        if let Err(PeerError::Refused(404 | 405, None | Some(Problem::NotFound | Problem::MethodNotAllowed))) = answer {
            // Perhaps its endpoints have moved.
            *peer.directory.lock().await = None;
        }
        answer
    }

    /// Gets what an endpoint of a peer has, as it comes; the answer's own problems are errors.
    pub(crate) async fn get(&self, domain: &Domain, endpoint: Endpoint, variable: &str) -> Result<Incoming, PeerError> {
        let begun = Instant::now();
        let peer = &*self.peer(domain)?;
        let _place = peer.unanswered.try_acquire().map_err(|_| PeerError::Busy)?;
        let directory = self.directory(peer).await?;
        let url = directory.expand(endpoint, variable).ok_or(PeerError::NoEndpoint)?;
        let (port, path) = target(peer, &url)?;
        let body = Bytes::new();
        let response = self.in_time(peer, port, self.ask(peer, port, &Method::GET, &path, &body)).await;
        let status = response.as_ref().map_or(0, |response| response.status().as_u16());
        self.log.exchange(Direction::Out, endpoint.name(), peer.domain.as_str(), status, begun.elapsed());
        let response = response?;
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        let (status, octets) = self.in_time(peer, port, collect(response, 0)).await?;
        Err(refused(status, &octets))
    }

    /// A connection with TLS to a host under its name, at the address that the operator has chosen, or else where the name leads
    /// if that may be connected to. In no time of its own.
    pub(crate) async fn open(
        &self,
        host: &Domain,
        port: u16,
        address: Option<SocketAddr>,
        tls: &TlsConnector,
    ) -> Result<TlsStream<TcpStream>, PeerError> {
        let unreachable = |_| PeerError::Unreachable;
        let addresses = match address {
            Some(address) => vec![address],
            None => self.names.addresses(host, port).await?,
        };
        let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let name = ServerName::try_from(host.to_string()).map_err(|_| PeerError::Nonsense)?;
        tls.connect(name, tcp).await.map_err(unreachable)
    }

    /// What a peer says of itself to anybody.
    pub(crate) async fn info(&self, domain: &Domain) -> Result<ProviderInfo, PeerError> {
        let peer = &*self.peer(domain)?;
        let _place = peer.unanswered.try_acquire().map_err(|_| PeerError::Busy)?;
        let (path, max) = (INFO_PATH, ProviderInfo::MAX_LEN);
        let octets = self.exchange(peer, peer.port, Method::GET, path, "info", Vec::new(), max).await?;
        ProviderInfo::decode(&octets).map_err(|_| PeerError::Nonsense)
    }

    async fn directory(&self, peer: &Peer) -> Result<Arc<Directory>, PeerError> {
        let mut cached = peer.directory.lock().await;
        if let Some((fetched, directory)) = &*cached
            && fetched.elapsed() < DIRECTORY_AGE
        {
            return Ok(Arc::clone(directory));
        }
        let body = Vec::new();
        let octets =
            self.exchange(peer, peer.port, Method::GET, DIRECTORY_PATH, "directory", body, DIRECTORY_MAX_LEN).await?;
        let directory = Arc::new(Directory::from_json(&octets).map_err(|_| PeerError::Nonsense)?);
        *cached = Some((Instant::now(), Arc::clone(&directory)));
        Ok(directory)
    }

    #[allow(clippy::too_many_arguments, reason = "one private place where everything about a request meets")]
    async fn exchange(
        &self,
        peer: &Peer,
        port: u16,
        method: Method,
        path: &str,
        endpoint: &str,
        body: Vec<u8>,
        max: usize,
    ) -> Result<Vec<u8>, PeerError> {
        let begun = Instant::now();
        let body = Bytes::from(body);
        let sent = self.send(peer, port, &method, path, &body, max);
        let answer = self.in_time(peer, port, sent).await;
        let status = answer.as_ref().map_or(0, |(status, _)| status.as_u16());
        self.log.exchange(Direction::Out, endpoint, peer.domain.as_str(), status, begun.elapsed());
        let (status, octets) = answer?;
        self.recorder.append(&Exchange {
            side: "client",
            peer: peer.domain.as_str(),
            method: method.as_str(),
            path,
            endpoint,
            status: status.as_u16(),
            request: &body,
            response: &octets,
        });
        // What fans out is taken when the follower says so by 201 (draft-ietf-mimi-protocol-06, section 5.5): whoever
        // answers with another success is not the follower.
        let taken =
            if endpoint == Endpoint::Notify.name() { status == StatusCode::CREATED } else { status.is_success() };
        if taken {
            return Ok(octets);
        }
        if status.is_success() {
            return Err(PeerError::Nonsense);
        }
        Err(refused(status, &octets))
    }

    async fn send(
        &self,
        peer: &Peer,
        port: u16,
        method: &Method,
        path: &str,
        body: &Bytes,
        max: usize,
    ) -> Result<(StatusCode, Vec<u8>), PeerError> {
        collect(self.ask(peer, port, method, path, body).await?, max).await
    }

    /// Sends a request and waits for the beginning of its answer.
    async fn ask(
        &self,
        peer: &Peer,
        port: u16,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> Result<Response<Incoming>, PeerError> {
        // A connection that was kept may have ended meanwhile: then once more on a new one. Every request may be
        // repeated.
        let mut fresh = false;
        loop {
            let mut connection = self.connection(peer, port, &mut fresh).await?;
            let authority = authority(&peer.domain, port);
            let request = Request::builder()
                .method(method)
                .uri(format!("https://{authority}{path}"))
                .header(header::FROM, &self.from)
                .header(header::CONTENT_TYPE, MEDIA_TYPE)
                .body(Full::new(body.clone()))
                .map_err(|_| PeerError::Nonsense)?;
            let error = match connection.send_request(request).await {
                Ok(response) => {
                    let status = response.status();
                    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
                        && let Some(wait) = retry_after(response.headers())
                    {
                        peer.let_rest(wait);
                    }
                    return Ok(response);
                }
                Err(error) => error,
            };
            peer.connections.lock().await.remove(&port);
            if fresh || error.is_timeout() {
                return Err(PeerError::Unreachable);
            }
        }
    }

    /// A connection that was kept, or a new one; `fresh` says which.
    async fn connection(
        &self,
        peer: &Peer,
        port: u16,
        fresh: &mut bool,
    ) -> Result<SendRequest<Full<Bytes>>, PeerError> {
        let mut connections = peer.connections.lock().await;
        if let Some(kept) = connections.get(&port)
            && !kept.is_closed()
        {
            return Ok(kept.clone());
        }
        *fresh = true;
        // Apart, since it is rare: every request carries in memory what any of them may wait for.
        let connected =
            tokio::time::timeout(CONNECT_TIMEOUT.min(self.patience), Box::pin(self.connect(peer, port))).await;
        let connection = connected.map_err(|_| PeerError::Unreachable)??;
        connections.insert(port, connection.clone());
        Ok(connection)
    }

    /// What a peer does in the time it has. A connection on which nothing comes back is not used again.
    async fn in_time<T>(
        &self,
        peer: &Peer,
        port: u16,
        asked: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, PeerError> {
        match tokio::time::timeout(self.patience, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                peer.connections.lock().await.remove(&port);
                Err(PeerError::Unreachable)
            }
        }
    }

    async fn connect(&self, peer: &Peer, port: u16) -> Result<SendRequest<Full<Bytes>>, PeerError> {
        let connector = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tls = self.open(&peer.domain, port, peer.address, &connector).await?;
        self.recorder.handshake(true, tls.get_ref().1.handshake_kind());
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(Duration::from_secs(60)))
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|_| PeerError::Unreachable)?;
        // It ends when the last sender is gone or the peer closes it.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// What a peer says no with.
fn refused(status: StatusCode, octets: &[u8]) -> PeerError {
    PeerError::Refused(status.as_u16(), ProblemDocument::from_json(octets).ok().map(|document| document.problem))
}

/// Status and body of an answer: of at most `max` octets if it is a success.
async fn collect(response: Response<Incoming>, max: usize) -> Result<(StatusCode, Vec<u8>), PeerError> {
    let status = response.status();
    let max = if status.is_success() { max } else { PROBLEM_MAX_LEN };
    match Limited::new(response.into_body(), max).collect().await {
        Ok(collected) => Ok((status, collected.to_bytes().to_vec())),
        Err(error) if error.is::<LengthLimitError>() => Err(PeerError::Nonsense),
        Err(_) => Err(PeerError::Unreachable),
    }
}

/// How long a peer asks to wait, if it says so in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Port and path of a URL. The host has to be the peer's domain: what is meant for a provider goes to nobody else.
fn target(peer: &Peer, url: &str) -> Result<(u16, String), PeerError> {
    let uri: http::Uri = url.parse().map_err(|_| PeerError::Nonsense)?;
    let host = uri.host().unwrap_or_default();
    if !host.eq_ignore_ascii_case(peer.domain.as_str()) {
        return Err(PeerError::Nonsense);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((uri.port_u16().unwrap_or(443), path.to_owned()))
}
