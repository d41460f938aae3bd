//! One run at a time changes what is in `.pagekeep`.
//!
//! The operating system holds the lock and lets go of it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::time::{Duration, Instant};

use super::{Workspace, WorkspaceError};

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Workspace {
    /// Takes the lock, waiting up to `wait` for whoever has it.
    ///
    /// # Errors
    /// [`WorkspaceError::Busy`] when it was not free in time.
    pub fn lock(&self, wait: Duration) -> Result<Lock, WorkspaceError> {
        let path = self.path("lock");
        let fail = |source| WorkspaceError::io("lock", &path, source);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                    let holder = known.then(|| format!("process {}", holder.trim()));
                    return Err(WorkspaceError::Busy { path: self.home().to_owned(), holder });
                }
                Err(TryLockError::Error(source)) => return Err(fail(source)),
            }
        }
        // For people who find it held; nothing depends on it.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}
