//! Parts of far objects kept in a folder of this machine, for all runs and processes of one user.
//!
//! A pack is a file with holes: as long as the pack, with each part that was fetched at its own offset. So the file is
//! read as the pack itself is, and a hole, a torn write, or somebody else's bytes fail the checks that every reader makes:
//! they are only not there. A record is a file of its own, written beside and renamed, behind a hash of its name and bytes.
//!
//! Nothing here fails: what cannot be kept is fetched again. What was used longest ago goes first; the file system's own
//! times say so.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use crate::base::PackId;

/// Files of packs held open at once.
const OPEN_FILES: usize = 64;
/// The folder is looked through after this part of the bound was written: other processes write, too.
const LOOK_EVERY: u64 = 32;
/// What is left when room was made, of eight parts of the bound.
const LEFT_OF_EIGHT: u64 = 7;
/// Bytes of the hash in front of a record.
const HASH_LEN: usize = 32;

/// A folder of parts of objects. Clones of a [`super::Store`] share it.
#[derive(Debug)]
pub struct ObjectCache {
    folder: PathBuf,
    limit_bytes: u64,
    files: Mutex<Files>,
    hits: AtomicU64,
    hit_bytes: AtomicU64,
}

#[derive(Debug)]
struct Files {
    open: HashMap<PackId, Arc<File>>,
    /// Bytes that may be written before the folder is looked through again.
    unseen_bytes: u64,
}

impl ObjectCache {
    /// Uses a folder, which is made when it is not there, readable for its owner alone. `limit_bytes` bounds the space it
    /// takes on the disk.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let files = Mutex::new(Files { open: HashMap::new(), unseen_bytes: 0 });
        let (hits, hit_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let cache = Self { folder: folder.to_owned(), limit_bytes, files, hits, hit_bytes };
        // The bound may have been larger before.
        cache.look(&mut cache.files(), 0);
        Ok(cache)
    }

    /// How often something was found here, and its bytes.
    pub fn hits(&self) -> (u64, u64) {
        (self.hits.load(Relaxed), self.hit_bytes.load(Relaxed))
    }

    /// Counts something found that passed its checks.
    pub(super) fn count_hit(&self, bytes: usize) {
        self.hits.fetch_add(1, Relaxed);
        self.hit_bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A small object that was kept whole.
    pub(super) fn object(&self, place: &str, key: &str) -> Option<Bytes> {
        let name = object_name(place, key);
        let mut file = File::open(self.folder.join(&name)).ok()?;
        let mut stored = Vec::new();
        io::Read::read_to_end(&mut file, &mut stored).ok()?;
        let stored = Bytes::from(stored);
        let bytes = stored.slice_ref(stored.get(HASH_LEN..)?);
        if stored[..HASH_LEN] != object_hash(&name, &bytes) {
            return None;
        }
        touch(&file);
        self.count_hit(bytes.len());
        Some(bytes)
    }

    /// Keeps a small object whole.
    pub(super) fn keep_object(&self, place: &str, key: &str, bytes: &Bytes) {
        let name = object_name(place, key);
        if self.make_room((bytes.len() + HASH_LEN) as u64) {
            // What cannot be kept is fetched again.
            let _ = self.write_object(&name, bytes);
        }
    }

    fn write_object(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&object_hash(name, bytes))?;
        file.write_all(bytes)?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }

    /// Length of a pack of which something was kept.
    pub(super) fn pack_len(&self, id: &PackId) -> Option<u64> {
        Some(self.pack(id, None)?.metadata().ok()?.len())
    }

