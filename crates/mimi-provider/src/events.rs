//! Events on their way to a device for as long as it listens: first what waits in the database, then what comes.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame};
use mimi_wire::local::event_frame;

use crate::{
    fail::Fail,
    log::{During, Fault},
    provider::Inner,
    record::Exchange,
    server::unsent::{Room, Waits},
    store::{Device, DeviceId, Ear, Heard, Inbox},
};

/// Events that are read from the database at once.
const COUNT: usize = 256;
/// Octets of them.
pub(crate) const OCTETS: usize = 1 << 18;

type Looking = Pin<Box<dyn Future<Output = Result<(Inbox, Room), Fail>> + Send>>;

/// The body of an answer that goes on as long as somebody reads it. It holds no more than one read from the database and what
/// [`Ear`] keeps.
pub(crate) struct Events {
    inner: Arc<Inner>,
    device: DeviceId,
    /// What the record calls the device.
    name: String,
    /// The number of the last event that was sent.
    last: u64,
    ear: Ear,
    looking: Option<Looking>,
    found: VecDeque<(u64, Bytes)>,
    /// For what was found.
    room: Option<Room>,
    /// On its connection it counts until its end, as if it held as much as it may.
    waits: Option<Waits>,
}

impl Events {
    /// The events of a device behind a number.
    pub(crate) fn new(inner: &Arc<Inner>, device: Device, after: u64) -> Self {
        let (looking, found) = (None, VecDeque::new());
        let ear = inner.store.live().listen(device.id);
        if inner.store.is_shared() {
            inner.untold.listens(device.id);
        }
        Self {
            inner: Arc::clone(inner),
            device: device.id,
            name: String::new(),
            last: after,
            ear,
            looking,
            found,
            room: None,
            waits: None,
        }
    }

    /// Counts until its end.
    pub(crate) fn counts(&mut self, waits: Waits) {
        self.waits = Some(waits);
    }

    /// What the record calls the device.
    pub(crate) fn name(&mut self, name: String) {
        self.name = name;
    }

    fn look(&self) -> Looking {
        let (inner, device, after) = (Arc::clone(&self.inner), self.device, self.last);
        Box::pin(async move {
            let room = inner.gate.unsent.room(OCTETS).await;
            let found = if inner.store.is_shared() {
                let store = inner.store.clone();
                inner.looks.look(device, after, move |looks| store.inboxes(looks, COUNT, OCTETS)).await?
            } else {
                // What comes while it listens, it gets from memory.
                inner.blocking(move |inner| Ok(inner.store.inbox(device, after, COUNT, OCTETS)?)).await?
            };
            let octets = found.events.iter().map(|(_, body)| body.len()).sum();
            Ok((found, room.shrink(octets)))
        })
    }

    /// The next event that goes out; none if there will be no more.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some((number, frame)) = self.found.pop_front() {
                self.last = number;
                return Poll::Ready(Some(frame));
            }
            self.room = None;
            if let Some(looking) = &mut self.looking {
                let Poll::Ready(found) = looking.as_mut().poll(cx) else { return Poll::Pending };
                self.looking = None;
                match found {
                    Ok((Inbox { events, more }, room)) => {
                        self.room = Some(room);
                        if more {
                            self.ear.look_again();
                        }
                        let frames =
                            events.into_iter().map(|(number, body)| (number, event_frame(number, &body).into()));
                        self.found = frames.collect();
                    }
                    Err(error) => {
                        self.inner.log.fault(Fault::Work(During::Events, &error));
                        return Poll::Ready(None);
                    }
                }
                continue;
            }
            match self.ear.poll_next(cx) {
                Poll::Ready(Heard::Event(number, frame)) if number > self.last => {
                    self.last = number;
                    return Poll::Ready(Some(frame));
                }
                // It was in the database already.
                Poll::Ready(Heard::Event(..)) => {}
                Poll::Ready(Heard::Look) => self.looking = Some(self.look()),
                Poll::Ready(Heard::Over) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Each event is an exchange of its own in the record.
    fn record(&self, frame: &Bytes) {
        if self.inner.recorder.is_on() {
            let event = frame.get(4..).unwrap_or_default();
            let mut response = mimi_wire::Writer::default();
            response.vector(event);
            self.inner.recorder.append(&Exchange {
                side: "server",
                peer: &self.name,
                method: "GET",
                path: mimi_wire::local::EVENTS_PATH,
                endpoint: "client.events",
                status: 200,
                request: &[],
                response: &response.into_octets(),
            });
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_event(cx).map(|frame| {
            let frame = frame.inspect(|frame| self.record(frame));
            frame.map(|frame| Ok(Frame::data(frame)))
        })
    }
}
