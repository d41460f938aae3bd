//! Records of refs: found, read, created.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Store, StoreError, keys};
use crate::base::{Name, RefNumber};
use crate::format::FormatError;
use crate::format::refs::{MAX_REF_BYTES, RefHeader, RefName, RefRecord};
use crate::remote::PutOutcome;

/// What became of the attempt to create a ref's record.
#[derive(Debug)]
pub enum CreatedRef {
    /// It is there, and it is ours.
    Ours,
    /// Somebody else's record has this number.
    Theirs(Box<RefRecord>),
}

impl Store {
    /// The numbers of the records of each ref of a database, newest first: one listing.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn refs(&self, database: &Name) -> Result<BTreeMap<RefName, Vec<RefNumber>>, StoreError> {
        let mut refs: BTreeMap<RefName, Vec<RefNumber>> = BTreeMap::new();
        for object in self.remote().list(&keys::refs_folder(database))? {
            if let Some((_, name, number)) = keys::parse_ref(&object.key) {
                refs.entry(name).or_default().push(number);
            }
        }
        Ok(refs)
    }

    /// Reads a ref's record.
    ///
    /// # Errors
    /// When it is missing or damaged, or is another ref's record under this key.
    pub fn ref_record(&self, database: &Name, name: &RefName, number: RefNumber) -> Result<RefRecord, StoreError> {
        self.decode_ref(database, name, number, &self.ref_bytes(database, name, number)?)
    }

    /// Reads a ref's record as it is stored.
    ///
    /// # Errors
    /// When it is missing.
    pub fn ref_bytes(&self, database: &Name, name: &RefName, number: RefNumber) -> Result<Bytes, StoreError> {
        self.remote().get(&keys::ref_record(database, name, number), MAX_REF_BYTES.into())
    }

    /// Decodes a record that was read for this ref.
    ///
    /// # Errors
    /// As [`Store::ref_record`].
    pub fn decode_ref(
        &self,
        database: &Name,
        name: &RefName,
        number: RefNumber,
        bytes: &[u8],
    ) -> Result<RefRecord, StoreError> {
        let key = keys::ref_record(database, name, number);
        let record = RefRecord::decode(bytes).map_err(|source| self.damaged(&key, source))?;
        let found = &record.header;
        if (&found.database, &found.name(), found.number) != (database, name, number) {
            let detail = format!("it is record {} of {} of {}", found.number, found.name(), found.database);
            return Err(self.damaged(&key, FormatError::Inconsistent { what: "the ref's record", detail }));
        }
        Ok(record)
    }

    /// The newest record of a ref, if there is one: a listing and a read.
    ///
    /// # Errors
    /// When the remote fails or the record is damaged.
    pub fn newest_ref(&self, database: &Name, name: &RefName) -> Result<Option<RefRecord>, StoreError> {
        let listed = self.remote().list(&keys::ref_folder(database, name))?;
        let newest = listed.iter().find_map(|object| keys::parse_ref(&object.key));
        newest.map(|(.., number)| self.ref_record(database, name, number)).transpose()
    }

    /// Creates a ref's record, given with its stored form. Whether it is our own that lies there already, its nonce tells.
    ///
    /// # Errors
    /// When the remote fails; the record may then be there or not, and the attempt can be repeated.
    pub fn create_ref(&self, header: &RefHeader, bytes: Bytes) -> Result<CreatedRef, StoreError> {
        let (name, number) = (header.name(), header.number);
        let key = keys::ref_record(&header.database, &name, number);
        if self.create_object(&key, bytes)? == PutOutcome::Created {
            return Ok(CreatedRef::Ours);
        }
        let there = self.ref_record(&header.database, &name, number)?;
        Ok(if there.header.nonce == header.nonce { CreatedRef::Ours } else { CreatedRef::Theirs(Box::new(there)) })
    }

    /// The lines of which there are snapshots, in order of their names. On disk one folder is read.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn lines(&self, database: &Name) -> Result<Vec<Name>, StoreError> {
        let folders = self.remote().folders(&format!("{}/{}", keys::SNAPSHOTS, database.to_key()))?;
        Ok(folders.iter().filter_map(|folder| Name::from_key(folder)).collect())
    }
}
