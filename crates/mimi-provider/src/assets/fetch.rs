use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use http::{Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use mimi_pseudonym::Domain;
use mimi_wire::Problem;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{
    KeyFileError,
    config::AssetEntry,
    fail::Fail,
    keys,
    peers::{PeerError, Peers, authority},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A host that files are fetched from.
pub(super) struct Host {
    name: Domain,
    port: u16,
    address: Option<SocketAddr>,
    tls: TlsConnector,
}

impl Host {
    pub(super) fn new(entry: &AssetEntry, roots: &Path) -> Result<Self, KeyFileError> {
        let tls = keys::asset_tls(entry.roots.as_deref().unwrap_or(roots))?;
        let AssetEntry { host, port, address, .. } = entry;
        Ok(Self { name: host.clone(), port: *port, address: *address, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// What to ask this host for, if the URL is one of its own.
    pub(super) fn path(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?;
        let own = uri.scheme_str() == Some("https")
            && !authority.as_str().contains('@')
            && authority.host().eq_ignore_ascii_case(self.name.as_str())
            && authority.port_u16().unwrap_or(443) == self.port;
        own.then(|| uri.path_and_query().map_or("/", |path| path.as_str()).to_owned())
    }

    /// Asks for a file, as nobody. Where it leads elsewhere is not followed.
    pub(super) async fn fetch(&self, peers: &Peers, path: &str) -> Result<Incoming, Fail> {
        let unreachable = |_| Fail::from(PeerError::Unreachable);
        let opened = peers.open(&self.name, self.port, self.address, &self.tls);
        let connected = timeout(CONNECT_TIMEOUT, opened).await.map_err(|_| PeerError::Unreachable)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connected?)).await.map_err(unreachable)?;
        // It ends with the file, or when nobody wants that any more.
        tokio::spawn(connection);
        let host = authority(&self.name, self.port);
        let request = Request::get(path).header(header::HOST, host).body(Empty::<Bytes>::new());
        let request = request.map_err(|_| Problem::Malformed)?;
        let answer = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await.map_err(|_| PeerError::Unreachable)?;
        let answer = answer.map_err(unreachable)?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Problem::NotFound.into()),
            _ => Err(Problem::Unavailable.into()),
        }
    }
}
