//! A provider in this process, a throw-away authority, and a client that sends whatever octets it is told to.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::Duration,
};

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_credential::{CertificateChain, Issuer, TrustStore, Validity};
use mimi_mls::Identity;
use mimi_provider::{Config, OffsetClock, Options, OsEntropy, Provider};
use mimi_pseudonym::{
    CipherSuite, ClientUri, Clock, DisclosureFormat, Domain, Entropy, RoomUri, SignatureScheme, Signer, SigningKey,
    Timestamp, UserUri,
};
use mimi_wire::{
    MEDIA_TYPE, Problem, ProblemDocument, Wire,
    directory::percent_encode,
    local::{
        self, CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse, DeviceToken, EventFrames,
        InboxEvent, RegisterAccountRequest, RegisterResponse,
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, sync::oneshot};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub mod people;
pub mod postgres;
pub mod proxy;
pub mod remedy;
pub mod sites;
pub mod talk;
pub mod walk;

pub const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

pub fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// A path that ends with a room.
pub fn with_room(base: &str, room: &RoomUri) -> String {
    format!("{base}/{}", percent_encode(room.as_str()))
}

/// A credential for a user from the device's provider.
pub async fn identity(world: &World, shown: Shown<'_>, subject: &UserUri) -> Identity {
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let tbs = CredentialItemTbs {
        subject: subject.clone(),
        cipher_suite: SUITE,
        public_key: key.public_key().clone(),
        disclose: vec![],
        format: DisclosureFormat::X509,
    };
    let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
    let mut issued: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &request).await.unwrap();
    let chain = CertificateChain::try_from(issued.items.remove(0).leaf).unwrap();
    Identity::new(SUITE, key, chain, &world.trust, world.now).unwrap()
}

/// A certificate for TLS.
pub struct Tls {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// What a request shows of who sends it.
#[derive(Clone, Copy, Default)]
pub struct Shown<'a> {
    pub certificate: Option<&'a Tls>,
    pub from: Option<&'a str>,
    pub token: Option<&'a DeviceToken>,
    /// What makes it the same request as an earlier one.
    pub key: Option<&'a str>,
    /// Sent to b.example instead of a.example.
    pub to_b: bool,
}

pub struct World {
    pub folder: PathBuf,
    pub address: SocketAddr,
    pub address_b: SocketAddr,
    pub b: Tls,
    pub c: Tls,
    /// The authority of b.example's users.
    pub issuer_b: Issuer,
    pub trust: TrustStore,
    pub now: Timestamp,
    /// Seconds by which the clocks of providers that are started from now on are ahead.
    pub offset: i64,
    root: CertificateDer<'static>,
    a: Option<Running>,
}

/// A provider that runs in this process.
pub struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// An address of this machine at which nobody listens.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn tls(name: &str, ca: &CertifiedIssuer<'_, KeyPair>) -> Tls {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    Tls { certificate: certificate.der().clone(), key }
}

pub fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

pub fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    let body: String =
        der.chunks(3)
            .flat_map(|chunk| {
                let bits =
                    chunk.iter().enumerate().fold(0_u32, |sum, (at, octet)| sum | u32::from(*octet) << (16 - 8 * at));
                (0..4).map(move |at| {
                    if at <= chunk.len() { char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]) } else { '=' }
                })
            })
            .collect();
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

