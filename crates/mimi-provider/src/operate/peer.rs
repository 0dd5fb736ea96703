use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mimi_pseudonym::Domain;

use super::OperateError;
use crate::Config;

/// A provider to talk with, as it is added to a configuration.
#[derive(Debug, Clone)]
pub struct NewPeer {
    /// Its domain.
    pub domain: Domain,
    /// Where it is, if not where the domain name system says.
    pub address: Option<SocketAddr>,
    /// The port of its directory.
    pub port: u16,
    /// The file of the authority that certifies its users, in PEM.
    pub anchor: PathBuf,
}

impl NewPeer {
    /// Adds it to the end of a configuration file. The provider knows it when it is started again.
    ///
    /// # Errors
    /// [`OperateError`] if the configuration with it would be refused, or cannot be written; the file is as it was then.
    pub fn add_to(&self, path: &Path) -> Result<(), OperateError> {
        let failed = |error| OperateError::File { path: path.to_owned(), error };
        let before = std::fs::read_to_string(path).map_err(failed)?;
        let text = format!("{}\n{}", before.trim_end(), self.lines());
        let folder = path.parent().unwrap_or(Path::new("."));
        Config::parse(&text, folder)?;
        let fresh = path.with_extension("toml.new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&fresh).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&fresh, path)).map_err(failed)
    }

    fn lines(&self) -> String {
        let address = self.address.map_or(String::new(), |address| format!("address = \"{address}\"\n"));
        let Self { domain, port, anchor, .. } = self;
        // A string of JSON is one of TOML.
        let anchor = serde_json::Value::from(anchor.to_string_lossy());
        format!(
            "\n[[peers]]\ndomain = \"{domain}\"\n{address}port = {port}\n\n[[anchors]]\ncertificate = {anchor}\ndomains = [\"{domain}\"]\n"
        )
    }
}
