//! Frames to packs to stores: packs are cut at a target size and put by a few threads while the next is built.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::{Store, StoreError};
use crate::base::{ChunkId, PackId, Progress, SlotContent, SlotNumber};
use crate::format::pack::{MAX_SLOTS, NewDelta, Pack, PackBuilder};

/// A pack that is the only one of its snapshot and below this rides inside the snapshot's record.
const INLINE_BYTES: usize = 1 << 20;

/// Packs under way at once, besides the one being built. A disk takes its time to flush each, so it gets more of them; over
/// a network two keep the line busy, and 16 MiB each is memory.
const PUTTING_NEAR: usize = 4;
/// See [`PUTTING_NEAR`].
const PUTTING_FAR: usize = 2;

/// Target size of a pack: 16 MiB; for content above 64 GiB more, so that their number stays near four thousand.
fn target_bytes(content_bytes: u64) -> usize {
    let wanted = (content_bytes / 4096).next_power_of_two();
    wanted.clamp(16 << 20, 64 << 20) as usize
}

/// What is told about each stored pack, from the thread that stored it.
pub type OnStored = Arc<dyn Fn(&PackId, &[SlotContent]) + Send + Sync>;

/// How packs are written.
pub struct WriterOptions {
    /// Where each pack goes: into every one of these.
    pub stores: Vec<Store>,
    /// Bytes of content the run may store at most; decides the target size.
    pub content_bytes: u64,
    /// Called after a pack is in all stores.
    pub on_stored: OnStored,
    /// Counts stored bytes.
    pub progress: Arc<Progress>,
}

/// A pack that was written.
#[derive(Debug)]
pub struct StoredPack {
    /// Its identity.
    pub id: PackId,
    /// Bytes of the whole object.
    pub stored_bytes: u64,
    /// The object itself, when it is to ride in the snapshot's record instead of being stored apart.
    pub inline: Option<Vec<u8>>,
}

/// Puts packs into stores from a few threads.
pub struct PackSink {
    queue: Option<SyncSender<Pack>>,
    threads: Vec<JoinHandle<()>>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl PackSink {
    /// Starts the threads.
    pub fn start(stores: Vec<Store>, on_stored: OnStored, progress: Arc<Progress>) -> Self {
        let (queue, packs) = sync_channel::<Pack>(0);
        let (packs, failure) = (Arc::new(Mutex::new(packs)), Arc::new(Mutex::new(None)));
        let worker = |_| {
            let (stores, on_stored, progress) = (stores.clone(), Arc::clone(&on_stored), Arc::clone(&progress));
            let (packs, failure) = (Arc::clone(&packs), Arc::clone(&failure));
            std::thread::spawn(move || put_packs(&stores, &on_stored, &progress, &packs, &failure))
        };
        let near = stores.iter().all(|store| store.remote().local_folder().is_some());
        let threads = if near { PUTTING_NEAR } else { PUTTING_FAR };
        Self { queue: Some(queue), threads: (0..threads).map(worker).collect(), failure }
    }

    /// Hands over a pack; waits while enough are under way.
    ///
    /// # Errors
    /// The first failure of any put so far.
    pub fn put(&self, pack: Pack) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().expect("BUG: the queue is open until finish");
        match (self.take_failure(), queue.send(pack)) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            // The threads only leave early after a failure.
            (None, Err(_)) => Err(self.take_failure().expect("BUG: threads left without a failure")),
        }
    }

    fn take_failure(&self) -> Option<StoreError> {
        self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }

    /// Hands over the bytes of a pack that was built before.
    ///
    /// # Errors
    /// As [`PackSink::put`].
    pub fn put_bytes(&self, id: PackId, bytes: Bytes) -> Result<(), StoreError> {
        self.put(Pack { id, bytes: bytes.into(), slots: Vec::new() })
    }

    /// Waits until all packs are stored.
    ///
    /// # Errors
    /// The first failure of any put.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.join();
        self.take_failure().map_or(Ok(()), Err)
    }

    fn join(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            thread.join().expect("BUG: a thread that puts packs panicked");
        }
    }
}

impl Drop for PackSink {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.join();
        }
    }
}

