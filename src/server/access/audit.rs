//! Who did what, from where, and what came of it: a line of JSON for each change and each refusal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A file that is longer is put aside, and the one put aside before goes.
const MOST_BYTES: u64 = 16 << 20;
/// Bytes from the end in which the newest lines are looked for.
const TAIL: u64 = 256 << 10;

/// The log.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

/// A line.
#[derive(Debug, Serialize)]
pub(crate) struct Deed<'a> {
    pub(crate) at: jiff::Timestamp,
    pub(crate) who: &'a str,
    pub(crate) from: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
}

impl Audit {
    pub(crate) fn in_folder(state: &Path) -> Self {
        Self { path: state.join("audit.log"), file: Mutex::default() }
    }

    /// Writes a line. What cannot be written is said in the server's log.
    pub(crate) fn write(&self, deed: &Deed<'_>) {
        let mut line = serde_json::to_vec(deed).expect("BUG: a deed is expressible in JSON");
        line.push(b'\n');
        if let Err(error) = self.append(&line) {
            tracing::error!("the audit log {:?} cannot be written: {error}", self.path);
        }
    }

    /// The newest lines of the file, newest first. What cannot be read is left out.
    pub(crate) fn newest(&self, most: usize) -> Vec<serde_json::Value> {
        let tail = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = tail().unwrap_or_default();
        let lines = bytes.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| serde_json::from_slice(line).ok()).take(most).collect()
    }

    fn append(&self, line: &[u8]) -> std::io::Result<()> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|(_, len)| *len > MOST_BYTES) {
            *slot = None;
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        if slot.is_none() {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            let len = file.metadata()?.len();
            *slot = Some((file, len));
        }
        let Some((file, len)) = slot.as_mut() else { return Ok(()) };
        file.write_all(line)?;
        *len += line.len() as u64;
        Ok(())
    }
}
