//! Reading the source and finding what changed.

mod compare;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::batch::Batch;
use super::files::{SourceFile, Sources};
use super::reference::Reference;
use super::spool::Spool;
use super::{Context, OpError};
use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkId, ChunkNumber, FileNumber, Progress};
use crate::format::map::Extent;
use crate::format::record::{FileEntry, FileKind, PathText};
use crate::source::SourceError;
use crate::source::plain::{self, PlainFile};
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::ids::IdsWriter;

use compare::{Compare, Hashed};

/// Files below this are hashed where they are read: starting threads would take longer.
const SMALL_FILE_BYTES: u64 = 1 << 20;
/// What reading found.
pub(super) struct Scanned {
    /// Every file's entry as it is now.
    pub(super) entries: Vec<FileEntry>,
    pub(super) removed: Vec<FileNumber>,
    pub(super) next_file: FileNumber,
    /// Chunks of zeros among the changed.
    pub(super) zeros: Vec<(FileNumber, Extent)>,
    /// Changed chunks that have the content of another changed chunk.
    pub(super) twins: Vec<(ChunkName, ChunkName)>,
    pub(super) ids: IdsWriter,
    pub(super) changed_chunks: u64,
    pub(super) read_bytes: u64,
    pub(super) pinned_at: Option<Timestamp>,
    pub(super) lock_held: Option<Duration>,
    pub(super) read_time: Duration,
    pub(super) warnings: Vec<String>,
}

/// A chunk of a file.
pub(super) type ChunkName = (FileNumber, ChunkNumber);

/// How to read.
pub(super) struct Scan<'a> {
    pub(super) sources: Sources,
    pub(super) reference: Option<&'a Reference<'a>>,
    pub(super) lock_wait: Duration,
    pub(super) spool_bytes: u64,
    pub(super) scratch: &'a Path,
    pub(super) context: &'a Context,
}

impl Scan<'_> {
    /// Reads everything, handing changed chunks to `give` until it returns false.
    pub(super) fn run(self, ids: IdsWriter, give: &mut dyn FnMut(Batch) -> bool) -> Result<Scanned, OpError> {
        let Sources { files, removed, next_file, warnings } = self.sources;
        let mut spool = Spool::new(self.scratch, self.spool_bytes);
        let mut reading = Reading {
            reference: self.reference,
            lock_wait: self.lock_wait,
            context: self.context,
            recent: HashMap::new(),
            out: Scanned {
                entries: Vec::with_capacity(files.len()),
                removed,
                next_file,
                zeros: Vec::new(),
                twins: Vec::new(),
                ids,
                changed_chunks: 0,
                read_bytes: 0,
                pinned_at: None,
                lock_held: None,
                read_time: Duration::ZERO,
                warnings,
            },
        };
        let sizes = files.iter().filter_map(|file| std::fs::metadata(&file.path).ok()).map(|metadata| metadata.len());
        self.context.progress.total_bytes.store(sizes.sum(), std::sync::atomic::Ordering::Relaxed);
        for file in files {
            self.context.progress.check()?;
            reading.file(file, &mut spool, give)?;
        }
        Ok(reading.out)
    }
}

struct Reading<'a> {
    reference: Option<&'a Reference<'a>>,
    lock_wait: Duration,
    context: &'a Context,
    /// Where content was met in this run.
    recent: HashMap<ChunkId, ChunkName>,
    out: Scanned,
}

