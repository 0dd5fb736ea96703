//! What the recordings and the databases say about what was lost or done twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::AddAssign,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use mimi_pseudonym::Wire;
use mimi_wire::{
    Endpoint,
    local::{AcquireResponse, IssuedPseudonym},
};
use rusqlite::Connection;

use crate::{
    call::{Call, Kind, Load, deliveries},
    fixture::Site,
    record::Line,
};

/// What was asked, answered and delivered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Requests of clients that reached their provider and were answered, but for those to their inboxes.
    pub sent: usize,
    /// Those of them that were sent before, and whose answer was lost.
    pub repeated: usize,
    /// Different requests that were carried out, or found what they ask for done already.
    pub acknowledged: usize,
    /// Different requests that never were.
    pub forgotten: usize,
    /// Requests that, sent again, were answered otherwise than before: the method and path of each, with the status and
    /// length of both answers.
    pub changed: Vec<String>,
    /// Bodies of notifications between the providers.
    pub notified: usize,
    /// Those of them that were sent before.
    pub notified_again: usize,
    /// Events of inboxes that clients were given.
    pub delivered: usize,
    /// Those of them that a client was given before, under the same number.
    pub delivered_again: usize,
    /// Events that a client was given under two numbers.
    pub doubled: usize,
    /// What a hub had accepted and a client that had to get it did not.
    pub lost: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.repeated += other.repeated;
        self.acknowledged += other.acknowledged;
        self.forgotten += other.forgotten;
        self.changed.extend(other.changed);
        self.notified += other.notified;
        self.notified_again += other.notified_again;
        self.delivered += other.delivered;
        self.delivered_again += other.delivered_again;
        self.doubled += other.doubled;
        self.lost += other.lost;
    }
}

/// A client as the recordings name it: its provider and a tag.
type Client = (usize, String);

impl Counts {
    /// Counts in the recordings of the providers.
    pub fn of(recordings: &[Vec<Line>]) -> Self {
        let mut counts = Self::default();
        let mut asked: HashMap<(Client, &str, &str, &[u8]), Vec<&Line>> = HashMap::new();
        let mut notified: BTreeSet<(usize, &[u8])> = BTreeSet::new();
        let mut inboxes: BTreeMap<Client, BTreeMap<u64, Load>> = BTreeMap::new();
        for (site, line) in recordings.iter().enumerate().flat_map(|(site, lines)| lines.iter().map(move |l| (site, l)))
        {
            // Without a status, the client was cut off in the middle of its request.
            if !line.server || line.status == 0 {
                continue;
            }
            let client = (site, line.peer.clone());
            match Call::of(&line.method, &line.path) {
                Call::Inbox if line.status == 200 => {
                    let inbox = inboxes.entry(client).or_default();
                    for delivery in deliveries(&line.response) {
                        counts.delivered += 1;
                        counts.delivered_again += usize::from(inbox.insert(delivery.sequence, delivery.load).is_some());
                    }
                }
                Call::Inbox | Call::Ack => {}
                Call::Peer(Endpoint::Notify) if line.status == 201 => {
                    counts.notified += 1;
                    counts.notified_again += usize::from(!notified.insert((site, &line.request)));
                }
                _ if line.peer.starts_with("client:") => {
                    counts.sent += 1;
                    let key = (client, line.method.as_str(), line.path.as_str(), line.request.as_slice());
                    asked.entry(key).or_default().push(line);
                }
                _ => {}
            }
        }
        for lines in asked.values() {
            counts.repeated += lines.len() - 1;
            let accepted = lines.iter().filter(|l| Call::of(&l.method, &l.path).accepted(l.status, &l.response));
            let answers: Vec<_> = accepted.collect();
            // A room that is destroyed again, or left by who was removed, is unknown.
            let gone = |line: &&Line| line.status == 404 && Call::of(&line.method, &line.path) == Call::DestroyRoom;
            let done = !answers.is_empty() || lines.iter().any(gone);
            counts.acknowledged += usize::from(done);
            counts.forgotten += usize::from(!done);
            counts.changed.extend(answers.windows(2).filter(|pair| differ(pair)).map(described));
        }
        counts.doubled = inboxes.values().map(|inbox| inbox.len() - distinct(inbox.values())).sum();
        // Everybody is in the second room when it is written to, and in the first one.
        let expected = asked.values().flatten().filter(|line| {
            let call = Call::of(&line.method, &line.path);
            call == Call::SubmitMessage && call.accepted(line.status, &line.response)
        });
        let expected: BTreeSet<&[u8]> = expected.map(|line| line.request.as_slice()).collect();
        for load in expected.into_iter().flat_map(|request| Call::SubmitMessage.loads(request)) {
            let got = inboxes.values().filter(|inbox| inbox.values().any(|one| *one == load));
            counts.lost += 4_usize.saturating_sub(got.count());
        }
        let welcomes = inboxes.values().flat_map(BTreeMap::values).filter(|load| load.kind == Kind::Welcome);
        counts.lost += WELCOMED.saturating_sub(welcomes.count());
        counts
    }
}

