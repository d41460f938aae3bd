//! What is remembered, for a process that looks again and again: a file is read anew only when it is another than before.
//!
//! Each of these files is replaced as a whole, so that its inode, size or time tells when it says something else.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use super::memory::recall;
use super::{DatabaseMemory, RemoteMemory, Workspace};
use crate::base::Name;

/// Files of each kind that are kept: those of folders that are not looked at any more must not stay for ever.
const MOST: usize = 20_000;

/// What was read of databases and remotes, as long as it holds.
#[derive(Debug, Default)]
pub struct Recollection {
    databases: Kept<DatabaseMemory>,
    remotes: Kept<RemoteMemory>,
}

/// By its path, what a file says, and as what it was seen then; none when it cannot be understood.
type Kept<T> = Mutex<HashMap<PathBuf, (Stamp, Option<Arc<T>>)>>;

/// What tells whether a file was replaced.
type Stamp = (u64, u64, i64, i64);

impl Recollection {
    /// As [`Workspace::recall_database`].
    pub fn database(&self, workspace: &Workspace, database: &Name) -> Option<Arc<DatabaseMemory>> {
        current(&self.databases, workspace.database_memory_path(database))
    }

    /// As [`Workspace::recall_remote`].
    pub fn remote(&self, workspace: &Workspace, remote: &Name) -> Arc<RemoteMemory> {
        current(&self.remotes, workspace.remote_memory_path(remote)).unwrap_or_default()
    }
}

fn current<T: DeserializeOwned>(kept: &Kept<T>, path: PathBuf) -> Option<Arc<T>> {
    let all = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(metadata) = fs::metadata(&path) else {
        all().remove(&path);
        return None;
    };
    // Of what is replaced between the two the newer content goes with the older stamp, and is read once more.
    let stamp = (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    let known = all().get(&path).filter(|(seen, _)| *seen == stamp).map(|(_, known)| known.clone());
    if let Some(known) = known {
        return known;
    }
    let found = recall(path.clone()).map(Arc::new);
    let mut all = all();
    if all.len() >= MOST {
        all.clear();
    }
    all.insert(path, (stamp, found.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_anew_is_read_anew_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(folder.path()).unwrap();
        let (shop, offsite) = (Name::new("shop").unwrap(), Name::new("offsite").unwrap());
        let memories = Recollection::default();
        assert!(memories.database(&workspace, &shop).is_none());
        assert_eq!(*memories.remote(&workspace, &offsite), RemoteMemory::default());
        let mut memory = RemoteMemory::default();
        for minute in 1..=3 {
            let at: jiff::Timestamp = format!("2026-11-21T12:0{minute}:00Z").parse().unwrap();
            memory.synced_at.insert(shop.clone(), at);
            workspace.remember_remote(&offsite, &memory).unwrap();
            let first = memories.remote(&workspace, &offsite);
            assert_eq!(*first, memory);
            assert!(Arc::ptr_eq(&first, &memories.remote(&workspace, &offsite)));
        }
        fs::write(workspace.remote_memory_path(&offsite), "{").unwrap();
        assert_eq!(*memories.remote(&workspace, &offsite), RemoteMemory::default());
        workspace.forget_remote(&offsite).unwrap();
        assert_eq!(*memories.remote(&workspace, &offsite), RemoteMemory::default());
        assert!(memories.remotes.lock().unwrap().is_empty());
    }
}
