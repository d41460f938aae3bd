//! Maps that were written anew: found, read, created.

use super::{MAX_RECORD_BYTES, Store, StoreError, keys};
use crate::base::{Name, Nonce};
use crate::format::FormatError;
use crate::format::new_map::NewMap;
use crate::format::record::SnapshotName;

impl Store {
    /// The writings of which there is a map of a snapshot.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn new_maps_of(&self, database: &Name, name: &SnapshotName) -> Result<Vec<Nonce>, StoreError> {
        let listed = self.remote().list(&keys::new_maps_of(database, name))?;
        Ok(listed.iter().filter_map(|object| keys::parse_new_map(&object.key)).map(|(.., writing)| writing).collect())
    }

    /// Reads a map.
    ///
    /// # Errors
    /// When it is missing or damaged, or another's.
    pub fn new_map(&self, database: &Name, name: &SnapshotName, writing: &Nonce) -> Result<NewMap, StoreError> {
        let key = keys::new_map(database, name, writing);
        let bytes = self.remote().get(&key, MAX_RECORD_BYTES)?;
        let map = NewMap::decode(&bytes).map_err(|source| self.damaged(&key, source))?;
        if (&map.header.database, &map.header.snapshot) != (database, name) {
            let detail = format!("it is that of {}:{}", map.header.database, map.header.snapshot);
            return Err(self.damaged(&key, FormatError::Inconsistent { what: "the map", detail }));
        }
        Ok(map)
    }

    /// Stores a map; returns its length in bytes.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn put_new_map(&self, map: &NewMap, writing: &Nonce) -> Result<u64, StoreError> {
        let (key, bytes) = (keys::new_map(&map.header.database, &map.header.snapshot, writing), map.encode());
        let len = bytes.len() as u64;
        self.create_object(&key, bytes.into())?;
        Ok(len)
    }
}
