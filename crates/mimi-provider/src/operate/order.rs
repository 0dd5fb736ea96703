//! What an operator has the running provider do to a room, and to users in it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mimi_pseudonym::RoomUri;
use mimi_wire::{Problem, ProblemDocument, directory::percent_encode};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{Config, hex, hub::Order, keys, server::route::ADMIN_PATH};

/// How long the provider may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read: octets.
const ANSWER_MAX: usize = 1 << 14;

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The configuration names no operator's token.
    #[error("the configuration has no operator_token: put 64 hexadecimal digits into a file, and name it there")]
    NoToken,
    /// The token, a certificate or a key of the configuration cannot be read.
    #[error("{0}")]
    Files(String),
    /// No provider answers.
    #[error("no provider answers at {at}: does it run? --address says where, if not where the configuration says")]
    Unreachable {
        /// Where it was asked.
        at: SocketAddr,
    },
    /// It runs with another token.
    #[error("the provider that runs does not know this token: was it started before operator_token was set?")]
    Token,
    /// The room is of another provider.
    #[error("{0} is no room of this provider: only its hub can be told what to do there")]
    NotHub(RoomUri),
    /// This hub has no such room.
    #[error("{0}: no such room; see `room list`")]
    NoRoom(RoomUri),
    /// There is no remedy to take back.
    #[error("there is nothing to take back: the hub has not done that to this user in this room")]
    Nothing,
    /// It does not do it.
    #[error("the provider refuses: status {0}")]
    Refused(u16),
}

/// Has the provider that runs with this configuration carry out an order in one of its rooms, at once. `at` is where it
/// listens, if not where the configuration says.
///
/// # Errors
/// [`OrderError`]
pub fn order(config: &Config, room: &RoomUri, order: &Order, at: Option<SocketAddr>) -> Result<(), OrderError> {
    if room.domain() != config.domain() {
        return Err(OrderError::NotHub(room.clone()));
    }
    let files = |error: &dyn std::fmt::Display| OrderError::Files(error.to_string());
    let token = keys::operator_token(config).map_err(|error| files(&error))?.ok_or(OrderError::NoToken)?;
    let tls = keys::client_tls(config).map_err(|error| files(&error))?;
    let name = ServerName::try_from(config.domain().to_string()).map_err(|error| files(&error))?;
    let at = at.unwrap_or_else(|| reachable(config.listen));
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://{}{ADMIN_PATH}/{}", config.domain(), percent_encode(room.as_str())))
        .header(header::AUTHORIZATION, format!("Bearer {}", hex(&token)))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(order.to_json())))
        .map_err(|error| files(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| files(&error))?;
    let exchange = async {
        let tcp = TcpStream::connect(at).await.ok()?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.ok()?;
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.ok()?;
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await.ok()?.to_bytes();
        Some((parts.status, body))
    };
    let answer = runtime.block_on(async { timeout(PATIENCE, exchange).await.ok().flatten() });
    let (status, body) = answer.ok_or(OrderError::Unreachable { at })?;
    judge(room, status, &body)
}

fn judge(room: &RoomUri, status: StatusCode, body: &[u8]) -> Result<(), OrderError> {
    if status.is_success() {
        return Ok(());
    }
    match ProblemDocument::from_json(body).ok().map(|document| document.problem) {
        Some(Problem::Unauthorized) => Err(OrderError::Token),
        Some(Problem::NotHub) => Err(OrderError::NotHub(room.clone())),
        Some(Problem::UnknownRoom) => Err(OrderError::NoRoom(room.clone())),
        Some(Problem::NotFound) => Err(OrderError::Nothing),
        _ => Err(OrderError::Refused(status.as_u16())),
    }
}

/// Where a provider that listens at this address can be reached from the same machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_words_of_its_own() {
        let room: RoomUri = "mimi://a.example/r/club".parse().unwrap();
        let said = |problem: Problem| {
            let body = ProblemDocument { problem, detail: None }.to_json();
            judge(&room, StatusCode::from_u16(problem.status()).unwrap(), body.as_bytes()).unwrap_err()
        };
        assert!(matches!(said(Problem::Unauthorized), OrderError::Token));
        assert!(matches!(said(Problem::UnknownRoom), OrderError::NoRoom(_)));
        assert!(matches!(said(Problem::NotHub), OrderError::NotHub(_)));
        assert!(matches!(said(Problem::NotFound), OrderError::Nothing));
        assert!(matches!(said(Problem::Malformed), OrderError::Refused(_)));
        assert!(judge(&room, StatusCode::NO_CONTENT, b"").is_ok());
    }

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:443"), "127.0.0.1:443");
        assert_eq!(at("[::]:8443"), "[::1]:8443");
        assert_eq!(at("192.0.2.7:443"), "192.0.2.7:443");
    }
}
