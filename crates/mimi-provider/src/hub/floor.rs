//! How long it takes to be refused a GroupInfo: the same time for a room that does not exist, for one that has to be read from the
//! database first, and for one that is in memory.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mimi_pseudonym::RoomUri;

use super::rooms;
use crate::{
    fail::Fail,
    log::{During, Fault},
    provider::Inner,
};

/// Before this time has passed, nobody is refused.
const LEAST: Duration = Duration::from_millis(250);
/// Nobody waits longer than this for a refusal that was decided earlier.
const MOST: Duration = Duration::from_secs(5);
/// How long a refusal that took longer is remembered.
const MEMORY: Duration = Duration::from_secs(600);

/// The time that all refusals take.
pub(crate) struct Floor(Mutex<State>);

struct State {
    /// What reading the largest room takes, with as much again for a machine that has more to do.
    reading: Duration,
    /// The longest that a refusal took lately, and when.
    longest: Duration,
    at: Instant,
}

impl Default for Floor {
    fn default() -> Self {
        Self(Mutex::new(State { reading: LEAST, longest: LEAST, at: Instant::now() }))
    }
}

impl Floor {
    /// How much longer a refusal has to take that took so long until now.
    pub(super) fn rest(&self, took: Duration, now: Instant) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(state.at) > MEMORY {
            state.longest = LEAST;
        }
        if took > state.reading.max(state.longest) {
            // With some room above it: the next one that takes as long is not to be told from others.
            (state.longest, state.at) = ((took + took / 4).min(MOST), now);
        }
        state.reading.max(state.longest).saturating_sub(took)
    }

    fn reading_takes(&self, took: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.reading = (took * 2).clamp(LEAST, MOST);
    }
}

/// Reads the largest room of this hub, to know how long that takes.
pub(crate) async fn measure(inner: Arc<Inner>) {
    if let Err(error) = read_largest(&inner).await {
        inner.log.fault(Fault::Work(During::LargestRoom, &error));
    }
}

async fn read_largest(inner: &Arc<Inner>) -> Result<(), Fail> {
    let room: Option<RoomUri> = inner.blocking(|inner| Ok(inner.store.largest_room()?)).await?;
    let Some(room) = room else { return Ok(()) };
    let begun = Instant::now();
    rooms::with(inner, room, |_, _| Ok(())).await?;
    inner.floor.reading_takes(begun.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn all_refusals_take_as_long_as_the_slowest() {
        let (floor, now) = (Floor::default(), Instant::now());
        assert_eq!(floor.rest(MS * 50, now), MS * 200);
        assert_eq!(floor.rest(MS * 250, now), Duration::ZERO);
        // One takes longer: it is made longer still, and so is every other from then on.
        assert_eq!(floor.rest(MS * 400, now), MS * 100);
        assert_eq!(floor.rest(MS, now), MS * 499);
        assert_eq!(floor.rest(MS * 400, now), MS * 100);
        // That is forgotten after a while.
        assert_eq!(floor.rest(MS, now + MEMORY + MS), MS * 249);
        // Reading the largest room is not.
        floor.reading_takes(MS * 300);
        assert_eq!(floor.rest(MS, now + MEMORY * 3), MS * 599);
        floor.reading_takes(MS);
        assert_eq!(floor.rest(MS, now + MEMORY * 3), MS * 249, "nobody is refused at once");
        // However slow one was, others do not wait for ever.
        assert_eq!(floor.rest(MOST * 2, now + MEMORY * 3), Duration::ZERO);
        assert_eq!(floor.rest(Duration::ZERO, now + MEMORY * 3), MOST);
    }
}
