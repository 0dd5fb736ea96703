//! The listener: TLS, HTTP, and the way of a request from its octets to the function that answers it.

mod body;
mod dispatch;
mod exchange;
mod idle;
mod peer;
mod reply;
pub(crate) mod route;
pub(crate) mod unsent;

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls_pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub(crate) use peer::Peer;
pub(crate) use reply::Reply;

use crate::{gate::Place, metrics::Open, provider::Inner};
use exchange::Remote;
use idle::Activity;
use unsent::Unsent;

/// Octets of an answer that are on their way into the connection, besides those that are counted.
const SENDING: usize = 1 << 16;

/// How long requests that have begun may take when the provider stops.
const LAST_SECONDS: Duration = Duration::from_secs(5);

/// Takes connections for ever.
pub(crate) async fn accept(listener: TcpListener, inner: Arc<Inner>) -> Infallible {
    loop {
        let Ok(permit) = Arc::clone(&inner.connections).acquire_owned().await else {
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((tcp, from)) => {
                // Who has too many gets no answer at all: it would cost more than its request.
                let Some(place) = inner.gate.connection(from.ip()) else { continue };
                let tls = inner.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
                let open = inner.log.metrics().connection();
                tokio::spawn(connection(tcp, from.ip(), tls, Arc::clone(&inner), (permit, place, open)));
            }
            // For example no file descriptor left: it passes when other connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits until every connection has ended, but not for ever.
pub(crate) async fn drained(inner: &Inner) {
    let all = u32::from(inner.config.limits.connections);
    // Whether it was in time or not, what comes next is the end.
    let _ = timeout(LAST_SECONDS, inner.connections.acquire_many(all)).await;
}

/// What a connection counts for, as long as there is one.
type Counted = (OwnedSemaphorePermit, Place, Open);

async fn connection(tcp: TcpStream, from: IpAddr, tls: TlsAcceptor, inner: Arc<Inner>, counted: Counted) {
    let limits = &inner.config.limits;
    let _ = tcp.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(limits.header_timeout(), tls.accept(tcp)).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate: Option<CertificateDer<'static>> = shown.map(|one| one.clone().into_owned());
    inner.recorder.handshake(certificate.is_some(), stream.get_ref().1.handshake_kind());
    let unsent = Unsent::of_connection(limits);
    let remote = Arc::new(Remote { certificate, address: from, unsent });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout()).max_buf_size(SENDING);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(60)))
        .max_concurrent_streams(limits.streams)
        .max_send_buf_size(SENDING)
        .max_header_list_size(1 << 14);
    let activity = Activity::new();
    let service = {
        let (inner, activity) = (Arc::clone(&inner), Arc::clone(&activity));
        service_fn(move |request| {
            let (inner, remote, open) = (Arc::clone(&inner), Arc::clone(&remote), activity.begin());
            async move {
                let (response, octets) = exchange::answer(&inner, &remote, request).await;
                Ok::<_, Infallible>(open.until_sent(response, inner.config.limits.unsent_timeout(octets)))
            }
        })
    };
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = inner.stopping.clone();
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.changed() => {}
        // What was asked for is not taken: nothing more can be said.
        () = activity.stuck() => return,
        // Nothing is asked, from the beginning or any more: whoever is silent has no connection.
        () = activity.idle(limits.header_timeout(), limits.idle_timeout()) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_SECONDS, connection).await;
    drop(counted);
}
