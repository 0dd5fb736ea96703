//! Whether this provider and another one can talk with each other, tried as the provider that runs does it.

use std::{error::Error, fmt, net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_pseudonym::{Domain, Timestamp, Wire};
use mimi_wire::{
    AppDataDictionary, Directory, Endpoint, IdentifierRequest, MEDIA_TYPE, Problem, ProblemDocument, QueryElement,
    SearchField,
    directory::{DIRECTORY_MAX_LEN, DIRECTORY_PATH},
};
use rustls_pki_types::ServerName;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Config, KeyFileError,
    chain::{self, ChainError},
    keys,
    peers::{PeerError, Peers, authority},
};

/// How long the peer may take for each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// The handle that is asked for: whether there is such a user does not matter.
const HANDLE: &str = "im:peer-check@";

/// A provider that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    domain: Domain,
    own: Domain,
    address: SocketAddr,
    endpoints: usize,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, own, address, endpoints } = self;
        write!(f, "{domain} at {address}: its certificate, a directory of {endpoints} endpoints, and it answers {own}")
    }
}

/// Why another provider cannot be talked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// This provider does not talk with it.
    #[error("{0} is none of the peers, and federation is not open: see `mimi-provider peer add`")]
    Unlisted(Domain),
    /// Nobody certifies its users.
    #[error("no anchor is for {0}: nobody of it can come into a room here")]
    NoAnchor(Domain),
    /// Certificates or keys of this provider cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Others will refuse this provider's own certificate.
    #[error("others will refuse this provider: {0}")]
    Own(String),
    /// Its name is not known, or leads into a private network.
    #[error("{0}")]
    Name(String),
    /// Nothing listens there.
    #[error("{domain} at {address}: {error}")]
    Connect {
        /// The peer.
        domain: Domain,
        /// Where it was looked for.
        address: SocketAddr,
        /// Why there is no connection.
        error: std::io::Error,
    },
    /// Its certificate is refused, or it speaks something else.
    #[error("{domain} at {address}: no TLS with it: {reason}")]
    Tls {
        /// The peer.
        domain: Domain,
        /// Where it was looked for.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// It has ended the connection, as it does if it refuses this provider's certificate.
    #[error("{domain} at {address} ends the connection: {reason}")]
    Ended {
        /// The peer.
        domain: Domain,
        /// Where it was looked for.
        address: SocketAddr,
        /// Why, as far as it says so.
        reason: String,
    },
    /// It has no directory.
    #[error("{0}: {1} for its directory, not 200")]
    Status(Domain, StatusCode),
    /// Its directory cannot be used.
    #[error("{0}: its directory cannot be used: {1}")]
    Directory(Domain, String),
    /// It does not talk with this provider.
    #[error(
        "{0} does not talk with {1}: its operator has to add it there (`mimi-provider peer add {1}`), and start it again"
    )]
    NotListed(Domain, Domain),
    /// The certificate that this provider has shown is not of its domain.
    #[error("{0} does not believe that this is {1}: the certificate is of another name")]
    NotBelieved(Domain, Domain),
    /// It answers otherwise than a provider does.
    #[error("{0}: {1} to a query for a user")]
    Query(Domain, String),
    /// There are no means to wait for it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl From<ChainError> for ReachError {
    fn from(error: ChainError) -> Self {
        Self::Own(error.to_string())
    }
}

