//! One client's connection to its provider: HTTP/2 over TLS on a socket of its own.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_wire::{MEDIA_TYPE, ProblemDocument, Wire, local::DeviceToken};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Octets that may be on their way to a client.
const WINDOW: u32 = 1 << 20;

/// A connection. A clone sends over the same one.
#[derive(Clone)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    base: Arc<str>,
    token: Option<Arc<str>>,
}

impl Connection {
    /// Connects to a provider.
    pub(super) async fn open(address: SocketAddr, domain: &str, port: u16, tls: &Arc<ClientConfig>) -> Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(domain.to_owned())?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, base: format!("https://{domain}:{port}").into(), token: None })
    }

    /// The same connection, which shows a device's token from now on.
    pub(super) fn with_token(&self, token: &DeviceToken) -> Self {
        let token: String = token.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        Self { token: Some(format!("Bearer {token}").into()), ..self.clone() }
    }

    /// The same connection, which shows the token that another one shows.
    pub(super) fn with_token_of(&self, other: &Self) -> Self {
        Self { token: other.token.clone(), ..self.clone() }
    }

    /// Posts a message and decodes the answer.
    pub(super) async fn post<A: Wire>(&self, path: &str, body: &impl Wire) -> Result<A> {
        let answer = whole(self.send(Method::POST, path, body.encode()).await?).await.context(path.to_owned())?;
        A::decode(&answer).with_context(|| format!("the answer of {path}"))
    }

    /// Posts a message that has no answer.
    pub(super) async fn tell(&self, path: &str, body: &impl Wire) -> Result<()> {
        whole(self.send(Method::POST, path, body.encode()).await?).await.context(path.to_owned()).map(drop)
    }

    pub(super) async fn fetch<A: Wire>(&self, path: &str) -> Result<A> {
        let answer = whole(self.send(Method::GET, path, Vec::new()).await?).await.context(path.to_owned())?;
        A::decode(&answer).with_context(|| format!("the answer of {path}"))
    }

    /// Opens a stream.
    pub(super) async fn stream(&self, path: &str) -> Result<Incoming> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        if !response.status().is_success() {
            bail!("{path}: {}", response.status());
        }
        Ok(response.into_body())
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<http::Response<Incoming>> {
        let mut request = Request::builder().method(method.clone()).uri(format!("{}{path}", self.base));
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, MEDIA_TYPE);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.as_ref());
        }
        let mut sender = self.sender.clone();
        sender.ready().await?;
        Ok(sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?)
    }
}

async fn whole(response: http::Response<Incoming>) -> Result<Bytes> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let problem = ProblemDocument::from_json(&body).ok().map(|document| document.problem.code());
    Err(anyhow!("{status}, {}", problem.unwrap_or("no problem document")))
}
