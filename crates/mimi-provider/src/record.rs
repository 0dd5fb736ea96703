//! Every exchange as a line of JSON, for looking at what a provider gets to see. Without the feature `record` nothing is
//! written.

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
    }
}

#[cfg(feature = "record")]
mod file {
    use std::{
        fs::{File, OpenOptions},
        io::Write,
        path::Path,
        sync::{Arc, Mutex, PoisonError},
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::Exchange;
    use crate::hex;

    /// Appends exchanges to `exchanges.jsonl` in a folder, in the order in which they end.
    #[derive(Clone, Default)]
    pub(crate) struct Recorder(Option<Arc<Mutex<(u64, File)>>>);

    impl Recorder {
        pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
            std::fs::create_dir_all(folder)?;
            let file = OpenOptions::new().create(true).append(true).open(folder.join("exchanges.jsonl"))?;
            Ok(Self(Some(Arc::new(Mutex::new((0, file))))))
        }

        pub(crate) fn is_on(&self) -> bool {
            self.0.is_some()
        }

        pub(crate) fn append(&self, exchange: &Exchange<'_>) {
            let Some(state) = &self.0 else { return };
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
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
            let _ = writeln!(state.1, "{line}");
        }
    }
}
