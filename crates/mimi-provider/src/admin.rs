//! What an operator's tools ask, at an address of its own without TLS: whether the process lives, whether it can serve,
//! and numbers in Prometheus' text format.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{metrics::Present, pace::Pace, provider::Inner};

/// The most connections at the same time.
const CONNECTIONS: usize = 16;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the database may take. Whoever asks whether a provider is ready does not wait for long.
const ANSWER: Duration = Duration::from_secs(2);

/// Answers for ever.
pub(crate) async fn run(listener: TcpListener, inner: Arc<Inner>) -> Infallible {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return std::future::pending().await;
        };
        let Ok((tcp, _)) = listener.accept().await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let inner = Arc::clone(&inner);
                async move { Ok::<_, Infallible>(answer(&inner, &request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            let _ = timeout(PATIENCE, builder.serve_connection(TokioIo::new(tcp), service)).await;
            drop(permit);
        });
    }
}

async fn answer(inner: &Arc<Inner>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
    }
    match request.uri().path() {
        "/live" => response(StatusCode::OK, "live\n".into()),
        "/ready" => match ready(inner).await {
            Ok(()) => response(StatusCode::OK, "ready\n".into()),
            Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/metrics" => {
            let waiting = inner.blocking(|inner| Ok(inner.store.outbox_waiting()?));
            // Without the database there are the other numbers.
            let outbox = timeout(ANSWER, waiting).await.ok().and_then(Result::ok);
            let present = Present { outbox, refused: refused(inner), now: inner.now().as_millis() };
            response(StatusCode::OK, inner.log.metrics().text(&present))
        }
        _ => response(StatusCode::NOT_FOUND, "live, ready or metrics\n".into()),
    }
}

/// How often something was refused, by the limit.
fn refused(inner: &Inner) -> Vec<(&'static str, u64)> {
    let of = |pace: &Pace, limits: &[&'static str]| limits.iter().copied().zip(pace.refused()).collect::<Vec<_>>();
    let mut all = inner.gate.refused.counts().to_vec();
    all.push(("files", inner.assets.refused()));
    all.extend(of(&inner.requests, &["device_requests", "peer_requests", "address_requests"]));
    // Nobody asks for these who has not shown who it is.
    all.extend(of(&inner.queries, &["device_queries", "peer_queries"]));
    all.extend(of(&inner.consents, &["device_consents", "peer_consents"]));
    all
}

/// Whether it can serve: the database answers, and nobody has asked the process to end.
async fn ready(inner: &Arc<Inner>) -> Result<(), &'static str> {
    if *inner.stopping.borrow() {
        return Err("ending");
    }
    match timeout(ANSWER, inner.blocking(|inner| Ok(inner.store.answers()?))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the database does not answer"),
        Err(_) => Err("the database does not answer in time"),
    }
}

fn response(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