fn put_packs(
    stores: &[Store],
    on_stored: &OnStored,
    progress: &Progress,
    packs: &Mutex<Receiver<Pack>>,
    failure: &Mutex<Option<StoreError>>,
) {
    loop {
        let next = packs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
        let Ok(pack) = next else { return };
        let len = pack.bytes.len() as u64;
        let mut bytes = Bytes::from(pack.bytes);
        for (number, store) in stores.iter().enumerate() {
            // The last one has them for itself, and may seal them where they lie.
            let given = if number + 1 == stores.len() { std::mem::take(&mut bytes) } else { bytes.clone() };
            if let Err(error) = store.put_pack(&pack.id, given) {
                failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(error);
                return;
            }
        }
        Progress::add(&progress.moved_bytes, len);
        on_stored(&pack.id, &pack.slots);
    }
}

/// Builds packs and hands them to a sink. The packs of one run are numbered from 0; their ids are known at the end.
pub struct PackWriter {
    sink: PackSink,
    builder: PackBuilder,
    target_bytes: usize,
    done: Vec<StoredPack>,
}

impl PackWriter {
    /// Starts a run.
    pub fn new(options: WriterOptions) -> Self {
        Self {
            target_bytes: target_bytes(options.content_bytes),
            sink: PackSink::start(options.stores, options.on_stored, options.progress),
            builder: PackBuilder::new(),
            done: Vec::new(),
        }
    }

    fn cut_if_full(&mut self, more_slots: usize) -> Result<(), StoreError> {
        let full = self.builder.stored_len() >= self.target_bytes
            || self.builder.slot_count() as usize + more_slots > MAX_SLOTS as usize;
        if full { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<(), StoreError> {
        let pack = std::mem::take(&mut self.builder).finish();
        self.done.push(StoredPack { id: pack.id, stored_bytes: pack.bytes.len() as u64, inline: None });
        self.sink.put(pack)
    }

    /// Adds a frame of whole chunks; returns the number of its pack and its first slot.
    ///
    /// # Errors
    /// When an earlier pack could not be stored.
    pub fn add_whole(&mut self, chunks: &[(ChunkId, u32)], payload: &[u8]) -> Result<(u32, SlotNumber), StoreError> {
        self.cut_if_full(chunks.len())?;
        Ok((self.done.len() as u32, self.builder.add_whole(chunks.iter().copied(), payload)))
    }

    /// Adds a frame of deltas; returns the number of its pack and its first slot.
    ///
    /// # Errors
    /// When an earlier pack could not be stored.
    pub fn add_deltas(&mut self, deltas: &[NewDelta]) -> Result<(u32, SlotNumber), StoreError> {
        self.cut_if_full(deltas.len())?;
        Ok((self.done.len() as u32, self.builder.add_deltas(deltas)))
    }

    /// Ends the run: waits until everything is stored. A single small pack is not stored but given back.
    ///
    /// # Errors
    /// When a pack could not be stored.
    pub fn finish(mut self) -> Result<Vec<StoredPack>, StoreError> {
        if !self.builder.is_empty() {
            if self.done.is_empty() && self.builder.stored_len() < INLINE_BYTES {
                let pack = std::mem::take(&mut self.builder).finish();
                let stored_bytes = pack.bytes.len() as u64;
                self.done.push(StoredPack { id: pack.id, stored_bytes, inline: Some(pack.bytes) });
            } else {
                self.cut()?;
            }
        }
        self.sink.finish()?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;
    use crate::store::keys;

    /// Few large objects: a pack is handed over once it has its size, and not before.
    #[test]
    fn packs_are_cut_at_their_size() {
        let store = Store::assume(Remote::memory());
        let (stores, progress) = (vec![store.clone()], Arc::new(Progress::new()));
        let mut writer =
            PackWriter::new(WriterOptions { stores, content_bytes: 0, on_stored: Arc::new(|_, _| {}), progress });
        let (frame, frames) = (vec![7; 4 << 20], 10);
        for number in 0..frames {
            let id = ChunkId::of(&[number]);
            writer.add_whole(&[(id, 4096)], &frame).unwrap();
        }
        let done = writer.finish().unwrap();
        // 16 MiB and what frames add: four frames each.
        let lens: Vec<u64> = done.iter().map(|pack| pack.stored_bytes >> 20).collect();
        assert_eq!(lens, [16, 16, 8]);
        assert_eq!(store.remote().list(keys::PACKS).unwrap().len(), 3);
    }
}
