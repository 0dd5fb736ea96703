//! Stands before a provider and does to what its peers send whatever a network or a broken program does.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::{Body, Bytes, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_pseudonym::RoomUri;
use mimi_wire::{Problem, directory::percent_encode};
use rustls_pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{Shown, Tls, choose_provider, try_exchange};

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are answered.
    Pass,
    /// They wait until there is another mode, and then go on.
    Hold,
    /// They are answered, but the answer is lost: the connection breaks.
    Lose,
    /// They are brought twice.
    Twice,
    /// They are refused for the moment, and the peer is asked to wait for two seconds.
    Overloaded,
    /// What comes back is nothing that a provider would say.
    Garbage,
    /// They are answered a little later.
    Late,
    /// They are brought, but the answer comes just after a second, which is the time that a peer has in these tests.
    TooLate,
    /// They are brought, and the body of the answer comes octet by octet.
    Drip,
    /// They are refused, in turn by every problem of [`REFUSALS`].
    Refuse,
}

/// What a provider refuses everything with that is set up wrongly.
pub const REFUSALS: [Problem; 9] = [
    Problem::Forbidden,
    Problem::FromMismatch,
    Problem::FromMissing,
    Problem::NotFound,
    Problem::MethodNotAllowed,
    Problem::UnsupportedMediaType,
    Problem::TooLarge,
    Problem::Unauthorized,
    Problem::ForeignUser,
];

/// Different kinds of nonsense.
pub const GARBAGE: usize = 7;

pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    /// Ends connections.
    gone: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    root: CertificateDer<'static>,
    /// Who the requests come from.
    from: String,
    sender: Tls,
    /// Where they go.
    name: String,
    to: Mutex<SocketAddr>,
    mode: watch::Receiver<Mode>,
    /// If there is one, only requests with this in their path are not let pass.
    only: Mutex<Option<String>>,
    /// Requests to notify that came in.
    seen: AtomicUsize,
    spoilt: AtomicUsize,
}

impl Proxy {
    /// Stands before the provider `name`, with its certificate, for requests of the provider `from`. Both are folders of
    /// `mimi-provider init` in `folder`.
    pub async fn start(folder: &Path, root: &CertificateDer<'static>, from: &str, name: &str, to: SocketAddr) -> Self {
        choose_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(Arc::new(Tls::read(&folder.join(name)).server()));
        let (mode, receiver) = watch::channel(Mode::Pass);
        let shared = Arc::new(Shared {
            root: root.clone(),
            from: format!("mimi@{from}"),
            sender: Tls::read(&folder.join(from)),
            name: name.to_owned(),
            to: Mutex::new(to),
            mode: receiver,
            only: Mutex::default(),
            seen: AtomicUsize::new(0),
            spoilt: AtomicUsize::new(0),
        });
        let (gone, _) = watch::channel(false);
        let task = tokio::spawn(accept(listener, tls.clone(), Arc::clone(&shared), gone.subscribe()));
        Self { address, mode, shared, tls, gone, task }
    }

    /// Breaks all connections and takes none.
    pub async fn vanish(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.gone.send_replace(true);
    }

    /// Stands at its address again.
    pub async fn come_back(&mut self) {
        self.gone.send_replace(false);
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (tls, shared) = (self.tls.clone(), Arc::clone(&self.shared));
        self.task = tokio::spawn(accept(listener, tls, shared, self.gone.subscribe()));
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// From now on, only what concerns a room is not let pass.
    pub fn only(&self, room: &RoomUri) {
        *self.shared.only.lock().unwrap() = Some(percent_encode(room.as_str()));
    }

    /// Requests to notify that came in.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// How often it has answered with nonsense, or not at all.
    pub fn spoilt(&self) -> usize {
        self.shared.spoilt.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Something at an address that lets connections begin and says nothing, or does not even let them begin.
pub struct Hole {
    _listener: TcpListener,
    _taken: Vec<TcpStream>,
}

impl Hole {
    /// Takes connections and says nothing on them.
    pub fn silent(address: SocketAddr) -> Self {
        Self { _listener: listen(address, 1024), _taken: Vec::new() }
    }

    /// Has as many connections as it takes: the next one hears nothing at all.
    pub async fn full(address: SocketAddr) -> Self {
        let (listener, mut taken) = (listen(address, 1), Vec::new());
        while let Ok(tcp) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            taken.push(tcp.unwrap());
            assert!(taken.len() < 100, "it is never full");
        }
        Self { _listener: listener, _taken: taken }
    }
}

fn listen(address: SocketAddr, waiting: u32) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(waiting).unwrap()
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>, gone: watch::Receiver<bool>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(tcp, tls.clone(), Arc::clone(&shared), gone.clone()));
    }
}