    /// Part of a pack, as it lies here: the caller must check it. `None` where certainly nothing was kept.
    pub(super) fn read(&self, id: &PackId, range: Range<u64>) -> Option<Bytes> {
        let file = self.pack(id, None)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start).ok()?;
        // Frames begin with hashes, tables with a zstd frame: holes do not.
        bytes.iter().take(HASH_LEN).any(|byte| *byte != 0).then(|| bytes.into())
    }

    /// Keeps part of a pack of `total_len` bytes.
    pub(super) fn keep(&self, id: &PackId, total_len: u64, offset: u64, bytes: &Bytes) {
        if self.make_room(bytes.len() as u64)
            && let Some(file) = self.pack(id, Some(total_len))
        {
            // What cannot be kept is fetched again.
            let _ = file.write_all_at(bytes, offset);
        }
    }

    /// The file of a pack; with its length, made when it is not there.
    fn pack(&self, id: &PackId, total_len: Option<u64>) -> Option<Arc<File>> {
        let mut files = self.files();
        let fits = |metadata: Metadata| metadata.nlink() > 0 && total_len.is_none_or(|total| metadata.len() == total);
        if let Some(file) = files.open.get(id)
            && file.metadata().is_ok_and(fits)
        {
            return Some(Arc::clone(file));
        }
        files.open.remove(id);
        let path = self.folder.join(format!("pack-{id}"));
        let create = total_len.is_some();
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path).ok()?;
        if let Some(total) = total_len
            && file.metadata().ok()?.len() != total
        {
            file.set_len(0).and_then(|()| file.set_len(total)).ok()?;
        }
        touch(&file);
        if files.open.len() >= OPEN_FILES {
            files.open.clear();
        }
        let file = Arc::new(file);
        files.open.insert(*id, Arc::clone(&file));
        Some(file)
    }

    /// Makes room for so many more bytes; `false` when there cannot be enough.
    fn make_room(&self, bytes: u64) -> bool {
        let bytes = bytes.next_multiple_of(4096);
        if bytes > self.limit_bytes / 4 {
            return false;
        }
        let mut files = self.files();
        if let Some(left) = files.unseen_bytes.checked_sub(bytes) {
            files.unseen_bytes = left;
            return true;
        }
        self.look(&mut files, bytes)
    }

    /// Looks what is there, and removes what is too much beside so many more bytes; whether they have room then.
    fn look(&self, files: &mut Files, bytes: u64) -> bool {
        let step = self.limit_bytes / LOOK_EVERY;
        let Ok(mut found) = self.look_through() else { return false };
        let mut used: u64 = found.iter().map(|file| file.bytes).sum();
        if used + bytes + step > self.limit_bytes {
            found.sort_by_key(|file| file.used);
            let wanted = (self.limit_bytes / 8 * LEFT_OF_EIGHT).saturating_sub(bytes);
            for file in found {
                if used <= wanted {
                    break;
                }
                if std::fs::remove_file(&file.path).is_ok() {
                    used -= file.bytes;
                }
            }
            // A file that is held open takes its space until it is closed.
            files.open.clear();
        }
        files.unseen_bytes = step;
        used + bytes <= self.limit_bytes
    }

    fn look_through(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                let used = (metadata.mtime(), metadata.mtime_nsec());
                found.push(Found { path: entry.path(), bytes: metadata.blocks() * 512, used });
            }
        }
        Ok(found)
    }
}

/// A file of the folder.
struct Found {
    path: PathBuf,
    /// Space on the disk.
    bytes: u64,
    /// Seconds and nanoseconds.
    used: (i64, i64),
}

fn object_name(place: &str, key: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(place.len() as u64).to_le_bytes()).update(place.as_bytes()).update(key.as_bytes());
    format!("object-{}", hasher.finalize().to_hex())
}

fn object_hash(name: &str, bytes: &[u8]) -> [u8; HASH_LEN] {
    *blake3::Hasher::new().update(name.as_bytes()).update(bytes).finalize().as_bytes()
}

/// Notes that a file was used now.
fn touch(file: &File) {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    // Only the order in which files go suffers.
    let _ = futimens(file, &Timestamps { last_access: omit, last_modification: now });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &ObjectCache, id: &PackId) -> Bytes {
        let bytes = Bytes::from(vec![7; 64]);
        cache.keep(id, 1000, 0, &bytes);
        assert_eq!(cache.read(id, 0..64), Some(bytes.clone()));
        assert_eq!(cache.pack_len(id), Some(1000));
        bytes
    }

    /// Another process shares the folder: what it cut, or removed while we hold it open, is not what we kept.
    #[test]
    fn a_file_that_became_another_is_not_taken_for_the_pack() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ObjectCache::open(folder.path(), 1 << 20).unwrap();
        let id = PackId([3; 32]);
        let path = folder.path().join(format!("pack-{id}"));
        let bytes = kept(&cache, &id);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(500).unwrap();
        cache.keep(&id, 1000, 100, &bytes);
        assert_eq!((cache.pack_len(&id), cache.read(&id, 0..64)), (Some(1000), None));
        assert_eq!(cache.read(&id, 100..164), Some(bytes));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((cache.pack_len(&id), cache.read(&id, 100..164)), (None, None));
        kept(&cache, &id);
    }
}
