//! Exchanges made by hand, for tests.

use mimi_pseudonym::{Timestamp, Writer};
use mimi_wire::{
    ApplicationMessage, FanoutEvent, FanoutMessage, FanoutMessages, IdentifierRequest, MlsMessage, QueryElement,
    SearchField, SubmitMessageRequest, SubmitMessageResponse, Wire,
    local::{InboxBody, InboxEvent, InboxResponse, LocalIdentifierQuery, RegisterResponse},
};

use super::{Actor, Exchange, Line};
use crate::call::Call;

pub(crate) fn line(at_ms: u64, server: bool, peer: &str, path: &str, status: u16, request: &[u8]) -> Line {
    Line {
        at_ms,
        server,
        peer: peer.into(),
        method: "POST".into(),
        path: path.into(),
        status,
        request: request.to_vec(),
        response: Vec::new(),
    }
}

pub(crate) fn exchange(at_ms: u64, from: Actor, to: Actor, call: Call, request: &[u8], response: &[u8]) -> Exchange {
    Exchange { at_ms, from, to, call, status: 200, request: request.to_vec(), response: response.to_vec() }
}

/// A private message in its framing; what it seals is left as it is.
fn sealed(ciphertext: &[u8]) -> ApplicationMessage {
    let mut writer = Writer::default();
    writer.u16(1);
    writer.u16(2);
    writer.vector(b"group");
    writer.u64(1);
    writer.u8(1);
    writer.vector(b"");
    writer.vector(b"sender");
    writer.vector(ciphertext);
    MlsMessage::decode(&writer.into_octets()).unwrap().try_into().unwrap()
}

/// A welcome in its framing.
fn welcome(secret: &[u8]) -> mimi_wire::Welcome {
    let mut writer = Writer::default();
    writer.u16(1);
    let mut secrets = Writer::default();
    secrets.vector(b"reference of a key package......");
    secrets.vector(b"kem output");
    secrets.vector(secret);
    writer.vector(&secrets.into_octets());
    writer.vector(b"group info");
    mimi_wire::Welcome::decode(&writer.into_octets()).unwrap()
}

fn fanout(message: &[u8]) -> FanoutMessage {
    let event = match message.strip_prefix(b"welcome") {
        Some(secret) => FanoutEvent::Welcome {
            welcome: welcome(secret),
            ratchet_tree: mimi_wire::RatchetTreeOption::DistributionService,
        },
        None => FanoutEvent::Application { message: sealed(message), frank: None },
    };
    FanoutMessage { timestamp: Timestamp::from_secs(1), event }
}

pub(crate) fn submit(message: &[u8]) -> Vec<u8> {
    let sending_user = "mimi://a.example/u/alice".parse().unwrap();
    SubmitMessageRequest { message: sealed(message), sending_user }.encode()
}

pub(crate) fn submitted(accepted: bool) -> Vec<u8> {
    let response = SubmitMessageResponse::Accepted { accepted: Timestamp::from_secs(1), frank: None };
    if accepted { response.encode() } else { SubmitMessageResponse::NotAllowed.encode() }
}

/// Messages of which those that begin with `welcome` are welcomes.
pub(crate) fn notify(messages: &[&[u8]]) -> Vec<u8> {
    FanoutMessages::new(messages.iter().copied().map(fanout).collect()).unwrap().encode()
}

pub(crate) fn inbox(events: &[(u64, &[u8])]) -> Vec<u8> {
    let room: mimi_pseudonym::RoomUri = "mimi://a.example/r/room".parse().unwrap();
    let event = |(sequence, message): &(u64, &[u8])| InboxEvent {
        sequence: *sequence,
        body: InboxBody::Fanout { room: room.clone(), message: fanout(message) },
    };
    InboxResponse { events: events.iter().map(event).collect() }.encode()
}

/// A query as a client asks it, and as its provider passes it on.
pub(crate) fn query(handle: &str) -> (Vec<u8>, Vec<u8>) {
    let elements = vec![QueryElement { field: SearchField::Handle, value: handle.into() }];
    let request = IdentifierRequest { elements, extensions: mimi_wire::AppDataDictionary::default() };
    let forwarded = request.encode();
    (LocalIdentifierQuery { domain: "b.example".parse().unwrap(), request }.encode(), forwarded)
}

pub(crate) fn registered(user: &str, client: &str) -> Vec<u8> {
    let response = RegisterResponse {
        user: user.parse().unwrap(),
        client: client.parse().unwrap(),
        device_token: mimi_wire::local::DeviceToken::from_bytes([1; 32]),
        enrolment_code: mimi_wire::local::EnrolmentCode::from_bytes([2; 32]),
    };
    response.encode()
}
