//! Where several processes serve one domain, each tells the others who has something new.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

use crate::{provider::Inner, store::Wake};

/// How long to wait after a connection broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How often those who listen look into the database without having heard anything.
const LOOK: Duration = Duration::from_secs(5);
/// How long to listen before looking whether the provider ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the other processes have not been told yet.
#[derive(Default)]
pub(crate) struct Untold {
    wake: Mutex<Wake>,
    some: Notify,
}

impl Untold {
    pub(crate) fn add(&self, wake: &Wake) {
        let mut untold = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        untold.devices.extend(&wake.devices);
        untold.peers.extend(wake.peers.iter().cloned());
        self.some.notify_one();
    }
}

/// Tells the other processes, as much at once as has come together meanwhile.
pub(crate) async fn tell(inner: Arc<Inner>) -> Infallible {
    let Some(mut news) = inner.store.news() else { return std::future::pending().await };
    loop {
        inner.untold.some.notified().await;
        let wake = std::mem::take(&mut *inner.untold.wake.lock().unwrap_or_else(PoisonError::into_inner));
        let told = tokio::task::spawn_blocking(move || {
            let told = news.tell(&wake);
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
            Ok(Some(wake)) => {
                inner.wakers.wake(&wake);
                inner.store.live().look(&wake.devices);
            }
            Ok(None) => {
                inner.wakers.wake_all();
                inner.store.live().look_all();
            }
            Err(error) => {
                inner.log.fault(format_args!("news: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
}
