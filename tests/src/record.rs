//! What the providers wrote down of their exchanges, put together into one list.

mod order;
mod read;
#[cfg(test)]
pub(crate) mod sample;

use std::{collections::HashMap, fmt};

use anyhow::{Result, bail};
use mimi_wire::{Wire, local::RegisterResponse};

pub use self::{
    order::{Step, in_order},
    read::{Line, read},
};
use crate::call::Call;

/// Who takes part in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The first client of Alice.
    ClientA1,
    /// Her other client.
    ClientA2,
    /// Her provider.
    ServerA,
    /// Bob's provider.
    ServerB,
    /// The first client of Bob.
    ClientB1,
    /// His other client.
    ClientB2,
    /// Cathy's provider.
    ServerC,
    /// The first client of Cathy.
    ClientC1,
    /// Her other client.
    ClientC2,
}

impl Actor {
    /// Whether it is one of the providers.
    pub fn is_server(self) -> bool {
        matches!(self, Self::ServerA | Self::ServerB | Self::ServerC)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which name in a recording is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// Providers by their domains.
    servers: HashMap<String, Actor>,
    clients: HashMap<String, Actor>,
}

impl Cast {
    /// Providers, each by its domain. Clients have to be named one by one.
    pub fn new(servers: &[(&str, Actor)]) -> Self {
        let servers = servers.iter().map(|(domain, actor)| ((*domain).to_owned(), *actor)).collect();
        Self { servers, clients: HashMap::new() }
    }

    /// Names a client: by the tag that a provider writes down for it (`client:1a2b3c4d`), or by its client URI, which is
    /// how one that has no token yet is known by the answer.
    #[must_use]
    pub fn with_client(mut self, tag_or_uri: &str, actor: Actor) -> Self {
        self.clients.insert(tag_or_uri.to_owned(), actor);
        self
    }

    /// Names the clients that opened an account or were added as a device at a provider, in the order in which they were:
    /// from the answers, which have their tokens, of which the tags are made.
    #[must_use]
    pub fn with_registered(mut self, lines: &[Line], actors: &[Actor]) -> Self {
        let answers = lines.iter().filter(|line| {
            line.server && matches!(Call::of(&line.method, &line.path), Call::Register | Call::AddDevice)
        });
        let registered = answers.filter_map(|line| RegisterResponse::decode(&line.response).ok());
        for (response, actor) in registered.zip(actors) {
            let tag = client_tag(response.device_token.as_bytes());
            self = self.with_client(response.client.as_str(), *actor).with_client(&tag, *actor);
        }
        self
    }

    fn server(&self, domain: &str) -> Option<Actor> {
        self.servers.get(domain).copied()
    }

    /// Who is on the other side of an exchange.
    fn peer(&self, line: &Line) -> Option<Actor> {
        let registered = || {
            let response = RegisterResponse::decode(&line.response).ok()?;
            self.clients.get(response.client.as_str()).copied()
        };
        self.server(&line.peer).or_else(|| self.clients.get(&line.peer).copied()).or_else(registered)
    }
}

/// What a provider writes down for the device with this token: the start of SHA-256 over the token behind its length.
pub(crate) fn client_tag(token: &[u8; 32]) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    hash.update(&32_u64.to_be_bytes());
    hash.update(token);
    hash.finish().as_ref().iter().take(4).fold("client:".to_owned(), |tag, octet| format!("{tag}{octet:02x}"))
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When it ended: milliseconds since 1970 by the machine's clock.
    pub at_ms: u64,
    /// Who asked.
    pub from: Actor,
    /// Who answered.
    pub to: Actor,
    /// What was asked.
    pub call: Call,
    /// The status of the answer.
    pub status: u16,
    /// The body of the request.
    pub request: Vec<u8>,
    /// The body of the answer.
    pub response: Vec<u8>,
}

impl Exchange {
    /// Whether what was asked was done.
    pub fn accepted(&self) -> bool {
        self.call.accepted(self.status, &self.response)
    }
}

