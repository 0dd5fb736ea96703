//! Open federation: providers that nobody has listed are talked with, and are looked for where their names lead; but no
//! name leads this provider into a private network, not at the second look either, and no answer leads it elsewhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_mls::{Identity, NewKeyPackage, Room, UnverifiedKeyPackage, Wanted};
use mimi_provider::{Config, Options, OsEntropy};
use mimi_pseudonym::{Content, Entropy, RoomUri, Signer, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    AppDataDictionary, FanoutEvent, FanoutMessages, GroupInfoOption, IdentifierQueryCode, IdentifierRequest,
    IdentifierResponse, Problem, QueryElement, RatchetTreeOption, SearchField, SubmitMessageRequest,
    SubmitMessageResponse, UpdateOutcome, UpdateRequest, UpdateRoomResponse, Wire,
    local::{self, *},
};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use support::{Running, SUITE, Shown, World, authority, certified, domain, issuer, pem, problem, with_room};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(60);
const OTHER: &str = "c.example";

/// What c.example answers.
#[derive(Debug, Clone)]
enum Script {
    /// As a provider does; the connection ends after so many requests.
    Provider { requests: usize },
    /// Every request is sent elsewhere.
    Redirect(String),
    /// The directory names endpoints elsewhere.
    Elsewhere(String),
    /// Nothing: connections are closed.
    Closed,
}

/// c.example: not one of ours, and not always a good one.
struct Stranger {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    port: u16,
    connections: AtomicUsize,
    /// Messages that it was notified of.
    notified: Mutex<Vec<Vec<u8>>>,
}

impl Stranger {
    async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Script::Provider { requests: usize::MAX }),
            port: address.port(),
            connections: AtomicUsize::new(0),
            notified: Mutex::default(),
        });
        let tls = TlsAcceptor::from(Arc::new(world.c.server()));
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (tls, shared) = (tls.clone(), Arc::clone(&serving));
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let script = shared.script.lock().unwrap().clone();
                    let most = match script {
                        Script::Closed => return,
                        Script::Provider { requests } => requests,
                        _ => usize::MAX,
                    };
                    let Ok(stream) = tls.accept(tcp).await else { return };
                    let (answered, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
                    let service = {
                        let (ended, shared) = (Arc::clone(&ended), Arc::clone(&shared));
                        service_fn(move |request| {
                            let (answered, ended) = (Arc::clone(&answered), Arc::clone(&ended));
                            let shared = Arc::clone(&shared);
                            async move {
                                let response = answer(&shared, request).await;
                                let closed = response.status() == 503;
                                if answered.fetch_add(1, Ordering::SeqCst) + 1 >= most || closed {
                                    ended.notify_one();
                                }
                                Ok::<_, Infallible>(response)
                            }
                        })
                    };
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        () = ended.notified() => connection.as_mut().graceful_shutdown(),
                    }
                    let _ = connection.await;
                });
            }
        });
        Self { address, shared }
    }

    fn set(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let script = shared.script.lock().unwrap().clone();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let base = match &script {
        Script::Redirect(to) => {
            return Response::builder().status(302).header("location", to).body(Full::default()).unwrap();
        }
        Script::Elsewhere(base) => base.clone(),
        Script::Closed => return Response::builder().status(503).body(Full::default()).unwrap(),
        Script::Provider { .. } => format!("https://{OTHER}:{}", shared.port),
    };
    let of = |status: u16, body: Vec<u8>| Response::builder().status(status).body(Full::new(body.into())).unwrap();
    if path == mimi_wire::directory::DIRECTORY_PATH {
        let json =
            format!("{{\"identifierQuery\":\"{base}/find/{{domain}}\",\"notify\":\"{base}/notify/{{roomId}}\"}}");
        return of(200, json.into_bytes());
    }
    if path.starts_with("/notify/") {
        let mut notified = shared.notified.lock().unwrap();
        for message in FanoutMessages::decode(&body).unwrap().into_vec() {
            if let FanoutEvent::Application { message, .. } = message.event {
                notified.push(message.message().encode());
            }
        }
        return of(201, vec![]);
    }
    let found = IdentifierResponse {
        code: IdentifierQueryCode::Success,
        uris: vec![format!("mimi://{OTHER}/u/cathy").parse().unwrap()],
        profiles: vec![],
        extensions: AppDataDictionary::default(),
    };
    of(200, found.encode())
}

