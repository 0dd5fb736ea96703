use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::{Config, StartError};

/// Held by the one process that serves from a SQLite database. It keeps things in memory that another one would change
/// behind its back, and would bring others their messages twice. The system gives the lock back when the process ends,
/// however it ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a configuration's database; there is none if several processes may share it.
    pub(crate) fn take(config: &Config) -> Result<Option<Self>, StartError> {
        if config.database.is_some() { Ok(None) } else { Self::take_in(&config.data).map(Some) }
    }

    fn take_in(folder: &Path) -> Result<Self, StartError> {
        let path = folder.join("provider.lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| StartError::data(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::Taken(path)),
            Err(TryLockError::Error(error)) => Err(StartError::data(&path, error)),
        }
    }
}
