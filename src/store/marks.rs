//! Records of marks: found, read, created.

use bytes::Bytes;

use super::{Store, StoreError, keys};
use crate::base::{MarksNumber, Name};
use crate::format::FormatError;
use crate::format::marks::{MAX_MARKS_BYTES, MarksHeader, MarksRecord};
use crate::remote::PutOutcome;

/// What became of the attempt to create a record of marks.
#[derive(Debug)]
pub enum CreatedMarks {
    /// It is there, and it is ours.
    Ours,
    /// Somebody else's record has this number.
    Theirs(Box<MarksRecord>),
}

impl Store {
    /// The numbers of the records of marks of a database, newest first; at most `count`: one listing.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn marks_numbers(&self, database: &Name, count: usize) -> Result<Vec<MarksNumber>, StoreError> {
        let listed = self.remote().list_first(&keys::marks_folder(database), count)?;
        Ok(listed.iter().filter_map(|object| keys::parse_marks(&object.key)).map(|(_, number)| number).collect())
    }

    /// The newest record of marks, which says all that holds: a listing, and a read when there is one.
    ///
    /// # Errors
    /// When the remote fails, or the record is damaged.
    pub fn newest_marks(&self, database: &Name) -> Result<Option<MarksRecord>, StoreError> {
        let newest = self.marks_numbers(database, 1)?;
        newest.first().map(|number| self.marks_record(database, *number)).transpose()
    }

    /// Reads a record of marks.
    ///
    /// # Errors
    /// When it is missing or damaged, or is another's under this key.
    pub fn marks_record(&self, database: &Name, number: MarksNumber) -> Result<MarksRecord, StoreError> {
        self.decode_marks(database, number, &self.marks_bytes(database, number)?)
    }

    /// Reads a record of marks as it is stored.
    ///
    /// # Errors
    /// When it is missing.
    pub fn marks_bytes(&self, database: &Name, number: MarksNumber) -> Result<Bytes, StoreError> {
        self.remote().get(&keys::marks(database, number), MAX_MARKS_BYTES.into())
    }

    /// Decodes a record of marks that was read for this key.
    ///
    /// # Errors
    /// As [`Store::marks_record`].
    pub fn decode_marks(&self, database: &Name, number: MarksNumber, bytes: &[u8]) -> Result<MarksRecord, StoreError> {
        let key = keys::marks(database, number);
        let record = MarksRecord::decode(bytes).map_err(|source| self.damaged(&key, source))?;
        let found = &record.header;
        if (&found.database, found.number) != (database, number) {
            let detail = format!("it is record {} of the marks of {}", found.number, found.database);
            return Err(self.damaged(&key, FormatError::Inconsistent { what: "the record of marks", detail }));
        }
        Ok(record)
    }

    /// Creates a record of marks, given with its stored form. Whether it is our own that lies there already, its nonce
    /// tells.
    ///
    /// # Errors
    /// When the remote fails; the record may then be there or not, and the attempt can be repeated.
    pub fn create_marks(&self, header: &MarksHeader, bytes: Bytes) -> Result<CreatedMarks, StoreError> {
        let (database, number) = (&header.database, header.number);
        if self.create_object(&keys::marks(database, number), bytes)? == PutOutcome::Created {
            return Ok(CreatedMarks::Ours);
        }
        let there = self.marks_record(database, number)?;
        Ok(if there.header.nonce == header.nonce { CreatedMarks::Ours } else { CreatedMarks::Theirs(Box::new(there)) })
    }
}
