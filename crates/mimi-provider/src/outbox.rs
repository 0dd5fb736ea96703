use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_pseudonym::{Domain, Timestamp, Wire};
use mimi_wire::{Endpoint, FanoutMessage};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    fail::Fail,
    log::{During, Fault, Note},
    peers::PeerError,
    provider::Inner,
    store::{Parcel, Wake},
};

const BATCH_ROWS: usize = 64;
const BATCH_OCTETS: usize = 4 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// As [`LONGEST_WAIT`], if it is not that the peer is away: it refuses, perhaps one room alone, or the database does not answer.
pub(crate) const LONGEST_REFUSED: Duration = Duration::from_secs(5);
/// The longest that a room rests of which something was refused.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// How often a courier that is away says so.
const BUSY: Duration = Duration::from_secs(5);
/// How often it is looked for what has no courier, where other processes may have put something there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a message is brought again to a peer that refuses for a reason that is not the message: it may be set up wrongly,
/// or it is not the peer that has answered.
const DOUBT: Duration = Duration::from_secs(3 * 86_400);
/// Couriers for each peer.
pub(crate) const COURIERS: usize = 8;

/// Sends couriers on their way to whoever has something waiting that no news tell of: what was left by the last run, or by
/// another process. It is one query, whomever it is for.
pub(crate) async fn look_out(inner: Arc<Inner>) -> Infallible {
    loop {
        let looked = inner.blocking(|inner| Ok(inner.store.outbox_peers(inner.now())?)).await;
        let found = looked.is_ok();
        match looked {
            Ok(peers) => inner.wakers.wake(&Wake { peers, ..Wake::default() }),
            Err(error) => drop(fault(&inner, &error)),
        }
        if found && !inner.store.is_shared() {
            // Whatever comes, comes with news.
            return std::future::pending().await;
        }
        sleep(LOOK).await;
    }
}

/// Brings a peer what waits for it as long as the provider runs: one of its couriers. Each peer has couriers of its own:
/// one that is down holds up nobody else.
pub(crate) async fn run(inner: Arc<Inner>, peer: Domain) {
    let Some(couriers) = inner.wakers.couriers(&peer) else { return };
    let mut wait = FIRST_WAIT;
    couriers.news.notified().await;
    loop {
        let turn = couriers.turn(inner.others.count()).await;
        let done = step(&inner, &peer).await;
        drop(turn);
        match done {
            Step::Empty => {
                wait = FIRST_WAIT;
                // News that came meanwhile are kept by the notifier.
                couriers.news.notified().await;
            }
            Step::Done => wait = FIRST_WAIT,
            Step::Later => {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            Step::Refused | Step::Stuck => {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_REFUSED);
            }
        }
    }
}

/// What became of one courier's way.
pub(crate) enum Step {
    /// There was nothing to bring.
    Empty,
    Done,
    /// The peer is away, or does not take anything at the moment.
    Later,
    /// The peer has refused something of this room, which rests.
    Refused,
    /// Something here does not work at the moment.
    Stuck,
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
        && let Some(couriers) = inner.wakers.couriers(peer)
    {
        couriers.news.notify_one();
    }
    let ends = (parcel.messages.first(), parcel.messages.last());
    let (Some((first, message)), Some((last, _))) = ends else { return done(inner, &parcel, 0).await };
    let all: Vec<_> = parcel.messages.iter().map(|(_, message)| message.as_slice()).collect();
    match post(inner, &parcel, all.concat()).await {
        Ok(()) => done(inner, &parcel, *last).await,
        Err(error) if error.is_temporary() => later(inner, &parcel).await,
        // Perhaps for one of them alone, or for a body that never came to its end.
        Err(error) if parcel.messages.len() > 1 || error.is_of_the_message() => {
            alone(inner, &parcel, *first, message.clone()).await
        }
        Err(error) => refused(inner, &parcel, *first, message, error).await,
    }
}

async fn alone(inner: &Arc<Inner>, parcel: &Arc<Parcel>, position: i64, message: Vec<u8>) -> Step {
    match post(inner, parcel, message.clone()).await {
        Ok(()) => done(inner, parcel, position).await,
        Err(error) if error.is_temporary() => later(inner, parcel).await,
        Err(error) if error.is_of_the_message() => dropped(inner, parcel, position, error).await,
        Err(error) => refused(inner, parcel, position, &message, error).await,
    }
}

