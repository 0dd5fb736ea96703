use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mimi_wire::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    counts::{Counted, Counts},
    pace::Asker,
};

/// Files that may be on their way: all together, and for each requester.
pub(super) struct Places {
    all: Arc<Semaphore>,
    taken: Counts<Asker>,
    refused: AtomicU64,
}

/// One of a requester's; given back when it is dropped.
pub(super) type Place = (OwnedSemaphorePermit, Counted<Asker>);

impl Places {
    pub(super) fn new(all: u16) -> Self {
        Self { all: Arc::new(Semaphore::new(all.into())), taken: Counts::new(), refused: AtomicU64::default() }
    }

    /// A place for one more file.
    ///
    /// # Errors
    /// [`Problem::RateLimited`] if this requester has as many as it may have, [`Problem::Unavailable`] if all are taken.
    pub(super) fn take(&self, who: Asker, most: u16) -> Result<Place, Problem> {
        self.place(who, most).inspect_err(|_| {
            self.refused.fetch_add(1, Relaxed);
        })
    }

    /// How many files had no place.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn place(&self, who: Asker, most: u16) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Problem::Unavailable)?;
        let own = self.taken.take(who, most).ok_or(Problem::RateLimited)?;
        Ok((permit, own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Asker {
        Asker::at([192, 0, 2, last].into())
    }

    #[test]
    fn nobody_takes_more_than_its_own_and_all_not_more_than_there_are() {
        let places = Places::new(3);
        let first = places.take(at(2), 2).unwrap();
        let _second = places.take(at(2), 2).unwrap();
        assert_eq!(places.take(at(2), 2).err(), Some(Problem::RateLimited));
        let _third = places.take(at(3), 2).unwrap();
        assert_eq!(places.take(at(4), 2).err(), Some(Problem::Unavailable));
        drop(first);
        let _fourth = places.take(at(4), 2).unwrap();
        assert_eq!((places.taken.len(), places.refused()), (3, 2));
    }

    #[test]
    fn who_has_none_any_more_is_forgotten() {
        let places = Places::new(2);
        drop(places.take(at(2), 1).unwrap());
        assert_eq!(places.taken.len(), 0);
    }
}