impl Reading<'_> {
    fn file(
        &mut self,
        file: SourceFile,
        spool: &mut Spool,
        give: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), OpError> {
        if file.settled && self.keep_settled(&file)? {
            return Ok(());
        }
        let mut entry = FileEntry {
            number: file.number,
            path: PathText::new(&file.found.relative),
            kind: file.found.kind,
            mode: file.found.mode,
            mtime_ns: file.found.mtime_ns,
            size: 0,
            chunk_size: 0,
            root: None,
            target: file.found.target.as_deref().map(PathText::new),
            sqlite: None,
        };
        match file.found.kind {
            FileKind::Sqlite => self.sqlite(&file, &mut entry, spool, give)?,
            FileKind::File => self.plain(&file, &mut entry, give)?,
            FileKind::Directory | FileKind::Symlink => {}
        }
        self.out.entries.push(entry);
        Ok(())
    }

    /// Takes over what the parent has of a file that did not change; false when its ids are not at hand.
    fn keep_settled(&mut self, file: &SourceFile) -> Result<bool, OpError> {
        let (Some(before), Some(reference)) = (&file.before, self.reference) else { return Ok(false) };
        let mut known = reference.ids.read(file.number);
        self.out.ids.begin(file.number);
        let mut ids = Vec::with_capacity(before.chunks() as usize);
        while let Some(id) = known.next_id().map_err(OpError::io("read the ids of", &file.path))? {
            ids.push(id);
        }
        self.out.ids.push(&ids).map_err(OpError::io("write the ids of", &file.path))?;
        self.out.entries.push(FileEntry { mode: file.found.mode, ..before.clone() });
        Progress::add(&self.context.progress.done_bytes, before.size);
        Ok(true)
    }

    fn sqlite(
        &mut self,
        file: &SourceFile,
        entry: &mut FileEntry,
        spool: &mut Spool,
        give: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), OpError> {
        let pinned = PinnedDatabase::open(&file.path, self.lock_wait, &self.context.progress)?;
        self.out.pinned_at.get_or_insert_with(|| self.context.now());
        entry.size = pinned.size();
        entry.chunk_size = pinned.chunk_bytes();
        entry.sqlite = Some(pinned.facts().clone());
        check_size(&file.path, entry)?;
        let (wal, pinned_at) = (pinned.is_wal(), pinned.pinned_at());
        let read = move |take: &mut dyn FnMut(Vec<u8>) -> bool| {
            let outcome = pinned.read(take);
            // The state is let go of here: as soon as the last page has been read.
            drop(pinned);
            (outcome, Instant::now())
        };
        let released = if wal {
            self.content(file, entry, read, give)?
        } else {
            // Writers wait for us: set aside what changed, and compress it when they no longer do.
            let released =
                self.content(file, entry, read, &mut |batch| spool.push(batch).map_or_else(&mut *give, |()| true))?;
            spool.drain(give).map_err(OpError::io("read the spool of", &file.path))?;
            released
        };
        if !wal {
            let held = released.duration_since(pinned_at);
            self.out.lock_held = Some(self.out.lock_held.unwrap_or_default().max(held));
        }
        Ok(())
    }

    fn plain(
        &mut self,
        file: &SourceFile,
        entry: &mut FileEntry,
        give: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), OpError> {
        let mut open = PlainFile::open(&file.path)?;
        entry.size = open.size();
        entry.chunk_size = plain::CHUNK_BYTES;
        check_size(&file.path, entry)?;
        let path = file.path.clone();
        let read = move |take: &mut dyn FnMut(Vec<u8>) -> bool| match open.read(&path, take) {
            Ok(steady) => (Ok(()), steady),
            Err(error) => (Err(error), false),
        };
        // What was read is kept as it was read, also when somebody wrote meanwhile: there is no better moment to wait for.
        if !self.content(file, entry, read, give)? {
            self.out.warnings.push(format!("{} changed while it was read", file.path.display()));
        }
        Ok(())
    }

    /// Reads one file's content, hashes it on all processors, and compares it with the parent's.
    fn content<R: Send>(
        &mut self,
        file: &SourceFile,
        entry: &mut FileEntry,
        read: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> bool) -> (Result<(), SourceError>, R) + Send,
        give: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<R, OpError> {
        let started = Instant::now();
        self.out.ids.begin(file.number);
        let chunk_bytes = entry.chunk_size as usize;
        let same_chunks = file.before.as_ref().is_some_and(|before| before.chunk_size == entry.chunk_size);
        let known = self.reference.filter(|reference| same_chunks && reference.has(file.number));
        let ids = known.map(|reference| reference.ids.read(file.number));
        let mut compare = Compare::new(file, ids, self);
        let hash = |piece| Hashed::of(piece, chunk_bytes);
        let (outcome, rest) = if entry.size <= SMALL_FILE_BYTES {
            let mut failure = None;
            let (outcome, rest) = read(&mut |piece| match compare.piece(hash(piece), chunk_bytes, give) {
                Ok(()) => true,
                Err(error) => {
                    failure = Some(error);
                    false
                }
            });
            failure.map_or(Ok(()), Err)?;
            (outcome, rest)
        } else {
            let under_way = 4 * thread_count() + 8;
            ordered(
                thread_count(),
                under_way,
                read,
                || (),
                |(), piece| hash(piece),
                |hashed| compare.piece(hashed, chunk_bytes, give),
            )?
        };
        outcome?;
        let (root, seen_bytes) = compare.finish(give);
        if entry.kind == FileKind::Sqlite && seen_bytes != entry.size {
            return Err(OpError::WrongContent { what: file.path.display().to_string() });
        }
        entry.size = seen_bytes;
        entry.root = Some(root.finish(entry.size, entry.chunk_size));
        self.out.read_time += started.elapsed();
        Ok(rest)
    }
}

fn check_size(path: &Path, entry: &FileEntry) -> Result<(), SourceError> {
    let chunks = entry.size.div_ceil(entry.chunk_size.into());
    if chunks >= u64::from(u32::MAX) {
        return Err(SourceError::TooLarge { path: path.to_owned(), size: entry.size });
    }
    Ok(())
}
