//! Filling files with a snapshot's content: plan, open packs, fetch.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::existing::Existing;
use super::plan::{Plan, Wanted};
use super::writeback::Writeback;
use super::{Context, OpError, fetch};
use crate::base::ordered::ordered;
use crate::base::{ChunkId, ChunkNumber, Progress, SlotNumber};
use crate::format::map::Place;
use crate::format::pack::PackTable;
use crate::format::record::FileEntry;
use crate::map::State;
use crate::ops::proof::Proof;
use crate::store::{OpenPack, Packs, Store, StoreError};

/// Requests for tables and records under way at once.
const OPENING: usize = 8;

/// A file being filled.
pub(super) struct Output<'a> {
    pub(super) entry: &'a FileEntry,
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) proof: Proof,
    /// One write at a time: the kernel lets in only one, and makes the others spin.
    pub(super) writing: Mutex<Writeback>,
    /// What the file holds already.
    pub(super) existing: Option<Existing>,
}

impl Output<'_> {
    /// Writes consecutive chunks and notes their ids.
    pub(super) fn put(&self, first: ChunkNumber, bytes: &[u8], ids: &[ChunkId]) -> Result<(), OpError> {
        let offset = u64::from(first.0) * u64::from(self.entry.chunk_size);
        let mut writeback = self.writing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.file.write_all_at(bytes, offset).map_err(OpError::io("write", &self.path))?;
        writeback.wrote(&self.file, self.entry.size, offset, bytes.len() as u64);
        self.proof.put(first, ids).map_err(OpError::io("write beside", &self.path))
    }
}

/// Fills all outputs; returns how many bytes were there already.
pub(super) fn fill(context: &Context, stores: &[Store], state: &State, outputs: &[Output<'_>]) -> Result<u64, OpError> {
    let packs = Packs::new(stores.to_vec(), state.header.database.clone());
    let mut plan = Plan::default();
    let mut wanted = Vec::new();
    let mut reused = 0;
    for (number, output) in outputs.iter().enumerate() {
        reused += want(&mut plan, state, number as u32, output, &mut wanted)?;
    }
    Progress::add(&context.progress.reused_bytes, reused);
    Progress::add(&context.progress.done_bytes, reused);
    wanted.sort_by_key(|run| (run.pack, run.first_slot));

    let mut slots = Slots::default();
    for run in &wanted {
        slots.add(run.pack, run.first_slot, run.count);
    }
    open_all(&packs, &mut plan, &slots)?;
    plan.sort_wanted(&wanted)?;
    let deltas_at_hand = |delta: &super::plan::WantedDelta, plan: &Plan| {
        let existing = outputs[delta.output as usize].existing.as_ref();
        existing.is_some_and(|existing| {
            let (pack, slot) = delta.bases[0];
            delta.bases.len() == 1 && existing.has(delta.chunk, &plan.id(pack), slot)
        })
    };
    let (at_hand, elsewhere): (Vec<u32>, Vec<u32>) =
        (0..plan.deltas.len() as u32).partition(|number| deltas_at_hand(&plan.deltas[*number as usize], &plan));
    for (pack, slot) in elsewhere.iter().flat_map(|number| &plan.deltas[*number as usize].bases) {
        slots.add(*pack, *slot, 1);
    }
    if open_all(&packs, &mut plan, &slots)? {
        // Frames are counted anew where a pack was opened at another place.
        (plan.uses, plan.deltas) = Default::default();
        plan.sort_wanted(&wanted)?;
    }
    let near = !plan.reads_from_afar();
    fetch::run(context, &packs, &mut plan, outputs, &at_hand, &elsewhere, near)?;
    Ok(reused)
}

/// Adds the runs of a file's chunks that are not there already.
fn want(
    plan: &mut Plan,
    state: &State,
    number: u32,
    output: &Output<'_>,
    wanted: &mut Vec<Wanted>,
) -> Result<u64, OpError> {
    let entry = output.entry;
    let mut reused = 0;
    for extent in state.map.extents(entry.number) {
        let (pack, first) = match extent.place {
            Place::Zeros => {
                for chunk in extent.first.0..extent.end() {
                    let zeros = vec![0; entry.chunk_len(chunk) as usize];
                    output.put(ChunkNumber(chunk), &zeros, &[ChunkId::of(&zeros)])?;
                }
                continue;
            }
            Place::Slots { pack, first } => (pack, first),
        };
        let pack = state.map.pack(pack);
        let pack_number = plan.number(pack);
        for by in 0..extent.count {
            let (chunk, slot) = (extent.first.plus(by), first.plus(by));
            if output.existing.as_ref().is_some_and(|existing| existing.has(chunk, &pack.id, slot)) {
                reused += u64::from(entry.chunk_len(chunk.0));
                continue;
            }
            match wanted.last_mut() {
                Some(last)
                    if last.output == number
                        && last.pack == pack_number
                        && last.first_chunk.plus(last.count) == chunk
                        && last.first_slot.plus(last.count) == slot =>
                {
                    last.count += 1;
                }
                _ => wanted.push(Wanted {
                    output: number,
                    first_chunk: chunk,
                    count: 1,
                    pack: pack_number,
                    first_slot: slot,
                }),
            }
        }
    }
    Ok(reused)
}

/// The slots that are needed of each pack, by its number in the plan: each run's first and their number.
#[derive(Default)]
struct Slots(BTreeMap<u32, Vec<(SlotNumber, u32)>>);

impl Slots {
    fn add(&mut self, pack: u32, first: SlotNumber, count: u32) {
        self.0.entry(pack).or_default().push((first, count));
    }

    /// Whether a place has all that is needed of a pack: a prune may have left out some there.
    fn are_in(&self, pack: u32, table: &PackTable) -> bool {
        let has = |slot: SlotNumber| table.frame_of(slot).is_ok();
        !table.is_sparse || self.0[&pack].iter().all(|(first, count)| (0..*count).all(|by| has(first.plus(by))))
    }
}

/// Opens packs where they have what is needed, several at a time. Returns whether one is open at another place than before.
fn open_all(packs: &Packs, plan: &mut Plan, slots: &Slots) -> Result<bool, StoreError> {
    let missing = plan.unopened(slots.0.keys().copied(), |pack, open| slots.are_in(pack, &open.table));
    let refs: Vec<_> = missing.iter().map(|number| (*number, plan.pack(*number).clone())).collect();
    let mut is_other = false;
    ordered(
        OPENING.min(refs.len()).max(1),
        2 * OPENING,
        |give| refs.into_iter().all(give),
        || (),
        |(), (number, pack)| packs.open_where(&pack, |table| slots.are_in(number, table)).map(|open| (number, open)),
        |opened: Result<(u32, Arc<OpenPack>), StoreError>| -> Result<(), StoreError> {
            let (number, open) = opened?;
            is_other |= plan.add_opened(number, open);
            Ok(())
        },
    )?;
    Ok(is_other)
}
