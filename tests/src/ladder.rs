//! The ladder diagram of what happened, in the layout of the pseudonyms draft.

mod draft;
mod draw;

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use mimi_wire::Endpoint;

pub(crate) use self::draw::thousands;
pub use self::{
    draft::{CONNECTION, Draft, DraftArrow, Finding, JOIN_LINK, KNOCK, check},
    draw::draw,
};
use crate::{
    call::{Call, Kind, deliveries},
    record::{Actor, Exchange, Step, in_order},
};

/// One arrow of the diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// When the exchange it belongs to ended: milliseconds since 1970 by the machine's clock.
    pub at_ms: u64,
    /// Where it begins.
    pub from: Actor,
    /// Where it ends.
    pub to: Actor,
    /// What is written above it; may be empty.
    pub label: String,
    /// What is asked by the exchange it belongs to.
    pub call: Call,
    /// The place of that exchange in the list.
    pub exchange: usize,
    /// Whether it is the answer of the exchange; for [`Call::Inbox`], what was delivered.
    pub answer: bool,
    /// Whether what the exchange asked was done.
    pub accepted: bool,
    /// What it carries.
    pub carries: Vec<Kind>,
    /// Octets of the body, or of the events that were delivered.
    pub octets: usize,
}

/// A moment that a scenario wants to see in the diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Milliseconds since 1970 by the machine's clock.
    pub at_ms: u64,
    /// What is written there, for example `60 days pass`.
    pub text: String,
}

impl Mark {
    /// A mark for the present.
    pub fn now(text: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), text: text.to_owned() }
    }
}

/// Something that goes from one to another without any provider, for example on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// When: milliseconds since 1970 by the machine's clock.
    pub at_ms: u64,
    /// Who hands it over.
    pub from: Actor,
    /// Who gets it.
    pub to: Actor,
    /// What it is.
    pub label: String,
    /// How many octets it has.
    pub octets: usize,
}

/// Puts what was handed over among the arrows, by time.
pub fn hand_over(arrows: &mut Vec<Arrow>, handed: &[HandOver]) {
    for HandOver { at_ms, from, to, label, octets } in handed.iter().cloned() {
        let place = arrows.iter().rposition(|arrow| arrow.at_ms <= at_ms).map_or(0, |at| at + 1);
        let arrow = Arrow {
            at_ms,
            from,
            to,
            label,
            call: Call::HandOver,
            exchange: usize::MAX,
            answer: false,
            accepted: true,
            carries: Vec::new(),
            octets,
        };
        arrows.insert(place, arrow);
    }
}

/// The arrows of exchanges. Polling is left out, and what was polled for is an arrow from the provider; an event that
/// was delivered again is left out as well.
pub fn arrows(exchanges: &[Exchange]) -> Vec<Arrow> {
    let mut delivered = HashSet::new();
    let mut arrows = Vec::new();
    for step in in_order(exchanges) {
        let (at, answer) = match step {
            Step::Request(at) => (at, false),
            Step::Answer(at) => (at, true),
        };
        let Some(exchange) = exchanges.get(at) else { continue };
        let arrow = match (exchange.call, answer) {
            (Call::Ack, _) | (Call::Inbox, false) => None,
            (Call::Inbox, true) => delivery(at, exchange, &mut delivered),
            (_, false) => Some(request(at, exchange)),
            (_, true) => Some(self::answer(at, exchange)),
        };
        arrows.extend(arrow);
    }
    arrows
}

fn request(at: usize, exchange: &Exchange) -> Arrow {
    let loads = exchange.call.loads(&exchange.request);
    let carries: Vec<Kind> = loads.iter().map(|load| load.kind).collect();
    Arrow {
        at_ms: exchange.at_ms,
        from: exchange.from,
        to: exchange.to,
        label: request_label(exchange.call, &carries),
        call: exchange.call,
        exchange: at,
        answer: false,
        accepted: exchange.accepted(),
        carries,
        octets: exchange.request.len(),
    }
}

fn answer(at: usize, exchange: &Exchange) -> Arrow {
    let accepted = exchange.accepted();
    let label = match exchange.call {
        _ if exchange.status == 0 => "no answer".to_owned(),
        _ if exchange.from.is_server() => match exchange.status {
            200 => "200 OK".to_owned(),
            201 => "201 Created".to_owned(),
            status => status.to_string(),
        },
        _ if exchange.status >= 300 => exchange.status.to_string(),
        _ if !accepted => "refused".to_owned(),
        Call::KeyMaterial => "connect KPs".to_owned(),
        Call::Update => "Accepted".to_owned(),
        Call::GroupInfo => "GroupInfo".to_owned(),
        _ => String::new(),
    };
    Arrow {
        from: exchange.to,
        to: exchange.from,
        label,
        answer: true,
        carries: Vec::new(),
        octets: exchange.response.len(),
        ..request(at, exchange)
    }
}

