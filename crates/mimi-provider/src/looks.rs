//! Devices look for what waits for them, many of them at the same time: those that come together share a question.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot},
    time::sleep,
};

use crate::store::{DeviceId, Inbox, Look, StoreError};

/// How long to wait for the question before: the longer one takes, the more devices come together for the next.
const PATIENCE: Duration = Duration::from_millis(50);
/// Questions at the same time, where those before take longer.
const QUESTIONS: usize = 4;
/// The most devices in one question.
const DEVICES: usize = 64;

type Told = Result<Inbox, StoreError>;

/// Devices that look.
pub(crate) struct Looks {
    /// Those that are in no question yet.
    waiting: Mutex<Vec<(Look, oneshot::Sender<Told>)>>,
    /// Of the one question that is asked at once.
    turn: Arc<Semaphore>,
    /// Of the others.
    others: Arc<Semaphore>,
}

impl Default for Looks {
    fn default() -> Self {
        let [turn, others] = [1, QUESTIONS - 1].map(|count| Arc::new(Semaphore::new(count)));
        Self { waiting: Mutex::default(), turn, others }
    }
}

impl Looks {
    /// What waits for a device behind a number. `read` answers a question about devices, in their order; it may wait for the
    /// disk, and goes on to its end even if nobody waits for it any longer.
    pub(crate) async fn look<F>(&self, device: DeviceId, after: u64, read: F) -> Told
    where
        F: Fn(&[Look]) -> Result<Vec<Inbox>, StoreError> + Clone + Send + 'static,
    {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push((Look { device, after }, tell));
        loop {
            let turn = tokio::select! {
                biased;
                told = &mut told => return told.unwrap_or_else(|_| Err(StoreError::lost())),
                turn = self.turn() => turn.map_err(|_| StoreError::lost())?,
            };
            // Those who were woken by the same event come with this one.
            tokio::task::yield_now().await;
            let asked = {
                let mut waiting = self.waiting();
                waiting.retain(|(_, tell)| !tell.is_closed());
                let count = waiting.len().min(DEVICES);
                waiting.drain(..count).collect::<Vec<_>>()
            };
            if asked.is_empty() {
                continue;
            }
            let read = read.clone();
            tokio::task::spawn_blocking(move || {
                answer(asked, read);
                drop(turn);
            });
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        let other = async {
            sleep(PATIENCE).await;
            Arc::clone(&self.others).acquire_owned().await
        };
        tokio::select! {
            biased;
            turn = Arc::clone(&self.turn).acquire_owned() => turn,
            turn = other => turn,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(Look, oneshot::Sender<Told>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one question, and tells each device its part of the answer. If it fails for a reason that may lie with one of them,
/// each is asked about alone.
fn answer<F>(asked: Vec<(Look, oneshot::Sender<Told>)>, read: F)
where
    F: Fn(&[Look]) -> Result<Vec<Inbox>, StoreError>,
{
    let (looks, tell): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let alone = |look: &Look| read(std::slice::from_ref(look))?.pop().ok_or_else(StoreError::lost);
    let found: Vec<Told> = match read(&looks) {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) if error.is_temporary() || looks.len() == 1 => looks.iter().map(|_| Err(error.clone())).collect(),
        Err(_) => looks.iter().map(alone).collect(),
    };
    // Who looks no longer is not told.
    tell.into_iter().zip(found).for_each(|(tell, told)| drop(tell.send(told)));
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    fn inbox(look: &Look) -> Inbox {
        Inbox { events: vec![(look.after + 1, Vec::new())], more: false }
    }

    #[tokio::test]
    async fn devices_that_look_meanwhile_share_a_question() {
        let looks = Arc::<Looks>::default();
        let asked = Arc::<Mutex<Vec<usize>>>::default();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        let read = {
            let asked = Arc::clone(&asked);
            move |looks: &[Look]| {
                asked.lock().unwrap().push(looks.len());
                gone.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
                Ok(looks.iter().map(inbox).collect())
            }
        };
        let ask = |number: usize| {
            let (looks, read) = (Arc::clone(&looks), read.clone());
            let (device, after) = (DeviceId::for_test(number.try_into().unwrap()), number.try_into().unwrap());
            tokio::spawn(async move { looks.look(device, after, read).await })
        };
        let until = async |reached: &dyn Fn() -> bool| {
            let until = Instant::now() + Duration::from_secs(10);
            while !reached() {
                assert!(Instant::now() < until);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut devices = Vec::new();
        // As many questions as there may be, each about one who looks alone.
        for number in 0..QUESTIONS {
            devices.push(ask(number));
            until(&|| asked.lock().unwrap().len() > number).await;
        }
        devices.extend((QUESTIONS..QUESTIONS + DEVICES + 5).map(ask));
        until(&|| looks.waiting().len() == DEVICES + 5).await;
        // One of them goes away: nobody asks for it.
        let gone = devices.pop().unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        for _ in 0..QUESTIONS + 2 {
            go.send(()).unwrap();
        }
        for (number, device) in devices.into_iter().enumerate() {
            let found = device.await.unwrap().unwrap();
            assert_eq!(found.events, [(u64::try_from(number).unwrap() + 1, Vec::new())], "its own");
        }
        let mut asked = asked.lock().unwrap().clone();
        asked.sort_unstable();
        assert_eq!(asked, [vec![1; QUESTIONS], vec![4, DEVICES]].concat());
    }

    #[tokio::test]
    async fn everybody_hears_of_a_database_that_is_away_and_the_next_question_is_asked() {
        let looks = Looks::default();
        let asked = Arc::<Mutex<Vec<usize>>>::default();
        let fails = |looks: &[Look]| {
            asked.lock().unwrap().push(looks.len());
            Err(StoreError::unreachable("the test"))
        };
        let (tell, mut told): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        answer(tell.into_iter().map(|tell| (Look { device: DeviceId::for_test(1), after: 0 }, tell)).collect(), fails);
        assert!(told.iter_mut().all(|told| told.try_recv().unwrap().unwrap_err().is_temporary()));
        assert_eq!(*asked.lock().unwrap(), [3], "nobody is asked about again");
        let found = looks.look(DeviceId::for_test(3), 7, |looks| Ok(looks.iter().map(inbox).collect())).await;
        assert_eq!(found.unwrap().events, [(8, Vec::new())]);
    }

    #[test]
    fn one_with_whom_something_is_wrong_takes_nothing_from_the_others() {
        let reads = |looks: &[Look]| {
            let damaged = looks.iter().any(|look| look.after == 2);
            if damaged { Err(StoreError::damaged("the test")) } else { Ok(looks.iter().map(inbox).collect()) }
        };
        let (tell, told): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel()).unzip();
        let looks = (0..).map(|after| Look { device: DeviceId::for_test(1), after });
        answer(looks.zip(tell).collect(), reads);
        for (mut told, after) in told.into_iter().zip(0..) {
            match told.try_recv().unwrap() {
                Ok(found) => assert_eq!((found.events, after != 2), (vec![(after + 1, Vec::new())], true)),
                Err(error) => assert!(after == 2 && !error.is_temporary()),
            }
        }
    }

    #[tokio::test]
    async fn a_question_that_panics_is_an_error_and_the_next_one_is_asked() {
        let looks = Looks::default();
        let broken = looks.look(DeviceId::for_test(1), 0, |_| panic!("a fault that the test makes")).await;
        assert!(broken.is_err());
        for _ in 0..=QUESTIONS {
            let found = looks.look(DeviceId::for_test(3), 7, |looks| Ok(looks.iter().map(inbox).collect())).await;
            assert_eq!(found.unwrap().events.len(), 1);
        }
    }
}
