use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use mimi_pseudonym::{RoomUri, Wire, Writer};
use mimi_wire::{
    FanoutEvent, FanoutMessage, FanoutMessages, Problem,
    local::{AckRequest, InboxBody},
};

use crate::{
    fail::Fail,
    hash,
    provider::Inner,
    server::{Peer, Reply},
    store::{Device, Notification, NotificationKind as Kind, NotifyOutcome, OLDEST},
};

/// The most events of one answer, as [`mimi_wire::local::InboxResponse`] has it.
const EVENTS_MAX: usize = 1024;
/// Octets of events after which an answer is full.
const OCTETS_MAX: usize = 16 << 20;

/// How long to wait without looking where another process may have put something into the inbox and was not heard.
const LOOK: Duration = Duration::from_secs(5);

/// The events behind a sequence number. If there are none, waits for one.
pub(crate) async fn read(inner: &Arc<Inner>, device: Device, after: u64, wait_millis: u64) -> Result<Reply, Fail> {
    let until = Instant::now() + Duration::from_millis(wait_millis);
    let news = inner.wakers.device(device.id);
    let mut stopping = inner.stopping.clone();
    loop {
        // Listens before it looks: what arrives in between is not missed.
        let mut arrived = pin!(news.notified());
        arrived.as_mut().enable();
        let id = device.id;
        let events =
            inner.blocking(move |inner| Ok(inner.store.inbox(id, after, EVENTS_MAX, OCTETS_MAX)?.events)).await?;
        let rest = until.saturating_duration_since(Instant::now());
        if !events.is_empty() || rest.is_zero() || *stopping.borrow() {
            return Ok(Reply::Body(response(&events)));
        }
        tokio::select! {
            () = arrived => {}
            () = tokio::time::sleep(if inner.store.is_shared() { rest.min(LOOK) } else { rest }) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// The encoding of an `InboxResponse`, from events that are stored as they are sent.
fn response(events: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut inner = Writer::default();
    for (sequence, body) in events {
        inner.u64(*sequence);
        inner.raw(body);
    }
    let mut writer = Writer::default();
    writer.vector(&inner.into_octets());
    writer.into_octets()
}

/// The device has taken its events up to a number: they are deleted.
pub(crate) async fn ack(inner: &Arc<Inner>, device: Device, request: AckRequest) -> Result<Reply, Fail> {
    inner.store.ack_soon(device.id, request.up_to).await?;
    Ok(Reply::Nothing)
}

/// Takes what the hub of a room fans out (draft-ietf-mimi-protocol-06, section 5.5): all of it or nothing. What is older than
/// what is remembered is passed over, as what was taken before is.
pub(crate) async fn notify(
    inner: &Arc<Inner>,
    peer: &Peer,
    room: RoomUri,
    messages: FanoutMessages,
) -> Result<Reply, Fail> {
    if room.domain() != peer.domain() {
        return Err(Problem::ForeignUser.into());
    }
    let oldest = inner.now().before(OLDEST);
    let messages = messages.into_vec().into_iter().filter(|message| message.timestamp >= oldest);
    let messages = messages.map(|message| notification(&room, message)).collect();
    match inner.store.notify_soon(room, messages).await? {
        NotifyOutcome::Taken(wake) => {
            inner.wake(&wake);
            Ok(Reply::Created)
        }
        NotifyOutcome::UnknownKeyPackageRef => Err(Problem::UnknownKeyPackageRef.into()),
        NotifyOutcome::UnknownRoom => Err(Problem::UnknownRoom.into()),
    }
}

fn notification(room: &RoomUri, message: FanoutMessage) -> Notification {
    let sent = message.timestamp;
    let kind = match &message.event {
        FanoutEvent::Welcome { welcome, .. } => Kind::Welcome(welcome.key_package_refs().to_vec()),
        FanoutEvent::Application { .. } => Kind::Application,
        FanoutEvent::Audience { receivers } => Kind::Audience(receivers.clone()),
        _ => Kind::Handshake,
    };
    let hash = hash(&[room.as_str().as_bytes(), &message.encode()]);
    let body = InboxBody::Fanout { room: room.clone(), message }.encode();
    Notification { hash, sent, body, kind }
}

#[cfg(test)]
mod tests {
    use mimi_wire::local::{InboxEvent, InboxResponse};

    use super::*;

    #[test]
    fn an_answer_is_the_encoding_of_its_events() {
        let body = InboxBody::RoomDestroyed { room: "mimi://a.example/r/club".parse().unwrap() };
        let events = [(3, body.encode()), (7, body.encode())];
        let expected = InboxResponse {
            events: vec![InboxEvent { sequence: 3, body: body.clone() }, InboxEvent { sequence: 7, body }],
        };
        assert_eq!(response(&events), expected.encode());
        assert_eq!(response(&[]), InboxResponse { events: vec![] }.encode());
    }
}