/// A provider of a.example besides that of the world, on files of its own.
struct Open {
    address: SocketAddr,
    _running: Running,
}

impl Open {
    /// `more` goes into its configuration; `names` says where c.example is.
    async fn start(
        world: &World,
        name: &str,
        more: &str,
        names: impl Fn() -> Vec<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        let folder = world.folder.join("a.example");
        let text = std::fs::read_to_string(folder.join("provider.toml")).unwrap();
        let text = text.replace("data = \"data\"", &format!("data = \"data-{name}\""));
        let mut config = Config::parse(&format!("{text}\n{more}"), &folder).unwrap();
        let address = support::free_address();
        config.set(mimi_provider::Setting::Listen, "the test", &address.to_string()).unwrap();
        let names = move |domain: &mimi_pseudonym::Domain| if domain.as_str() == OTHER { names() } else { vec![] };
        let running = World::run_with(config, Options::default().quiet().with_names(names)).await;
        Self { address, _running: running }
    }

    async fn post<R: Wire>(
        &self,
        world: &World,
        shown: Shown<'_>,
        path: &str,
        message: &impl Wire,
    ) -> Result<R, Problem> {
        let (status, body) = world.send_to(self.address, shown, Method::POST, path, message.encode()).await;
        if status == 200 { Ok(R::decode(&body).unwrap()) } else { Err(problem(status, &body)) }
    }

    async fn register(&self, world: &World) -> RegisterResponse {
        let request = RegisterAccountRequest {
            handle: "alice".into(),
            display_name: String::new(),
            email: String::new(),
            device_name: String::new(),
        };
        self.post(world, Shown::default(), local::REGISTER_PATH, &request).await.unwrap()
    }

    /// Looks for Cathy at c.example.
    async fn find(&self, world: &World, token: &DeviceToken) -> Result<Vec<UserUri>, Problem> {
        let shown = Shown { token: Some(token), ..Shown::default() };
        let element = QueryElement { field: SearchField::Handle, value: "im:cathy@c.example".into() };
        let request = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
        let query = LocalIdentifierQuery { domain: domain(OTHER), request };
        let found: Result<IdentifierResponse, _> = self.post(world, shown, local::IDENTIFIER_QUERY_PATH, &query).await;
        found.map(|found| found.uris)
    }
}

