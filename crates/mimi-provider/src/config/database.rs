use std::path::PathBuf;

use serde::Deserialize;

use crate::store::{Address, StoreError};

/// A PostgreSQL database.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseEntry {
    /// Where it is: `host=… dbname=… user=…`, or a URL.
    postgres: String,
    /// The password, if there is one, stands in a file of its own.
    pub(crate) password_file: Option<PathBuf>,
    /// Authorities that the server's certificate may come from, in PEM. With it, every connection is encrypted, and the
    /// certificate has to be one of the host's name.
    pub(super) roots: Option<PathBuf>,
    /// The most connections of one process.
    #[serde(default = "connections")]
    pub(super) connections: u16,
}

impl DatabaseEntry {
    /// What is needed to connect.
    pub(crate) fn address(&self) -> Result<Address, StoreError> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            text.map_err(|error| StoreError::unreachable(&format!("{}: {error}", path.display())))
        };
        let password = self.password_file.as_ref().map(read).transpose()?;
        let password = password.as_deref().map(str::trim_end);
        Address::new(&self.postgres, password, self.roots.as_deref(), self.connections.into())
    }

    /// The database that a connection string stands for; `given` keeps what was said besides.
    pub(super) fn with(given: Option<Self>, postgres: &str) -> Self {
        match given {
            Some(given) => Self { postgres: postgres.to_owned(), ..given },
            None => {
                Self { postgres: postgres.to_owned(), password_file: None, roots: None, connections: connections() }
            }
        }
    }
}

/// What stands in a connection string is nobody's business.
impl std::fmt::Debug for DatabaseEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseEntry").field("connections", &self.connections).finish_non_exhaustive()
    }
}

const fn connections() -> u16 {
    16
}
