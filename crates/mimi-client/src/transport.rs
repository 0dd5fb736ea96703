use std::{net::SocketAddr, sync::Arc, time::Duration};

use mimi_flow::{Answer, Call, Request, RequestId};
use mimi_pseudonym::{Domain, RoomUri, Wire};
use mimi_wire::{
    MEDIA_TYPE, Problem, ProblemDocument,
    directory::percent_encode,
    local::{self, AckRequest, DeviceToken, EventFrames, InboxEvent},
};
use reqwest::{Method, Response, StatusCode, header};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, timeout_at};

/// How to reach the own provider.
#[derive(Debug, Clone)]
pub struct ProviderAddress {
    /// Its domain: the name its certificate must have.
    pub domain: Domain,
    /// Its port.
    pub port: u16,
    /// Where to connect, instead of asking the DNS.
    pub address: Option<SocketAddr>,
    /// The certificate authorities to trust for TLS, as PEM.
    pub roots: Vec<u8>,
}

/// Why a request to the own provider got no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The certificate authorities cannot be read.
    #[error("the certificate authorities cannot be read")]
    Roots,
    /// The provider cannot be reached, or broke off. Sending again may help.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// The provider is busy or in trouble. Sending again later may help.
    #[error("the provider is busy")]
    Busy,
    /// The provider refuses. Sending again does not help.
    #[error("the provider refuses: {}", .0.code())]
    Refused(Problem),
    /// The answer is longer than it may be.
    #[error("the provider's answer is too long")]
    TooLong,
    /// The answer is not one that the provider may give.
    #[error("the provider's answer makes no sense")]
    Nonsense,
}

/// A connection to the own provider: HTTPS, and a token that says which device it is.
pub(crate) struct Transport {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// The longest answer that is read.
const ANSWER_MAX: usize = 64 << 20;
/// After so long a stream of events is opened anew.
const STREAM_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// How long a file may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(600);
/// The most events that are taken at once.
const TOGETHER: usize = 256;

impl Transport {
    pub(crate) fn new(provider: &ProviderAddress, token: Option<&DeviceToken>) -> Result<Self, TransportError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&provider.roots) {
            roots.add(certificate.map_err(|_| TransportError::Roots)?).map_err(|_| TransportError::Roots)?;
        }
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| TransportError::Roots)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_while_idle(true)
            .timeout(Duration::from_secs(60));
        if let Some(address) = provider.address {
            builder = builder.resolve(provider.domain.as_str(), address);
        }
        let http = builder.build().map_err(|_| TransportError::Roots)?;
        let base = format!("https://{}:{}", provider.domain, provider.port);
        let token = token.map(|token| format!("Bearer {}", hex(token.as_bytes())));
        Ok(Self { http, base, token })
    }

    /// Sends a request of a flow. `Err` means that it may be sent again: by its number the provider knows it as the same.
    pub(crate) async fn call(&self, id: RequestId, request: &Request) -> Result<Answer, TransportError> {
        let (method, path) = route(&request.call);
        match self.exchange(method, &path, Some(id.number().to_string()), request.body.clone()).await {
            Ok(body) => Ok(Answer::Done(body)),
            Err(TransportError::Refused(problem)) => Ok(Answer::Refused(problem)),
            Err(error) => Err(error),
        }
    }

    /// Opens the stream of the events behind a number.
    pub(crate) async fn events(&self, after: u64) -> Result<Feed, TransportError> {
        let path = format!("{}?after={after}", local::EVENTS_PATH);
        let response = self.send(Method::GET, &path, None, Vec::new(), Some(STREAM_TIMEOUT)).await?;
        if response.status() == StatusCode::OK {
            return Ok(Feed { response, frames: EventFrames::after(after) });
        }
        Err(whole(response, ANSWER_MAX).await.err().unwrap_or(TransportError::Nonsense))
    }

    /// Lets the provider forget the events up to a number.
    pub(crate) async fn acknowledge(&self, up_to: u64) -> Result<(), TransportError> {
        self.exchange(Method::POST, local::ACK_PATH, None, AckRequest { up_to }.encode()).await.map(drop)
    }

    /// Enrols a device. With the same secret once more, it is the same device.
    pub(crate) async fn enrol<A: Wire>(
        &self,
        path: &str,
        secret: &[u8],
        body: &impl Wire,
    ) -> Result<A, TransportError> {
        let answer = self.exchange(Method::POST, path, Some(hex(secret)), body.encode()).await?;
        A::decode(&answer).map_err(|_| TransportError::Nonsense)
    }

    /// Sends a request that is none of a flow's.
    pub(crate) async fn post<A: Wire>(&self, path: &str, body: &impl Wire) -> Result<A, TransportError> {
        let answer = self.exchange(Method::POST, path, None, body.encode()).await?;
        A::decode(&answer).map_err(|_| TransportError::Nonsense)
    }

    pub(crate) async fn fetch<A: Wire>(&self, path: &str) -> Result<A, TransportError> {
        let answer = self.exchange(Method::GET, path, None, Vec::new()).await?;
        A::decode(&answer).map_err(|_| TransportError::Nonsense)
    }

    /// A file of at most so many octets.
    pub(crate) async fn file(&self, path: &str, max: usize) -> Result<Vec<u8>, TransportError> {
        whole(self.send(Method::GET, path, None, Vec::new(), Some(FILE_TIMEOUT)).await?, max).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        key: Option<String>,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, TransportError> {
        whole(self.send(method, path, key, body, None).await?, ANSWER_MAX).await
    }

    /// Sends a request and waits for the beginning of its answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<String>,
        body: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<Response, TransportError> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", format!("\"{key}\""));
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, MEDIA_TYPE).body(body);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        request.send().await.map_err(|_| TransportError::Unreachable)
    }
}

