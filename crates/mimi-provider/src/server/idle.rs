//! Whether anything is asked on a connection.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// What has been asked on a connection.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// Requests that are not answered, and answers that have not been sent.
    open: usize,
    /// Whether there was any request.
    any: bool,
    since: Instant,
}

/// A request that is not answered.
pub(super) struct Open(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { open: 0, any: false, since: Instant::now() })))
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open += 1;
        state.any = true;
        Open(Arc::clone(self))
    }

    /// Ends when nothing has been asked for so long: the first time when the connection is new, the other one afterwards.
    pub(super) async fn idle(&self, first: Duration, later: Duration) {
        loop {
            let now = Instant::now();
            let until = {
                let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if state.open > 0 { now + later } else { state.since + if state.any { later } else { first } }
            };
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.saturating_sub(1);
        state.since = Instant::now();
    }
}

/// An answer's body, which keeps its request open until it has been sent.
pub(super) struct Sending<B> {
    body: B,
    _open: Open,
}

impl Open {
    pub(super) fn until_sent<B>(self, response: Response<B>) -> Response<Sending<B>> {
        response.map(|body| Sending { body, _open: self })
    }
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_millis(40);

    async fn ends(activity: &Activity, within: Duration) -> bool {
        tokio::time::timeout(within, activity.idle(FIRST, LATER)).await.is_ok()
    }

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_is_asked_or_sent() {
        const LONG: Duration = Duration::from_secs(20);
        const SHORT: Duration = Duration::from_millis(200);
        let activity = Activity::new();
        let begun = Instant::now();
        assert!(ends(&activity, LONG).await, "nothing was ever asked");
        assert!(begun.elapsed() >= FIRST);
        let open = activity.begin();
        assert!(!ends(&activity, SHORT).await, "somebody waits for an answer");
        let response = open.until_sent(Response::new(String::from("answer")));
        assert!(!ends(&activity, SHORT).await, "the answer is on its way");
        drop(response);
        let sent = Instant::now();
        assert!(ends(&activity, LONG).await);
        assert!(sent.elapsed() >= LATER);
    }
}
