use std::{
    fs::{File, Metadata},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mimi_credential::TrustStore;
use mimi_pseudonym::Domain;

use super::OperateError;
use crate::{Config, StartError, keys, private};

/// A provider to talk with, as it is added to a configuration.
#[derive(Debug, Clone)]
pub struct NewPeer {
    /// Its domain.
    pub domain: Domain,
    /// Where it is, if not where the domain name system says.
    pub address: Option<SocketAddr>,
    /// The port of its directory.
    pub port: u16,
    /// The file of the authority that certifies its users, in PEM, relative to the folder of the configuration.
    pub anchor: PathBuf,
}

impl NewPeer {
    /// Adds it to the end of a configuration file, which keeps its owner and mode. The provider knows it when it is started again.
    ///
    /// # Errors
    /// [`OperateError`] if the configuration with it would be refused, the anchor cannot be used, or the file cannot be written:
    /// it is as it was then.
    pub fn add_to(&self, path: &Path) -> Result<(), OperateError> {
        let failed = |error| OperateError::File { path: path.to_owned(), error };
        let before = std::fs::read_to_string(path).map_err(failed)?;
        let text = format!("{}\n{}", before.trim_end(), self.lines());
        Config::parse_file(&text, path)?;
        let anchor = path.parent().unwrap_or(Path::new(".")).join(&self.anchor);
        keys::with_anchor(TrustStore::default(), &anchor, std::slice::from_ref(&self.domain))
            .map_err(StartError::from)?;
        replace(path, text.as_bytes()).map_err(failed)
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

/// Puts a text in the place of a file's: either the old one stands in it or the new one. Where links lead to it, they stay; so
/// do owner, group and mode.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let was = std::fs::metadata(&path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let mut file = private::new_file(&fresh)?;
    let written = file
        .write_all(text)
        .and_then(|()| belong(&file, &was))
        .and_then(|()| file.set_permissions(was.permissions()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&fresh, &path));
    if written.is_err() {
        // Nothing is left of it; why it was not written is told.
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

/// Gives a file to whom another one belongs.
#[cfg(unix)]
fn belong(file: &File, to: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let is = file.metadata()?;
    let changed = |is, to| (is != to).then_some(to);
    match (changed(is.uid(), to.uid()), changed(is.gid(), to.gid())) {
        (None, None) => Ok(()),
        (owner, group) => fchown(file, owner, group).map_err(|error| {
            let why =
                format!("{error}: it belongs to user {} and group {}, and would not any more", to.uid(), to.gid());
            std::io::Error::new(error.kind(), why)
        }),
    }
}

#[cfg(not(unix))]
fn belong(_: &File, _: &Metadata) -> std::io::Result<()> {
    Ok(())
}
