//! Snapshot records: found, read, created.

use std::sync::PoisonError;

use bytes::Bytes;

use super::{Store, StoreError, keys};
use crate::base::{Name, Nonce, SnapshotNumber};
use crate::format::FormatError;
use crate::format::husk::{HUSK_BYTES, Husk, SEALED_HUSK_BYTES, is_husk_len};
use crate::format::record::{MAX_CHAIN, Record};
use crate::remote::PutOutcome;

/// Largest record that is read: its header and map are bounded apart; a pack that rides along is below 1 MiB.
pub const MAX_RECORD_BYTES: u64 = 1 << 30;

/// The name under which a record that was listed is kept near.
fn marked(key: &str, mark: &str) -> String {
    format!("{key} {mark}")
}

/// What became of the attempt to create a record.
#[derive(Debug)]
pub enum Created {
    /// The snapshot exists, and it is ours.
    Ours,
    /// Somebody else's snapshot has this number.
    Theirs(Box<Record>),
    /// A husk holds the place: the number was given away, or a prune did not wait any longer.
    Gone(Husk),
}

impl Store {
    /// Reads a snapshot's record.
    ///
    /// # Errors
    /// [`StoreError::NoSnapshot`] when there is none; [`StoreError::Damaged`] when its bytes are wrong, or it is another
    /// snapshot's record under this key.
    pub fn record(&self, database: &Name, line: &Name, number: SnapshotNumber) -> Result<Record, StoreError> {
        let bytes = self.record_bytes(database, line, number)?;
        self.decode_record(database, line, number, &bytes)
    }

    /// Reads a snapshot's record as it is stored, to be checked by [`Store::decode_record`].
    ///
    /// # Errors
    /// [`StoreError::NoSnapshot`] when there is none; otherwise the remote's failure.
    pub fn record_bytes(&self, database: &Name, line: &Name, number: SnapshotNumber) -> Result<Bytes, StoreError> {
        let key = keys::snapshot(database, line, number);
        if let Some(bytes) = self.cached_record(&key) {
            return Ok(bytes);
        }
        let there = self.remote().get_there(&key, MAX_RECORD_BYTES).map_err(|error| match error.is_absence() {
            true => StoreError::NoSnapshot {
                database: database.to_string(),
                number,
                remote: self.remote().name().to_owned(),
            },
            false => error,
        })?;
        let bytes = self.remote().open(&key, there.clone())?;
        let bytes = self.not_a_husk(database, number, bytes)?;
        // What is damaged there is asked for again, since it may be mended.
        if let Some(cache) = &self.cache
            && self.decode_record(database, line, number, &bytes).is_ok()
        {
            // As it lies there: what is sealed stays sealed on this machine, and so does its name.
            let (mark, kept) = (self.mark_of(&key), self.remote().key_there(&key)?);
            if let Some(mark) = &mark {
                cache.keep_object(self.remote().name(), &marked(&kept, mark), &there);
            }
            if let Some(store) = (mark.is_none() || self.is_known()).then(|| self.kept_as()).flatten() {
                cache.keep_object(&store, &kept, &there);
            }
        }
        Ok(bytes)
    }

    /// What was read for a record, if it is not what holds the place of one.
    pub(super) fn not_a_husk(
        &self,
        database: &Name,
        number: SnapshotNumber,
        bytes: Bytes,
    ) -> Result<Bytes, StoreError> {
        if bytes.len() as u64 != HUSK_BYTES || Husk::decode(&bytes).is_err() {
            return Ok(bytes);
        }
        let (database, remote) = (database.to_string(), self.remote().name().to_owned());
        Err(StoreError::NoSnapshot { database, number, remote })
    }

    /// The husk under a record's key.
    ///
    /// # Errors
    /// When nothing is there, or something else.
    pub fn husk(&self, database: &Name, line: &Name, number: SnapshotNumber) -> Result<Husk, StoreError> {
        let key = keys::snapshot(database, line, number);
        self.decode_husk(&key, number, &self.remote().get(&key, SEALED_HUSK_BYTES)?)
    }

    /// A husk that says the number under which it lies.
    pub(super) fn decode_husk(&self, key: &str, number: SnapshotNumber, bytes: &[u8]) -> Result<Husk, StoreError> {
        let husk = Husk::decode(bytes).map_err(|source| self.damaged(key, source))?;
        if husk.number != number {
            let detail = format!("it is that of number {}", husk.number);
            return Err(self.damaged(key, FormatError::Inconsistent { what: "the husk", detail }));
        }
        Ok(husk)
    }

