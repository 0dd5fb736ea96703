use std::{net::IpAddr, sync::Arc};

use mimi_pseudonym::{Clock, Domain};

use crate::{OffsetClock, peers::Table, record::Recorder};

/// What a provider is told besides its configuration.
#[derive(Clone)]
pub struct Options {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quiet: bool,
    pub(crate) names: Option<Table>,
    pub(crate) recorder: Recorder,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(OffsetClock::default()), quiet: false, names: None, recorder: Recorder::default() }
    }
}

impl Options {
    /// Another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Something else than the system's name service, that says which addresses a provider's name leads to. What it says
    /// is looked at as what the name service says: addresses of private networks are not connected to.
    #[must_use]
    pub fn with_names(mut self, names: impl Fn(&Domain) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        self.names = Some(Arc::new(names));
        self
    }

    /// No line for each request.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Appends every exchange, bodies and all, to `exchanges.jsonl` in a folder, and counts of cryptographic operations
    /// to `operations.jsonl`. Not for operation.
    ///
    /// # Errors
    /// [`std::io::Error`] if the files cannot be made.
    #[cfg(feature = "record")]
    pub fn recorded(mut self, folder: &std::path::Path) -> std::io::Result<Self> {
        self.recorder = Recorder::open(folder)?;
        Ok(self)
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("quiet", &self.quiet).finish_non_exhaustive()
    }
}
