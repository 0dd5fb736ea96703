use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Bytes, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mimi_pseudonym::Domain;
use mimi_wire::{
    Directory, Endpoint, MEDIA_TYPE, Problem, ProblemDocument,
    directory::{DIRECTORY_MAX_LEN, DIRECTORY_PATH},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Mutex};
use tokio_rustls::TlsConnector;

use crate::{
    Config,
    fail::Fail,
    log::{Direction, Logger},
    record::{Exchange, Recorder},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const DIRECTORY_AGE: Duration = Duration::from_secs(3600);
const PROBLEM_MAX_LEN: usize = 1 << 14;

/// The providers that this one talks with, over HTTP/2 and TLS 1.3 with its own certificate.
pub(crate) struct Peers {
    tls: RwLock<TlsConnector>,
    from: String,
    known: HashMap<Domain, Peer>,
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
}

/// Why a peer gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerError {
    /// It is not configured.
    Unknown,
    /// It cannot be reached, or does not answer in time.
    Unreachable,
    /// Its directory or answer is not what it should be.
    Nonsense,
    /// It has no such endpoint.
    NoEndpoint,
    /// It refused.
    Refused(u16, Option<Problem>),
}

impl PeerError {
    /// Whether the same request may succeed later.
    pub(crate) fn is_temporary(self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Refused(status, _) => status >= 500 || status == 408 || status == 429,
            Self::Nonsense | Self::NoEndpoint => true,
            Self::Unknown => false,
        }
    }

    /// A word for the log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-peer",
            Self::Unreachable => "unreachable",
            Self::Nonsense => "nonsense",
            Self::NoEndpoint => "no-endpoint",
            Self::Refused(_, problem) => problem.map_or("refused", Problem::code),
        }
    }
}

/// What a client is told of a peer's refusal: what concerns the client's own request, or that it may work later.
impl From<PeerError> for Fail {
    fn from(error: PeerError) -> Self {
        Self::Problem(match error {
            PeerError::Refused(_, Some(problem)) => match problem {
                Problem::Malformed
                | Problem::TooLarge
                | Problem::ForeignUser
                | Problem::NotHub
                | Problem::UnknownRoom
                | Problem::UnknownKeyPackageRef
                | Problem::Forbidden
                | Problem::SignatureInvalid
                | Problem::RateLimited => problem,
                _ => Problem::Unavailable,
            },
            PeerError::Unknown => Problem::Forbidden,
            PeerError::NoEndpoint => Problem::NotFound,
            _ => Problem::Unavailable,
        })
    }
}

impl Peers {
    pub(crate) fn new(config: &Config, tls: ClientConfig, log: Logger, recorder: Recorder) -> Self {
        let known = config.peers.iter().map(|entry| {
            let peer = Peer {
                domain: entry.domain.clone(),
                address: entry.address,
                port: entry.port,
                connections: Mutex::default(),
                directory: Mutex::default(),
            };
            (entry.domain.clone(), peer)
        });
        let from = format!("mimi@{}", config.domain);
        Self { tls: RwLock::new(TlsConnector::from(Arc::new(tls))), from, known: known.collect(), log, recorder }
    }

    /// Another certificate for connections that begin from now on.
    pub(crate) fn set_tls(&self, tls: ClientConfig) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = TlsConnector::from(Arc::new(tls));
    }

    /// Whether a provider is configured.
    pub(crate) fn knows(&self, domain: &Domain) -> bool {
        self.known.contains_key(domain)
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
        let peer = self.known.get(domain).ok_or(PeerError::Unknown)?;
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
        let answer = match tokio::time::timeout(REQUEST_TIMEOUT, sent).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection on which nothing comes back is not to be used again.
                peer.connections.lock().await.remove(&port);
                Err(PeerError::Unreachable)
            }
        };
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
        if status.is_success() {
            return Ok(octets);
        }
        let problem = ProblemDocument::from_json(&octets).ok().map(|document| document.problem);
        Err(PeerError::Refused(status.as_u16(), problem))
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
        // A connection that was kept may have ended meanwhile: then once more on a new one. Every request may be
        // repeated.
        let mut fresh = false;
        loop {
            let mut connection = self.connection(peer, port, &mut fresh).await?;
            let authority = if port == 443 { peer.domain.to_string() } else { format!("{}:{port}", peer.domain) };
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
                    let max = if status.is_success() { max } else { PROBLEM_MAX_LEN };
                    return match Limited::new(response.into_body(), max).collect().await {
                        Ok(collected) => Ok((status, collected.to_bytes().to_vec())),
                        Err(error) if error.is::<LengthLimitError>() => Err(PeerError::Nonsense),
                        Err(_) => Err(PeerError::Unreachable),
                    };
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
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(peer, port)).await;
        let connection = connected.map_err(|_| PeerError::Unreachable)??;
        connections.insert(port, connection.clone());
        Ok(connection)
    }

    async fn connect(&self, peer: &Peer, port: u16) -> Result<SendRequest<Full<Bytes>>, PeerError> {
        let unreachable = |_| PeerError::Unreachable;
        let tcp = match peer.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((peer.domain.as_str(), port)).await,
        };
        let tcp = tcp.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let name = ServerName::try_from(peer.domain.to_string()).map_err(|_| PeerError::Nonsense)?;
        let connector = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tls = connector.connect(name, tcp).await.map_err(unreachable)?;
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