async fn connection(tcp: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>, mut gone: watch::Receiver<bool>) {
    let Ok(stream) = tls.accept(tcp).await else { return };
    let (breaks, mut broken) = watch::channel(false);
    let service = service_fn(move |request| {
        let (shared, breaks) = (Arc::clone(&shared), breaks.clone());
        async move {
            match answer(&shared, request).await {
                Some(response) => Ok::<_, Infallible>(response),
                None => {
                    breaks.send_replace(true);
                    std::future::pending().await
                }
            }
        }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        _ = broken.wait_for(|broken| *broken) => {}
        _ = gone.wait_for(|gone| *gone) => {}
    }
}

/// The answer to a request; none if the connection is to break.
async fn answer(shared: &Shared, request: Request<Incoming>) -> Option<Response<Content>> {
    let is_notify = request.uri().path().contains("/notify/");
    if is_notify {
        shared.seen.fetch_add(1, Ordering::SeqCst);
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes().to_vec();
    let mut mode = *shared.mode.borrow();
    if shared.only.lock().unwrap().as_ref().is_some_and(|only| !parts.uri.path().contains(only)) {
        mode = Mode::Pass;
    }
    if mode == Mode::Hold && is_notify {
        let mut changes = shared.mode.clone();
        mode = *changes.wait_for(|mode| *mode != Mode::Hold).await.ok()?;
    }
    if mode == Mode::Garbage && is_notify {
        return garbage(shared.spoilt.fetch_add(1, Ordering::SeqCst) % GARBAGE);
    }
    if mode == Mode::Refuse && is_notify {
        let problem = REFUSALS[shared.spoilt.fetch_add(1, Ordering::SeqCst) % REFUSALS.len()];
        let response = Response::builder().status(problem.status()).header("content-type", "application/problem+json");
        return response.body(whole(problem.document().to_json().into())).ok();
    }
    if mode == Mode::Overloaded && is_notify {
        shared.spoilt.fetch_add(1, Ordering::SeqCst);
        return Response::builder().status(503).header("retry-after", "2").body(whole(Bytes::new())).ok();
    }
    let path = parts.uri.path_and_query()?.as_str().to_owned();
    let media_type = parts.headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let forward = || async {
        let shown = Shown { certificate: Some(&shared.sender), from: Some(&shared.from), ..Shown::default() };
        let (to, name) = (*shared.to.lock().unwrap(), shared.name.as_str());
        let (method, body) = (parts.method.clone(), body.clone());
        try_exchange(&shared.root, to, name, shown, method, &path, body, &media_type, name).await
    };
    let mut answer = forward().await?;
    if mode == Mode::Twice && is_notify {
        shared.spoilt.fetch_add(1, Ordering::SeqCst);
        answer = forward().await?;
    }
    if mode == Mode::Lose && is_notify {
        shared.spoilt.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    if is_notify && matches!(mode, Mode::Late | Mode::TooLate) {
        shared.spoilt.fetch_add(1, Ordering::SeqCst);
        let millis = if mode == Mode::Late { 300 } else { 1_200 };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    if is_notify && mode == Mode::Drip {
        shared.spoilt.fetch_add(1, Ordering::SeqCst);
    }
    let (status, headers, body) = answer;
    let mut response = Response::builder().status(status);
    if let Some(value) = headers.get("content-type") {
        response = response.header("content-type", value);
    }
    let content = if mode == Mode::Drip && is_notify { Either::Right(Drip::new()) } else { whole(body.into()) };
    response.body(content).ok()
}

/// The body of an answer.
type Content = Either<Full<Bytes>, Drip>;

fn whole(body: Bytes) -> Content {
    Either::Left(Full::new(body))
}

/// A body of which an octet comes every tenth of a second, for a minute.
struct Drip {
    left: usize,
    next: Pin<Box<Sleep>>,
}

impl Drip {
    const PAUSE: Duration = Duration::from_millis(100);

    fn new() -> Self {
        Self { left: 600, next: Box::pin(sleep(Self::PAUSE)) }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.next.as_mut().poll(cx));
        self.left -= 1;
        self.next = Box::pin(sleep(Self::PAUSE));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
    }
}

fn garbage(number: usize) -> Option<Response<Content>> {
    let page = Bytes::from_static(b"<html><h1>It works!</h1></html>");
    let of = |status: u16, body: Bytes| Response::builder().status(status).body(whole(body)).ok();
    match number {
        0 => of(200, page),
        1 => Response::builder().status(302).header("location", "https://127.0.0.1:1/").body(whole(page)).ok(),
        2 => of(404, page),
        3 => of(403, Bytes::from_static(b"{\"type\":\"about:blank\",\"status\":403}")),
        4 => of(500, Bytes::from(vec![0xff; 100_000])),
        5 => of(201, Bytes::from(vec![7; 1 << 20])),
        _ => None,
    }
}
