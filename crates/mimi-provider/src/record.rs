//! Every exchange as a line of JSON, for looking at what a provider gets to see, and counts of cryptographic operations.
//! Without the feature `record` nothing is written.

#[cfg(feature = "record")]
mod operations;

/// One exchange.
#[cfg_attr(not(feature = "record"), allow(dead_code, reason = "read by the recorder alone"))]
pub(crate) struct Exchange<'a> {
    pub(crate) side: &'static str,
    pub(crate) peer: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) status: u16,
    pub(crate) request: &'a [u8],
    pub(crate) response: &'a [u8],
}

#[cfg(feature = "record")]
pub(crate) use file::Recorder;
#[cfg(not(feature = "record"))]
pub(crate) use nothing::Recorder;

#[cfg(not(feature = "record"))]
mod nothing {
    #[derive(Clone, Default)]
    pub(crate) struct Recorder(());

    impl Recorder {
        pub(crate) fn append(&self, _: &super::Exchange<'_>) {}

        pub(crate) fn is_on(&self) -> bool {
            false
        }

        pub(crate) fn handshake(&self, _: bool, _: Option<rustls::HandshakeKind>) {}

        pub(crate) async fn count(self) {}

        pub(crate) fn write_counts(&self) {}
    }
}

#[cfg(feature = "record")]
mod file {
    use std::{
        fs::{File, OpenOptions},
        io::Write,
        path::Path,
        sync::{Arc, Mutex, PoisonError},
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use super::{Exchange, operations::Operations};

    /// Appends exchanges to `exchanges.jsonl` in a folder, in the order in which they end, and counts of cryptographic
    /// operations to `operations.jsonl`.
    #[derive(Clone, Default)]
    pub(crate) struct Recorder(Option<Arc<Files>>);

    struct Files {
        exchanges: Mutex<(u64, File)>,
        operations: Operations,
    }

    impl Recorder {
        pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
            std::fs::create_dir_all(folder)?;
            let open = |name| OpenOptions::new().create(true).append(true).open(folder.join(name));
            let exchanges = Mutex::new((0, open("exchanges.jsonl")?));
            let operations = Operations::new(open("operations.jsonl")?);
            Ok(Self(Some(Arc::new(Files { exchanges, operations }))))
        }

        pub(crate) fn is_on(&self) -> bool {
            self.0.is_some()
        }

        pub(crate) fn append(&self, exchange: &Exchange<'_>) {
            let Some(files) = &self.0 else { return };
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut state = files.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            let line = serde_json::json!({
                "at_ms": u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                "seq": state.0,
                "side": exchange.side,
                "peer": exchange.peer,
                "method": exchange.method,
                "path": exchange.path,
                "endpoint": exchange.endpoint,
                "status": exchange.status,
                "request": hex(exchange.request),
                "response": hex(exchange.response),
            });
            state.0 += 1;
            // A record that cannot be written is missed by the scenario that wanted it.
            let _ = state.1.write_all(format!("{line}\n").as_bytes());
        }

        /// Counts a TLS handshake: with a provider, or with a client.
        pub(crate) fn handshake(&self, provider: bool, kind: Option<rustls::HandshakeKind>) {
            if let Some(files) = &self.0 {
                files.operations.handshake(provider, kind == Some(rustls::HandshakeKind::Resumed));
            }
        }

        /// Writes counts whenever they have changed, for as long as it is polled.
        pub(crate) async fn count(self) {
            let Some(files) = &self.0 else { return };
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                files.operations.write();
            }
        }

        /// Writes counts if they have changed.
        pub(crate) fn write_counts(&self) {
            if let Some(files) = &self.0 {
                files.operations.write();
            }
        }
    }

    /// As [`crate::hex`], but quick: whole bodies are written.
    fn hex(octets: &[u8]) -> String {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let mut text = String::with_capacity(octets.len() * 2);
        for octet in octets {
            text.extend([octet >> 4, octet & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or('0')));
        }
        text
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn both_ways_to_hexadecimal_digits_agree() {
            let octets: Vec<u8> = (0..=255).collect();
            assert_eq!(super::hex(&octets), crate::hex(&octets));
        }
    }
}
