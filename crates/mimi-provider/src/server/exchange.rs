use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{HeaderMap, Request, Response, header};
use hyper::body::{Bytes, Incoming};
use mimi_pseudonym::Domain;
use mimi_wire::Problem;
use rustls_pki_types::CertificateDer;

use super::{
    Peer, Reply,
    body::{self, NoBody},
    dispatch,
    reply::{self, Body},
    route::Route,
    unsent::Unsent,
};
use crate::{
    events,
    fail::Fail,
    hash, hex,
    log::{Direction, During, Fault},
    pace::Asker,
    provider::Inner,
    record::Exchange,
    store::Device,
    unhex32,
};

/// Two requests of one device with the same key and body are one request, of which the first answer was lost
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Octets of a key.
const IDEMPOTENCY_KEY_MAX: usize = 128;

/// The other end of a connection.
pub(super) struct Remote {
    /// What it has shown.
    pub(super) certificate: Option<CertificateDer<'static>>,
    pub(super) address: IpAddr,
    /// What may wait to be taken on this connection.
    pub(super) unsent: Unsent,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    Anybody,
    Device(Device),
    Operator,
    Peer(Peer),
}

/// What is known of an exchange for log and record.
struct Seen {
    endpoint: &'static str,
    /// A provider's domain, `client` or `operator`: this is logged.
    who: String,
    /// Tells devices apart in the record, which is not for operation, and nowhere else.
    device: String,
    request: Bytes,
    /// The request never came to its end.
    broken_off: bool,
}

/// Answers one request. Says as well how many octets the answer has, if it has an end.
pub(super) async fn answer(inner: &Arc<Inner>, remote: &Remote, request: Request<Incoming>) -> (Response<Body>, usize) {
    // Whoever does not take what there is gets no more.
    remote.unsent.half_taken().await;
    let begun = Instant::now();
    let mut seen =
        Seen { endpoint: "-", who: "-".into(), device: String::new(), request: Bytes::new(), broken_off: false };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut result = handle(inner, remote, request, &mut seen).await;
    if let Ok(Reply::Events(events)) = &mut result {
        events.name(format!("{}{}", seen.who, seen.device));
        match remote.unsent.endless(events::OCTETS) {
            Ok(waits) => events.counts(waits),
            Err(problem) => {
                inner.gate.refused.answer();
                result = Err(problem.into());
            }
        }
    }
    if let Err(error @ (Fail::Store(_) | Fail::Fault(_))) = &result {
        inner.log.fault(Fault::Work(During::Request(seen.endpoint), error));
    }
    let (mut response, mut body) = reply::response(result);
    match remote.unsent.waits(&inner.gate.unsent, reply::waiting(&response)) {
        Ok(waits) => reply::count(&mut response, waits),
        Err(problem) => {
            inner.gate.refused.answer();
            (response, body) = reply::response(Err(problem.into()));
        }
    }
    let status = if seen.broken_off { 0 } else { response.status().as_u16() };
    inner.log.exchange(Direction::In, seen.endpoint, &seen.who, status, begun.elapsed());
    inner.recorder.append(&Exchange {
        side: "server",
        peer: &format!("{}{}", seen.who, seen.device),
        method: method.as_str(),
        path: uri.path_and_query().map_or("", |path| path.as_str()),
        endpoint: seen.endpoint,
        status,
        request: &seen.request,
        response: &body,
    });
    (response, body.len())
}

async fn handle(
    inner: &Arc<Inner>,
    remote: &Remote,
    request: Request<Incoming>,
    seen: &mut Seen,
) -> Result<Reply, Fail> {
    let (parts, incoming) = request.into_parts();
    let host = parts.uri.authority().map(|authority| authority.as_str());
    let route = check_host(host, &parts.headers, inner.domain())
        .and_then(|()| Route::parse(&parts.method, parts.uri.path(), parts.uri.query()));
    let route = match route {
        Ok(route) => route,
        // Whoever asks for nothing that there is has not shown who it is.
        Err(problem) => {
            inner.requests.check(Asker::at(remote.address), inner.now())?;
            return Err(problem.into());
        }
    };
    seen.endpoint = route.name();
    let caller = authenticate(inner, &route, &parts.headers, remote, seen).await?;
    let key = parts.headers.get(IDEMPOTENCY_KEY).cloned();
    if key.as_ref().is_some_and(|key| key.len() > IDEMPOTENCY_KEY_MAX) {
        return Err(Problem::Malformed.into());
    }
    let limits = &inner.config.limits;
    let max = match route.body_limit() {
        Some(max) => {
            body::check_media_type(&parts.headers, route.media_type())?;
            max.min(limits.body)
        }
        None => 0,
    };
    let body = body::read(&inner.gate, incoming, max, limits.body_timeout()).await;
    let (body, _held) = body.map_err(|reason| match reason {
        NoBody::Refused(problem) => problem,
        NoBody::BrokenOff => {
            seen.broken_off = true;
            Problem::Malformed
        }
    })?;
    if inner.recorder.is_on() {
        seen.request = body.clone();
    }
    // Whoever waits for news does nothing.
    let _place = if route.waits() { None } else { Some(inner.gate.request()?) };
    dispatch::dispatch(inner, route, caller, key.as_ref().map(|key| key.as_bytes()), &body).await
}

