//! Clients that send and receive at the same time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use mimi_abuse::franking::commit;
use mimi_client::SystemEntropy;
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_mls::{Room, SealError};
use mimi_pseudonym::UserUri;
use mimi_wire::{
    FanoutEvent, SubmitMessageRequest, SubmitMessageResponse,
    directory::percent_encode,
    local::{self, AckRequest, EventFrames, InboxBody},
};
use tokio::time::{Instant, timeout_at};

use super::{
    connection::Connection,
    ledger::{Ledger, Tag},
};

/// As `mimi-client` does: so many events are acknowledged together at the most, and the first waits so long for others.
const TOGETHER: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(1);
/// How long everything may take to arrive in the end.
const AT_THE_END: Duration = Duration::from_secs(60);

/// What all clients of a run share.
#[derive(Default)]
pub(super) struct Run {
    pub(super) stop: AtomicBool,
    /// Whether what is seen is counted.
    pub(super) measures: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) delivered: AtomicU64,
}

/// Somebody who sends one message after another, each after the one before was accepted.
pub(super) struct Sender {
    pub(super) connection: Connection,
    pub(super) room: Room,
    pub(super) user: UserUri,
    pub(super) ledger: Arc<Ledger>,
    pub(super) text: String,
}

impl Sender {
    /// Sends until the run ends, and says what was accepted.
    pub(super) async fn go_on(mut self, run: Arc<Run>, pause: Duration) -> Result<Vec<Tag>> {
        let path = format!("{}/{}", local::SUBMIT_MESSAGE_PATH, percent_encode(self.room.uri().as_str()));
        let mut accepted = Vec::new();
        while !run.stop.load(Ordering::Relaxed) {
            let request = sealed(&mut self)?;
            let tag = self.ledger.sends(request.message.message().as_bytes());
            let answer: SubmitMessageResponse = self.connection.post(&path, &request).await?;
            let SubmitMessageResponse::Accepted { frank: Some(_), .. } = answer else {
                bail!("a message was not accepted: {answer:?}");
            };
            accepted.push(tag);
            if run.measures.load(Ordering::Relaxed) {
                run.sent.fetch_add(1, Ordering::Relaxed);
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(accepted)
    }
}

/// The next message of a sender.
pub(super) fn sealed(sender: &mut Sender) -> Result<SubmitMessageRequest> {
    let body = Part::single(Disposition::Render, "text/plain;charset=utf-8", sender.text.as_str());
    let salt = Salt::generate(&mut SystemEntropy::default());
    let content = MimiContent::new(salt, sender.user.clone(), sender.room.uri().clone(), body)?;
    let message = sender.room.seal_franked(|_| Ok::<_, SealError>(commit(&content)))?;
    Ok(SubmitMessageRequest { message: message.try_into()?, sending_user: sender.user.clone() })
}

/// What a receiver has seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) tags: Vec<Tag>,
    pub(super) micros: Vec<u32>,
}

/// Reads the events of a device as they come, and acknowledges them, until told to end and `expected` have come.
pub(super) async fn receive(
    connection: Connection,
    ledger: Arc<Ledger>,
    run: Arc<Run>,
    expected: tokio::sync::watch::Receiver<Option<usize>>,
) -> Result<Seen> {
    let path = format!("{}?after=0", local::EVENTS_PATH);
    let mut stream = connection.stream(&path).await?;
    let (mut frames, mut seen) = (EventFrames::default(), Seen::default());
    let (mut last, mut untold, mut since) = (0, 0_u32, None);
    let mut until_end = None;
    loop {
        let told = *expected.borrow();
        if let Some(count) = told {
            let end = *until_end.get_or_insert_with(|| Instant::now() + AT_THE_END);
            if seen.tags.len() >= count || Instant::now() > end {
                // What comes after the last one would come within this time.
                if timeout_at(Instant::now() + PATIENCE, stream.frame()).await.is_ok() {
                    bail!("something came after the last message");
                }
                acknowledge(&connection, last).await?;
                return Ok(seen);
            }
        }
        let due = since.map_or_else(|| Instant::now() + PATIENCE, |since: Instant| since + PATIENCE);
        match timeout_at(due, stream.frame()).await {
            Ok(frame) => {
                let frame = frame.context("a stream of events ended")??;
                frames.push(frame.data_ref().map(|data| data.as_ref()).unwrap_or_default());
                while let Some(event) = frames.next_event()? {
                    last = event.sequence;
                    untold += 1;
                    since = since.or(Some(Instant::now()));
                    let InboxBody::Fanout { message, .. } = event.body else { continue };
                    let FanoutEvent::Application { message, .. } = message.event else { continue };
                    let tag = ledger.tag(message.message().as_bytes());
                    seen.tags.push(tag);
                    if run.measures.load(Ordering::Relaxed) {
                        run.delivered.fetch_add(1, Ordering::Relaxed);
                        seen.micros.extend(ledger.micros_since(tag));
                    }
                }
            }
            Err(_) if untold == 0 => continue,
            Err(_) => {}
        }
        if untold >= TOGETHER || since.is_some_and(|since| since.elapsed() >= PATIENCE) {
            acknowledge(&connection, last).await?;
            (untold, since) = (0, None);
        }
    }
}

async fn acknowledge(connection: &Connection, up_to: u64) -> Result<()> {
    if up_to == 0 { Ok(()) } else { connection.tell(local::ACK_PATH, &AckRequest { up_to }).await }
}