/// The peer refuses a message for a reason that may pass: what is of its room waits, a little longer each time, and other
/// rooms go on. After three days it is given up.
async fn refused(inner: &Arc<Inner>, parcel: &Arc<Parcel>, position: i64, message: &[u8], error: PeerError) -> Step {
    let asked = Arc::clone(parcel);
    let since = inner.blocking(move |inner| Ok(inner.store.outbox_refused(&asked, inner.now())?)).await;
    match since {
        Ok(since) if is_over(message, since, inner.now()) => dropped(inner, parcel, position, error).await,
        Ok(since) => rest(inner, parcel, since).await,
        Err(error) => fault(inner, &error),
    }
}

/// Whether a message has been refused for so long, and was accepted so long ago, that it is given up.
fn is_over(message: &[u8], since: Timestamp, now: Timestamp) -> bool {
    let accepted = FanoutMessage::decode(message).map_or(since, |message| message.timestamp);
    since.max(accepted).after(DOUBT) <= now
}

/// Leaves a room alone for half as long as something of it has been refused already.
async fn rest(inner: &Arc<Inner>, parcel: &Arc<Parcel>, since: Timestamp) -> Step {
    let pause = (inner.now().since(since) / 2).clamp(FIRST_WAIT, LONGEST_REST);
    let resting = Arc::clone(parcel);
    let rests = inner.blocking(move |inner| Ok(inner.store.outbox_rest(&resting, inner.now(), pause)?));
    if let Err(error) = rests.await {
        return fault(inner, &error);
    }
    let (inner, parcel) = (Arc::clone(inner), Arc::clone(parcel));
    tokio::spawn(async move {
        let mut stopping = inner.stopping.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.changed() => {}
        }
        inner.store.outbox_rested(&parcel);
        inner.wakers.wake(&Wake { peers: [parcel.peer.clone()].into(), ..Wake::default() });
    });
    Step::Refused
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

async fn dropped(inner: &Arc<Inner>, parcel: &Arc<Parcel>, position: i64, error: PeerError) -> Step {
    inner.log.metrics().dropped(error.code());
    // What nobody there waits for is nobody's loss.
    if error.is_of_the_message() {
        inner.log.note(Note::Dropped(&parcel.peer, error));
    } else {
        inner.log.fault(Fault::Dropped(&parcel.peer, error));
    }
    let parcel = Arc::clone(parcel);
    match inner.blocking(move |inner| Ok(inner.store.outbox_drop(&parcel, position, inner.now())?)).await {
        Ok(()) => Step::Done,
        Err(error) => fault(inner, &error),
    }
}

fn fault(inner: &Inner, error: &Fail) -> Step {
    inner.log.fault(Fault::Work(During::Outbox, error));
    Step::Stuck
}

#[cfg(test)]
mod tests {
    use mimi_wire::FanoutEvent;

    use super::*;

    #[test]
    fn a_refused_message_is_given_up_three_days_after_it_was_accepted_and_first_refused() {
        let begun = Timestamp::from_secs(1_000_000);
        let after = |seconds| begun.after(Duration::from_secs(seconds));
        let message = FanoutMessage { timestamp: begun, event: FanoutEvent::Audience { receivers: None } }.encode();
        assert!(!is_over(&message, begun, begun) && !is_over(&message, begun, after(3 * 86_400 - 1)));
        assert!(is_over(&message, begun, after(3 * 86_400)));
        // The peer was away for a week, and refuses when it comes back.
        assert!(!is_over(&message, after(7 * 86_400), after(10 * 86_400 - 1)));
        assert!(is_over(&message, after(7 * 86_400), after(10 * 86_400)));
        // Others of the room have been refused for long when it is accepted.
        assert!(!is_over(&message, begun.before(Duration::from_secs(30 * 86_400)), after(1)));
        assert!(is_over(b"damaged", begun, after(3 * 86_400)) && !is_over(b"damaged", begun, begun));
    }
}
