use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use mimi_wire::Problem;
use tokio::time::{Instant, Sleep, sleep_until};

use super::places::Place;

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);
/// How long all of it may take, however slowly it is read.
const WHOLE: Duration = Duration::from_secs(600);

/// A file on its way. No more of it is held than one frame: who reads slowly lets whoever sends wait. One that becomes too long
/// or too slow breaks off, and its reader sees that.
pub(crate) struct Download {
    body: Incoming,
    left: u64,
    silence: Pin<Box<Sleep>>,
    end: Instant,
    _held: Place,
}

impl Download {
    /// A file of at most so many octets.
    ///
    /// # Errors
    /// [`Problem::TooLarge`] if it says that it is longer.
    pub(super) fn new(body: Incoming, max: u64, held: Place) -> Result<Self, Problem> {
        if body.size_hint().lower() > max {
            return Err(Problem::TooLarge);
        }
        let now = Instant::now();
        Ok(Self { body, left: max, silence: Box::pin(sleep_until(now + SILENCE)), end: now + WHOLE, _held: held })
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending if this.silence.as_mut().poll(cx).is_ready() => {
                    return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
                }
                Poll::Pending => return Poll::Pending,
            };
            let now = Instant::now();
            if now >= this.end {
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            }
            this.silence.as_mut().reset((now + SILENCE).min(this.end));
            return Poll::Ready(match frame {
                None => None,
                Some(Err(_)) => Some(Err(io::ErrorKind::ConnectionAborted.into())),
                // What is said behind the file is not passed on.
                Some(Ok(frame)) => match frame.into_data() {
                    Err(_) => continue,
                    Ok(octets) => match this.left.checked_sub(octets.len() as u64) {
                        Some(left) => {
                            this.left = left;
                            Some(Ok(Frame::data(octets)))
                        }
                        None => Some(Err(io::ErrorKind::FileTooLarge.into())),
                    },
                },
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
