//! What is remembered between runs, as small JSON files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Workspace, WorkspaceError, write_atomically};
use crate::base::{MarksNumber, Name, Nonce, RefNumber, SnapshotId, SnapshotNumber};
use crate::source::Seen;

/// What is remembered of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseMemory {
    /// The last snapshot that the source was made into, or restored from.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
    /// Its line, when that is another than the database's own: no snapshot was made on the own line yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// A hash of what there was besides content: paths, kinds, modes, links.
    pub listing: String,
    /// The source's files as they looked when that state was last seen to be the present one.
    #[serde(with = "super::path_form::pairs")]
    pub seen: BTreeMap<PathBuf, Seen>,
    /// When that look was taken.
    pub seen_at: Timestamp,
    /// Later snapshots of the own line that others made and that were copied to the local store, for a working copy: not
    /// what a stopped run of this database left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub theirs: Vec<SnapshotId>,
}

/// A snapshot a remote is known to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// Its number.
    pub number: SnapshotNumber,
    /// Its identity.
    pub id: SnapshotId,
}

/// What is remembered of a remote. Databases go by the names they have in this folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteMemory {
    /// The newest snapshot of each database's own line that is known to be there.
    pub newest: BTreeMap<Name, Pushed>,
    /// The newest of every line that is known to be there, by the database's name in stores and the line's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lines: BTreeMap<Name, BTreeMap<Name, Pushed>>,
    /// How many records of each ref are known to be there and to be those of the local store, by the database's name in
    /// stores and the ref's folder of keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refs: BTreeMap<Name, BTreeMap<String, RefNumber>>,
    /// The newest records of refs that wait here, because the remote was found to lack what they stand for; named as in
    /// `refs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<Name, BTreeMap<String, RefNumber>>,
    /// Numbers that were forgotten there when this folder last marked snapshots there, by the database's name in stores and
    /// the line's: from the first to the last of each range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forgotten: BTreeMap<Name, BTreeMap<Name, Vec<(SnapshotNumber, SnapshotNumber)>>>,
    /// Numbers that never came there, since nobody who is known has what the snapshots are made of; named as in `forgotten`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<Name, BTreeMap<Name, BTreeSet<SnapshotNumber>>>,
    /// Up to which record of the local store's marks holds and releases are known to be there, by the database's name in
    /// stores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<Name, MarksNumber>,
    /// The last sync that ended well, whether or not there was something to do.
    pub synced_at: BTreeMap<Name, Timestamp>,
    /// When the remote was last asked what it has.
    pub checked_at: BTreeMap<Name, Timestamp>,
    /// Why the last sync failed, and when; cleared by the next that ends well.
    pub failure: BTreeMap<Name, (Timestamp, String)>,
}

