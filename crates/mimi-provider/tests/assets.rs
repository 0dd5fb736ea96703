//! Files that messages name, on their way from the host of a provider to another provider and to a device.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Method;
use mimi_wire::{Problem, directory::percent_encode, local};
use support::{Shown, World, problem};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A host that keeps files: what it was asked, and how many connections it had.
struct Host {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Host {
    /// Answers every request by its path, as c.example.
    async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Self { address: listener.local_addr().unwrap(), asked: Arc::default(), connections: Arc::default() };
        let tls = TlsAcceptor::from(Arc::new(world.c.server_1()));
        let (asked, connections) = (Arc::clone(&host.asked), Arc::clone(&host.connections));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                let (tls, asked) = (tls.clone(), Arc::clone(&asked));
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(tcp).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(octet) = stream.read_u8().await else { return };
                        head.push(octet);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    asked.lock().unwrap().push(head);
                    let answer = answer(&path);
                    let _ = stream.write_all(&answer).await;
                    if path == "/silent" {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        host
    }

    /// The table for the configuration of a.example.
    fn entry(&self, provider: &str) -> String {
        format!("[[assets]]\nprovider = \"{provider}\"\nhost = \"c.example\"\naddress = \"{}\"\n", self.address)
    }
}

fn answer(path: &str) -> Vec<u8> {
    let with = |status: &str, headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    match path {
        "/1" => with("200 OK", "content-type: text/html\r\nset-cookie: x=y\r\n", b"a file"),
        "/large" => with("200 OK", "", &vec![7; 3 << 20]),
        // More than it says it is allowed to be, and one that does not say.
        "/too-large" => b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n".to_vec(),
        "/grows" => {
            let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for _ in 0..5 {
                answer.extend_from_slice(b"100000\r\n");
                answer.resize(answer.len() + (1 << 20), 7);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
            answer
        }
        "/cut" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec(),
        "/silent" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec(),
        "/elsewhere" => with("302 Found", "location: https://c.example/1\r\n", b""),
        "/nonsense" => b"nonsense\r\n\r\n".to_vec(),
        _ => with("404 Not Found", "", b"nothing"),
    }
}

fn proxy(url: &str) -> String {
    format!("/mimi/v1/proxyDownload/{}", percent_encode(url))
}

fn local(url: &str, hub: &str) -> String {
    format!("{}/{}?hub={hub}", local::DOWNLOAD_PATH, percent_encode(url))
}

/// Four files at the same time, of at most four mebibytes.
const LIMITS: &str = "[limits]\nfile = 4194304\nfiles = 4\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_fetches_files_from_hosts_of_its_peers_and_from_nowhere_else() {
    let mut world = World::start("assets").await;
    let host = Host::start(&world).await;
    world.configure(&host.entry("b.example")).await;
    world.configure(LIMITS).await;
    let before = world.dump();
    let get = async |url: &str| world.send(world.peer_b(), Method::GET, &proxy(url), vec![]).await;

    let (status, headers, body) =
        world.exchange(world.peer_b(), Method::GET, &proxy("https://c.example/1"), vec![], "", "a.example").await;
    assert_eq!((status, body.as_slice()), (200, &b"a file"[..]));
    assert_eq!(headers["content-type"], "application/octet-stream", "what it is, is said in the message");
    assert_eq!(
        (&headers["content-length"], &headers["cache-control"]),
        (&"6".parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert!(!headers.contains_key("set-cookie"), "{headers:?}");
    assert_eq!(get("https://C.example:443/large").await, (200, vec![7; 3 << 20]));
    let asked = host.asked.lock().unwrap().clone();
    assert_eq!(asked[0].to_ascii_lowercase(), "get /1 http/1.1\r\nhost: c.example\r\n\r\n", "nothing of who asks");

    // The way is not open to anywhere else, and nobody connects there.
    let connections = host.connections.load(Ordering::Relaxed);
    for url in [
        "http://c.example/1",
        "https://c.example:8443/1",
        "https://x@c.example/1",
        "https://c.example@d.example/1",
        "https://c.example.d.example/1",
        "https://xc.example/1",
        "https://d.example/1",
        "https://127.0.0.1/1",
        "ftp://c.example/1",
        "/1",
        "c.example/1",
        "x",
    ] {
        let (status, body) = get(url).await;
        assert_eq!(problem(status, &body), Problem::Forbidden, "{url}");
    }
    assert_eq!(host.connections.load(Ordering::Relaxed), connections);

    for (path, expected) in [
        ("nothing", Problem::NotFound),
        ("elsewhere", Problem::Unavailable),
        ("nonsense", Problem::Unavailable),
        ("too-large", Problem::TooLarge),
    ] {
        let (status, body) = get(&format!("https://c.example/{path}")).await;
        assert_eq!(problem(status, &body), expected, "{path}");
    }
    // Whoever reads sees that it was not all.
    for path in ["grows", "cut"] {
        let path = proxy(&format!("https://c.example/{path}"));
        assert!(world.try_send(world.peer_b(), Method::GET, &path).await.is_none(), "{path}");
    }
    // Who is no peer gets nothing, and what is no GET neither.
    let (status, body) = world.send(Shown::default(), Method::GET, &proxy("https://c.example/1"), vec![]).await;
    assert_eq!(problem(status, &body), Problem::FromMissing);
    let (status, body) = world.send(world.peer_b(), Method::POST, &proxy("https://c.example/1"), vec![]).await;
    assert_eq!(problem(status, &body), Problem::MethodNotAllowed);
    assert_eq!(world.dump(), before, "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_does_not_take_all_places() {
    let mut world = World::start("assets-places").await;
    let host = Host::start(&world).await;
    world.configure(&host.entry("b.example")).await;
    world.configure(LIMITS).await;
    let alice = world.register("alice").await;
    let device = Shown { token: Some(&alice.device_token), ..Shown::default() };
    // Two that do not come to an end: half of all places.
    let silent = proxy("https://c.example/silent");
    let first = world.begin(world.peer_b(), Method::GET, &silent).await.unwrap();
    let second = world.begin(world.peer_b(), Method::GET, &silent).await.unwrap();
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let (status, body) = world.send(world.peer_b(), Method::GET, &proxy("https://c.example/1"), vec![]).await;
    assert_eq!(problem(status, &body), Problem::RateLimited);
    // Others still have some.
    let (status, body) = world.send(device, Method::GET, &local("https://c.example/1", "a.example"), vec![]).await;
    assert_eq!((status, body.as_slice()), (200, &b"a file"[..]));
    // Given up, a place is free again.
    drop(first);
    for attempt in 0.. {
        let (status, _) = world.send(world.peer_b(), Method::GET, &proxy("https://c.example/1"), vec![]).await;
        if status == 200 {
            break;
        }
        assert!(attempt < 100, "the place is not given back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_a_file_by_way_of_the_rooms_hub() {
    let mut world = World::start("assets-device").await;
    let host = Host::start(&world).await;
    // The hub is a.example, the device is at b.example, which knows nothing of the host.
    world.configure(&host.entry("b.example")).await;
    let b = world.run_b().await;
    let bob = world.register_at(Shown { to_b: true, ..Shown::default() }, "bob").await;
    let device = Shown { token: Some(&bob.device_token), to_b: true, ..Shown::default() };
    let get = async |url: &str, hub: &str| world.send(device, Method::GET, &local(url, hub), vec![]).await;
    assert_eq!(get("https://c.example/1", "a.example").await, (200, b"a file".to_vec()));
    assert_eq!(get("https://c.example/large", "a.example").await, (200, vec![7; 3 << 20]));
    for (url, hub, expected) in [
        ("https://c.example/1", "b.example", Problem::Forbidden),
        ("https://d.example/1", "a.example", Problem::Forbidden),
        ("https://c.example/nothing", "a.example", Problem::NotFound),
        ("https://c.example/1", "d.example", Problem::Forbidden),
    ] {
        let (status, body) = get(url, hub).await;
        assert_eq!(problem(status, &body), expected, "{url} by {hub}");
    }
    let nobody = Shown { to_b: true, ..Shown::default() };
    let (status, body) = world.send(nobody, Method::GET, &local("https://c.example/1", "a.example"), vec![]).await;
    assert_eq!(problem(status, &body), Problem::Unauthorized);
    let asked = host.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|head| !head.contains("b.example")), "{asked:?}");
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_into_a_private_network_is_not_followed() {
    let mut world = World::start("assets-private").await;
    let host = Host::start(&world).await;
    // The system's name service says that this is here.
    let port = host.address.port();
    world.configure(&format!("[[assets]]\nprovider = \"b.example\"\nhost = \"localhost\"\nport = {port}\n")).await;
    let url = proxy(&format!("https://localhost:{port}/1"));
    let (status, body) = world.send(world.peer_b(), Method::GET, &url, vec![]).await;
    assert_eq!(problem(status, &body), Problem::Unavailable);
    assert_eq!(host.connections.load(Ordering::Relaxed), 0);
    // Such a network can be let through; then it is the certificate that does not fit.
    world.configure("[federation]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]\n").await;
    let (status, body) = world.send(world.peer_b(), Method::GET, &url, vec![]).await;
    assert_eq!(problem(status, &body), Problem::Unavailable);
    assert!(host.connections.load(Ordering::Relaxed) > 0 && host.asked.lock().unwrap().is_empty());
}
