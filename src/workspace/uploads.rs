//! Packs that an unfinished run brought to a remote, so that the next run goes on from them.
//!
//! One small file per pack: its name the pack's id, its content for each slot a byte (0 whole, 1 delta) and the chunk's id. They are removed when a snapshot exists
//! that uses them, and forgotten after a day, before any prune may remove a pack that no snapshot uses.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Workspace, WorkspaceError};
use crate::base::{ChunkId, Name, PackId, SlotContent, SlotNumber};

/// How long an unfinished upload counts.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Where the uploads to one remote are noted.
#[derive(Clone, Debug)]
pub struct Uploads {
    folder: PathBuf,
}

/// Chunks that are at a remote already.
#[derive(Debug, Default)]
pub struct UploadedChunks {
    packs: Vec<PackId>,
    places: HashMap<ChunkId, (u32, SlotNumber)>,
}

impl UploadedChunks {
    /// Where a chunk is.
    pub fn find(&self, id: &ChunkId) -> Option<(PackId, SlotNumber)> {
        self.places.get(id).map(|(pack, slot)| (self.packs[*pack as usize], *slot))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }
}

impl Workspace {
    /// The notes about uploads of one database to one remote (or to the local store, under its own name).
    pub fn uploads(&self, remote: &str, database: &Name) -> Uploads {
        Uploads { folder: self.path(&format!("uploads/{remote}/{}", database.to_key())) }
    }
}

impl Uploads {
    /// Notes a pack that has arrived. A note that cannot be written costs the next run time, nothing else.
    pub fn note(&self, pack: &PackId, slots: &[SlotContent]) {
        let entry = |slot: &SlotContent| std::iter::once(u8::from(slot.is_delta)).chain(slot.id.0);
        let bytes: Vec<u8> = slots.iter().flat_map(entry).collect();
        let _ = fs::create_dir_all(&self.folder);
        let _ = fs::write(self.folder.join(pack.to_string()), bytes);
    }

    /// What has arrived in the last day. A note whose ids do not give its pack's name is not believed.
    pub fn recall(&self) -> UploadedChunks {
        let mut chunks = UploadedChunks::default();
        let Ok(entries) = fs::read_dir(&self.folder) else { return chunks };
        for entry in entries.flatten() {
            let fresh = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < REMEMBERED));
            let Some(pack) = entry.file_name().to_str().and_then(|name| name.parse::<PackId>().ok()) else { continue };
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            let slot = |entry: &[u8]| SlotContent {
                is_delta: entry[0] != 0,
                id: ChunkId(entry[1..].try_into().expect("BUG: 33 bytes")),
            };
            let slots: Vec<SlotContent> = bytes.chunks_exact(33).map(slot).collect();
            if fresh && PackId::of(&slots) == pack {
                let number = chunks.packs.len() as u32;
                chunks.packs.push(pack);
                let places = slots.iter().enumerate().map(|(at, slot)| (slot.id, (number, SlotNumber(at as u32))));
                chunks.places.extend(places);
            }
        }
        chunks
    }

    /// Forgets all: a snapshot that uses them exists.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear(&self) -> Result<(), WorkspaceError> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(WorkspaceError::io("remove", &self.folder, source))
            }
            _ => Ok(()),
        }
    }
}