/// The whole of an answer, of at most so many octets.
async fn whole(mut response: Response, max: usize) -> Result<Vec<u8>, TransportError> {
    let status = response.status();
    // What says no is not meant.
    let max = if status.is_success() { max } else { ANSWER_MAX };
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| TransportError::Unreachable)? {
        if answer.len() + chunk.len() > max {
            return Err(TransportError::TooLong);
        }
        answer.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(answer);
    }
    let problem = ProblemDocument::from_json(&answer).ok().map(|document| document.problem);
    match (status, problem) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Err(TransportError::Busy),
        (status, _) if status.is_server_error() => Err(TransportError::Busy),
        (_, Some(problem)) => Err(TransportError::Refused(problem)),
        _ => Err(TransportError::Nonsense),
    }
}

/// A stream of events.
pub(crate) struct Feed {
    response: Response,
    frames: EventFrames,
}

impl Feed {
    /// The events that have come, waiting for the next one for so long; none if there is none.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Vec<InboxEvent>, TransportError> {
        let until = Instant::now() + wait;
        let mut events = Vec::new();
        loop {
            while events.len() < TOGETHER
                && let Some(event) = self.frames.next_event().map_err(|_| TransportError::Nonsense)?
            {
                events.push(event);
            }
            if events.len() >= TOGETHER {
                return Ok(events);
            }
            // What has come already is read without waiting.
            let until = if events.is_empty() { until } else { Instant::now() };
            match timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.frames.push(&chunk),
                Ok(Ok(None) | Err(_)) if events.is_empty() => return Err(TransportError::Unreachable),
                _ => return Ok(events),
            }
        }
    }
}

fn route(call: &Call) -> (Method, String) {
    let with = |path: &str, room: &RoomUri| format!("{path}/{}", percent_encode(room.as_str()));
    match call {
        Call::Pseudonyms => (Method::POST, local::ACQUIRE_PATH.to_owned()),
        Call::Credentials => (Method::POST, local::CREDENTIALS_PATH.to_owned()),
        Call::UploadKeyPackages => (Method::POST, local::KEY_PACKAGES_PATH.to_owned()),
        Call::UploadBatch => (Method::POST, local::KEY_PACKAGE_BATCH_PATH.to_owned()),
        Call::DeviceClients => (Method::POST, local::DEVICE_CLIENTS_PATH.to_owned()),
        Call::RemoveDevice => (Method::POST, local::REMOVE_DEVICE_PATH.to_owned()),
        Call::Consent => (Method::POST, local::CONSENT_PATH.to_owned()),
        Call::ConsentSettings => (Method::POST, local::CONSENT_SETTINGS_PATH.to_owned()),
        Call::ClaimOwn => (Method::POST, local::CLAIM_OWN_PATH.to_owned()),
        Call::CreateRoom => (Method::POST, local::ROOMS_PATH.to_owned()),
        Call::DestroyRoom(room) => (Method::DELETE, with(local::ROOMS_PATH, room)),
        Call::KeyMaterial => (Method::POST, local::KEY_MATERIAL_PATH.to_owned()),
        Call::IdentifierQuery => (Method::POST, local::IDENTIFIER_QUERY_PATH.to_owned()),
        Call::Update(room) => (Method::POST, with(local::UPDATE_PATH, room)),
        Call::SubmitMessage(room) => (Method::POST, with(local::SUBMIT_MESSAGE_PATH, room)),
        Call::GroupInfo(room) => (Method::POST, with(local::GROUP_INFO_PATH, room)),
        Call::JoinLinks(room) => (Method::POST, with(local::JOIN_LINKS_PATH, room)),
        Call::ReportAbuse(room) => (Method::POST, with(local::REPORT_ABUSE_PATH, room)),
        Call::Info => (Method::GET, local::INFO_PATH.to_owned()),
        Call::ReportCommit(room) => (Method::POST, with(local::REPORT_COMMIT_PATH, room)),
        // A call this version does not know has no path.
        _ => (Method::POST, String::from("/")),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