impl Workspace {
    pub(super) fn database_memory_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/{}.json", database.to_key()))
    }

    pub(super) fn remote_memory_path(&self, remote: &Name) -> PathBuf {
        self.path(&format!("state/remotes/{}.json", remote.to_key()))
    }

    /// Where copies of an encrypted remote's key slots are.
    pub fn slots_path(&self, remote: &Name) -> PathBuf {
        self.path(&format!("state/remotes/{}.slots", remote.to_key()))
    }

    /// What is remembered of a database; `None` when nothing is, or it cannot be understood: it is only a memory.
    pub fn recall_database(&self, database: &Name) -> Option<DatabaseMemory> {
        recall(self.database_memory_path(database))
    }

    /// Remembers a database.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_database(&self, database: &Name, memory: &DatabaseMemory) -> Result<(), WorkspaceError> {
        remember(self.database_memory_path(database), memory)
    }

    fn pending_path(&self, database: &Name) -> PathBuf {
        self.path(&format!("state/{}.pending", database.to_key()))
    }

    /// Keeps a record that is about to be created at a remote before it is created here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_pending(&self, database: &Name, record: &[u8]) -> Result<(), WorkspaceError> {
        write_atomically(&self.pending_path(database), record)
    }

    /// The record that was kept so and not forgotten: it may be at the remote.
    pub fn pending_record(&self, database: &Name) -> Option<Vec<u8>> {
        fs::read(self.pending_path(database)).ok()
    }

    /// Forgets it: it is here as well, or somebody else has its number.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_pending(&self, database: &Name) -> Result<(), WorkspaceError> {
        remove(self.pending_path(database))
    }

    fn turn_path(&self, remote: &Name) -> PathBuf {
        self.path(&format!("state/remotes/{}.turn", remote.to_key()))
    }

    /// Keeps the mark of a lock that is about to be put at a remote.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_turn(&self, remote: &Name, host: &str, mark: &Nonce) -> Result<(), WorkspaceError> {
        write_atomically(&self.turn_path(remote), format!("{mark}\n{}", self.whereabouts(host)).as_bytes())
    }

    /// The mark that was kept so and not forgotten. Whoever holds the workspace's lock knows that its run is over. What
    /// was kept on another machine or in another folder is none: this one is a copy, and that run may be at work.
    pub fn noted_turn(&self, remote: &Name, host: &str) -> Option<Nonce> {
        let text = fs::read_to_string(self.turn_path(remote)).ok()?;
        let (mark, whereabouts) = text.split_once('\n')?;
        (whereabouts == self.whereabouts(host)).then(|| mark.parse().ok()).flatten()
    }

    /// The mark by which this workspace's prunes are known: of its runs one comes after the other, so that whatever an earlier
    /// one left is nobody's. A copy on another machine or in another folder has another.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn prune_mark(&self, host: &str) -> Result<Nonce, WorkspaceError> {
        let path = self.path("state/prune");
        let known = fs::read_to_string(&path).ok().and_then(|text| {
            let (mark, whereabouts) = text.split_once('\n')?;
            (whereabouts == self.whereabouts(host)).then(|| mark.parse().ok()).flatten()
        });
        if let Some(mark) = known {
            return Ok(mark);
        }
        let mark = Nonce::fresh();
        write_atomically(&path, format!("{mark}\n{}", self.whereabouts(host)).as_bytes())?;
        Ok(mark)
    }

    /// Tells this workspace from its copies.
    fn whereabouts(&self, host: &str) -> String {
        let home = self.home().canonicalize().unwrap_or_else(|_| self.home().to_owned());
        format!("{host}\n{}", home.display())
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_turn(&self, remote: &Name) -> Result<(), WorkspaceError> {
        remove(self.turn_path(remote))
    }

    /// Forgets a database.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_database(&self, database: &Name) -> Result<(), WorkspaceError> {
        let path = self.database_memory_path(database);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(WorkspaceError::io("remove", &path, source)),
            _ => Ok(()),
        }
    }

    /// What is remembered of a remote; nothing when that cannot be understood.
    pub fn recall_remote(&self, remote: &Name) -> RemoteMemory {
        recall(self.remote_memory_path(remote)).unwrap_or_default()
    }

    /// Remembers a remote.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_remote(&self, remote: &Name, memory: &RemoteMemory) -> Result<(), WorkspaceError> {
        remember(self.remote_memory_path(remote), memory)
    }

    /// Forgets a remote.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_remote(&self, remote: &Name) -> Result<(), WorkspaceError> {
        self.forget_health(remote)?;
        remove(self.slots_path(remote))?;
        self.forget_runs(remote)?;
        remove(self.remote_memory_path(remote))
    }
}

pub(super) fn remove(path: PathBuf) -> Result<(), WorkspaceError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(WorkspaceError::io("remove", &path, source)),
        _ => Ok(()),
    }
}

pub(super) fn recall<T: DeserializeOwned>(path: PathBuf) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

pub(super) fn remember<T: Serialize>(path: PathBuf, memory: &T) -> Result<(), WorkspaceError> {
    let text = serde_json::to_vec(memory).expect("BUG: a memory is expressible in JSON");
    write_atomically(&path, &text)
}
