//! A snapshot there becomes a file here: written beside its destination as it comes, gone on with where a connection broke,
//! then renamed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use tempfile::NamedTempFile;

use super::api::is_of_the_way;
use super::{ClientError, Kept, Server};
use crate::base::progress::Phase;
use crate::ops::{OpError, TargetError};
use crate::remote::WebError;

/// How often it is gone on without a byte having come.
const TRIES: u32 = 3;

/// What was downloaded.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// The snapshot.
    pub kept: Kept,
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
}

impl Server {
    /// Writes a snapshot as a plain SQLite file; without a `path` one in `folder`, named after the snapshot.
    ///
    /// # Errors
    /// [`TargetError`] when something is there and `force` is not said; when it does not come whole.
    pub fn download(
        &self,
        database: &str,
        snapshot: &str,
        file: Option<&str>,
        path: Option<&Path>,
        folder: &Path,
        force: bool,
    ) -> Result<Downloaded, OpError> {
        // By its number it is the same one from now on, whatever is made meanwhile.
        let kept = self.snapshot(database, snapshot)?;
        let path = folder.join(path.map_or_else(|| file_name(&kept.snapshot), Path::to_owned));
        let exists = || OpError::from(TargetError::Exists { what: "file", path: path.clone() });
        if path.is_dir() || !force && path.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".pagekeep-download-").tempfile_in(beside);
        let mut temporary = temporary.map_err(OpError::io("write in", beside))?;
        let size_bytes = self.fetch(database, &kept, file, &mut temporary)?;
        temporary.as_file().sync_all().map_err(OpError::io("write", &path))?;
        let placed = if force { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        placed.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(),
            _ => OpError::io("write", &path)(error.error),
        })?;
        File::open(beside).and_then(|folder| folder.sync_all()).map_err(OpError::io("write in", beside))?;
        Ok(Downloaded { kept, path, size_bytes })
    }

    fn fetch(&self, database: &str, kept: &Kept, file: Option<&str>, out: &mut NamedTempFile) -> Result<u64, OpError> {
        let parts = ["api", "v1", "databases", database, "snapshots", &kept.snapshot, "download"];
        let query: Vec<(&str, &str)> = file.map(|file| ("file", file)).into_iter().collect();
        self.progress.enter(Phase::Restoring);
        self.progress.done_bytes.store(0, Relaxed);
        let (mut got, mut size, mut tries) = (0_u64, None, 0);
        loop {
            let before = got;
            let headers: Vec<(&str, String)> =
                (got > 0).then(|| ("range", format!("bytes={got}-"))).into_iter().collect();
            let mut answer = match self.open(&parts, &query, &headers) {
                Err(error) if got > 0 && is_of_the_way(&error) && tries < TRIES => {
                    tries += 1;
                    continue;
                }
                answer => answer?,
            };
            if answer.status() != if got > 0 { 206 } else { 200 } {
                return Err(self.refusal(answer));
            }
            let whole = answer.len().map(|len| got + len);
            let Some(wanted) = size.or(whole) else {
                return Err(ClientError::Foreign { server: self.address.to_string(), status: answer.status() }.into());
            };
            size = Some(wanted);
            self.progress.total_bytes.store(wanted, Relaxed);
            let reason = loop {
                match answer.piece() {
                    Ok(Some(piece)) => {
                        out.write_all(&piece).map_err(OpError::io("write", out.path()))?;
                        got += piece.len() as u64;
                        self.progress.done_bytes.store(got, Relaxed);
                        self.progress.moved_bytes.store(got, Relaxed);
                    }
                    Ok(None) if got == wanted => return Ok(got),
                    Ok(None) => break "it ended too early".to_owned(),
                    Err(WebError::Cancelled(cancelled)) => return Err(cancelled.into()),
                    Err(error) => break error.to_string(),
                }
            };
            tries = if got > before { 0 } else { tries + 1 };
            if tries >= TRIES || got > wanted {
                return Err(ClientError::Short { got, size: wanted, reason }.into());
            }
        }
    }
}

/// `shop-3.sqlite` for `shop@3`; nothing in it leads elsewhere.
fn file_name(snapshot: &str) -> PathBuf {
    let safe = |c: char| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '-' };
    let name: String = snapshot.chars().map(safe).collect();
    PathBuf::from(format!("{}.sqlite", name.trim_start_matches(['.', '-'])))
}