/// Connects to a provider with this provider's own certificate, gets its directory, and asks it for a user that need not be
/// there: so whether each side takes the other's certificate, and talks with it, is known before anybody sends a message.
///
/// # Errors
/// [`ReachError`] says what stands in the way.
pub fn reach(config: &Config, domain: &Domain, now: Timestamp) -> Result<Reached, ReachError> {
    let peer = config.peers.iter().find(|peer| peer.domain == *domain);
    if peer.is_none() && (!config.federation.open || domain == config.domain()) {
        return Err(ReachError::Unlisted(domain.clone()));
    }
    if !keys::trust(config)?.speaks_for(domain) {
        return Err(ReachError::NoAnchor(domain.clone()));
    }
    chain::verify(config, now)?;
    let tls = TlsConnector::from(Arc::new(keys::client_tls(config)?));
    let port = peer.map_or(config.federation.port, |peer| peer.port);
    let listed = peer.and_then(|peer| peer.address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asked = Asked { config, domain, port, listed, tls, address: ([0, 0, 0, 0], port).into() };
        let mut sender = asked.connect().await?;
        let endpoints = asked.directory(&mut sender).await?;
        let usable = Endpoint::ALL.iter().filter(|endpoint| endpoints.template(**endpoint).is_some()).count();
        asked.query(sender, &endpoints).await?;
        let (domain, own, address) = (domain.clone(), config.domain().clone(), asked.address);
        Ok(Reached { domain, own, address, endpoints: usable })
    })
}

fn name(domain: &Domain, error: PeerError) -> ReachError {
    ReachError::Name(match error {
        PeerError::Private => format!(
            "{domain}: its name leads to addresses that are not of the public internet: give its address, or the network in [federation]"
        ),
        _ => format!("{domain}: the name service knows no address of it: give one by address"),
    })
}

/// The peer, and where it was found.
struct Asked<'a> {
    config: &'a Config,
    domain: &'a Domain,
    port: u16,
    /// The address that the operator has given it.
    listed: Option<SocketAddr>,
    tls: TlsConnector,
    address: SocketAddr,
}

type Sender = SendRequest<Full<Bytes>>;

impl Asked<'_> {
    async fn connect(&mut self) -> Result<Sender, ReachError> {
        let domain = self.domain.clone();
        let addresses = match self.listed {
            Some(address) => vec![address],
            None => {
                let found = Peers::addresses(self.config, self.domain, self.port).await;
                found.map_err(|error| name(self.domain, error))?
            }
        };
        let mut connected = Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
        for address in addresses {
            self.address = address;
            connected = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap_or_else(|late| Err(late.into()));
            if connected.is_ok() {
                break;
            }
        }
        let address = self.address;
        let tcp = connected.map_err(|error| ReachError::Connect { domain, address, error })?;
        let tls = self.handshake(tcp).await?;
        let refused = |reason: String| ReachError::Tls { domain: self.domain.clone(), address, reason };
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(refused("it does not speak HTTP/2".to_owned()));
        }
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls));
        let (sender, connection) = handshake.await.map_err(|error| self.ended(&error))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn handshake(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, ReachError> {
        let (domain, address) = (self.domain, self.address);
        let refused = |reason: String| ReachError::Tls { domain: domain.clone(), address, reason };
        let name = ServerName::try_from(domain.to_string()).map_err(|error| refused(error.to_string()))?;
        let tls = timeout(PATIENCE, self.tls.connect(name, tcp)).await;
        tls.map_err(|late| refused(late.to_string()))?.map_err(|error| refused(why(&error)))
    }

    /// What it says if it takes no connection from this provider. In TLS 1.3 it says so behind the handshake, where whoever sends
    /// may see no more than that the connection is gone: so another one is made, on which nothing is sent.
    async fn alert(&self) -> Option<ReachError> {
        let tcp = TcpStream::connect(self.address).await.ok()?;
        let mut tls = self.handshake(tcp).await.ok()?;
        let read = tls.read_u8().await;
        read.err().map(|error| self.ended(&error))
    }

    fn ended(&self, error: &(dyn Error + 'static)) -> ReachError {
        ReachError::Ended { domain: self.domain.clone(), address: self.address, reason: why(error) }
    }

    async fn ask(
        &self,
        sender: &mut Sender,
        method: Method,
        path: &str,
        body: Vec<u8>,
        max: usize,
    ) -> Result<(StatusCode, Bytes), ReachError> {
        let authority = authority(self.domain, self.port);
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{authority}{path}"))
            .header(header::FROM, format!("mimi@{}", self.config.domain()))
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.ended(&error))?;
        let answer = async {
            let response = match sender.send_request(request).await {
                Ok(response) => response,
                Err(error) => return Err(self.alert().await.unwrap_or_else(|| self.ended(&error))),
            };
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, max).collect().await.map_err(|error| self.ended(&*error))?;
            Ok((parts.status, body.to_bytes()))
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|late| Err(self.ended(&late)))
    }

    async fn directory(&self, sender: &mut Sender) -> Result<Directory, ReachError> {
        let (status, body) = self.ask(sender, Method::GET, DIRECTORY_PATH, Vec::new(), DIRECTORY_MAX_LEN).await?;
        if status != StatusCode::OK {
            return Err(ReachError::Status(self.domain.clone(), status));
        }
        Directory::from_json(&body).map_err(|error| ReachError::Directory(self.domain.clone(), error.to_string()))
    }

    async fn query(&mut self, mut sender: Sender, directory: &Directory) -> Result<(), ReachError> {
        let (domain, own) = (self.domain.clone(), self.config.domain().clone());
        let unusable = |why: &str| ReachError::Directory(domain.clone(), why.to_owned());
        let url = directory.expand(Endpoint::IdentifierQuery, domain.as_str());
        let url: Uri = url.and_then(|url| url.parse().ok()).ok_or_else(|| unusable("no queries for users"))?;
        if !url.host().is_some_and(|host| host.eq_ignore_ascii_case(domain.as_str())) {
            return Err(unusable("an endpoint of another domain"));
        }
        let port = url.port_u16().unwrap_or(443);
        if port != self.port {
            self.port = port;
            sender = self.connect().await?;
        }
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let element = QueryElement { field: SearchField::Handle, value: format!("{HANDLE}{domain}") };
        let request = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
        let (status, body) = self.ask(&mut sender, Method::POST, path, request.encode(), 1 << 20).await?;
        judge(domain, own, status, &body)
    }
}

