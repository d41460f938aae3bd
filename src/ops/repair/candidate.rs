//! A whole copy of an object, fetched into memory and proven there before anything is done with it.

use bytes::Bytes;

use crate::base::PackId;
use crate::format::pack::PackTable;
use crate::format::record::Record;
use crate::ops::OpError;
use crate::ops::scrub::{Suspect, check_frames};
use crate::ops::verify::{Finding, Object, Survey};
use crate::remote::Remote;
use crate::store::{MAX_RECORD_BYTES, Store, StoreError};

/// Fetches an object from `source` for the store that was walked over. `None` when it is not there, is not whole, or is not
/// the one that is lacking; else its bytes.
///
/// # Errors
/// When the source cannot be asked.
pub(super) fn fetch(survey: &Survey<'_>, source: &Store, object: &Object) -> Result<Option<Bytes>, OpError> {
    match proven(survey, source, object) {
        Ok(bytes) => Ok(bytes),
        // A failure that says something about the object is no failure to ask.
        Err(error) => Finding::of(source, &object.key(), error).map(|_| None),
    }
}

fn proven(survey: &Survey<'_>, source: &Store, object: &Object) -> Result<Option<Bytes>, StoreError> {
    let key = object.key();
    let proven = match object {
        // Every store has marks of its own: nobody else knows them.
        Object::StoreFile | Object::Marks(..) => None,
        Object::Ref(database, name, number) => {
            let bytes = source.ref_bytes(database, name, *number)?;
            let header = source.decode_ref(database, name, *number, &bytes)?.header;
            survey.fits_lineage(database, &header.lineage).then_some(bytes)
        }
        Object::Pack(id) => {
            let bytes = source.pack_bytes(id)?;
            frames_are_whole(survey, source, object, id, &bytes)?.then_some(bytes)
        }
        Object::Record(place @ (database, line, number)) => {
            let bytes = source.remote().get(&key, MAX_RECORD_BYTES)?;
            let record = source.decode_record(database, line, *number, &bytes)?;
            let riding = riding(source, &key, &record)?;
            let whole = match riding {
                Some(id) => frames_are_whole(survey, source, object, &id, &bytes)?,
                None => true,
            };
            (whole && survey.fits(place, &record)).then_some(bytes)
        }
    };
    Ok(proven)
}

fn riding(source: &Store, key: &str, record: &Record) -> Result<Option<PackId>, StoreError> {
    let table = record.pack.as_deref().map(PackTable::of_pack).transpose();
    Ok(table.map_err(|source_error| source.damaged(key, source_error))?.map(|table| table.id))
}

/// Whether every chunk of a pack in memory is right. Bases lie at the source; or in the store that is repaired.
fn frames_are_whole(
    survey: &Survey<'_>,
    source: &Store,
    object: &Object,
    id: &PackId,
    bytes: &Bytes,
) -> Result<bool, StoreError> {
    let memory = Store::assume(Remote::memory());
    memory.remote().put_new(&object.key(), bytes.clone())?;
    let suspect = Suspect::of(survey, object, id);
    let try_with = |bases: &Store| check_frames(&memory, &suspect, std::slice::from_ref(bases));
    Ok(try_with(source).is_ok() || try_with(survey.store).is_ok())
}
