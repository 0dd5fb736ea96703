//! As much of XMPP as it takes to be in a room: a stream over TLS, SASL PLAIN, a resource, a presence, messages.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::load::{
    drive::{Run, Seen},
    ledger::{Ledger, Tag},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A client on its way into a room.
pub(super) struct Client {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Client {
    /// Connects, shows the password, and gets a resource.
    pub(super) async fn connect(
        address: SocketAddr,
        domain: &str,
        tls: &Arc<ClientConfig>,
        user: &str,
    ) -> Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(domain.to_owned())?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?;
        let mut client = Self { stream, read: Vec::new() };
        let begin = format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        let secret = Base64::encode_string(format!("\0{user}\0secret").as_bytes());
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>");
        let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        for (said, answer) in
            [(begin.as_str(), "</stream:features>"), (&auth, "<success"), (&begin, "</stream:features>")]
        {
            client.say(said, answer).await?;
        }
        client.say(bind, "</iq>").await?;
        Ok(client)
    }

    /// Goes into a room.
    pub(super) async fn join(&mut self, room: &str, nick: &str) -> Result<()> {
        let presence = format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
        );
        // The subject comes last.
        self.say(&presence, "<subject").await
    }

    async fn say(&mut self, text: &str, answer: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await?;
        let wait = async {
            loop {
                let found = self.read.windows(answer.len()).position(|window| window == answer.as_bytes());
                if let Some(at) = found {
                    self.read.drain(..at + answer.len());
                    return Ok(());
                }
                if self.stream.read_buf(&mut self.read).await? == 0 {
                    bail!("the server has ended: {}", String::from_utf8_lossy(&self.read));
                }
            }
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("no {answer} came"))?
    }

    pub(super) fn split(self) -> (Reader, Writer) {
        let (read, write) = tokio::io::split(self.stream);
        (Reader { stream: read, read: self.read }, Writer(write))
    }
}

pub(super) struct Reader {
    stream: ReadHalf<TlsStream<TcpStream>>,
    read: Vec<u8>,
}

pub(super) struct Writer(WriteHalf<TlsStream<TcpStream>>);

impl Reader {
    /// The texts that have come in messages, each with who wrote it.
    fn texts(&mut self) -> Vec<(String, String)> {
        const END: &[u8] = b"</message>";
        let mut texts = Vec::new();
        while let Some(at) = self.read.windows(END.len()).position(|window| window == END) {
            let stanza = String::from_utf8_lossy(self.read.get(..at).unwrap_or_default()).into_owned();
            self.read.drain(..at + END.len());
            let between = |from: &str, to: &str| {
                let (_, rest) = stanza.rsplit_once(from)?;
                rest.split_once(to).map(|(found, _)| found.to_owned())
            };
            if let Some(text) = between("<body>", "</body>") {
                let start = stanza.rsplit_once("<message").map(|(_, stanza)| stanza).unwrap_or_default();
                let from = start.split_once("from='").and_then(|(_, rest)| rest.split_once('\''));
                let nick = from.and_then(|(from, _)| from.rsplit_once('/')).map(|(_, nick)| nick.to_owned());
                texts.push((nick.unwrap_or_default(), text));
            }
        }
        texts
    }
}

/// Reads what comes, until everything that is expected has come.
pub(super) async fn receive(
    mut reader: Reader,
    own: String,
    echo: mpsc::UnboundedSender<Tag>,
    ledger: Arc<Ledger>,
    run: Arc<Run>,
    expected: watch::Receiver<Option<usize>>,
) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut until = None;
    loop {
        let told = *expected.borrow();
        if let Some(count) = told {
            let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE);
            if seen.tags.len() >= count || Instant::now() > until {
                return Ok(seen);
            }
        }
        let soon = Instant::now() + Duration::from_millis(100);
        match timeout_at(soon, reader.stream.read_buf(&mut reader.read)).await {
            Ok(Ok(0)) => bail!("the server has ended"),
            Ok(count) => drop(count?),
            Err(_) => continue,
        }
        for (from, text) in reader.texts() {
            let tag = ledger.tag(text.as_bytes());
            seen.tags.push(tag);
            if run.measures.load(Ordering::Relaxed) {
                run.delivered.fetch_add(1, Ordering::Relaxed);
                seen.micros.extend(ledger.micros_since(tag));
            }
            if from == own {
                // Whoever does not send does not listen.
                let _ = echo.send(tag);
            }
        }
    }
}

/// Sends one message after another, each after the one before has come back.
#[allow(clippy::too_many_arguments, reason = "a task has everything it needs")]
pub(super) async fn send(
    mut writer: Writer,
    mut echoes: mpsc::UnboundedReceiver<Tag>,
    room: String,
    user: String,
    text: String,
    ledger: Arc<Ledger>,
    run: Arc<Run>,
    pause: Duration,
) -> Result<Vec<Tag>> {
    let mut sent = Vec::new();
    while !run.stop.load(Ordering::Relaxed) {
        let text = format!("{user} {} {text}", sent.len());
        let stanza = format!("<message type='groupchat' to='{room}'><body>{text}</body></message>");
        let tag = ledger.sends(text.as_bytes());
        writer.0.write_all(stanza.as_bytes()).await?;
        writer.0.flush().await?;
        let echo = timeout(PATIENCE, echoes.recv()).await.context("a message did not come back")?;
        if echo != Some(tag) {
            bail!("another message came back");
        }
        sent.push(tag);
        if run.measures.load(Ordering::Relaxed) {
            run.sent.fetch_add(1, Ordering::Relaxed);
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(sent)
}
