//! What one requester may cost, and all of them together: every limit of `[limits]`, over the wire.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method, Request};
use http_body_util::Empty;
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_provider::{Config, Options, Setting};
use mimi_pseudonym::{Clock, Timestamp};
use mimi_wire::{
    AppDataDictionary, IdentifierRequest, MEDIA_TYPE, Problem, QueryElement, SearchField, Wire,
    local::{self, *},
};
use rustls::{ClientConfig, RootCertStore, version::TLS12};
use rustls_pki_types::ServerName;
use support::{Shown, World, problem};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(30);

fn device(token: &DeviceToken) -> Shown<'_> {
    Shown { token: Some(token), ..Shown::default() }
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Status and headers of the answer to a request that costs little.
async fn ask(world: &World, shown: Shown<'_>, method: Method, path: &str) -> (u16, HeaderMap) {
    let (status, headers, body) = world.exchange(shown, method, path, vec![], MEDIA_TYPE, "a.example").await;
    if status >= 400 {
        problem(status, &body);
    }
    (status, headers)
}

/// How many of these requests are answered before the first that is one too many; it says when there may be another one.
async fn until_too_many(world: &World, shown: Shown<'_>, method: Method, path: &str) -> usize {
    for number in 0..100 {
        let (status, headers) = ask(world, shown, method.clone(), path).await;
        if status == 429 {
            let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
            return number;
        }
        assert!(!headers.contains_key("retry-after"));
    }
    panic!("there are never too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_device_provider_and_address_asks_so_often_and_is_told_when_to_come_back() {
    let mut world = World::start("rates").await;
    // By a clock that stands still: nothing is given back meanwhile.
    let folder = world.folder.join("a.example");
    let text = std::fs::read_to_string(folder.join("provider.toml")).unwrap().replace("\"data\"", "\"data-still\"");
    let limits = "[limits]\ndevice_requests = 3\npeer_requests = 4\naddress_requests = 9\n";
    let mut config = Config::parse(&format!("{text}\n{limits}"), &folder).unwrap();
    world.address = support::free_address();
    config.set(Setting::Listen, "the test", &world.address.to_string()).unwrap();
    let still = Arc::new(Still(world.now));
    let _running = World::run_with(config, Options::default().quiet().with_clock(still)).await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let inbox = format!("{}?after=0&wait=0", local::INBOX_PATH);
    assert_eq!(until_too_many(&world, device(&alice.device_token), Method::GET, &inbox).await, 3);
    assert_eq!(until_too_many(&world, device(&bob.device_token), Method::GET, &inbox).await, 3, "each for itself");
    let at = "/mimi/v1/identifierQuery/a.example";
    assert_eq!(until_too_many(&world, world.peer_b(), Method::POST, at).await, 4, "whatever it asks");
    // Two have registered, and each was unknown once; a token that nobody has is tried out five times.
    let nobody = DeviceToken::from_bytes([7; 32]);
    assert_eq!(until_too_many(&world, device(&nobody), Method::GET, &inbox).await, 5);
    assert_eq!(ask(&world, Shown::default(), Method::GET, local::INFO_PATH).await.0, 429);
    let stranger = Shown { certificate: Some(&world.c), from: Some("mimi@c.example"), ..Shown::default() };
    assert_eq!(ask(&world, stranger, Method::POST, at).await.0, 429, "a provider that is not known is an address");
    assert_eq!(ask(&world, Shown::default(), Method::GET, "/nothing").await.0, 429, "whatever is asked for");
}

/// Reads until the other side ends the connection.
async fn ends(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut octets = Vec::new();
    // Whether it says goodbye is its own affair.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut octets)).await.unwrap();
    octets
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_silent_has_no_connection_for_long() {
    let world = World::start_on("silent", "[limits]\nheader_seconds = 1\nidle_seconds = 1\n").await;
    ends(TcpStream::connect(world.address).await.unwrap()).await;
    for protocols in [&[][..], &["http/1.1"], &["h2"]] {
        ends(world.connect(protocols).await.unwrap()).await;
    }
    for (protocol, beginning) in [
        ("http/1.1", &b"GET /client/v1/info HTTP/1.1\r\nhost: a.exam"[..]),
        ("h2", b"PRI * HTTP"),
        ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ] {
        let mut stream = world.connect(&[protocol]).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        ends(stream).await;
    }
    // After an answer, too; but who waits for news is not silent.
    let mut stream = world.connect(&["http/1.1"]).await.unwrap();
    stream.write_all(b"GET /client/v1/info HTTP/1.1\r\nhost: a.example\r\n\r\n").await.unwrap();
    assert!(ends(stream).await.starts_with(b"HTTP/1.1 200"));
    let alice = world.register("alice").await;
    let inbox = format!("{}?after=0&wait=4000", local::INBOX_PATH);
    assert_eq!(ask(&world, device(&alice.device_token), Method::GET, &inbox).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_neither_too_long_nor_too_slow() {
    let world = World::start_on("bodies", "[limits]\nbody = 4096\nbody_seconds = 1\n").await;
    let alice = world.register("alice").await;
    let send = |length: usize| {
        world.send(device(&alice.device_token), Method::POST, local::KEY_PACKAGES_PATH, vec![0; length])
    };
    let (status, body) = send(4097).await;
    assert_eq!(problem(status, &body), Problem::TooLarge);
    let (status, body) = send(4096).await;
    assert_eq!(problem(status, &body), Problem::Malformed, "it is read, and is nothing");
    let post = format!("POST {} HTTP/1.1\r\nhost: a.example\r\ncontent-type: {MEDIA_TYPE}\r\n", local::REGISTER_PATH);
    for (rest, expected) in [
        ("content-length: 9\r\n\r\nslow".to_owned(), "HTTP/1.1 503"),
        (format!("transfer-encoding: chunked\r\n\r\n1001\r\n{}\r\n", "x".repeat(4097)), "HTTP/1.1 413"),
        ("content-length: 9999999\r\n\r\n".to_owned(), "HTTP/1.1 413"),
    ] {
        let mut stream = world.connect(&["http/1.1"]).await.unwrap();
        stream.write_all(format!("{post}{rest}").as_bytes()).await.unwrap();
        let mut answer = vec![0; expected.len()];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_only_so_many_connections() {
    let mut world = World::start_on("connections", "[limits]\naddress_connections = 2\n").await;
    let (first, second) = (world.connect(&["h2"]).await, world.connect(&["h2"]).await);
    assert!(first.is_some() && second.is_some() && world.connect(&["h2"]).await.is_none());
    drop(first);
    while world.connect(&["h2"]).await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(second);
    // All addresses together wait for each other instead.
    world.restart().await;
    let path = world.folder.join("a.example/provider.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("address_connections = 2", "connections = 1")).unwrap();
    world.restart().await;
    let first = world.connect(&["h2"]).await.unwrap();
    let waiting = world.connect(&["h2"]);
    let mut waiting = std::pin::pin!(waiting);
    assert!(timeout(Duration::from_millis(300), waiting.as_mut()).await.is_err(), "there is one already");
    drop(first);
    assert!(timeout(PATIENCE, waiting).await.unwrap().is_some());
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    timeout(PATIENCE, stream.read_exact(&mut payload)).await.unwrap().unwrap();
    (head[3], u32::from_be_bytes(head[5..].try_into().unwrap()), payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_only_so_many_streams() {
    let world = World::start_on("streams", "[limits]\nstreams = 2\n").await;
    let mut stream = world.connect(&["h2"]).await.unwrap();
    // A request whose body never comes. The fields as RFC 7541 writes them without a table or compression.
    let literal = |name: &[u8], value: &str| [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let fields = [
        vec![0x83, 0x87],
        literal(&[0x04], local::REGISTER_PATH),
        literal(&[0x01], "a.example"),
        literal(&[0x0f, 0x10], MEDIA_TYPE),
        literal(&[0x0f, 0x0d], "9"),
    ]
    .concat();
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    octets.extend(frame(4, 0, 0, &[]));
    for number in [1, 3, 5] {
        octets.extend(frame(1, 4, number, &fields));
    }
    stream.write_all(&octets).await.unwrap();
    let mut said = None;
    let refused = loop {
        match read_frame(&mut stream).await {
            (4, _, settings) if !settings.is_empty() => {
                let setting = settings.chunks(6).find(|one| one[..2] == [0, 3]);
                said = setting.map(|one| u32::from_be_bytes(one[2..].try_into().unwrap()));
            }
            (3, number, code) => break (number, u32::from_be_bytes(code.try_into().unwrap())),
            (7, _, payload) => panic!("the connection is ended: {payload:?}"),
            _ => {}
        }
    };
    assert_eq!((said, refused), (Some(2), (5, 7)), "REFUSED_STREAM, for the third alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_is_not_too_long() {
    let world = World::start("headers").await;
    let long = "x".repeat(20_000);
    let shown = Shown { key: Some(&long), ..Shown::default() };
    let (status, _) = world.send(shown, Method::GET, local::INFO_PATH, vec![]).await;
    assert_eq!(status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_requests_are_worked_on_and_who_waits_for_news_is_none_of_them() {
    let world = World::start_on("work", "[limits]\nrequests = 1\n").await;
    // A provider that takes connections and says nothing.
    let silent = TcpListener::bind(world.address_b).await.unwrap();
    let alice = world.register("alice").await;
    let shown = device(&alice.device_token);
    let element = QueryElement { field: SearchField::Handle, value: "im:bob@b.example".into() };
    let request = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
    let query = LocalIdentifierQuery { domain: "b.example".parse().unwrap(), request };
    let first = world.send(shown, Method::POST, local::IDENTIFIER_QUERY_PATH, query.encode());
    let others = async {
        let (connection, _) = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
        let (status, headers) = ask(&world, Shown::default(), Method::GET, local::INFO_PATH).await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "5"));
        let inbox = format!("{}?after=0&wait=0", local::INBOX_PATH);
        assert_eq!(ask(&world, shown, Method::GET, &inbox).await.0, 200);
        drop((connection, silent));
    };
    let ((status, body), ()) = tokio::join!(first, others);
    assert_eq!(problem(status, &body), Problem::Unavailable);
    assert_eq!(ask(&world, Shown::default(), Method::GET, local::INFO_PATH).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_tls_is_not_spoken() {
    let world = World::start("tls").await;
    let mut roots = RootCertStore::empty();
    roots.add(world.root().clone()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(&[&TLS12]).with_root_certificates(roots);
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let tcp = TcpStream::connect(world.address).await.unwrap();
    assert!(connector.connect(ServerName::try_from("a.example").unwrap(), tcp).await.is_err());
    assert!(world.connect(&["h2"]).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_is_answered_when_a_provider_ends() {
    let world = World::start("ending").await;
    let b = world.run_b().await;
    let to_b = Shown { to_b: true, ..Shown::default() };
    let bob = world.register_at(to_b, "bob").await;
    let shown = Shown { token: Some(&bob.device_token), ..to_b };
    let inbox = format!("{}?after=0&wait=20000", local::INBOX_PATH);
    let waits = world.send(shown, Method::GET, &inbox, vec![]);
    let ends = async {
        // Whether it has begun by then or not, it is answered, or there is no connection.
        tokio::time::sleep(Duration::from_millis(500)).await;
        b.end().await;
    };
    let ((status, body), ()) = tokio::join!(waits, ends);
    assert_eq!((status, InboxResponse::decode(&body).unwrap().events.len()), (200, 0));
    assert!(TcpStream::connect(world.address_b).await.is_err(), "nobody listens any more");
}

/// A client that takes no more than a window of 64 KiB for each answer and for all of them, unless it reads.
async fn narrow(world: &World) -> http2::SendRequest<Empty<Bytes>> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let stream = world.connect(&["h2"]).await.unwrap();
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str, token: &DeviceToken) -> Request<Empty<Bytes>> {
    let token: String = token.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let request = Request::get(format!("https://a.example{path}")).header("authorization", format!("Bearer {token}"));
    request.body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_holds_so_much_and_not_for_long() {
    const HALF: usize = 1 << 19;
    let limits = "[limits]\nconnection_unsent = 1048576\nunsent = 1572864\nunsent_seconds = 2\n";
    let world = World::start_on("unsent", limits).await;
    let first = world.register("alice").await;
    let request = AddDeviceRequest { enrolment_code: first.enrolment_code, device_name: "computer".into() };
    let second: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &request).await.unwrap();
    let draw = PseudonymsRequest { count: 100 };
    let mut waits = 0;
    let inbox = format!("{}?after=0&wait=0", local::INBOX_PATH);
    while waits < HALF / 2 {
        world.post::<PseudonymsResponse>(device(&first.device_token), local::PSEUDONYMS_PATH, &draw).await.unwrap();
        waits += 100 * 40;
    }
    let whole = world.send(device(&second.device_token), Method::GET, &inbox, vec![]).await;
    assert!(whole.0 == 200 && whole.1.len() > HALF / 2, "{}", whole.1.len());
    // Two do not read.
    let (one, other) = (narrow(&world).await, narrow(&world).await);
    let (taken, refused) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    for sender in [&one, &other] {
        for _ in 0..16 {
            let (mut sender, request) = (sender.clone(), get(&inbox, &second.device_token));
            let (taken, refused) = (Arc::clone(&taken), Arc::clone(&refused));
            tokio::spawn(async move {
                match sender.send_request(request).await {
                    Ok(answer) if answer.status() == 200 => taken.lock().unwrap().push(answer),
                    Ok(answer) => {
                        assert_eq!(answer.status(), 503);
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    // The connection ends.
                    Err(_) => {}
                }
            });
        }
    }
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let held: usize = taken.lock().unwrap().len() * whole.1.len();
    assert!(held > 0 && held <= 1_572_864 + 2 * 65_536, "{held} octets wait to be taken");
    // Whoever reads gets what it asks for, if it is small.
    assert_eq!(ask(&world, Shown::default(), Method::GET, local::INFO_PATH).await.0, 200);
    timeout(PATIENCE, async {
        while !(one.is_closed() && other.is_closed()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let again = world.send(device(&second.device_token), Method::GET, &inbox, vec![]).await;
    assert!(again == whole, "what they held is given back");

    // A stream of events that is not read ends its connection, and one on which nothing comes does not.
    let mut events = world.events(world.address, &second.device_token, u64::MAX >> 2).await.unwrap();
    assert!(events.is_quiet().await);
    let mut deaf = narrow(&world).await;
    let path = format!("{}?after=0", local::EVENTS_PATH);
    let stream = deaf.send_request(get(&path, &second.device_token)).await.unwrap();
    assert_eq!(stream.status(), 200);
    timeout(PATIENCE, async {
        while !deaf.is_closed() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let mut events = world.events(world.address, &second.device_token, 0).await.unwrap();
    let mut last = 0;
    while let Ok(Some(event)) = timeout(Duration::from_secs(4), events.next()).await {
        last = event.sequence;
    }
    world.post::<PseudonymsResponse>(device(&first.device_token), local::PSEUDONYMS_PATH, &draw).await.unwrap();
    let next = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    assert!(next.sequence > last, "four seconds of silence have not ended it");
}