    /// Puts a husk where no record is: whether nothing was there.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn fence(&self, database: &Name, line: &Name, husk: &Husk) -> Result<bool, StoreError> {
        let key = keys::snapshot(database, line, husk.number);
        Ok(self.create_object(&key, husk.encode().into())? == PutOutcome::Created)
    }

    /// Puts a husk, or a record without its pack, in the place of a record that prune has condemned: in one step, so that
    /// nobody can take its key.
    ///
    /// # Errors
    /// When the remote fails: either of them is there.
    pub fn put_in_place(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        if let Some(lock) = &self.lock {
            lock.check()?;
        }
        self.remote().replace(key, bytes)
    }

    /// A record that was kept near. One that was listed must be the one that was listed.
    fn cached_record(&self, key: &str) -> Option<Bytes> {
        let cache = self.cache.as_ref()?;
        let kept = self.remote().key_there(key).ok()?;
        let there = match self.mark_of(key) {
            Some(mark) => cache.object(self.remote().name(), &marked(&kept, &mark)),
            None => cache.object(&self.kept_as()?, &kept),
        };
        self.remote().open(key, there?).ok()
    }

    fn mark_of(&self, key: &str) -> Option<String> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Decodes a record that was read for this key.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub fn decode_record(
        &self,
        database: &Name,
        line: &Name,
        number: SnapshotNumber,
        bytes: &[u8],
    ) -> Result<Record, StoreError> {
        let key = keys::snapshot(database, line, number);
        let record = Record::decode(bytes).map_err(|source| self.damaged(&key, source))?;
        let found = &record.header;
        if (&found.database, &found.line, found.number) != (database, line, number) {
            let detail = format!("it is the record of {}:{}@{}", found.database, found.line, found.number);
            let source = crate::format::FormatError::Inconsistent { what: "the snapshot record", detail };
            return Err(self.damaged(&key, source));
        }
        Ok(record)
    }

    /// The numbers of a line's snapshots, newest first; at most `count`.
    ///
    /// # Errors
    /// When the remote cannot be listed, and when what is listed above the newest record only looks like a husk.
    pub fn numbers(&self, database: &Name, line: &Name, count: usize) -> Result<Vec<SnapshotNumber>, StoreError> {
        let folder = keys::line_folder(database, line);
        let parse = |listed: Vec<crate::remote::Listed>| -> Vec<SnapshotNumber> {
            if self.cache.is_some() {
                let marks = listed.iter().map(|object| (object.key.clone(), object.mark.clone()));
                self.listed.lock().unwrap_or_else(PoisonError::into_inner).extend(marks);
            }
            let records = listed.iter().filter(|object| !is_husk_len(object.size));
            let numbers = records.filter_map(|object| keys::parse_snapshot(&object.key));
            numbers.map(|(.., number)| number).take(count).collect()
        };
        // The marks of those that the newest builds on come with the same request.
        let asked = if self.cache.is_some() { count.max(MAX_CHAIN + 1) } else { count };
        let listed = self.remote().list_first(&folder, asked)?;
        let wanted = listed.len().min(count);
        let is_short = listed.first().is_some_and(|object| is_husk_len(object.size));
        let numbers = parse(listed);
        // Husks, or something that is not ours, lie among the records: look behind them.
        if numbers.len() == wanted && !is_short {
            return Ok(numbers);
        }
        let listed = self.remote().list(&folder)?;
        self.check_newest(&listed)?;
        Ok(parse(listed))
    }

    /// Whoever asks for the newest must not get an older one because something as short as a husk lies in its place: those
    /// above the newest record are read. There are few: numbers that a prune took from writers that slept.
    fn check_newest(&self, listed: &[crate::remote::Listed]) -> Result<(), StoreError> {
        let named = listed.iter().filter_map(|object| Some((keys::parse_snapshot(&object.key)?, object.size)));
        for ((database, line, number), _) in named.take_while(|(_, size)| is_husk_len(*size)) {
            self.husk(&database, &line, number)?;
        }
        Ok(())
    }

    /// The newest snapshot's number, if there is one: one listing request.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn newest(&self, database: &Name, line: &Name) -> Result<Option<SnapshotNumber>, StoreError> {
        Ok(self.numbers(database, line, 1)?.first().copied())
    }

    /// Every snapshot in the store, by database and line, newest first.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn all_snapshots(&self) -> Result<Vec<(Name, Name, SnapshotNumber)>, StoreError> {
        let listed = self.remote().list(keys::SNAPSHOTS)?;
        let records = listed.iter().filter(|object| !is_husk_len(object.size));
        Ok(records.filter_map(|object| keys::parse_snapshot(&object.key)).collect())
    }

    /// Creates a record. A conditional put that was retried after its answer got lost finds our own record: the nonce
    /// tells.
    ///
    /// # Errors
    /// When the remote fails; the record may then be there or not, and the attempt can be repeated with the same bytes.
    pub fn create_record(
        &self,
        database: &Name,
        line: &Name,
        number: SnapshotNumber,
        nonce: &Nonce,
        bytes: Bytes,
    ) -> Result<Created, StoreError> {
        self.check_mandate()?;
        if self.create_object(&keys::snapshot(database, line, number), bytes)? == PutOutcome::Created {
            return Ok(Created::Ours);
        }
        let there = match self.record(database, line, number) {
            Err(StoreError::NoSnapshot { .. }) => return Ok(Created::Gone(self.husk(database, line, number)?)),
            there => there?,
        };
        Ok(if there.header.nonce == *nonce { Created::Ours } else { Created::Theirs(Box::new(there)) })
    }
}
