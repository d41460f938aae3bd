//! Records of marks: found, read, created.

use bytes::Bytes;

use super::{Store, StoreError, keys};
use crate::base::{MarksId, MarksNumber, Name};
use crate::format::FormatError;
use crate::format::marks::{MAX_MARKS_BYTES, MarksHeader, MarksRecord};
use crate::remote::PutOutcome;

/// What became of the attempt to create a record of marks.
#[derive(Debug)]
pub enum CreatedMarks {
    /// It is there, and it is ours.
    Ours,
    /// Somebody else's record has this number, or had it: what was ours is not part of the row.
    Theirs,
}

/// A record of marks that is about to be created.
#[derive(Clone, Debug)]
pub struct NewMarks {
    /// What it says.
    pub header: MarksHeader,
    /// Its identity.
    pub id: MarksId,
    /// Its stored form.
    pub bytes: Bytes,
}

impl From<MarksHeader> for NewMarks {
    fn from(header: MarksHeader) -> Self {
        let (bytes, id) = MarksRecord::encode(&header);
        Self { header, id, bytes: bytes.into() }
    }
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
        let mut before = None;
        loop {
            let Some(number) = self.marks_numbers(database, 1)?.first().copied() else { return Ok(None) };
            match self.marks_record(database, number) {
                // It was superseded and removed after it was listed.
                Err(error) if error.is_absence() && before != Some(number) => before = Some(number),
                record => return record.map(Some),
            }
        }
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
    /// A prune removes records that later ones supersede, so a number that was taken may be free again: whoever slept since
    /// the newest was read would fill the gap, unheard. What was created counts as the newest, or when the next builds on it.
    ///
    /// # Errors
    /// When the remote fails; the record may then be there or not, and the attempt can be repeated.
    pub fn create_marks(&self, record: &NewMarks) -> Result<CreatedMarks, StoreError> {
        let (database, number) = (&record.header.database, record.header.number);
        self.check_mandate()?;
        if self.create_object(&keys::marks(database, number), record.bytes.clone())? != PutOutcome::Created {
            let there = match self.marks_record(database, number) {
                Err(error) if error.is_absence() => return Ok(CreatedMarks::Theirs),
                there => there?,
            };
            if there.header.nonce != record.header.nonce {
                return Ok(CreatedMarks::Theirs);
            }
        }
        // In the local store nobody else writes while its lock is held. A listing that lacks what was just created is late.
        if self.is_private() || self.marks_numbers(database, 1)?.first().is_none_or(|newest| *newest <= number) {
            return Ok(CreatedMarks::Ours);
        }
        let next = number.0.checked_add(1).map(|next| self.marks_record(database, MarksNumber(next)));
        match next {
            Some(Ok(next)) if next.header.previous == Some(record.id) => Ok(CreatedMarks::Ours),
            Some(Err(error)) if !error.is_absence() => Err(error),
            _ => Ok(CreatedMarks::Theirs),
        }
    }

    /// Removes a record of marks that later ones supersede.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn remove_marks(&self, database: &Name, number: MarksNumber) -> Result<(), StoreError> {
        self.remote().delete(&keys::marks(database, number))
    }
}
