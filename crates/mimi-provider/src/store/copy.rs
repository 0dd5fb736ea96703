//! A copy of a file-based database is there whole and on disk, or not at all.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use mimi_pseudonym::Entropy;

use super::StoreError;
use crate::{clock::OsEntropy, hex, private};

/// A file that is not whole yet, and goes if it never is.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // If it cannot be removed, nobody takes it for a copy by its name.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a file that must not exist of what `fill` writes into one of another name beside it, which is empty at first.
pub(super) fn write<E: std::fmt::Display>(
    to: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::file(to, &error);
    if fs::symlink_metadata(to).is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let (Some(name), folder) = (to.file_name(), folder_of(to)) else {
        return Err(failed(ErrorKind::InvalidInput.into()));
    };
    let name = format!(".{}.{}.part", name.to_string_lossy(), hex(&OsEntropy.bits128()));
    let part = Part(folder.join(name));
    let file = private::new_file(&part.0).map_err(failed)?;
    fill(&part.0).map_err(|error| StoreError::file(to, &error))?;
    file.sync_all().map_err(failed)?;
    rename(&part.0, to).map_err(failed)?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file a name that no other file has.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        // Not every file system gives a file two names.
        Err(error) if error.kind() != ErrorKind::AlreadyExists && fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_copy_is_there_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("mimi-provider-copy-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("copy");
        let half = write(&to, |part| {
            fs::write(part, "hal")?;
            assert!(!to.exists());
            Err(io::Error::other("no space"))
        });
        assert_eq!(half.unwrap_err().to_string(), format!("{}: no space", to.display()));
        assert!(names(&folder).is_empty());
        write(&to, |part| fs::write(part, "whole")).unwrap();
        assert_eq!((names(&folder), fs::read_to_string(&to).unwrap()), (vec!["copy".into()], "whole".into()));
        let twice = write(&to, |_| -> io::Result<()> { panic!("nothing is written") });
        assert!(twice.unwrap_err().to_string().contains("exists"));
        // Somebody else makes a file of that name meanwhile.
        let other = folder.join("other");
        let meanwhile = write(&other, |part| fs::write(part, "late").and_then(|()| fs::write(&other, "early")));
        assert!(meanwhile.unwrap_err().to_string().contains("exists"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "early");
        assert_eq!(names(&folder).len(), 2);
        let nowhere = folder.join("no/such/folder");
        assert!(write(&nowhere, |part| fs::write(part, "")).is_err());
        let _ = fs::remove_dir_all(folder);
    }
}