impl Tls {
    /// From a folder that `mimi-provider init` has made.
    pub fn read(folder: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("tls.pem")).unwrap();
        let key = KeyPair::from_pem(&std::fs::read_to_string(folder.join("tls.key")).unwrap()).unwrap();
        Self { certificate, key }
    }

    /// A listener's side of TLS for HTTP/1.1.
    pub fn server_1(&self) -> ServerConfig {
        let mut config = self.server();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// A listener's side of TLS for HTTP/2.
    pub fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let builder = ServerConfig::builder_with_protocol_versions(&[&TLS13]).with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.certificate.clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// Chooses the cryptography of TLS, once for the process.
pub fn choose_provider() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

impl World {
    /// A provider of a.example that knows b.example and c.example.
    pub async fn start(name: &str) -> Self {
        Self::start_on(name, "").await
    }

    /// The same, with more lines for the configuration of a.example.
    pub async fn start_on(name: &str, more: &str) -> Self {
        choose_provider();
        let folder = std::env::temp_dir().join(format!("mimi-provider-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let ca = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
        let names = ["a.example", "b.example"];
        let addresses = [free_address(), free_address()];
        let keys = names.map(|_| KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
        let [issuer_a, issuer_b] = [0, 1].map(|at| authority(names[at]).self_signed(&keys[at]).unwrap());
        let certificates = names.map(|name| tls(name, &ca));
        for at in [0, 1] {
            let folder = folder.join(names[at]);
            std::fs::create_dir_all(&folder).unwrap();
            let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
            write("roots.pem", &pem("CERTIFICATE", ca.as_ref().der()));
            write("tls.pem", &pem("CERTIFICATE", &certificates[at].certificate));
            write("tls.key", &certificates[at].key.serialize_pem());
            write("issuer.key", &keys[at].serialize_pem());
            write("operator.token", &format!("{}\n", "5a".repeat(32)));
            write("a.example.pem", &pem("CERTIFICATE", issuer_a.der()));
            write("b.example.pem", &pem("CERTIFICATE", issuer_b.der()));
            let config = CONFIG
                .replace("OWN", names[at])
                .replace("OTHER", names[1 - at])
                .replace("LISTEN", &addresses[at].to_string())
                .replace("PEER", &addresses[1 - at].to_string());
            let more = if at == 0 { more } else { "" };
            write("provider.toml", &format!("{config}\n{more}"));
        }
        let trust = TrustStore::default().with_anchor(issuer_a.der(), [domain("a.example")]).unwrap();
        let trust = trust.with_anchor(issuer_b.der(), [domain("b.example")]).unwrap();
        let issuer_b = issuer("b.example", &keys[1], issuer_b.der());
        let [_, b] = certificates;
        let mut world = Self {
            folder,
            address: addresses[0],
            address_b: addresses[1],
            c: tls("c.example", &ca),
            b,
            issuer_b,
            trust,
            now: mimi_provider::OffsetClock::default().now(),
            offset: 0,
            root: ca.as_ref().der().clone(),
            a: None,
        };
        world.restart().await;
        world
    }

    /// Ends the provider, if it runs, and starts it on the same files.
    pub async fn restart(&mut self) {
        if let Some(running) = self.a.take() {
            running.end().await;
        }
        self.a = Some(self.run("a.example").await);
    }

    /// Starts another process of a.example, as it were, on the same files and database; where it listens.
    pub async fn start_another(&self) -> (SocketAddr, Running) {
        let address = free_address();
        let mut config = Config::load(&self.folder.join("a.example").join("provider.toml")).unwrap();
        config.set(mimi_provider::Setting::Listen, "the test", &address.to_string()).unwrap();
        (address, Self::run_with(config, Options::default().quiet()).await)
    }

    /// Ends the provider and starts it with something more in its configuration: keys at the top, or tables.
    pub async fn configure(&mut self, more: &str) {
        let path = self.folder.join("a.example/provider.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = if more.starts_with('[') { format!("{text}\n{more}") } else { format!("{more}{text}") };
        std::fs::write(&path, text).unwrap();
        self.restart().await;
    }

    /// What the operator of a.example does by the program, which has to go well.
    pub fn operator(&self, command: &str) {
        let config = self.folder.join("a.example/provider.toml");
        let words = command.split_whitespace();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mimi-provider"))
            .args(words)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the provider of b.example.
    pub async fn run_b(&self) -> Running {
        self.run("b.example").await
    }

    async fn run(&self, name: &str) -> Running {
        let config = Config::load(&self.folder.join(name).join("provider.toml")).unwrap();
        let clock = Arc::new(OffsetClock::new(self.offset));
        Self::run_with(config, Options::default().quiet().with_clock(clock)).await
    }

    /// Runs a provider in this process.
    pub async fn run_with(config: Config, options: Options) -> Running {
        let provider = Provider::start(config, options).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = provider.serve(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { served.await.unwrap() });
        Running { stop, task }
    }

    /// Sends a request on a connection of its own; status and body of the answer.
    pub async fn send(&self, shown: Shown<'_>, method: Method, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let host = if shown.to_b { "b.example" } else { "a.example" };
        self.send_as(shown, method, path, body, MEDIA_TYPE, host).await
    }

    pub async fn send_as(
        &self,
        shown: Shown<'_>,
        method: Method,
        path: &str,
        body: Vec<u8>,
        media_type: &str,
        host: &str,
    ) -> (u16, Vec<u8>) {
        let (status, _, body) = self.exchange(shown, method, path, body, media_type, host).await;
        (status, body)
    }

    /// Sends a request to another process of a.example.
    pub async fn send_to(
        &self,
        address: SocketAddr,
        shown: Shown<'_>,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        exchange(&self.root, address, "a.example", shown, method, path, body).await
    }

    /// Status, headers and body of the answer to a request.
    pub async fn exchange(
        &self,
        shown: Shown<'_>,
        method: Method,
        path: &str,
        body: Vec<u8>,
        media_type: &str,
        host: &str,
    ) -> (u16, http::HeaderMap, Vec<u8>) {
        let (address, name) = if shown.to_b { (self.address_b, "b.example") } else { (self.address, "a.example") };
        try_exchange(&self.root, address, name, shown, method, path, body, media_type, host).await.unwrap()
    }

    /// Sends a request to a.example; nothing if there is no whole answer.
    pub async fn try_send(&self, shown: Shown<'_>, method: Method, path: &str) -> Option<(u16, Vec<u8>)> {
        let response = self.begin(shown, method, path).await?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    }

    /// Sends a request to a.example; the body of the answer is still to be read.
    pub async fn begin(
        &self,
        shown: Shown<'_>,
        method: Method,
        path: &str,
    ) -> Option<http::Response<hyper::body::Incoming>> {
        let name = "a.example";
        try_begin(&self.root, self.address, name, shown, method, path, vec![], MEDIA_TYPE, name).await
    }

    /// Opens the stream of a device's events behind a number, at whichever process of a.example; or the status that says no.
    pub async fn events(&self, address: SocketAddr, token: &DeviceToken, after: u64) -> Result<Events, u16> {
        let shown = Shown { token: Some(token), ..Shown::default() };
        let path = format!("{}?after={after}", local::EVENTS_PATH);
        let name = "a.example";
        let begun = try_begin(&self.root, address, name, shown, Method::GET, &path, Vec::new(), MEDIA_TYPE, name).await;
        let response = begun.unwrap();
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers().get("content-type").unwrap(), local::EVENTS_MEDIA_TYPE);
        Ok(Events { body: response.into_body(), frames: EventFrames::after(after) })
    }

    /// What the operator orders to be done in a room of a.example.
    pub async fn order(&self, token: &DeviceToken, room: &mimi_pseudonym::RoomUri, order: &str) -> (u16, Vec<u8>) {
        let shown = Shown { token: Some(token), ..Shown::default() };
        let path = format!("/admin/v1/rooms/{}", mimi_wire::directory::percent_encode(room.as_str()));
        self.send_as(shown, Method::POST, &path, order.into(), "application/json", "a.example").await
    }

    /// Sends a message and reads the answer.
    pub async fn post<R: Wire>(&self, shown: Shown<'_>, path: &str, message: &impl Wire) -> Result<R, Problem> {
        let (status, body) = self.send(shown, Method::POST, path, message.encode()).await;
        if status == 200 { Ok(R::decode(&body).unwrap()) } else { Err(problem(status, &body)) }
    }

    pub async fn register(&self, handle: &str) -> RegisterResponse {
        self.register_at(Shown::default(), handle).await
    }

    pub async fn register_at(&self, shown: Shown<'_>, handle: &str) -> RegisterResponse {
        let request = RegisterAccountRequest {
            handle: handle.into(),
            display_name: "Alice".into(),
            email: "alice@a.example".into(),
            device_name: "telephone".into(),
        };
        self.post(shown, local::REGISTER_PATH, &request).await.unwrap()
    }

    /// A connection to a.example with TLS, for octets of any kind; nothing if there is none.
    pub async fn connect(&self, protocols: &[&str]) -> Option<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_protocol_versions(&[&TLS13]).with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(self.address).await.ok()?;
        let name = ServerName::try_from("a.example").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()
    }

    /// The authority that certifies the providers for TLS.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// As b.example.
    pub fn peer_b(&self) -> Shown<'_> {
        Shown { certificate: Some(&self.b), from: Some("mimi@b.example"), ..Shown::default() }
    }

    /// A client of a user of b.example.
    pub fn client_b(&self, user: &UserUri) -> (SigningKey, CertificateChain) {
        certified(&self.issuer_b, user, self.now)
    }

    /// The time by the providers' clocks.
    pub fn present(&self) -> Timestamp {
        OffsetClock::new(self.offset).now()
    }

    /// Waits until the rows of every table are as wanted.
    pub async fn wait_for(&self, wanted: impl Fn(&[String]) -> bool) {
        for _ in 0..600 {
            if wanted(&self.dump()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not come");
    }

    /// Every row of every table, save of who brings what to a peer and when: that goes on by itself.
    pub fn dump(&self) -> Vec<String> {
        let path: &Path = &self.folder.join("a.example/data/provider.sqlite");
        let db = rusqlite::Connection::open(path).unwrap();
        let mut tables = db
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'outbox_rooms' ORDER BY name")
            .unwrap();
        let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut rows = Vec::new();
        for name in names {
            let mut all = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = all.column_count();
            let found = all.query_map([], |row| {
                let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
                Ok(format!("{name}: {:?}", values.collect::<Result<Vec<_>, _>>()?))
            });
            rows.extend(found.unwrap().map(Result::unwrap));
        }
        rows.sort();
        rows
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The authority of a domain's users, from its key and certificate.
pub fn issuer(name: &str, key: &KeyPair, certificate: &CertificateDer<'_>) -> Issuer {
    // In PKCS#8 as rcgen writes it, the seed has a fixed place.
    let seed = key.serialize_der()[16..48].try_into().unwrap();
    let key = SigningKey::from_secret(SignatureScheme::Ed25519, &seed).unwrap();
    Issuer::load(domain(name), Arc::new(key), vec![certificate.to_vec()]).unwrap()
}

/// A client of a user, as its provider certifies it.
pub fn certified(issuer: &Issuer, user: &UserUri, now: Timestamp) -> (SigningKey, CertificateChain) {
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let client = ClientUri::pseudonym(user.domain(), OsEntropy.bits128());
    let day = Duration::from_secs(86_400);
    let validity = Validity { not_before: now.before(day), not_after: now.after(day * 90) };
    let chain = issuer.issue_leaf(user, &client, key.public_key(), [2; 16], validity).unwrap();
    (key, chain)
}

/// Sends a request to a provider of some name at some address, on a connection of its own.
pub async fn exchange(
    root: &CertificateDer<'static>,
    address: SocketAddr,
    name: &str,
    shown: Shown<'_>,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> (u16, Vec<u8>) {
    let (status, _, body) =
        try_exchange(root, address, name, shown, method, path, body, MEDIA_TYPE, name).await.unwrap();
    (status, body)
}

/// As [`exchange`]; nothing if there is no answer.
#[allow(clippy::too_many_arguments, reason = "one place where everything about a request meets")]
pub async fn try_exchange(
    root: &CertificateDer<'static>,
    address: SocketAddr,
    name: &str,
    shown: Shown<'_>,
    method: Method,
    path: &str,
    body: Vec<u8>,
    media_type: &str,
    host: &str,
) -> Option<(u16, http::HeaderMap, Vec<u8>)> {
    let response = try_begin(root, address, name, shown, method, path, body, media_type, host).await?;
    let (parts, body) = response.into_parts();
    Some((parts.status.as_u16(), parts.headers, body.collect().await.ok()?.to_bytes().to_vec()))
}

/// As [`try_exchange`], but the body of the answer is still to be read.
#[allow(clippy::too_many_arguments, reason = "one place where everything about a request meets")]
async fn try_begin(
    root: &CertificateDer<'static>,
    address: SocketAddr,
    name: &str,
    shown: Shown<'_>,
    method: Method,
    path: &str,
    body: Vec<u8>,
    media_type: &str,
    host: &str,
) -> Option<http::Response<hyper::body::Incoming>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(&[&TLS13]).with_root_certificates(roots);
    let mut config = match shown.certificate {
        Some(tls) => {
            let key = PrivateKeyDer::Pkcs8(tls.key.serialize_der().into());
            builder.with_client_auth_cert(vec![tls.certificate.clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(format!("https://{host}{path}"));
    request = request.header("content-type", media_type);
    if let Some(from) = shown.from {
        request = request.header("from", from);
    }
    if let Some(token) = shown.token {
        let token: String = token.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(key) = shown.key {
        request = request.header("idempotency-key", key);
    }
    sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.ok()
}

/// A stream of events that is open.
pub struct Events {
    body: hyper::body::Incoming,
    frames: EventFrames,
}

impl Events {
    /// Opens the stream of a device's events behind a number, which has to be granted.
    pub async fn open(
        root: &CertificateDer<'static>,
        address: SocketAddr,
        name: &str,
        shown: Shown<'_>,
        path: &str,
        after: u64,
    ) -> Self {
        let begun = try_begin(root, address, name, shown, Method::GET, path, Vec::new(), MEDIA_TYPE, name).await;
        let response = begun.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), frames: EventFrames::after(after) }
    }

    /// The next event; nothing if the stream has ended.
    pub async fn next(&mut self) -> Option<InboxEvent> {
        loop {
            if let Some(event) = self.frames.next_event().unwrap() {
                return Some(event);
            }
            let frame = tokio::time::timeout(Duration::from_secs(30), self.body.frame()).await.unwrap();
            self.frames.push(frame?.ok()?.data_ref().unwrap());
        }
    }

    /// Whether nothing comes within a moment.
    pub async fn is_quiet(&mut self) -> bool {
        let quiet = tokio::time::timeout(Duration::from_millis(200), self.body.frame()).await.is_err();
        quiet && self.frames.next_event().unwrap().is_none()
    }
}

/// The problem in an answer.
pub fn problem(status: u16, body: &[u8]) -> Problem {
    let document = ProblemDocument::from_json(body).unwrap_or_else(|_| panic!("status {status} without a problem"));
    assert_eq!(document.problem.status(), status);
    assert_eq!(document.detail, None);
    document.problem
}

const CONFIG: &str = r#"
domain = "OWN"
listen = "LISTEN"
data = "data"
registration = "open"
operator_token = "operator.token"

[tls]
certificate = "tls.pem"
key = "tls.key"
roots = "roots.pem"

[issuer]
certificate = "OWN.pem"
key = "issuer.key"

[[anchors]]
certificate = "a.example.pem"
domains = ["a.example"]

[[anchors]]
certificate = "b.example.pem"
domains = ["b.example"]

[[peers]]
domain = "OTHER"
address = "PEER"
"#;
