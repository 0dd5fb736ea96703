//! Whoever starts processes ends them, also when it is itself asked to end in the middle.

use std::future::Future;

use anyhow::{Result, bail};

/// Runs something to its end, or until this process is asked to end (SIGINT, SIGTERM, SIGHUP): then what was begun is dropped,
/// and with it the processes that were started.
///
/// # Errors
/// That of the work, or that it was interrupted.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        signal = asked_to_end() => bail!("ended by {}", signal?),
    }
}

#[cfg(unix)]
async fn asked_to_end() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    })
}

#[cfg(not(unix))]
async fn asked_to_end() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "an interrupt")
}
