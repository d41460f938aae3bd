//! Storing what changed, in the cheapest way there is for each chunk: not at all, as a delta, or whole.

mod collector;
mod placed;
mod similar;
mod worker;

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::OpError;
use super::reference::Reference;
use super::scan::{Scan, Scanned};
use super::spool::Spool;
use crate::base::PackId;
use crate::base::ordered::{ordered, thread_count};
use crate::format::codec::FrameEncoder;
use crate::store::{ChunkReader, PackWriter, Packs, StoredPack, WriterOptions};
use crate::workspace::UploadedChunks;
use crate::workspace::ids::{IdIndex, IdsWriter};

pub(super) use placed::Placed;

use collector::{Collected, Collector};
use worker::{Times, Worker};

/// Everything the working threads share.
pub(super) struct Encoder<'a> {
    writer: PackWriter,
    reference: Option<&'a Reference<'a>>,
    index: OnceLock<Option<IdIndex<'a>>>,
    reader: ChunkReader<'a>,
    unreachable: Mutex<HashSet<PackId>>,
    uploaded: UploadedChunks,
    level: i32,
    orphans: Spool,
    times: Times,
}

/// What storing did.
pub(super) struct Encoded {
    pub(super) packs: Vec<StoredPack>,
    pub(super) placed: Placed,
    pub(super) new_chunks: u64,
    pub(super) delta_chunks: u64,
    pub(super) bases_time: Duration,
    pub(super) compress_time: Duration,
    /// Packs whose content could not serve as bases.
    pub(super) unreachable: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(
        writer: WriterOptions,
        reference: Option<&'a Reference<'a>>,
        packs: &'a Packs,
        uploaded: UploadedChunks,
        level: i32,
        orphans: Spool,
    ) -> Self {
        Self {
            writer: PackWriter::new(writer),
            reference,
            index: OnceLock::new(),
            reader: ChunkReader::over(packs),
            unreachable: Mutex::default(),
            uploaded,
            level,
            orphans,
            times: Times::default(),
        }
    }
}

/// Scans and encodes at once: the scan is the producer of the encoding.
pub(super) fn run(scan: Scan<'_>, ids: IdsWriter, encoder: Encoder<'_>) -> Result<(Scanned, Encoded), OpError> {
    let Encoder { writer, reference, index, reader, unreachable, uploaded, level, orphans, times } = encoder;
    let worker = Worker {
        reference,
        index: &index,
        reader: &reader,
        unreachable: &unreachable,
        uploaded: &uploaded,
        times: &times,
    };
    let mut collector = Collector::new(writer, reference, orphans, level);
    let scanned = ordered(
        thread_count(),
        2 * thread_count() + 2,
        |give| scan.run(ids, give),
        || FrameEncoder::new(level),
        |encoder, batch| worker.work(encoder, batch),
        |worked| -> Result<(), OpError> { Ok(collector.collect(worked)?) },
    )??;
    collector.place_orphans(&worker, level)?;
    let Collected { packs, placed, new_chunks, delta_chunks } = collector.finish()?;
    let encoded = Encoded {
        packs,
        placed,
        new_chunks,
        delta_chunks,
        bases_time: times.bases(),
        compress_time: times.compress(),
        unreachable: unreachable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).len(),
    };
    Ok((scanned, encoded))
}