fn judge(domain: Domain, own: Domain, status: StatusCode, body: &[u8]) -> Result<(), ReachError> {
    if status.is_success() {
        return Ok(());
    }
    match ProblemDocument::from_json(body).ok().map(|document| document.problem) {
        Some(Problem::Forbidden) => Err(ReachError::NotListed(domain, own)),
        Some(Problem::FromMismatch) => Err(ReachError::NotBelieved(domain, own)),
        Some(problem) => Err(ReachError::Query(domain, problem.code().to_owned())),
        None => Err(ReachError::Query(domain, status.to_string())),
    }
}

/// An error with all that it comes from, each once.
fn why(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_words_of_its_own() {
        let said = |problem: Problem| {
            let body = ProblemDocument { problem, detail: None }.to_json();
            let (own, other) = ("a.example".parse().unwrap(), "b.example".parse().unwrap());
            judge(other, own, StatusCode::from_u16(problem.status()).unwrap(), body.as_bytes()).unwrap_err().to_string()
        };
        assert!(said(Problem::Forbidden).starts_with("b.example does not talk with a.example: its operator"));
        assert!(said(Problem::FromMismatch).starts_with("b.example does not believe that this is a.example"));
        assert_eq!(said(Problem::Malformed), format!("b.example: {} to a query for a user", Problem::Malformed.code()));
        let none =
            judge("b.example".parse().unwrap(), "a.example".parse().unwrap(), StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(none.unwrap_err().to_string(), "b.example: 502 Bad Gateway to a query for a user");
        let ok = judge("b.example".parse().unwrap(), "a.example".parse().unwrap(), StatusCode::OK, b"");
        assert!(ok.is_ok());
    }

    #[test]
    fn where_a_name_leads_nowhere_is_said() {
        let domain: Domain = "b.example".parse().unwrap();
        assert!(name(&domain, PeerError::Private).to_string().contains("not of the public internet"));
        assert!(name(&domain, PeerError::Unreachable).to_string().contains("knows no address"));
    }
}
