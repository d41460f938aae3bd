//! Worked-out batches into packs, in order: small leftovers are gathered, so that frames are full.

use std::path::Path;

use super::Placed;
use super::worker::{FRAME_BYTES, FoundAt, Whole, Worked, Worker};
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkNumber, FileNumber, SlotNumber};
use crate::format::codec::FrameEncoder;
use crate::format::pack::{Home, NewDelta, PackRef};
use crate::ops::OpError;
use crate::ops::snapshot::batch::Batch;
use crate::ops::snapshot::reference::Reference;
use crate::ops::snapshot::spool::Spool;
use crate::store::{PackWriter, StoreError, StoredPack};

/// Deltas in a frame: about as many bytes as a small frame of whole chunks takes.
const FRAME_DELTAS: usize = 64;

/// A part of all chunks from which on orphans are many: one in 20.
const MANY_PART: u64 = 20;
/// And at least so many.
const MANY_LEAST: u64 = 1024;

/// What was collected, once everything is stored.
pub(super) struct Collected {
    pub(super) packs: Vec<StoredPack>,
    pub(super) placed: Placed,
    pub(super) new_chunks: u64,
    pub(super) delta_chunks: u64,
}

/// Puts worked-out batches into packs, in order.
pub(super) struct Collector<'a> {
    writer: PackWriter,
    encoder: FrameEncoder,
    placed: Placed,
    loose: Option<Whole>,
    /// Chunks without an old version, until it is known how many there are: a few are new content and are stored whole.
    /// When they are many, something was moved or rebuilt, and it is worth reading the old content once to find what is
    /// alike.
    orphans: Spool,
    deltas: Vec<(ChunkNumber, NewDelta)>,
    delta_file: FileNumber,
    new_chunks: u64,
    delta_chunks: u64,
    reference: Option<&'a Reference<'a>>,
}

impl<'a> Collector<'a> {
    /// Nothing collected yet.
    pub(super) fn new(writer: PackWriter, reference: Option<&'a Reference<'a>>, orphans: Spool, level: i32) -> Self {
        Self {
            writer,
            encoder: FrameEncoder::new(level),
            placed: Placed::default(),
            loose: None,
            orphans,
            deltas: Vec::new(),
            delta_file: FileNumber(0),
            new_chunks: 0,
            delta_chunks: 0,
            reference,
        }
    }

    /// Takes the next batch.
    pub(super) fn collect(&mut self, worked: Worked) -> Result<(), StoreError> {
        for (chunk, found) in worked.found {
            match found {
                FoundAt::Parent(place) => {
                    let map = &self.reference.expect("BUG: found in the parent").state.map;
                    self.placed.known(worked.file, chunk, place, map);
                }
                FoundAt::Uploaded(pack, slot) => {
                    self.placed.stored(worked.file, chunk, &PackRef { id: pack, home: Home::Object }, slot);
                }
            }
        }
        for whole in worked.wholes {
            match whole.frame {
                Some(_) => self.put_whole(whole)?,
                None => self.gather(whole)?,
            }
        }
        if let Some(orphans) = worked.orphans {
            self.set_aside(orphans)?;
        }
        if self.delta_file != worked.file {
            self.put_deltas(0)?;
            self.delta_file = worked.file;
        }
        self.deltas.extend(worked.deltas);
        self.put_deltas(FRAME_DELTAS)
    }

    fn set_aside(&mut self, batch: Batch) -> Result<(), StoreError> {
        let Err(batch) = self.orphans.push(batch) else { return Ok(()) };
        let mut at = 0;
        for (chunk, id, len) in batch.chunks {
            let bytes = batch.bytes[at..at + len as usize].to_vec();
            at += len as usize;
            self.gather(Whole { file: batch.file, chunks: vec![(chunk, id, len)], bytes, frame: None })?;
        }
        Ok(())
    }

    /// Stores what was set aside: whole, or, when there is much of it, as deltas to what is alike.
    pub(super) fn place_orphans(&mut self, worker: &Worker<'_, '_>, level: i32) -> Result<(), OpError> {
        let mut orphans = std::mem::take(&mut self.orphans);
        let similar = match self.reference {
            Some(reference) if are_many(orphans.chunk_count(), reference.state.header.totals.chunks) => {
                Some(worker.index_similar(reference))
            }
            _ => None,
        };
        ordered(
            thread_count(),
            2 * thread_count() + 2,
            |give| orphans.drain(give),
            || FrameEncoder::new(level),
            |encoder, batch| worker.work_orphans(encoder, batch, similar.as_ref()),
            |worked| self.collect(worked),
        )?
        .map_err(OpError::io("read", Path::new("what was set aside")))
    }

    /// Collects chunks until they fill a frame.
    fn gather(&mut self, whole: Whole) -> Result<(), StoreError> {
        match &mut self.loose {
            Some(loose) if loose.file == whole.file && loose.bytes.len() + whole.bytes.len() <= FRAME_BYTES * 5 / 4 => {
                loose.chunks.extend(whole.chunks);
                loose.bytes.extend(whole.bytes);
            }
            _ => {
                if let Some(loose) = self.loose.replace(whole) {
                    self.put_whole(loose)?;
                }
            }
        }
        Ok(())
    }

    fn put_whole(&mut self, whole: Whole) -> Result<(), StoreError> {
        let frame = whole.frame.unwrap_or_else(|| self.encoder.encode(&whole.bytes));
        let chunks: Vec<_> = whole.chunks.iter().map(|(_, id, len)| (*id, *len)).collect();
        let (pack, first) = self.writer.add_whole(&chunks, &frame)?;
        self.new_chunks += chunks.len() as u64;
        for (n, (chunk, ..)) in whole.chunks.iter().enumerate() {
            self.placed.fresh(whole.file, *chunk, pack, SlotNumber(first.0 + n as u32));
        }
        Ok(())
    }

    /// Stores deltas while there are at least `least`; all of them when it is 0.
    fn put_deltas(&mut self, least: usize) -> Result<(), StoreError> {
        while !self.deltas.is_empty() && self.deltas.len() >= least {
            let count = self.deltas.len().min(FRAME_DELTAS);
            let (chunks, deltas): (Vec<_>, Vec<_>) = self.deltas.drain(..count).unzip();
            let (pack, first) = self.writer.add_deltas(&deltas)?;
            self.new_chunks += count as u64;
            self.delta_chunks += count as u64;
            for (n, chunk) in chunks.into_iter().enumerate() {
                self.placed.fresh(self.delta_file, chunk, pack, SlotNumber(first.0 + n as u32));
            }
        }
        Ok(())
    }

    /// Stores what is left.
    pub(super) fn finish(mut self) -> Result<Collected, StoreError> {
        self.put_deltas(0)?;
        if let Some(loose) = self.loose.take() {
            self.put_whole(loose)?;
        }
        let (placed, new_chunks, delta_chunks) = (self.placed, self.new_chunks, self.delta_chunks);
        Ok(Collected { packs: self.writer.finish()?, placed, new_chunks, delta_chunks })
    }
}

/// Whether so many chunks without an old version have probably only moved.
fn are_many(orphans: u64, all_chunks: u64) -> bool {
    orphans >= (all_chunks / MANY_PART).max(MANY_LEAST)
}
