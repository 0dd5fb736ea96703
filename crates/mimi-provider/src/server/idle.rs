//! Whether anything is asked on a connection.

use std::{
    collections::BTreeSet,
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
    /// Until when answers have to be taken, each with its number.
    due: BTreeSet<(Instant, u64)>,
    /// How many answers there were.
    answers: u64,
}

/// How often it is looked whether answers are taken in time.
const LOOK: Duration = Duration::from_secs(1);

/// A request that is not answered.
pub(super) struct Open(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            open: 0,
            any: false,
            since: Instant::now(),
            due: BTreeSet::new(),
            answers: 0,
        })))
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open += 1;
        state.any = true;
        Open(Arc::clone(self))
    }

    /// Ends when an answer was not taken in time.
    pub(super) async fn stuck(&self) {
        loop {
            let now = Instant::now();
            let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).due.first().copied();
            match due {
                Some((until, _)) if until <= now => return,
                Some((until, _)) => sleep_until(until.min(now + LOOK)).await,
                None => sleep_until(now + LOOK).await,
            }
        }
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

/// An answer's body, which keeps its request open until it has been sent. While there is something to be taken of it, that has
/// to be done in time: all of it, or each part of what has no end.
pub(super) struct Sending<B> {
    body: B,
    open: Open,
    due: Option<(Instant, u64)>,
    patience: Duration,
    endless: bool,
}

impl Open {
    /// Keeps the request open until its answer was sent, for which there is so much time.
    pub(super) fn until_sent<B: Body>(self, response: Response<B>, patience: Duration) -> Response<Sending<B>> {
        response.map(|body| {
            let endless = body.size_hint().exact().is_none();
            let mut sending = Sending { body, open: self, due: None, patience, endless };
            sending.begin();
            sending
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Sending<B> {
    /// There is something to be taken.
    fn begin(&mut self) {
        let mut state = self.open.state();
        state.answers += 1;
        let due = (Instant::now() + self.patience, state.answers);
        state.due.insert(due);
        if let Some(before) = self.due.replace(due) {
            state.due.remove(&before);
        }
    }

    /// Everything was taken.
    fn end(&mut self) {
        if let Some(due) = self.due.take() {
            self.open.state().due.remove(&due);
        }
    }
}

impl<B> Drop for Sending<B> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if self.endless {
            // Whoever asks for more has taken what there was.
            if frame.is_ready() { self.begin() } else { self.end() }
        }
        frame
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
        let response = open.until_sent(Response::new(String::from("answer")), LONG);
        assert!(!ends(&activity, SHORT).await, "the answer is on its way");
        drop(response);
        let sent = Instant::now();
        assert!(ends(&activity, LONG).await);
        assert!(sent.elapsed() >= LATER);
    }

    #[tokio::test]
    async fn a_connection_is_stuck_when_an_answer_is_not_taken_in_time() {
        const LONG: Duration = Duration::from_secs(20);
        const SHORT: Duration = Duration::from_millis(50);
        let activity = Activity::new();
        let stuck = |within| {
            let activity = Arc::clone(&activity);
            async move { tokio::time::timeout(within, activity.stuck()).await.is_ok() }
        };
        let slow = activity.begin().until_sent(Response::new(String::from("answer")), LONG);
        let taken = activity.begin().until_sent(Response::new(String::from("answer")), SHORT);
        drop(taken);
        assert!(!stuck(4 * SHORT).await, "the one was taken, the other has time");
        let lies = activity.begin().until_sent(Response::new(String::from("answer")), SHORT);
        assert!(stuck(LONG).await);
        drop((slow, lies));
        let (sender, body) = tokio::sync::mpsc::unbounded_channel::<hyper::body::Bytes>();
        let mut endless = activity.begin().until_sent(Response::new(Endless(body)), SHORT);
        let mut next = || {
            let mut context = Context::from_waker(std::task::Waker::noop());
            Pin::new(endless.body_mut()).poll_frame(&mut context).is_ready()
        };
        assert!(!next() && !stuck(4 * SHORT).await, "there is nothing to be taken");
        sender.send("part".into()).unwrap();
        assert!(next() && stuck(LONG).await, "a part of it is not taken");
        assert!(!next() && !stuck(4 * SHORT).await, "now it is");
    }

    struct Endless(tokio::sync::mpsc::UnboundedReceiver<hyper::body::Bytes>);

    impl Body for Endless {
        type Data = hyper::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
        }
    }
}