fn delivery(at: usize, exchange: &Exchange, delivered: &mut HashSet<(Actor, u64)>) -> Option<Arrow> {
    let events: Vec<_> = deliveries(&exchange.response)
        .into_iter()
        .filter(|event| delivered.insert((exchange.from, event.sequence)))
        .collect();
    let mut carries: Vec<Kind> = events.iter().map(|event| event.load.kind).collect();
    let octets = events.iter().map(|event| event.octets).sum();
    carries.dedup();
    let label = carries.iter().map(|kind| kind_label(*kind)).collect::<Vec<_>>().join(" + ");
    let arrow = Arrow { label, carries, octets, ..answer(at, exchange) };
    (!events.is_empty()).then_some(arrow)
}

fn request_label(call: Call, carries: &[Kind]) -> String {
    let label = match call {
        Call::Peer(Endpoint::IdentifierQuery) => "/idQuery",
        Call::Peer(endpoint) => return format!("/{}", endpoint.name()),
        Call::Directory => "/directory",
        Call::Register => "Open account",
        Call::AddDevice => "Add device",
        Call::Info => "Provider's keys",
        Call::Pseudonyms => "Request pseudonyms",
        Call::Credentials => "Request credentials",
        Call::KeyPackages => "Store KPs",
        Call::ClaimOwn => "Own clients' KPs",
        Call::CreateRoom => "Create room",
        Call::DestroyRoom => "Destroy room",
        Call::KeyMaterial => "Request KPs",
        Call::Update if carries.contains(&Kind::Welcome) => "Commit, etc.",
        Call::Update if carries.contains(&Kind::Proposal) => "Proposals",
        Call::Update => "Commit",
        Call::SubmitMessage => "Message",
        Call::GroupInfo => "Request GroupInfo",
        Call::JoinLinks => "Join link",
        Call::Complaints => "Complaint",
        Call::HandOver => "out of band",
        Call::IdentifierQuery => "Find user",
        Call::Inbox => "Inbox",
        Call::Ack => "Received",
        Call::Unknown => "?",
    };
    label.to_owned()
}

fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Welcome => "Welcome, Tree",
        Kind::Commit => "Commit",
        Kind::Proposal => "Proposal",
        Kind::Message => "Message",
        Kind::Question => "Question",
        Kind::RolledBack => "Rolled back",
        Kind::Audience => "Audience",
        Kind::RoomDestroyed => "Room destroyed",
        Kind::Pseudonyms => "Pseudonyms",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::{self, exchange};

    #[test]
    fn polling_for_nothing_and_what_comes_twice_are_left_out() {
        let inbox = |at, events: &[(u64, &[u8])]| {
            exchange(at, Actor::ClientB1, Actor::ServerB, Call::Inbox, b"", &sample::inbox(events))
        };
        let arrows = arrows(&[
            inbox(1, &[]),
            inbox(2, &[(1, b"welcome1")]),
            inbox(3, &[(1, b"welcome1"), (2, b"m1"), (3, b"m2")]),
            exchange(4, Actor::ClientB1, Actor::ServerB, Call::Ack, b"", b""),
        ]);
        let seen: Vec<_> = arrows.iter().map(|arrow| (arrow.from, arrow.to, arrow.label.as_str())).collect();
        assert_eq!(
            seen,
            [(Actor::ServerB, Actor::ClientB1, "Welcome, Tree"), (Actor::ServerB, Actor::ClientB1, "Message"),]
        );
    }

    #[test]
    fn an_answer_says_how_it_went() {
        let submit = |response: &[u8]| {
            exchange(1, Actor::ClientA1, Actor::ServerA, Call::SubmitMessage, &sample::submit(b"m"), response)
        };
        let notify = |status| Exchange {
            status,
            ..exchange(1, Actor::ServerA, Actor::ServerB, Call::Peer(Endpoint::Notify), &sample::notify(&[b"n"]), b"")
        };
        let exchanges =
            [submit(&sample::submitted(true)), submit(&sample::submitted(false)), notify(201), notify(503), notify(0)];
        let labels: Vec<_> =
            arrows(&exchanges).into_iter().filter(|arrow| arrow.answer).map(|arrow| arrow.label).collect();
        assert_eq!(labels, ["", "refused", "201 Created", "503", "no answer"]);
    }
}
