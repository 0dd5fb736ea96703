use std::time::Duration;

use serde::Deserialize;

use super::Unfit;
use crate::pace::Rate;

/// Bounds of what one request, one requester and all of them together may cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The most octets of any body. Each endpoint has a limit of its own besides.
    pub(crate) body: usize,
    /// Octets of all bodies that are held at the same time.
    pub(crate) memory: usize,
    /// The most octets of a file that is passed on.
    pub(crate) file: u64,
    /// Files that are passed on at the same time. One other provider gets half of them at the most, one device four.
    pub(crate) files: u16,
    /// Octets of answers that wait to be taken, on all connections.
    pub(crate) unsent: usize,
    /// On one connection.
    pub(crate) connection_unsent: usize,
    /// Seconds in which an answer is to be taken, and one more for each 64 KiB of it.
    unsent_seconds: u64,
    /// Seconds for the TLS handshake, and again for the header.
    header_seconds: u64,
    /// Seconds for the body.
    body_seconds: u64,
    /// Seconds after which a connection is closed on which nothing is asked.
    idle_seconds: u64,
    /// Seconds in which another provider is to answer.
    answer_seconds: u64,
    /// Connections at the same time.
    pub(crate) connections: u16,
    /// Of one address; of a network of 64 bits with IPv6.
    pub(crate) address_connections: u16,
    /// Requests at the same time on one connection with HTTP/2.
    pub(crate) streams: u32,
    /// Requests that are worked on at the same time, on all connections. Those that wait for news do not count.
    pub(crate) requests: u16,
    /// Requests in a minute, of one device.
    device_requests: u32,
    /// Of one other provider.
    peer_requests: u32,
    /// Of one address, by those who have not shown who they are.
    address_requests: u32,
    /// Queries for users in a minute, of one device.
    device_queries: u32,
    /// Of one other provider.
    peer_queries: u32,
    /// Requests, grants and the like about consent in a minute, of one device.
    device_consents: u32,
    /// Of one other provider.
    peer_consents: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 26,
            memory: 1 << 29,
            unsent: 1 << 29,
            connection_unsent: 1 << 25,
            unsent_seconds: 60,
            file: 1 << 28,
            files: 64,
            header_seconds: 10,
            body_seconds: 60,
            idle_seconds: 600,
            answer_seconds: 30,
            connections: 4096,
            address_connections: 1024,
            streams: 128,
            requests: 2048,
            device_requests: 60_000,
            peer_requests: 600_000,
            address_requests: 6_000,
            device_queries: 30,
            peer_queries: 600,
            device_consents: 60,
            peer_consents: 600,
        }
    }
}

impl Limits {
    /// All of them with their names.
    pub(super) fn all(&self) -> [(&'static str, u64); 22] {
        [
            ("body", self.body as u64),
            ("memory", self.memory as u64),
            ("unsent", self.unsent as u64),
            ("connection_unsent", self.connection_unsent as u64),
            ("unsent_seconds", self.unsent_seconds),
            ("file", self.file),
            ("files", self.files.into()),
            ("header_seconds", self.header_seconds),
            ("body_seconds", self.body_seconds),
            ("idle_seconds", self.idle_seconds),
            ("answer_seconds", self.answer_seconds),
            ("connections", self.connections.into()),
            ("address_connections", self.address_connections.into()),
            ("streams", self.streams.into()),
            ("requests", self.requests.into()),
            ("device_requests", self.device_requests.into()),
            ("peer_requests", self.peer_requests.into()),
            ("address_requests", self.address_requests.into()),
            ("device_queries", self.device_queries.into()),
            ("peer_queries", self.peer_queries.into()),
            ("device_consents", self.device_consents.into()),
            ("peer_consents", self.peer_consents.into()),
        ]
    }

    /// What is wrong with them: the key, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, Unfit)> {
        if let Some((name, _)) = self.all().into_iter().find(|(_, limit)| *limit == 0) {
            return Some((name, Unfit::Zero));
        }
        (self.memory < self.body).then_some(("memory", Unfit::Memory))
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// In which an answer of so many octets is to be taken.
    pub(crate) fn unsent_timeout(&self, octets: usize) -> Duration {
        Duration::from_secs(self.unsent_seconds.saturating_add(octets as u64 >> 16))
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// In which another provider is to answer.
    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_secs(self.answer_seconds)
    }

    /// Of requests of any kind.
    pub(crate) fn rates(&self) -> Rate {
        Rate { device: self.device_requests, peer: self.peer_requests, address: self.address_requests }
    }

    /// Of queries, which nobody may ask who has not shown who it is.
    pub(crate) fn queries(&self) -> Rate {
        Rate { device: self.device_queries, peer: self.peer_queries, address: 0 }
    }

    /// As [`Limits::queries`], of what is sent about consent.
    pub(crate) fn consents(&self) -> Rate {
        Rate { device: self.device_consents, peer: self.peer_consents, address: 0 }
    }
}