/// Puts together what each provider (named by its domain) wrote down, by the time of the exchanges' ends. What stands
/// in two recordings, as two providers had it with each other, is there once. Exchanges with someone who has no name in
/// the cast are left out.
///
/// # Errors
/// If one of the domains is no provider of the cast.
pub fn merge(cast: &Cast, recordings: &[(&str, &[Line])]) -> Result<Vec<Exchange>> {
    // What the asked side wrote down comes first; what the asking side has besides is only what never got an answer
    // that the other side knows of.
    let mut asked = Vec::new();
    let mut asking = Vec::new();
    for (domain, lines) in recordings {
        let Some(own) = cast.server(domain) else { bail!("{domain} is no provider of this scenario") };
        for line in *lines {
            let Some(peer) = cast.peer(line) else { continue };
            let (from, to) = if line.server { (peer, own) } else { (own, peer) };
            let exchange = Exchange {
                at_ms: line.at_ms,
                from,
                to,
                call: Call::of(&line.method, &line.path),
                status: line.status,
                request: line.request.clone(),
                response: line.response.clone(),
            };
            if line.server { asked.push(exchange) } else { asking.push(exchange) }
        }
    }
    let mut paired = vec![false; asked.len()];
    for exchange in asking {
        let same = |other: &Exchange| Exchange { at_ms: exchange.at_ms, ..other.clone() } == exchange;
        let pair = asked.iter().zip(&mut paired).find(|(other, paired)| !**paired && same(other));
        match pair {
            Some((_, paired)) => *paired = true,
            None => {
                asked.push(exchange);
                // Nothing else can be the same as this one: it is from the asking side.
                paired.push(true);
            }
        }
    }
    asked.sort_by_key(|exchange| exchange.at_ms);
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use mimi_wire::Endpoint;

    use super::*;

    fn cast() -> Cast {
        Cast::new(&[("a.example", Actor::ServerA), ("b.example", Actor::ServerB)])
            .with_client("client:00000001", Actor::ClientA1)
            .with_client("mimi://b.example/d/phone", Actor::ClientB1)
    }

    #[test]
    fn an_exchange_in_two_recordings_is_there_once() {
        let at_b = [sample::line(20, true, "a.example", "/v1/notify/x", 200, b"m")];
        let at_a = [
            sample::line(10, true, "client:00000001", "/client/v1/ack", 200, b""),
            sample::line(21, false, "b.example", "/v1/notify/x", 200, b"m"),
        ];
        let merged = merge(&cast(), &[("a.example", &at_a), ("b.example", &at_b)]).unwrap();
        let seen: Vec<_> = merged.iter().map(|one| (one.at_ms, one.from, one.to, one.call)).collect();
        assert_eq!(
            seen,
            [
                (10, Actor::ClientA1, Actor::ServerA, Call::Ack),
                (20, Actor::ServerA, Actor::ServerB, Call::Peer(Endpoint::Notify)),
            ]
        );
    }

    #[test]
    fn a_retry_is_a_second_exchange_and_an_unanswered_one_stays() {
        let at_b = [sample::line(20, true, "a.example", "/v1/notify/x", 200, b"m")];
        let at_a = [
            sample::line(5, false, "b.example", "/v1/notify/x", 0, b"m"),
            sample::line(21, false, "b.example", "/v1/notify/x", 200, b"m"),
            sample::line(30, false, "b.example", "/v1/notify/x", 200, b"m"),
        ];
        let merged = merge(&cast(), &[("b.example", &at_b), ("a.example", &at_a)]).unwrap();
        assert_eq!(merged.iter().map(|one| one.at_ms).collect::<Vec<_>>(), [5, 20, 30]);
        assert!(!merged.first().unwrap().accepted());
    }

    #[test]
    fn who_registered_is_known_by_the_answer_and_strangers_are_left_out() {
        let mut register = sample::line(1, true, "client", "/client/v1/register", 200, b"");
        register.response = sample::registered("mimi://b.example/u/bob", "mimi://b.example/d/phone");
        let lines = [register, sample::line(2, true, "client:99999999", "/client/v1/ack", 200, b"")];
        let merged = merge(&cast(), &[("b.example", &lines)]).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(merged.first().unwrap().from, Actor::ClientB1);
        assert!(merge(&cast(), &[("c.example", &[])]).is_err());
    }

    #[test]
    fn clients_are_named_in_the_order_in_which_they_registered() {
        let answer = |path: &str, client: &str| {
            let mut line = sample::line(1, true, "client", path, 200, b"");
            line.response = sample::registered("mimi://b.example/u/bob", client);
            line
        };
        // All samples have the token 01 01 … 01.
        let lines = [
            answer("/client/v1/register", "mimi://b.example/d/phone"),
            sample::line(2, true, "client", "/client/v1/register", 403, b""),
            answer("/client/v1/device", "mimi://b.example/d/laptop"),
            sample::line(3, true, &client_tag(&[1; 32]), "/client/v1/ack", 200, b""),
        ];
        let cast =
            Cast::new(&[("b.example", Actor::ServerB)]).with_registered(&lines, &[Actor::ClientB1, Actor::ClientB2]);
        let merged = merge(&cast, &[("b.example", &lines)]).unwrap();
        let who: Vec<_> = merged.iter().map(|exchange| exchange.from).collect();
        assert_eq!(who, [Actor::ClientB1, Actor::ClientB2, Actor::ClientB2]);
        // Computed once with another implementation of SHA-256.
        assert_eq!(client_tag(&[1; 32]), "client:dece312f");
    }
}
