//! Where several processes serve one domain, each tells the others who has something new.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    log::{During, Fault},
    provider::Inner,
    store::{DeviceId, Told, Wake},
};

/// How long to wait after a connection broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked for whom there is something of which nothing was heard.
const LOOK: Duration = Duration::from_secs(5);
/// How long whoever stores an event may take from choosing its number to the end: numbers are not stored in their order.
const WINDOW: Duration = Duration::from_secs(60);
/// How often a process says that it is there, if it tells nothing else.
const HERE: Duration = Duration::from_secs(5);
/// For how long a process counts that says nothing.
const GONE: Duration = Duration::from_secs(15);
/// How long to listen before looking whether the provider ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the other processes have not been told yet.
#[derive(Default)]
pub(crate) struct Untold {
    news: Mutex<Told>,
    some: Notify,
}

impl Untold {
    /// There is something new for devices that do not listen here.
    pub(crate) fn add(&self, devices: &BTreeSet<DeviceId>) {
        if devices.is_empty() {
            return;
        }
        self.news().devices.extend(devices);
        self.some.notify_one();
    }

    /// A device listens here, and no longer anywhere else.
    pub(crate) fn listens(&self, device: DeviceId) {
        self.news().listening.insert(device);
        self.some.notify_one();
    }

    fn news(&self) -> MutexGuard<'_, Told> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other processes, each with when it was heard last.
#[derive(Default)]
pub(crate) struct Others(Mutex<HashMap<i64, Instant>>);

impl Others {
    fn heard(&self, processes: impl IntoIterator<Item = i64>, now: Instant) {
        let mut others = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        others.extend(processes.into_iter().map(|process| (process, now)));
        others.retain(|_, heard| now.saturating_duration_since(*heard) < GONE);
    }

    /// How many there are, as far as was heard.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Tells the other processes, as much at once as has come together meanwhile.
pub(crate) async fn tell(inner: Arc<Inner>) -> Infallible {
    let Some(mut news) = inner.store.news() else { return std::future::pending().await };
    loop {
        let untold = std::mem::take(&mut *inner.untold.news());
        let told = tokio::task::spawn_blocking(move || {
            let told = news.tell(&untold);
            (news, told)
        });
        let Ok((back, told)) = told.await else { return std::future::pending().await };
        news = back;
        if told.is_err() {
            // The others look by themselves.
            sleep(PAUSE).await;
        }
        let _ = timeout(HERE, inner.untold.some.notified()).await;
    }
}

/// The numbers of the newest event at some moments, oldest first.
#[derive(Default)]
struct Newest(VecDeque<(Instant, i64)>);

impl Newest {
    /// A number behind which every event stands that may have been stored since the last look; none at the beginning.
    fn floor(&mut self, now: Instant) -> Option<i64> {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= WINDOW;
        while self.0.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.0.pop_front();
        }
        self.0.front().filter(|(at, _)| is_old(*at)).map(|(_, number)| *number)
    }

    fn note(&mut self, now: Instant, newest: i64) {
        self.0.push_back((now, newest));
    }
}

/// Those who listen look into the database if there is something for them that they may not have heard of. To find out is
/// one transaction, however many listen.
async fn look(inner: &Arc<Inner>, newest: &mut Newest) {
    let now = Instant::now();
    let floor = newest.floor(now);
    match (inner.blocking(move |inner| Ok(inner.store.devices_behind(floor)?)).await, floor) {
        (Ok((number, devices)), Some(_)) => {
            newest.note(now, number);
            inner.store.live().look(&devices);
        }
        (Ok((number, _)), None) => {
            newest.note(now, number);
            inner.store.live().look_all();
        }
        // Others say so.
        (Err(_), _) => {}
    }
}

/// Hears what the other processes tell.
pub(crate) async fn hear(inner: Arc<Inner>) -> Infallible {
    let Some(mut news) = inner.store.news() else { return std::future::pending().await };
    let (mut looked, mut newest) = (Instant::now(), Newest::default());
    loop {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            look(&inner, &mut newest).await;
        }
        let heard = tokio::task::spawn_blocking(move || {
            let heard = news.hear(PATIENCE);
            (news, heard)
        });
        let Ok((back, heard)) = heard.await else { return std::future::pending().await };
        news = back;
        match heard {
            Ok(Some(Told { devices, listening, by })) => {
                inner.others.heard(by, Instant::now());
                inner.store.live().look(&devices);
                inner.wakers.wake(&Wake { devices, ..Wake::default() });
                inner.store.live().end(&listening);
            }
            Ok(None) => {
                inner.wakers.wake_all();
                inner.store.live().look_all();
            }
            Err(error) => {
                inner.log.fault(Fault::Work(During::News, &error.into()));
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_until_it_has_said_nothing_for_long() {
        let (others, begin) = (Others::default(), Instant::now());
        others.heard([1, 2], begin);
        others.heard([2], begin + GONE / 2);
        assert_eq!(others.count(), 2);
        others.heard([], begin + GONE);
        assert_eq!(others.count(), 1);
        others.heard([], begin + GONE * 2);
        assert_eq!(others.count(), 0);
    }

    #[test]
    fn no_event_is_passed_over_that_was_stored_a_minute_after_its_number_was_chosen() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut newest = Newest::default();
        for turn in 0..30 {
            let now = at(turn * 5);
            // One event each second: what was chosen a minute ago or later stands behind the floor.
            let expected = (turn >= 12).then(|| i64::try_from((turn - 12) * 5).unwrap());
            assert_eq!(newest.floor(now), expected, "turn {turn}");
            newest.note(now, i64::try_from(turn * 5).unwrap());
        }
        assert!(newest.0.len() <= 14, "no more is kept than is needed");
        assert_eq!(newest.floor(at(10_000)), Some(145), "the database was away for long");
    }
}
