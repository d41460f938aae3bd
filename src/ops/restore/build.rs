//! Building a file that nobody else knows of yet, and proving it.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use super::content::{Output, fill};
use super::existing::recognise;
use super::{Context, Known, OpError};
use crate::base::progress::Phase;
use crate::format::record::FileEntry;
use crate::map::State;
use crate::ops::proof::Proof;
use crate::store::Store;

/// The file that is built.
pub(in crate::ops) struct Building<'a> {
    /// Open for reading and writing.
    pub(in crate::ops) file: &'a File,
    /// Where it is.
    pub(in crate::ops) path: &'a Path,
    /// Whether it holds an older or newer content already, of which what is right stays.
    pub(in crate::ops) is_copy: bool,
    /// What is known about that content.
    pub(in crate::ops) known: Option<Known>,
}

/// Makes it the content of a snapshot's file, from the first of the stores that has each pack; the first has the records. Gives the ids of its chunks, and how many bytes were there already; nothing
/// when the content is not what the snapshot says.
///
/// # Errors
/// When bytes are missing or damaged, or the disk is full.
pub(in crate::ops) fn build(
    context: &Context,
    stores: &[Store],
    state: &State,
    entry: &FileEntry,
    building: Building<'_>,
) -> Result<Option<(Proof, u64)>, OpError> {
    let Building { file, path, is_copy, known } = building;
    let folder = path.parent().unwrap_or(Path::new("."));
    let proof = Proof::create(folder, entry).map_err(OpError::io("write in", folder))?;
    let existing = match is_copy {
        true => recognise(context, &stores[0], state, entry, file, &proof, known)?,
        false => None,
    };
    file.set_len(entry.size).map_err(OpError::io("write", path))?;
    let file = file.try_clone().map_err(OpError::io("open", path))?;
    let output = Output { entry, file, path: path.to_owned(), proof, writing: Mutex::default(), existing };
    let output = [output];
    let reused_bytes = fill(context, stores, state, &output)?;
    context.progress.enter(Phase::Flushing);
    let [Output { proof, .. }] = output;
    let holds = proof.holds(entry).map_err(OpError::io("read beside", path))?;
    Ok(holds.then_some((proof, reused_bytes)))
}
