//! In open federation, what waits for providers that are not listed. Nobody knows beforehand who they are: couriers go
//! when there is something to bring, and only so many at a time. A provider that does not take what is brought is gone to
//! ever more seldom; between two attempts it holds nobody's place.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use mimi_pseudonym::Domain;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    outbox::{LONGEST_REFUSED, Step, step},
    provider::Inner,
};

/// Providers that are gone to at the same time.
const PLACES: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// How long to wait for news before looking without any.
const LOOK: Duration = Duration::from_secs(1);

/// Rooms that one which refuses them is gone to with, one after the other.
const REFUSALS: usize = 8;

/// When a provider is gone to again that has not taken something.
struct Pause {
    until: Instant,
    wait: Duration,
}

pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    let mut away: JoinSet<(Domain, Option<Duration>)> = JoinSet::new();
    let mut busy: HashSet<Domain> = HashSet::new();
    let mut pauses: HashMap<Domain, Pause> = HashMap::new();
    loop {
        let waiting = inner.blocking(|inner| Ok(inner.store.outbox_rooms()?)).await.unwrap_or_default();
        let waiting: HashSet<Domain> = waiting
            .into_iter()
            .filter_map(|(peer, _)| peer.parse().ok())
            .filter(|peer| !inner.peers.lists(peer))
            .collect();
        pauses.retain(|peer, _| waiting.contains(peer));
        let now = Instant::now();
        for peer in waiting {
            let paused = pauses.get(&peer).is_some_and(|pause| pause.until > now);
            if away.len() >= PLACES || paused || busy.contains(&peer) {
                continue;
            }
            busy.insert(peer.clone());
            away.spawn(bring(Arc::clone(&inner), peer));
        }
        tokio::select! {
            Some(back) = away.join_next() => if let Ok((peer, longest)) = back {
                busy.remove(&peer);
                if let Some(longest) = longest {
                    let wait = pauses.get(&peer).map_or(FIRST_WAIT, |pause| (pause.wait * 2).min(longest));
                    pauses.insert(peer, Pause { until: Instant::now() + wait, wait });
                } else {
                    pauses.remove(&peer);
                }
            },
            _ = timeout(LOOK, inner.wakers.others().notified()) => {}
        }
    }
}

/// Brings a provider what waits for it, until there is nothing, or it does not take something: then says how long it is left
/// alone at most.
async fn bring(inner: Arc<Inner>, peer: Domain) -> (Domain, Option<Duration>) {
    let mut refusals = 0;
    while refusals < REFUSALS {
        match step(&inner, &peer).await {
            Step::Done => refusals = 0,
            // The room rests, and others may be taken.
            Step::Refused => refusals += 1,
            Step::Empty if refusals == 0 => return (peer, None),
            Step::Empty | Step::Stuck => break,
            Step::Later => return (peer, Some(LONGEST_WAIT)),
        }
    }
    (peer, Some(LONGEST_REFUSED))
}
