use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

use crate::{Config, StartError};

const NAME: &str = "provider.lock";
/// How often somebody who wants it looks whether it is free, and how long it waits in between.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);

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

    /// Whether a process serves from the SQLite database of a configuration.
    pub(crate) fn is_taken(config: &Config) -> bool {
        let file = File::open(config.data.join(NAME));
        // For a moment it is held here, together with others who ask: whoever takes it meanwhile looks again.
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn take_in(folder: &Path) -> Result<Self, StartError> {
        let path = folder.join(NAME);
        let failed = |error| StartError::data(&path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(StartError::Taken(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_only_looks_keeps_nobody_from_the_lock() {
        let folder = std::env::temp_dir().join(format!("mimi-provider-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let held = Lock::take_in(&folder).unwrap();
        let looked = File::open(folder.join(NAME)).unwrap();
        assert!(matches!(looked.try_lock_shared(), Err(TryLockError::WouldBlock)));
        assert!(matches!(Lock::take_in(&folder), Err(StartError::Taken(_))));
        drop(held);
        looked.try_lock_shared().unwrap();
        let looks = std::thread::spawn(move || {
            std::thread::sleep(PAUSE);
            drop(looked);
        });
        assert!(Lock::take_in(&folder).is_ok(), "it looks again");
        looks.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
