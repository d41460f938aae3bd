//! Packs that an unfinished run stored, so that the next run goes on from them.
//!
//! One small file per pack, named by the pack's id: the ids of its chunks in slot order, and BLAKE3 of name and ids. All are
//! removed when a later run comes to its end, and not counted once they are a day old. A note alone is not believed: the
//! pack must still be in every store.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Workspace, WorkspaceError};
use crate::base::ordered::ordered;
use crate::base::{ChunkId, Name, PackId, SlotContent, SlotNumber};
use crate::store::Store;

/// How long an unfinished upload counts.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Stores are asked so many questions at once.
const ASKING: usize = 8;

/// Where the uploads of one database, to one remote or to the local store, are noted.
#[derive(Clone, Debug)]
pub struct Uploads {
    folder: PathBuf,
}

/// Chunks that are already in every store they go to.
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

    fn add(&mut self, pack: PackId, ids: &[u8]) {
        let number = self.packs.len() as u32;
        self.packs.push(pack);
        for (at, id) in ids.chunks_exact(32).enumerate() {
            let id = ChunkId(id.try_into().expect("BUG: 32 bytes"));
            self.places.insert(id, (number, SlotNumber(at as u32)));
        }
    }
}

impl Workspace {
    /// The notes about uploads of one database under one heading: a remote's name, `url` for addresses without a name, or
    /// `local` for the local store.
    pub fn uploads(&self, remote: &str, database: &Name) -> Uploads {
        Uploads { folder: self.path(&format!("uploads/{remote}/{}", database.to_key())) }
    }
}

impl Uploads {
    /// Notes a pack that has arrived. A note that cannot be written costs the next run time, nothing else.
    pub fn note(&self, pack: &PackId, slots: &[SlotContent]) {
        let mut bytes: Vec<u8> = slots.iter().flat_map(|slot| slot.id.0).collect();
        let check = check(pack, &bytes);
        bytes.extend_from_slice(&check);
        let _ = fs::create_dir_all(&self.folder);
        let _ = fs::write(self.folder.join(pack.to_string()), bytes);
    }

    /// What has arrived in the last day and is in all of `stores`. A note that is not whole is not believed.
    pub fn recall(&self, stores: &[Store]) -> UploadedChunks {
        let mut chunks = UploadedChunks::default();
        let noted = self.noted();
        ordered(
            ASKING.min(noted.len()).max(1),
            2 * ASKING,
            |give| noted.into_iter().all(give),
            || (),
            |(), (pack, bytes)| {
                let there = |store: &Store| store.keeps_pack(&pack).unwrap_or(false);
                stores.iter().all(there).then_some((pack, bytes))
            },
            |found: Option<(PackId, Vec<u8>)>| -> Result<(), std::convert::Infallible> {
                if let Some((pack, ids)) = found {
                    chunks.add(pack, &ids);
                }
                Ok(())
            },
        )
        .unwrap_or_else(|never| match never {});
        chunks
    }

    /// Fresh and whole notes: packs and the ids of their chunks.
    fn noted(&self) -> Vec<(PackId, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut noted = Vec::new();
        for entry in entries.flatten() {
            let fresh = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < REMEMBERED));
            let Some(pack) = entry.file_name().to_str().and_then(|name| name.parse::<PackId>().ok()) else { continue };
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            let Some((ids, found)) = bytes.split_last_chunk::<32>() else { continue };
            if fresh && check(&pack, ids) == *found {
                noted.push((pack, ids.to_vec()));
            }
        }
        noted
    }

    /// Forgets all: the run has come to its end.
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

fn check(pack: &PackId, ids: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(pack.as_bytes()).update(ids).finalize().as_bytes()
}
