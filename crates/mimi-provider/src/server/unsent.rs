//! Answers that wait to be taken: octet by octet they count for their connection and for all connections together, as long as
//! they are held, and they are not held for long.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use mimi_wire::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// Octets that are handed over at once. The rest stays here until the other side has room for it.
const PART: usize = 1 << 14;
/// Octets are counted in so many at once.
const UNIT: usize = 1024;

/// Octets that may wait to be taken.
#[derive(Clone)]
pub(crate) struct Unsent {
    units: Arc<Semaphore>,
    all: u32,
}

/// Octets that wait to be taken, as long as this exists.
pub(crate) struct Waits {
    _of_connection: OwnedSemaphorePermit,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Unsent {
    fn new(octets: usize) -> Self {
        let units = octets.div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), all: u32::try_from(units).unwrap_or(u32::MAX) }
    }

    /// Of all connections.
    pub(crate) fn of_all(limits: &Limits) -> Self {
        Self::new(limits.unsent)
    }

    /// Of one connection.
    pub(super) fn of_connection(limits: &Limits) -> Self {
        Self::new(limits.connection_unsent)
    }

    /// Waits until no more than half of what may wait does: before that nothing is worked on.
    pub(super) async fn half_taken(&self) {
        // It is never closed, and what was waited for is not kept.
        let _ = self.units.acquire_many(self.all / 2).await;
    }

    /// Octets that will wait, of a connection and of all. One answer may be as long as half of what may wait, whatever its
    /// length is.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if there is no room: who asks again when the others were taken gets it.
    pub(super) fn waits(&self, all: &Self, octets: usize) -> Result<Waits, Problem> {
        Ok(Waits { _of_connection: self.take(octets)?, _of_all: Some(all.take(octets)?) })
    }

    /// As [`Unsent::waits`], for an answer without an end, which counts by itself for all what it holds.
    pub(super) fn endless(&self, octets: usize) -> Result<Waits, Problem> {
        Ok(Waits { _of_connection: self.take(octets)?, _of_all: None })
    }

    fn take(&self, octets: usize) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.units).try_acquire_many_owned(self.units_of(octets)).map_err(|_| Problem::Unavailable)
    }

    fn units_of(&self, octets: usize) -> u32 {
        u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all.div_ceil(2))
    }

    /// Waits until so many octets more can wait.
    pub(crate) async fn room(&self, octets: usize) -> Room {
        Room(Arc::clone(&self.units).acquire_many_owned(self.units_of(octets)).await.ok())
    }
}

/// Room for octets, as long as this exists.
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Gives back what is more than so many octets.
    pub(crate) fn shrink(self, octets: usize) -> Self {
        let Self(Some(mut permit)) = self else { return self };
        Self(permit.split(octets.div_ceil(UNIT)).or(Some(permit)))
    }
}

/// The body of an answer, which is handed over part by part.
pub(crate) struct Whole {
    rest: Bytes,
    waits: Option<Waits>,
}

impl Whole {
    pub(super) fn new(octets: Bytes) -> Self {
        Self { rest: octets, waits: None }
    }

    /// Counts until the last part was handed over.
    pub(super) fn counts(&mut self, waits: Waits) {
        self.waits = Some(waits);
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PART);
        let part = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
#[allow(clippy::field_reassign_with_default, reason = "most fields are private")]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tokio::time::timeout;

    use super::*;

    fn unsent(connection: usize, all: usize) -> (Unsent, Unsent) {
        let mut limits = Limits::default();
        (limits.connection_unsent, limits.unsent) = (connection, all);
        (Unsent::of_connection(&limits), Unsent::of_all(&limits))
    }

    #[tokio::test]
    async fn what_waits_counts_for_its_connection_and_for_all() {
        const SHORT: Duration = Duration::from_millis(20);
        let (one, all) = unsent(8 << 10, 12 << 10);
        let (other, _) = unsent(8 << 10, 12 << 10);
        let first = one.waits(&all, 4 << 10).unwrap();
        let second = one.waits(&all, 1 << 30).unwrap();
        assert_eq!(one.waits(&all, 1).err(), Some(Problem::Unavailable), "however long, it counts as half");
        assert!(timeout(SHORT, one.half_taken()).await.is_err());
        let third = other.waits(&all, 4 << 10);
        assert!(third.is_err(), "the second counts as half of what all may have");
        drop(second);
        timeout(SHORT, one.half_taken()).await.unwrap();
        let third = other.waits(&all, 4 << 10).unwrap();
        assert!(timeout(SHORT, all.room(5 << 10)).await.is_err());
        drop((first, third));
        let room = timeout(SHORT, all.room(5 << 10)).await.unwrap();
        assert_eq!(all.units.available_permits(), 7);
        let room = room.shrink(2047);
        assert_eq!(all.units.available_permits(), 10);
        drop(room.shrink(1 << 20));
        assert_eq!((one.units.available_permits(), all.units.available_permits()), (8, 12));
    }

    #[tokio::test]
    async fn a_body_is_handed_over_part_by_part_and_counts_until_the_end() {
        let (one, all) = unsent(1 << 20, 1 << 20);
        let octets: Vec<u8> = (0..40_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let mut body = Whole::new(octets.clone().into());
        body.counts(one.waits(&all, body.len()).unwrap());
        assert_eq!(body.size_hint().exact(), Some(40_000));
        let mut taken = Vec::new();
        while let Some(part) = body.frame().await {
            let part = part.unwrap().into_data().unwrap();
            assert!(part.len() <= PART && !part.is_empty());
            taken.extend(part);
            assert_eq!(one.units.available_permits(), 1024 - 40);
        }
        assert!(taken == octets && body.is_end_stream());
        drop(body);
        assert_eq!((one.units.available_permits(), all.units.available_permits()), (1024, 1024));
        assert!(Whole::new(Bytes::new()).is_end_stream());
    }
}
