use std::{sync::Arc, time::Duration};

use mimi_pseudonym::{Domain, Timestamp, Wire};
use mimi_wire::{Endpoint, FanoutMessage};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::{fail::Fail, peers::PeerError, provider::Inner, store::Parcel};

const BATCH_ROWS: usize = 64;
const BATCH_OCTETS: usize = 4 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a courier that is away says so.
const BUSY: Duration = Duration::from_secs(5);
/// How long to wait for news before looking without any, where other processes may have put something there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a message is brought again to a peer that refuses without saying anything that is understood: perhaps it is
/// not the peer that has answered.
const DOUBT: Duration = Duration::from_secs(3 * 86_400);
/// Couriers for each peer.
pub(crate) const COURIERS: usize = 8;

/// Brings a peer what waits for it as long as the provider runs: one of its couriers. Each peer has couriers of its own:
/// one that is down holds up nobody else.
pub(crate) async fn run(inner: Arc<Inner>, peer: Domain) {
    let Some(news) = inner.wakers.peer(&peer) else { return };
    let mut wait = FIRST_WAIT;
    loop {
        match step(&inner, &peer).await {
            Step::Empty => {
                wait = FIRST_WAIT;
                // News that came meanwhile are kept by the notifier.
                if inner.store.is_shared() {
                    let _ = timeout(LOOK, news.wait()).await;
                } else {
                    news.wait().await;
                }
            }
            Step::Done => wait = FIRST_WAIT,
            Step::Later => {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// What became of one courier's way.
pub(crate) enum Step {
    /// There was nothing to bring.
    Empty,
    Done,
    /// The peer did not take it.
    Later,
}

pub(crate) async fn step(inner: &Arc<Inner>, peer: &Domain) -> Step {
    let asked = peer.clone();
    let taken = inner.blocking(move |inner| {
        let now = inner.now();
        Ok(inner.store.outbox_take(&asked, BATCH_ROWS, BATCH_OCTETS, now)?)
    });
    let parcel = match taken.await {
        Ok(Some(parcel)) => Arc::new(parcel),
        Ok(None) => return Step::Empty,
        Err(error) => return fault(inner, &error),
    };
    if parcel.more
        && let Some(news) = inner.wakers.peer(peer)
    {
        news.ring();
    }
    let ends = (parcel.messages.first(), parcel.messages.last());
    let (Some((first, message)), Some((last, _))) = ends else { return done(inner, &parcel, 0).await };
    let all: Vec<_> = parcel.messages.iter().map(|(_, message)| message.as_slice()).collect();
    match post(inner, &parcel, all.concat()).await {
        Ok(()) => done(inner, &parcel, *last).await,
        Err(error) if may_pass(error, message, inner.now()) => later(inner, &parcel).await,
        // Perhaps for one of them alone.
        Err(_) if parcel.messages.len() > 1 => alone(inner, &parcel, *first, message.clone()).await,
        Err(error) => dropped(inner, &parcel, *first, error).await,
    }
}

/// Whether a message is to be brought again.
fn may_pass(error: PeerError, message: &[u8], now: Timestamp) -> bool {
    let doubtful = matches!(error, PeerError::Refused(_, None));
    error.is_temporary()
        || (doubtful && FanoutMessage::decode(message).is_ok_and(|message| message.timestamp.after(DOUBT) > now))
}

async fn alone(inner: &Arc<Inner>, parcel: &Arc<Parcel>, position: i64, message: Vec<u8>) -> Step {
    match post(inner, parcel, message.clone()).await {
        Ok(()) => done(inner, parcel, position).await,
        Err(error) if may_pass(error, &message, inner.now()) => later(inner, parcel).await,
        Err(error) => dropped(inner, parcel, position, error).await,
    }
}

/// Posts messages of a room, and meanwhile says now and then that the room has a courier.
async fn post(inner: &Arc<Inner>, parcel: &Arc<Parcel>, body: Vec<u8>) -> Result<(), PeerError> {
    let sent = inner.peers.post(&parcel.peer, Endpoint::Notify, parcel.room.as_str(), body, 1 << 16);
    let mut sent = std::pin::pin!(sent);
    let mut busy = interval(BUSY);
    busy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    busy.tick().await;
    loop {
        tokio::select! {
            answer = sent.as_mut() => return answer.map(|_| ()),
            _ = busy.tick() => {
                let parcel = Arc::clone(parcel);
                // If it fails, another courier may go as well, and the peer passes over what it gets twice.
                let said = inner.blocking(move |inner| Ok(inner.store.outbox_busy(&parcel, inner.now())?));
                let _ = said.await;
            }
        }
    }
}

async fn done(inner: &Arc<Inner>, parcel: &Arc<Parcel>, up_to: i64) -> Step {
    let parcel = Arc::clone(parcel);
    match inner.blocking(move |inner| Ok(inner.store.outbox_done(&parcel, up_to, inner.now())?)).await {
        Ok(()) => Step::Done,
        Err(error) => fault(inner, &error),
    }
}

async fn later(inner: &Arc<Inner>, parcel: &Arc<Parcel>) -> Step {
    let parcel = Arc::clone(parcel);
    match inner.blocking(move |inner| Ok(inner.store.outbox_later(&parcel, inner.now())?)).await {
        Ok(()) => Step::Later,
        Err(error) => fault(inner, &error),
    }
}

async fn dropped(inner: &Arc<Inner>, parcel: &Arc<Parcel>, up_to: i64, error: PeerError) -> Step {
    inner.log.note(format_args!("{} of {}: a message was dropped", error.code(), parcel.peer));
    done(inner, parcel, up_to).await
}

fn fault(inner: &Inner, error: &Fail) -> Step {
    inner.log.fault(format_args!("outbox: {error}"));
    Step::Later
}

#[cfg(test)]
mod tests {
    use mimi_wire::{FanoutEvent, Problem};

    use super::*;

    #[test]
    fn a_message_is_dropped_only_if_the_peer_says_why_or_never_does() {
        let accepted = Timestamp::from_secs(1_000_000);
        let message = FanoutMessage { timestamp: accepted, event: FanoutEvent::Audience { receivers: None } }.encode();
        let at = |error, seconds| may_pass(error, &message, accepted.after(Duration::from_secs(seconds)));
        assert!(at(PeerError::Refused(404, None), 0) && at(PeerError::Refused(404, None), 3 * 86_400 - 1));
        assert!(!at(PeerError::Refused(404, None), 3 * 86_400));
        assert!(!at(PeerError::Refused(404, Some(Problem::UnknownRoom)), 0));
        assert!(at(PeerError::Refused(503, None), 30 * 86_400) && at(PeerError::Unreachable, 30 * 86_400));
        assert!(!may_pass(PeerError::Refused(404, None), b"damaged", accepted));
    }
}
