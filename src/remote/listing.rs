//! What lies below a folder of keys.

use futures::StreamExt;
use jiff::Timestamp;

use super::{Remote, RemoteError, Requests, runtime};

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key below the store's prefix.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was put there, by the remote's own clock.
    pub modified: Timestamp,
    /// What tells it from another that lay under the same key before: the place's tag for it, else the time it was made.
    pub mark: String,
}

impl Remote {
    /// The objects below a folder of keys, in order of their keys.
    ///
    /// # Errors
    /// When any page of the listing fails: half a listing is none. A folder of keys that is not there lists as empty, a
    /// bucket or a disk that is not there is an error: [`RemoteErrorKind::NotFound`].
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, RemoteError> {
        self.list_first(folder, usize::MAX)
    }

    /// The first `count` objects below a folder of keys, in order of their keys. On object storage this fetches no more
    /// pages than it needs; on disk the folder is read whole.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub fn list_first(&self, folder: &str, count: usize) -> Result<Vec<Listed>, RemoteError> {
        Requests::count(&self.requests.list);
        let ordered = self.folder.is_none();
        let from = self.path(folder);
        let skip = self.prefix.as_ref().len() + usize::from(!self.prefix.as_ref().is_empty());
        let fetch = async {
            let mut stream = self.objects.list(Some(&from));
            let mut found = Vec::new();
            while found.len() < count || !ordered {
                let Some(next) = stream.next().await else { break };
                match next {
                    Ok(meta) => {
                        let key = meta.location.as_ref().get(skip..).unwrap_or_default().to_owned();
                        let modified = Timestamp::from_millisecond(meta.last_modified.timestamp_millis());
                        let mark = meta.e_tag.unwrap_or_else(|| meta.last_modified.to_rfc3339());
                        found.push(Listed { key, size: meta.size, modified: modified.unwrap_or_default(), mark });
                    }
                    Err(error) => return Err(self.failed("list", folder, error)),
                }
            }
            if found.is_empty() {
                self.check_folder(folder)?;
            }
            found.sort_by(|a, b| a.key.cmp(&b.key));
            found.truncate(count);
            Ok(found)
        };
        runtime::block_on(fetch)
    }

    /// The names of the folders of keys right below a folder of keys, in order. On disk only that folder is read; elsewhere
    /// everything below it is listed.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub fn folders(&self, folder: &str) -> Result<Vec<String>, RemoteError> {
        let mut names: Vec<String> = match &self.folder {
            Some(root) if self.direct => match std::fs::read_dir(root.join(folder)) {
                Ok(entries) => {
                    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
                    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.check_folder(folder)?;
                    Vec::new()
                }
                Err(source) => {
                    let source = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) };
                    return Err(self.failed("list", folder, source));
                }
            },
            _ => {
                let below =
                    |key: String| Some(key.strip_prefix(folder)?.strip_prefix('/')?.split_once('/')?.0.to_owned());
                self.list(folder)?.into_iter().filter_map(|object| below(object.key)).collect()
            }
        };
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The client of file systems lists a root that is gone as an empty one, and a disk that is not mounted must never
    /// be taken for a store with nothing in it.
    fn check_folder(&self, folder: &str) -> Result<(), RemoteError> {
        let Some(root) = &self.folder else { return Ok(()) };
        match std::fs::read_dir(root) {
            Ok(_) => Ok(()),
            Err(source) => {
                let source = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) };
                Err(self.failed("list", folder, source))
            }
        }
    }
}
