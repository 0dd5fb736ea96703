//! Events on their way to devices that listen at this moment: what has been stored goes to them from memory.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use hyper::body::Bytes;
use mimi_wire::local::event_frame;

use super::DeviceId;

/// The most events that wait in memory for one device. Beyond that it gets them from the database, at its own pace.
const WAITING_MAX: usize = 256;
/// As [`WAITING_MAX`], in octets.
const OCTETS_MAX: usize = 1 << 20;
/// As [`OCTETS_MAX`], for all devices together.
const ALL_MAX: usize = 1 << 28;

/// An event that has just been stored, and whom it is for.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    number: u64,
    devices: BTreeSet<DeviceId>,
    frame: Bytes,
}

impl Mail {
    pub(super) fn new(number: i64, devices: BTreeSet<DeviceId>, body: &[u8]) -> Self {
        let number = u64::try_from(number).unwrap_or_default();
        Self { number, devices, frame: event_frame(number, body).into() }
    }
}

/// The devices that listen.
#[derive(Default)]
pub(crate) struct Live {
    lines: Mutex<HashMap<DeviceId, Arc<Line>>>,
    /// Octets that wait for all of them.
    octets: Arc<AtomicUsize>,
}

impl Live {
    fn lines(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device listens from now on. Whoever has listened for it before hears that it is over.
    pub(crate) fn listen(self: &Arc<Self>, device: DeviceId) -> Ear {
        let line = Arc::<Line>::default();
        {
            let mut state = line.state();
            (state.behind, state.all) = (true, Arc::clone(&self.octets));
        }
        if let Some(before) = self.lines().insert(device, Arc::clone(&line)) {
            before.change(|state| state.over = true);
        }
        Ear { live: Arc::clone(self), device, line }
    }

    /// Events have been stored, in this order, and nothing else before them that is not known here.
    pub(super) fn publish(&self, mails: &[Mail]) {
        let lines = self.lines();
        for mail in mails {
            for line in mail.devices.iter().filter_map(|device| lines.get(device)) {
                line.change(|state| state.push(mail));
            }
        }
    }

    /// There is something new in the database for these devices.
    pub(crate) fn look(&self, devices: &BTreeSet<DeviceId>) {
        let lines = self.lines();
        for line in devices.iter().filter_map(|device| lines.get(device)) {
            line.change(State::look);
        }
    }

    /// Those of some devices that do not listen.
    pub(crate) fn absent(&self, devices: &BTreeSet<DeviceId>) -> BTreeSet<DeviceId> {
        let lines = self.lines();
        devices.iter().filter(|device| !lines.contains_key(device)).copied().collect()
    }

    /// There may be something new for anybody.
    pub(crate) fn look_all(&self) {
        self.lines().values().for_each(|line| line.change(State::look));
    }

    /// Nobody listens for these devices any longer.
    pub(crate) fn end(&self, devices: &BTreeSet<DeviceId>) {
        let mut lines = self.lines();
        for line in devices.iter().filter_map(|device| lines.remove(device)) {
            line.change(|state| state.over = true);
        }
    }

    /// Nobody listens any longer.
    pub(crate) fn close(&self) {
        self.lines().drain().for_each(|(_, line)| line.change(|state| state.over = true));
    }
}

/// What waits for one device.
#[derive(Default)]
struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<(u64, Bytes)>,
    octets: usize,
    /// Octets that wait for all devices.
    all: Arc<AtomicUsize>,
    /// There is something in the database that does not stand here.
    behind: bool,
    over: bool,
    waker: Option<Waker>,
}

impl State {
    fn push(&mut self, mail: &Mail) {
        if self.behind {
            return;
        }
        let length = mail.frame.len();
        let full = self.waiting.len() >= WAITING_MAX || self.octets + length > OCTETS_MAX;
        if full || self.all.fetch_add(length, Ordering::Relaxed) + length > ALL_MAX {
            if !full {
                self.all.fetch_sub(length, Ordering::Relaxed);
            }
            return self.look();
        }
        self.octets += length;
        self.waiting.push_back((mail.number, mail.frame.clone()));
    }

