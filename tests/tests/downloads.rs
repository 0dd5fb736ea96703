//! A picture in a room: kept by Bob's provider, named in a message, and fetched by Alice by way of her provider and the hub, so
//! that whoever keeps it does not learn of her.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Arc, Mutex};

use mimi_client::{ClientError, SystemEntropy, TransportError};
use mimi_content::{Body, Disposition, ExternalContent, ExternalError, MEDIA_TYPE, MimiContent, Part, Salt};
use mimi_e2e::{
    alone,
    fixture::Keep,
    people::MovedClock,
    record::read,
    scenario::{TWO, World},
};
use mimi_flow::{Command, Event};
use mimi_pseudonym::{CipherSuite, Content};
use mimi_wire::Problem;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const PICTURE: &[u8] = b"a picture of a canary";

/// A host of Bob's provider that gives out one sealed file; where it is in URLs, and what it was asked.
async fn media(world: &World, file: Arc<Mutex<Vec<u8>>>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let folder = world.fixture().root().join("b.example");
    let chain = CertificateDer::pem_file_iter(folder.join("tls.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(tcp).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let body = if head.starts_with("GET /picture ") { file.lock().unwrap().clone() } else { Vec::new() };
            let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
            told.lock().unwrap().push(head);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_seen_without_its_host_learning_by_whom() {
    let mut world = World::start("downloads", &TWO, Keep::No).await.unwrap();
    let clock = Arc::new(MovedClock::new(0));
    let file: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (port, asked) = media(&world, Arc::clone(&file)).await;
    // The hub's operator knows where the other provider keeps files.
    let entry = format!("[[assets]]\nprovider = \"b.example\"\nhost = \"b.example\"\nport = {port}\n");
    let entry = format!("{entry}address = \"127.0.0.1:{port}\"");
    world.configure("a.example", &entry).await.unwrap();
    let mut alice = alone::register(world.fixture(), &clock, SUITE, "a.example", "alice.wonder").await.unwrap();
    let mut bob = alone::register(world.fixture(), &clock, SUITE, "b.example", "bob.builder").await.unwrap();
    alone::prepare(&mut alice).await.unwrap();
    alone::prepare(&mut bob).await.unwrap();
    // The hub is Alice's provider.
    let room = alone::found(&mut alice, "Canaries").await.unwrap();
    alone::let_in(&mut alice, &room, &mut bob).await.unwrap();

    let url = format!("https://b.example:{port}/picture");
    let (external, sealed) = ExternalContent::seal("image/png", &url, PICTURE, &mut SystemEntropy::default());
    *file.lock().unwrap() = sealed.clone();
    let own = bob.device().user_in(&room).unwrap().clone();
    let body = Part {
        disposition: Disposition::Attachment,
        language: String::new(),
        body: Body::External(Box::new(external.clone())),
    };
    let message = MimiContent::new(Salt::generate(&mut SystemEntropy::default()), own, room.clone(), body).unwrap();
    bob.command(Command::Send { room: room.clone(), content: message.to_content() }).unwrap();
    let body = alone::until(&mut [&mut alice, &mut bob], |at, event| match event {
        Event::Message { media_type, body, .. } if at == 0 && media_type == MEDIA_TYPE => Some(body.clone()),
        _ => None,
    })
    .await
    .unwrap();
    let content = Content { media_type: MEDIA_TYPE.into(), body };
    let message = MimiContent::from_content(&content).unwrap();
    let Body::External(named) = &message.body().body else { panic!("{message:?}") };
    assert_eq!(**named, external);
    assert_eq!(alice.download(&room, named, 1 << 20).await.unwrap(), PICTURE);
    // Bob's provider asks the hub as well, though it is its own host: it does not say whose file it is.
    assert_eq!(bob.download(&room, named, PICTURE.len()).await.unwrap(), PICTURE);

    // What is too long, damaged, gone, expired, or elsewhere.
    let refused = alice.download(&room, named, PICTURE.len() - 1).await;
    assert!(matches!(refused, Err(ClientError::FileTooLong(_))), "{refused:?}");
    let unsaid = ExternalContent { size: 0, ..external.clone() };
    *file.lock().unwrap() = vec![0; 4096];
    let refused = alice.download(&room, &unsaid, 100).await;
    assert!(matches!(refused, Err(ClientError::FileTooLong(100))), "{refused:?}");
    let refused = alice.download(&room, named, 1 << 20).await;
    assert!(matches!(refused, Err(ClientError::File(ExternalError::Other))), "{refused:?}");
    file.lock().unwrap().clear();
    // What says itself that it is too long is not asked for.
    let long = ExternalContent { size: 1 << 40, ..external.clone() };
    let refused = alice.download(&room, &long, 1 << 20).await;
    assert!(matches!(refused, Err(ClientError::FileTooLong(_))), "{refused:?}");
    for client in [&alice, &bob] {
        let refused = client.download(&room, named, 1 << 20).await;
        let expected = Problem::NotFound;
        assert!(
            matches!(&refused, Err(ClientError::Transport(TransportError::Refused(problem))) if *problem == expected),
            "{refused:?}"
        );
    }
    let expired = ExternalContent { expires: 1, ..external.clone() };
    let refused = alice.download(&room, &expired, 1 << 20).await;
    assert!(matches!(refused, Err(ClientError::File(ExternalError::Expired))), "{refused:?}");
    let elsewhere = ExternalContent { url: "https://c.example/picture".into(), ..external.clone() };
    let refused = bob.download(&room, &elsewhere, 1 << 20).await;
    let forbidden = Problem::Forbidden;
    assert!(
        matches!(&refused, Err(ClientError::Transport(TransportError::Refused(problem))) if *problem == forbidden),
        "{refused:?}"
    );

    // The host was asked by somebody who says nothing of itself, and no provider has seen the picture.
    let heads = asked.lock().unwrap().clone();
    assert!(!heads.is_empty());
    for head in &heads {
        let lines: Vec<_> = head.trim_end().lines().collect();
        assert_eq!(lines.len(), 2, "{head}");
        assert!(lines[1].eq_ignore_ascii_case(&format!("host: b.example:{port}")), "{head}");
    }
    world.stop().await.unwrap();
    let holds = |octets: &[u8]| octets.windows(PICTURE.len()).any(|window| window == PICTURE);
    for domain in TWO {
        let lines = read(&world.fixture().site(domain).unwrap().exchanges()).unwrap();
        assert!(lines.iter().all(|line| !holds(&line.request) && !holds(&line.response)), "{domain}");
        let downloads = lines.iter().filter(|line| line.path.contains("ownload"));
        let downloads: Vec<_> = downloads.map(|line| line.peer.clone()).collect();
        assert!(!downloads.is_empty(), "{domain}");
        // The hub sees Bob's provider, not Bob.
        if domain == "a.example" {
            assert!(downloads.iter().any(|peer| peer == "b.example"), "{downloads:?}");
        }
    }
}
