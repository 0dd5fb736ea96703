//! One connection to the server. Whoever waits for an answer drives it meanwhile, on its own thread: there is no task that
//! would have to be woken for each way to the server and back.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Notification, Socket, Statement, tls::MakeTlsConnect};

use super::Address;
use crate::store::{StoreError, database::Param};

/// How long to wait for a connection, from the first octet to the first statement that may be sent.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait for an answer. The server gives every statement up before that: whoever is silent for longer hangs, or
/// is not there.
const ANSWER: Duration = Duration::from_secs(20);
/// The same for statements that are given an hour.
const LONG: Duration = Duration::from_secs(3660);

type Messages = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> + Send>;

pub(super) struct Session {
    runtime: Runtime,
    client: Client,
    line: Line,
    /// An answer did not come in time. What comes later would be taken for another one.
    silent: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The server refuses, or the connection broke.
    Refused(Error),
    /// Nothing was heard in time. What was asked for is done, or will be, or not: nobody knows.
    Silence,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Unanswered> for StoreError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Refused(error) => error.into(),
            Unanswered::Silence => Self::silent(),
        }
    }
}

/// What comes from the server.
struct Line {
    messages: Messages,
    heard: VecDeque<Notification>,
}

/// A step of a transaction.
pub(super) enum Step<'a> {
    /// Statements without values.
    Command(&'a str),
    /// A statement with its values.
    Statement(Statement, &'a [Param<'a>]),
}

/// What came of a step: its rows, and how many it has changed.
pub(super) type Outcome = Result<(Vec<tokio_postgres::Row>, u64), Unanswered>;

impl Session {
    /// Connects.
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| StoreError::unreachable("there are no means to wait for it"))?;
        let connected = runtime.block_on(async {
            let connect = async {
                match &address.tls {
                    Some(tls) => connect(address, tls.clone()).await,
                    None => connect(address, NoTls).await,
                }
            };
            tokio::time::timeout(CONNECT, connect).await.map_err(|_| Unanswered::Silence)?.map_err(Unanswered::from)
        });
        match connected {
            Ok((client, messages)) => {
                Ok(Self { runtime, client, line: Line { messages, heard: VecDeque::new() }, silent: false })
            }
            Err(why) => {
                // A thread of it may still ask a name service, which nobody waits for.
                runtime.shutdown_background();
                Err(why.into())
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.silent || self.client.is_closed()
    }

    /// Runs statements without values.
    pub(super) fn command(&mut self, sql: &str) -> Result<(), Unanswered> {
        let done = self.line.wait(&self.runtime, ANSWER, self.client.batch_execute(sql));
        self.noted(done)
    }

    /// The same with statements that may take an hour, if the server lets them.
    pub(super) fn long_command(&mut self, sql: &str) -> Result<(), Unanswered> {
        let done = self.line.wait(&self.runtime, LONG, self.client.batch_execute(sql));
        self.noted(done)
    }

    /// Prepares a statement.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, Unanswered> {
        let prepared = self.line.wait(&self.runtime, ANSWER, self.client.prepare(sql));
        self.noted(prepared)
    }

    fn noted<T>(&mut self, result: Result<T, Unanswered>) -> Result<T, Unanswered> {
        self.silent |= matches!(result, Err(Unanswered::Silence));
        result
    }

    /// Sends all steps at once, and waits until the server has answered each.
    pub(super) fn run(&mut self, steps: &[Step<'_>]) -> Vec<Outcome> {
        let mut running: Vec<_> = steps.iter().map(|step| (Box::pin(outcome(&self.client, step)), None)).collect();
        let all = poll_fn(|context| {
            let mut waits = false;
            for (step, outcome) in running.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
                match step.as_mut().poll(context) {
                    Poll::Ready(ready) => *outcome = Some(ready),
                    Poll::Pending => waits = true,
                }
            }
            if waits { Poll::Pending } else { Poll::Ready(Ok::<_, Error>(())) }
        });
        let waited = self.line.wait(&self.runtime, ANSWER, all);
        let outcomes = running.into_iter().filter_map(|(_, outcome)| outcome).collect();
        match self.noted(waited) {
            Ok(()) => outcomes,
            Err(error) => vec![Err(error)],
        }
    }

    /// Notifications, once there are some or the time is over.
    pub(super) fn notifications(&mut self, patience: Duration) -> Result<VecDeque<Notification>, Unanswered> {
        let Line { messages, heard } = &mut self.line;
        self.runtime.block_on(async {
            let next = poll_fn(|context| {
                loop {
                    match messages(context) {
                        Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                            heard.push_back(notification)
                        }
                        Poll::Ready(Some(Ok(_))) => {}
                        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Unanswered::from(error))),
                        Poll::Ready(None) => return Poll::Ready(Ok(())),
                        Poll::Pending if heard.is_empty() => return Poll::Pending,
                        Poll::Pending => return Poll::Ready(Ok(())),
                    }
                }
            });
            tokio::time::timeout(patience, next).await.unwrap_or(Ok(()))
        })?;
        Ok(std::mem::take(&mut self.line.heard))
    }
}

impl Line {
    /// Waits for an answer, and takes meanwhile what comes.
    fn wait<T, E: Into<Unanswered>>(
        &mut self,
        runtime: &Runtime,
        patience: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unanswered> {
        let mut answer = pin!(answer);
        let answered = poll_fn(|context| {
            loop {
                match (self.messages)(context) {
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                        self.heard.push_back(notification)
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                    // Who waits for an answer is told that there will be none.
                    Poll::Ready(None) | Poll::Pending => {
                        return answer.as_mut().poll(context).map(|answer| answer.map_err(Into::into));
                    }
                }
            }
        });
        let answered = async { tokio::time::timeout(patience, answered).await };
        runtime.block_on(answered).unwrap_or(Err(Unanswered::Silence))
    }
}

async fn connect<T>(address: &Address, tls: T) -> Result<(Client, Messages), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = address.config.connect(tls).await?;
    Ok((client, Box::new(move |context| connection.poll_message(context))))
}

async fn outcome(client: &Client, step: &Step<'_>) -> Outcome {
    let (statement, params) = match step {
        Step::Command(sql) => return Ok(client.batch_execute(sql).await.map(|()| (Vec::new(), 0))?),
        Step::Statement(statement, params) => (statement, params),
    };
    let mut stream = pin!(client.query_raw(statement, params.iter().copied()).await?);
    let mut rows = Vec::new();
    while let Some(row) = poll_fn(|context| Pin::as_mut(&mut stream).poll_next(context)).await {
        rows.push(row?);
    }
    Ok((rows, stream.rows_affected().unwrap_or_default()))
}
