//! What has to be done every few seconds: above all, what was deleted leaves the files. SQLite overwrites deleted rows, but
//! copies of them stay in its write-ahead log until that is emptied: this is done soon after a change, and not left to
//! chance. After a room was destroyed the database is written anew; that takes its time, so it may use a twentieth of the
//! time and no more.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    fail::Fail,
    log::{During, Fault},
    provider::Inner,
};

/// How long a deleted value may stay in the write-ahead log while nothing keeps the database busy.
const PERIOD: Duration = Duration::from_secs(2);

/// How often what is old is looked for.
const ROUND: Duration = Duration::from_secs(600);

/// Empties the write-ahead log while there is something in it.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    let (mut emptied_at, mut deletions) = (0, None);
    let mut not_before = Instant::now();
    let mut round = Instant::now();
    loop {
        sleep(PERIOD).await;
        inner.rooms.rest();
        match inner.blocking(|inner| Ok(inner.store.hold()?)).await {
            Err(Fail::Store(error)) if error.is_of_a_version() => drop(inner.broken.send_replace(Some(error))),
            // Whatever else it is, others say so.
            _ => {}
        }
        if let Err(error) = inner.blocking(|inner| Ok(inner.store.sweep()?)).await {
            inner.log.fault(Fault::Work(During::Events, &error));
        }
        if Instant::now() >= round {
            round = Instant::now() + ROUND;
            if let Err(error) = inner.blocking(|inner| Ok(inner.store.forget_notified(inner.now())?)).await {
                inner.log.fault(Fault::Work(During::Forgetting, &error));
            }
        }
        // Another process, such as the operator's, may have deleted an account.
        match inner.blocking(|inner| Ok(inner.store.deletions()?)).await {
            Ok(now) if deletions == Some(now) => {}
            Ok(now) => {
                inner.store.forget_devices();
                deletions = Some(now);
            }
            Err(_) => {}
        }
        if Instant::now() >= not_before {
            let begun = Instant::now();
            // If it fails it is tried again at the next turn.
            if inner.blocking(|inner| Ok(inner.store.forget_destroyed(inner.now())?)).await.unwrap_or(false) {
                not_before = begun + begun.elapsed() * 20;
            }
        }
        let emptied: Result<u64, Fail> = inner
            .blocking(move |inner| {
                let changes = inner.store.changes();
                if changes != emptied_at {
                    inner.store.truncate_log()?;
                }
                Ok(changes)
            })
            .await;
        emptied_at = emptied.unwrap_or(emptied_at);
    }
}
