//! The objects of a store by their keys, and a first look at each: everything but the frames of packs.

use std::sync::Arc;

use crate::base::{MarksNumber, Name, PackId, RefNumber, SnapshotNumber};
use crate::format::marks::MarksRecord;
use crate::format::pack::{Home, PackRef, PackTable};
use crate::format::record::Record;
use crate::format::refs::{RefName, RefRecord};
use crate::format::store_file::StoreFile;
use crate::store::{OpenPack, Packs, Store, StoreError, keys};

/// A snapshot's place in a store.
pub(in crate::ops) type SnapshotPlace = (Name, Name, SnapshotNumber);

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Object {
    StoreFile,
    Record(SnapshotPlace),
    Pack(PackId),
    Ref(Name, RefName, RefNumber),
    Marks(Name, MarksNumber),
}

/// An object that is as it should be, as far as it was read.
pub(in crate::ops) enum Look {
    StoreFile(StoreFile),
    /// Without its pack, whose table stands beside it.
    Record(Box<Record>, Option<Box<PackTable>>),
    Pack(Arc<OpenPack>),
    Ref(Box<RefRecord>),
    Marks(Box<MarksRecord>),
}

impl Object {
    /// What a key stands for; `None` for a key that no writer makes.
    pub(in crate::ops) fn parse(key: &str) -> Option<Self> {
        if key == keys::STORE_FILE {
            return Some(Self::StoreFile);
        }
        keys::parse_snapshot(key)
            .map(Self::Record)
            .or_else(|| keys::parse_pack(key).map(Self::Pack))
            .or_else(|| keys::parse_ref(key).map(|(database, name, number)| Self::Ref(database, name, number)))
            .or_else(|| keys::parse_marks(key).map(|(database, number)| Self::Marks(database, number)))
    }

    /// Its key.
    pub(in crate::ops) fn key(&self) -> String {
        match self {
            Self::StoreFile => keys::STORE_FILE.to_owned(),
            Self::Record((database, line, number)) => keys::snapshot(database, line, *number),
            Self::Pack(id) => keys::pack(id),
            Self::Ref(database, name, number) => keys::ref_record(database, name, *number),
            Self::Marks(database, number) => keys::marks(database, *number),
        }
    }

    /// Where a pack was put.
    pub(in crate::ops) fn home(database: &Name, pack: &PackRef) -> Self {
        match &pack.home {
            Home::Object => Self::Pack(pack.id),
            Home::Record { line, number } => Self::Record((database.clone(), line.clone(), *number)),
        }
    }

    /// Reads it, but for frames; with the bytes that were read.
    pub(in crate::ops) fn look(&self, store: &Store) -> Result<(Look, u64), StoreError> {
        match self {
            Self::StoreFile => {
                // What it says of the encryption is held against what is known of it.
                let (_, file) = Store::open(store.remote().clone()).map_err(|error| match error {
                    StoreError::NoStore { .. } => store.absent(keys::STORE_FILE),
                    other => other,
                })?;
                let bytes = file.encode().len() as u64;
                Ok((Look::StoreFile(file), bytes))
            }
            Self::Record((database, line, number)) => {
                let bytes = store.record_bytes(database, line, *number)?;
                let mut record = store.decode_record(database, line, *number, &bytes)?;
                let pack = record.pack.take().map(|pack| PackTable::of_pack(&pack).map(Box::new)).transpose();
                let pack = pack.map_err(|source| store.damaged(&self.key(), source))?;
                Ok((Look::Record(Box::new(record), pack), bytes.len() as u64))
            }
            Self::Pack(id) => {
                // One at a time: a file that stays open for each pack of a long history would be too many.
                let packs = Packs::new(vec![store.clone()], Name::main_line());
                let open = packs.open(&PackRef { id: *id, home: Home::Object })?;
                let read = open.table.pack_len
                    - open.table.frames.last().map_or(0, |frame| frame.offset + u64::from(frame.stored_len));
                Ok((Look::Pack(open), read))
            }
            Self::Ref(database, name, number) => {
                let bytes = store.ref_bytes(database, name, *number)?;
                let record = store.decode_ref(database, name, *number, &bytes)?;
                Ok((Look::Ref(Box::new(record)), bytes.len() as u64))
            }
            Self::Marks(database, number) => {
                let bytes = store.marks_bytes(database, *number)?;
                let record = store.decode_marks(database, *number, &bytes)?;
                Ok((Look::Marks(Box::new(record)), bytes.len() as u64))
            }
        }
    }
}

impl Look {
    /// The pack that lies there.
    pub(in crate::ops) fn pack(&self) -> Option<PackId> {
        match self {
            Self::Record(_, table) => table.as_ref().map(|table| table.id),
            Self::Pack(open) => Some(open.table.id),
            Self::StoreFile(_) | Self::Ref(_) | Self::Marks(_) => None,
        }
    }
}