    fn look(&mut self) {
        self.waiting.clear();
        self.all.fetch_sub(std::mem::take(&mut self.octets), Ordering::Relaxed);
        self.behind = true;
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.all.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What whoever listens for a device hears next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// An event with its number, as it is sent.
    Event(u64, Bytes),
    /// What waits is in the database. What is stored from now on is heard again.
    Look,
    /// Nothing more.
    Over,
}

/// Listens for a device, until it is dropped.
pub(crate) struct Ear {
    live: Arc<Live>,
    device: DeviceId,
    line: Arc<Line>,
}

impl Ear {
    /// What comes next. At first that is [`Heard::Look`].
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Heard> {
        let mut state = self.line.state();
        if state.over {
            return Poll::Ready(Heard::Over);
        }
        if state.behind {
            state.behind = false;
            return Poll::Ready(Heard::Look);
        }
        match state.waiting.pop_front() {
            Some((number, frame)) => {
                state.octets -= frame.len();
                state.all.fetch_sub(frame.len(), Ordering::Relaxed);
                Poll::Ready(Heard::Event(number, frame))
            }
            None => {
                if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The last look has not found everything.
    pub(crate) fn look_again(&self) {
        self.line.state().look();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut lines = self.live.lines();
        if lines.get(&self.device).is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            lines.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: DeviceId = DeviceId(1);
    const OTHER: DeviceId = DeviceId(2);

    fn next(ear: &Ear) -> Option<Heard> {
        match ear.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    fn mail(number: i64, devices: &[DeviceId], length: usize) -> Mail {
        Mail::new(number, devices.iter().copied().collect(), &vec![7; length])
    }

    #[test]
    fn whoever_listens_looks_first_and_then_hears_its_own_events() {
        let live = Arc::<Live>::default();
        let ear = live.listen(ONE);
        live.publish(&[mail(1, &[ONE], 1)]);
        assert_eq!(next(&ear), Some(Heard::Look), "what came before is in the database");
        assert_eq!(next(&ear), None);
        live.publish(&[mail(2, &[ONE, OTHER], 1), mail(3, &[OTHER], 1), mail(4, &[ONE], 1)]);
        assert_eq!(next(&ear), Some(Heard::Event(2, event_frame(2, &[7]).into())));
        assert!(matches!(next(&ear), Some(Heard::Event(4, _))));
        assert_eq!(next(&ear), None);
        assert_eq!(live.absent(&[ONE, OTHER].into()), [OTHER].into());
        live.look(&[ONE].into());
        assert_eq!(next(&ear), Some(Heard::Look));
    }

    #[test]
    fn who_is_too_slow_looks_into_the_database() {
        let live = Arc::<Live>::default();
        for (count, length) in [(WAITING_MAX + 1, 1), (3, OCTETS_MAX / 2)] {
            let ear = live.listen(ONE);
            assert_eq!(next(&ear), Some(Heard::Look));
            for number in 0..count {
                live.publish(&[mail(i64::try_from(number).unwrap(), &[ONE], length)]);
            }
            assert_eq!(next(&ear), Some(Heard::Look));
            assert_eq!(next(&ear), None, "nothing is kept besides");
        }
        assert_eq!(live.octets.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_who_listen_keep_no_more_than_so_much_together() {
        let live = Arc::<Live>::default();
        let ears: Vec<_> = (0..300).map(|number| live.listen(DeviceId(number))).collect();
        assert!(ears.iter().all(|ear| next(ear) == Some(Heard::Look)));
        let devices: Vec<_> = (0..300).map(DeviceId).collect();
        live.publish(&[mail(1, &devices, OCTETS_MAX - 64)]);
        let kept = live.octets.load(Ordering::Relaxed);
        assert!(kept > ALL_MAX / 2 && kept <= ALL_MAX, "{kept}");
        let heard = |wanted: fn(&Heard) -> bool| ears.iter().filter_map(next).filter(wanted).count();
        assert_eq!(heard(|heard| *heard == Heard::Look), 300 - kept / (OCTETS_MAX - 64));
        assert_eq!(live.octets.load(Ordering::Relaxed), 0, "it was taken, or is in the database");
        live.publish(&[mail(2, &devices, 9)]);
        drop(ears);
        assert_eq!(live.octets.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_listens_for_a_device_and_nobody_after_the_end() {
        let live = Arc::<Live>::default();
        let first = live.listen(ONE);
        let second = live.listen(ONE);
        assert_eq!(next(&first), Some(Heard::Over));
        drop(first);
        assert_eq!(next(&second), Some(Heard::Look));
        live.publish(&[mail(1, &[ONE], 1)]);
        assert!(
            matches!(next(&second), Some(Heard::Event(1, _))),
            "the one that is over has taken nobody else's place"
        );
        live.close();
        assert_eq!(next(&second), Some(Heard::Over));
        drop(second);
        assert!(live.lines().is_empty());
    }
}
