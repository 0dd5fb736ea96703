use std::{sync::Arc, time::Duration};

use mimi_pseudonym::Domain;
use mimi_wire::Endpoint;

use crate::{fail::Fail, peers::PeerError, provider::Inner, store::OutboxRow};

const BATCH_ROWS: usize = 64;
const BATCH_OCTETS: usize = 4 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Brings a peer what waits for it, oldest first, as long as the provider runs. Each peer has its own worker: one that is
/// down holds up nobody else.
pub(crate) async fn run(inner: Arc<Inner>, peer: Domain) {
    let Some(news) = inner.wakers.peer(&peer) else { return };
    let mut wait = FIRST_WAIT;
    loop {
        match step(&inner, &peer).await {
            Step::Empty => {
                wait = FIRST_WAIT;
                // News that came meanwhile are kept by the notifier.
                news.notified().await;
            }
            Step::Done => wait = FIRST_WAIT,
            Step::Later => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

enum Step {
    Empty,
    Done,
    Later,
}

async fn step(inner: &Arc<Inner>, peer: &Domain) -> Step {
    let asked = peer.clone();
    let rows = inner.blocking(move |inner| Ok(inner.store.outbox(&asked, BATCH_ROWS, BATCH_OCTETS)?)).await;
    let rows = match rows {
        Ok(rows) if rows.is_empty() => return Step::Empty,
        Ok(rows) => rows,
        Err(error) => return fault(inner, &error),
    };
    match post(inner, peer, &rows).await {
        Ok(()) => done(inner, rows).await,
        Err(error) if error.is_temporary() => Step::Later,
        Err(_) if rows.len() > 1 => one_by_one(inner, peer, rows).await,
        Err(error) => dropped(inner, peer, rows, error).await,
    }
}

/// A batch was refused: perhaps for one of its messages alone.
async fn one_by_one(inner: &Arc<Inner>, peer: &Domain, rows: Vec<OutboxRow>) -> Step {
    for row in rows {
        let row = vec![row];
        let step = match post(inner, peer, &row).await {
            Ok(()) => done(inner, row).await,
            Err(error) if error.is_temporary() => Step::Later,
            Err(error) => dropped(inner, peer, row, error).await,
        };
        if !matches!(step, Step::Done) {
            return step;
        }
    }
    Step::Done
}

async fn post(inner: &Arc<Inner>, peer: &Domain, rows: &[OutboxRow]) -> Result<(), PeerError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let body = rows.iter().flat_map(|row| row.message.iter().copied()).collect();
    inner.peers.post(peer, Endpoint::Notify, first.room.as_str(), body, 1 << 16).await.map(|_| ())
}

async fn done(inner: &Arc<Inner>, rows: Vec<OutboxRow>) -> Step {
    match inner.blocking(move |inner| Ok(inner.store.outbox_done(&rows)?)).await {
        Ok(()) => Step::Done,
        Err(error) => fault(inner, &error),
    }
}

async fn dropped(inner: &Arc<Inner>, peer: &Domain, rows: Vec<OutboxRow>, error: PeerError) -> Step {
    inner.log.note(format_args!("{} of {peer}: {} messages dropped", error.code(), rows.len()));
    done(inner, rows).await
}

fn fault(inner: &Inner, error: &Fail) -> Step {
    inner.log.fault(format_args!("outbox: {error}"));
    Step::Later
}