fn open(port: u16, networks: &str) -> String {
    format!("[federation]\nopen = true\nport = {port}\nnetworks = [{networks}]\n")
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const TRAP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Listens where nobody may come to, and counts who does.
async fn trap(port: u16) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((TRAP, port)).await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counting.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_listed_is_answered_in_open_federation_alone() {
    let world = World::start("open-inbound").await;
    let open = Open::start(&world, "open", &open(443, ""), Vec::new).await;
    let element = QueryElement { field: SearchField::Handle, value: "im:alice@a.example".into() };
    let query = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
    let path = "/mimi/v1/identifierQuery/a.example";
    let stranger = Shown { certificate: Some(&world.c), from: Some("mimi@c.example"), ..Shown::default() };
    let closed: Result<IdentifierResponse, _> = world.post(stranger, path, &query).await;
    assert_eq!(closed, Err(Problem::Forbidden));
    let answered: IdentifierResponse = open.post(&world, stranger, path, &query).await.unwrap();
    assert_eq!(answered.code, IdentifierQueryCode::NotFound);
    // It still has to be who it says it is.
    let liar = Shown { from: Some("mimi@d.example"), ..stranger };
    let lied: Result<IdentifierResponse, _> = open.post(&world, liar, path, &query).await;
    assert_eq!(lied, Err(Problem::FromMismatch));
    let without = Shown { certificate: None, ..stranger };
    let unproven: Result<IdentifierResponse, _> = open.post(&world, without, path, &query).await;
    assert_eq!(unproven, Err(Problem::FromMismatch));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_into_a_private_network() {
    let world = World::start("open-private").await;
    let stranger = Stranger::start(&world).await;
    let port = stranger.address.port();
    let closed = Open::start(&world, "guarded", &open(port, ""), || vec![HERE]).await;
    let alice = closed.register(&world).await;
    assert_eq!(closed.find(&world, &alice.device_token).await, Err(Problem::Unavailable));
    assert_eq!(stranger.connections(), 0, "nobody came");
    let let_through = Open::start(&world, "let-through", &open(port, "\"127.0.0.1/32\""), || vec![TRAP, HERE]).await;
    let alice = let_through.register(&world).await;
    let (_, count) = trap(port).await;
    let found = let_through.find(&world, &alice.device_token).await.unwrap();
    assert_eq!(found, [format!("mimi://{OTHER}/u/cathy").parse::<UserUri>().unwrap()]);
    assert_eq!((stranger.connections(), count.load(Ordering::SeqCst)), (1, 0), "the other address was left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_elsewhere_at_the_second_look_is_not_followed() {
    let world = World::start("open-rebinding").await;
    let stranger = Stranger::start(&world).await;
    let port = stranger.address.port();
    let (_, count) = trap(port).await;
    // The name service gives another answer each time, as one does that wants to get past a check.
    let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Mutex::new(VecDeque::from([HERE, TRAP, HERE])));
    let counting = Arc::clone(&asked);
    let names = move || {
        counting.fetch_add(1, Ordering::SeqCst);
        answers.lock().unwrap().pop_front().into_iter().collect()
    };
    let open = Open::start(&world, "rebinding", &open(port, "\"127.0.0.1/32\""), names).await;
    let alice = open.register(&world).await;
    // The directory and the query; then the connection is closed.
    stranger.set(Script::Provider { requests: 2 });
    assert!(open.find(&world, &alice.device_token).await.is_ok());
    assert_eq!((asked.load(Ordering::SeqCst), stranger.connections()), (1, 1), "one look for one connection");
    stranger.set(Script::Provider { requests: 1 });
    let until = Instant::now() + PATIENCE;
    while open.find(&world, &alice.device_token).await.is_ok() {
        assert!(Instant::now() < until, "the connection is never closed");
    }
    assert_eq!((asked.load(Ordering::SeqCst), count.load(Ordering::SeqCst)), (2, 0), "it was not gone to");
    assert!(open.find(&world, &alice.device_token).await.is_ok());
    assert_eq!((asked.load(Ordering::SeqCst), stranger.connections(), count.load(Ordering::SeqCst)), (3, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leads_elsewhere() {
    let world = World::start("open-redirect").await;
    let stranger = Stranger::start(&world).await;
    let (there, count) = trap(0).await;
    let config = open(stranger.address.port(), "\"127.0.0.0/8\"");
    let scripts = [
        Script::Redirect(format!("https://{there}/")),
        Script::Redirect(format!("https://{OTHER}:{}/", there.port())),
        Script::Elsewhere(format!("https://{there}")),
        Script::Elsewhere("https://a.example".into()),
        Script::Elsewhere("https://c.example.b.example".into()),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        // Each for one that has not kept a directory.
        let open = Open::start(&world, &format!("redirect-{number}"), &config, || vec![HERE]).await;
        let alice = open.register(&world).await;
        stranger.set(script.clone());
        assert_eq!(open.find(&world, &alice.device_token).await, Err(Problem::Unavailable), "{script:?}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_not_listed_gets_everything_once_though_it_was_away() {
    const MESSAGES: usize = 20;
    let world = World::start("open-follower").await;
    let stranger = Stranger::start(&world).await;
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = authority(OTHER).self_signed(&key).unwrap();
    std::fs::write(world.folder.join("a.example/c.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
    let config = format!(
        "{}[[anchors]]\ncertificate = \"c.pem\"\ndomains = [\"{OTHER}\"]\n",
        open(stranger.address.port(), "\"127.0.0.1/32\"")
    );
    let open = Open::start(&world, "follower", &config, || vec![HERE]).await;
    let alice = open.register(&world).await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let trust = world.trust.clone().with_anchor(certificate.der(), [domain(OTHER)]).unwrap();
    let cathy: UserUri = format!("mimi://{OTHER}/u/cathy").parse().unwrap();
    let (cathys, chain) =
        certified(&issuer(OTHER, &key, &CertificateDer::from(certificate.der().to_vec())), &cathy, world.now);
    let cathys = Identity::new(SUITE, cathys, chain, &trust, world.now).unwrap();
    let day = Duration::from_secs(86_400);
    let (not_before, not_after) = (world.now.before(day), world.now.after(day * 80));
    let fresh = NewKeyPackage::create(&cathys, KeyPackagePurpose::Any, not_before, not_after).unwrap();
    let verified = UnverifiedKeyPackage::new(fresh.key_package).verify(&cathy, SUITE, &trust, world.now).unwrap();

    let (_, info) = world.send_to(open.address, shown, Method::GET, local::INFO_PATH, vec![]).await;
    let hub = ProviderInfo::decode(&info).unwrap().hub_senders.into_iter().find(|hub| hub.cipher_suite == SUITE);
    let uri = RoomUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let state = RoomState::private(uri.clone(), alice.user.clone()).unwrap();
    let identity = {
        let key = mimi_pseudonym::SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
        let tbs = CredentialItemTbs {
            subject: alice.user.clone(),
            cipher_suite: SUITE,
            public_key: key.public_key().clone(),
            disclose: vec![],
            format: mimi_pseudonym::DisclosureFormat::X509,
        };
        let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
        let mut issued: CredentialsResponse =
            open.post(&world, shown, local::CREDENTIALS_PATH, &request).await.unwrap();
        let chain = mimi_credential::CertificateChain::try_from(issued.items.remove(0).leaf).unwrap();
        Identity::new(SUITE, key, chain, &trust, world.now).unwrap()
    };
    let (mut room, first) = Room::create(identity, state, &hub.unwrap().sender, world.now).unwrap();
    let create =
        CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
    open.post::<Accepted>(&world, shown, local::ROOMS_PATH, &create).await.unwrap();
    let add = ParticipantListUpdate::add(cathy, RoomState::PARTICIPANT).encode();
    let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, add)];
    let bundle = room.commit(Wanted { updates, add: vec![verified], remove: vec![] }).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let answer: UpdateRoomResponse =
        open.post(&world, shown, &with_room(local::UPDATE_PATH, &uri), &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    room.commit_accepted(&trust, world.now).unwrap();
    let mut said = Vec::new();
    for number in 0..MESSAGES {
        if number == 5 {
            stranger.set(Script::Closed);
        }
        let content = Content { media_type: "text/plain".into(), body: format!("{number}").into_bytes() };
        let message = room.seal(&content).unwrap();
        said.push(message.encode());
        let submit = SubmitMessageRequest { message: message.try_into().unwrap(), sending_user: alice.user.clone() };
        let path = with_room(local::SUBMIT_MESSAGE_PATH, &uri);
        let answer: SubmitMessageResponse = open.post(&world, shown, &path, &submit).await.unwrap();
        assert!(matches!(answer, SubmitMessageResponse::Accepted { .. }));
    }
    let before = stranger.connections();
    let until = Instant::now() + PATIENCE;
    stranger.set(Script::Provider { requests: 1 });
    loop {
        let notified = stranger.shared.notified.lock().unwrap().clone();
        if notified.len() >= MESSAGES {
            eprintln!(
                "{MESSAGES} sent, {MESSAGES} acknowledged, {} delivered; {before} connections before",
                notified.len()
            );
            assert_eq!(notified, said, "each once, in order");
            return;
        }
        assert!(Instant::now() < until, "{} of {MESSAGES} have come", notified.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