/// Alice's second client and Bob's two in the first room; Alice's two and Bob's second one in the second.
const WELCOMED: usize = 6;

/// Whether a repeated request was not answered as before. New certificates may come of asking again; all else is the same.
fn differ(pair: &[&&Line]) -> bool {
    let [one, other] = pair else { return false };
    match Call::of(&one.method, &one.path) {
        Call::Credentials => false,
        Call::Pseudonyms => acquired(one) != acquired(other),
        _ => one.response != other.response,
    }
}

/// The pseudonyms in an answer, and as which clients; the whole answer, where there is nothing but them.
fn acquired(line: &Line) -> Vec<Vec<u8>> {
    let names = |item: IssuedPseudonym| [item.pseudonym.encode(), item.credential.client.encode()].concat();
    match AcquireResponse::decode(&line.response) {
        Ok(response) => response.items.into_iter().map(names).collect(),
        Err(_) => vec![line.response.clone()],
    }
}

fn described(answers: &[&&Line]) -> String {
    let place = answers.first().map(|line| format!("{} {}", line.method, line.path)).unwrap_or_default();
    let answers: Vec<_> = answers.iter().map(|l| format!("{} with {} octets", l.status, l.response.len())).collect();
    format!("{place}: {}", answers.join(", then "))
}

/// How many different things there are.
fn distinct<'a>(loads: impl Iterator<Item = &'a Load>) -> usize {
    loads.map(|load| (load.kind, &load.octets)).collect::<BTreeSet<_>>().len()
}

/// How many rows a query counts in a provider's database.
///
/// # Errors
/// If the database cannot be read.
pub fn rows(data: &Path, query: &str) -> Result<u64> {
    let database = Connection::open(data.join("provider.sqlite"))?;
    database.busy_timeout(std::time::Duration::from_secs(5))?;
    let count: i64 = database.query_row(query, [], |row| row.get(0)).with_context(|| query.to_owned())?;
    Ok(u64::try_from(count)?)
}

/// As [`rows`], in whatever database a provider has.
///
/// # Errors
/// If the database cannot be read.
pub fn rows_at(site: &Site, query: &str) -> Result<u64> {
    let Some(database) = site.database() else { return rows(&site.data(), query) };
    let output = Command::new("psql").arg(database).args(["-XAtq", "-c", query]).output().context("psql")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("{query}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::line;

    #[test]
    fn a_request_that_broke_off_was_never_asked() {
        let path = "/client/v1/pseudonyms";
        let asked = |at, status, request: &[u8]| line(at, true, "client:1", path, status, request);
        let counts = Counts::of(&[vec![asked(1, 0, b""), asked(2, 200, b"\0\x01")]]);
        assert_eq!((counts.sent, counts.acknowledged, counts.forgotten), (1, 1, 0));
        let counts = Counts::of(&[vec![asked(1, 400, b""), asked(2, 200, b"\0\x01")]]);
        assert_eq!((counts.sent, counts.forgotten), (2, 1));
    }

    #[test]
    fn what_is_answered_otherwise_is_named() {
        let path = "/client/v1/pseudonyms";
        let mut lines =
            vec![line(1, true, "client:1", path, 200, b"\0\x01"), line(2, true, "client:1", path, 200, b"\0\x01")];
        assert!(Counts::of(&[lines.clone()]).changed.is_empty());
        lines[1].response = vec![1, 2, 3];
        let changed = Counts::of(&[lines]).changed;
        assert_eq!(changed.len(), 1);
        assert!(changed[0].contains(path) && changed[0].contains("200 with 3 octets"), "{changed:?}");
    }
}
