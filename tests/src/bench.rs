//! What a flow costs: requests and octets by endpoint, processor time by process, and how many times that is of what its
//! cryptography alone takes, operation by operation, on the same machine at the same time.

mod floor;
mod flow;
mod ledger;
mod pseudonyms;
mod refusals;
mod rooms;
mod table;

use std::collections::BTreeMap;

pub use self::{
    floor::{Prices, seconds_per_operation},
    flow::{Bench, run},
    ledger::Ledger,
    pseudonyms::{Many, ManyCosts, many},
    refusals::{RefusalTimes, refusals},
    rooms::{RoomCosts, rooms},
    table::{Costs, Share},
};
use crate::{call::Call, record::Line};

/// What was exchanged over one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: usize,
    /// Octets of their bodies.
    pub asked: usize,
    /// Octets of the answers' bodies.
    pub answered: usize,
}

/// Counts requests and octets by endpoint, where they were answered.
pub fn traffic<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeMap<Call, Traffic> {
    let mut counted: BTreeMap<Call, Traffic> = BTreeMap::new();
    for line in lines.into_iter().filter(|line| line.server) {
        let traffic = counted.entry(Call::of(&line.method, &line.path)).or_default();
        traffic.requests += 1;
        traffic.asked += line.request.len();
        traffic.answered += line.response.len();
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::line;

    #[test]
    fn requests_and_octets_are_counted_by_endpoint_where_they_were_answered() {
        let lines = [
            line(1, true, "client:1", "/client/v1/ack", 200, b"123"),
            line(2, true, "client:1", "/client/v1/ack", 200, b"4"),
            line(3, true, "client:1", "/client/v1/inbox?after=0&wait=1", 200, b""),
            line(4, false, "b.example", "/v1/notify/x", 200, b"1"),
        ];
        let counted = traffic(&lines);
        assert_eq!(counted.get(&Call::Ack), Some(&Traffic { requests: 2, asked: 4, answered: 0 }));
        assert_eq!(counted.get(&Call::Inbox), Some(&Traffic { requests: 1, asked: 0, answered: 0 }));
        assert_eq!(counted.len(), 2);
    }
}