/// The request has to be for this provider (draft-ietf-mimi-protocol-06, section 5).
fn check_host(authority: Option<&str>, headers: &HeaderMap, own: &Domain) -> Result<(), Problem> {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = authority.or(header).unwrap_or_default();
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    if name.eq_ignore_ascii_case(own.as_str()) { Ok(()) } else { Err(Problem::NotFound) }
}

async fn authenticate(
    inner: &Arc<Inner>,
    route: &Route,
    headers: &HeaderMap,
    remote: &Remote,
    seen: &mut Seen,
) -> Result<Caller, Fail> {
    let count = |asker| inner.requests.check(asker, inner.now());
    match route {
        Route::Admin(_) => {
            seen.who = "operator".into();
            count(Asker::at(remote.address))?;
            let shown = bearer(headers).ok_or(Problem::Unauthorized)?;
            let own = inner.operator.as_ref().ok_or(Problem::Unauthorized)?;
            // Hashes are compared: how much of them is equal says nothing of the tokens.
            if hash(&[&shown]) == *own { Ok(Caller::Operator) } else { Err(Problem::Unauthorized.into()) }
        }
        Route::Directory
        | Route::Info
        | Route::Register
        | Route::AddDevice
        | Route::TokenKey
        | Route::Openings { .. }
        | Route::Checkpoints
        | Route::Redeem
        | Route::Page(_) => {
            seen.who = "client".into();
            count(Asker::at(remote.address))?;
            Ok(Caller::Anybody)
        }
        Route::Peer(_) => {
            let known = Peer::authenticate(headers, remote.certificate.as_ref());
            let known = known
                .and_then(|peer| if inner.peers.knows(peer.domain()) { Ok(peer) } else { Err(Problem::Forbidden) });
            let peer = match known {
                Ok(peer) => peer,
                Err(problem) => {
                    count(Asker::at(remote.address))?;
                    return Err(problem.into());
                }
            };
            seen.who = peer.domain().to_string();
            count(Asker::Peer(peer.domain().clone()))?;
            Ok(Caller::Peer(peer))
        }
        Route::Device(_) => {
            seen.who = "client".into();
            let token = bearer(headers).map(|token| hash(&[&token]));
            let device = match token.and_then(|token| inner.store.known_device(&token)) {
                Some(device) => device,
                None => {
                    // Whoever tries out tokens does not do so often.
                    count(Asker::at(remote.address))?;
                    let token = token.ok_or(Problem::Unauthorized)?;
                    let device = inner.blocking(move |inner| Ok(inner.store.device_by_token(&token)?)).await?;
                    device.ok_or(Problem::Unauthorized)?
                }
            };
            if inner.recorder.is_on() {
                seen.device = format!(":{}", hex(token.unwrap_or_default().get(..4).unwrap_or_default()));
            }
            count(Asker::Device(device.id))?;
            Ok(Caller::Device(device))
        }
    }
}

/// The device token in `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { unhex32(token.trim()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_to_be_ours() {
        let own: Domain = "a.example".parse().unwrap();
        let none = HeaderMap::new();
        assert_eq!(check_host(Some("A.example:8443"), &none, &own), Ok(()));
        assert_eq!(check_host(Some("b.example"), &none, &own), Err(Problem::NotFound));
        assert_eq!(check_host(None, &none, &own), Err(Problem::NotFound));
        let headers: HeaderMap = [(header::HOST, "a.example".parse().unwrap())].into_iter().collect();
        assert_eq!(check_host(None, &headers, &own), Ok(()));
    }

    #[test]
    fn a_token_is_64_hexadecimal_digits() {
        let headers = |value: &str| [(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
        assert_eq!(bearer(&headers(&format!("Bearer {}", hex(&[7; 32])))), Some([7; 32]));
        for bad in ["Bearer 07", "Basic 07", "Bearer", ""] {
            assert_eq!(bearer(&headers(bad)), None, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
