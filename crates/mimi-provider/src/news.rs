//! Where several processes serve one domain, each tells the others who has something new.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

use crate::{
    log::{During, Fault},
    provider::Inner,
    store::{DeviceId, Told, Wake},
};

/// How long to wait after a connection broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How often those who listen look into the database without having heard anything.
const LOOK: Duration = Duration::from_secs(5);
/// How long to listen before looking whether the provider ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the other processes have not been told yet.
#[derive(Default)]
pub(crate) struct Untold {
    news: Mutex<Told>,
    some: Notify,
}

impl Untold {
    /// Somebody has something new.
    pub(crate) fn add(&self, wake: &Wake) {
        if wake.devices.is_empty() && wake.peers.is_empty() {
            return;
        }
        let mut news = self.news();
        news.wake.devices.extend(&wake.devices);
        news.wake.peers.extend(wake.peers.iter().cloned());
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

/// Tells the other processes, as much at once as has come together meanwhile.
pub(crate) async fn tell(inner: Arc<Inner>) -> Infallible {
    let Some(mut news) = inner.store.news() else { return std::future::pending().await };
    loop {
        inner.untold.some.notified().await;
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
    }
}

/// Hears what the other processes tell.
pub(crate) async fn hear(inner: Arc<Inner>) -> Infallible {
    let Some(mut news) = inner.store.news() else { return std::future::pending().await };
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= LOOK {
            inner.store.live().look_all();
            looked = Instant::now();
        }
        let heard = tokio::task::spawn_blocking(move || {
            let heard = news.hear(PATIENCE);
            (news, heard)
        });
        let Ok((back, heard)) = heard.await else { return std::future::pending().await };
        news = back;
        match heard {
            Ok(Some(Told { wake, listening })) => {
                inner.wakers.wake(&wake);
                inner.store.live().look(&wake.devices);
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
