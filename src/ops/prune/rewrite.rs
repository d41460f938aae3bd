//! What is written before anything goes: live slots into bundles, maps that build on records that go.

use std::collections::BTreeMap;

use super::Env;
use super::live::Live;
use super::look::Found;
use super::plan::{Move, Plan};
use crate::base::{Name, Nonce, SlotNumber};
use crate::format::FormatError;
use crate::format::bundle::FormerHome;
use crate::format::codec::{FrameDecoder, FrameEncoder};
use crate::format::envelope::FORMAT_VERSION;
use crate::format::new_map::{NewMap, NewMapHeader};
use crate::format::pack::{Frame, NewDelta, PackBuilder, PackTable, frame_ids};
use crate::format::record::{Files, SnapshotName};
use crate::map::State;
use crate::ops::OpError;
use crate::ops::slots::SlotSet;
use crate::ops::verify::{SnapshotPlace, States};
use crate::store::{BundleWriter, DecodedFrame, OpenPack, Store, damaged, wrong_chunk};

/// Bytes of a bundle: as of a pack.
const BUNDLE_BYTES: usize = 16 << 20;
/// The zstd level of frames that are compressed anew.
const LEVEL: i32 = 3;

/// Writes what a plan needs; returns the bytes written.
pub(super) fn write(env: &Env<'_>, store: &Store, found: &Found, live: &Live, plan: &Plan) -> Result<u64, OpError> {
    let mut written = 0;
    let mut bundle = BundleWriter::default();
    let mut encoder = FrameEncoder::new(LEVEL);
    for one in &plan.moves {
        env.progress.check()?;
        move_pack(store, found, live, one, &mut encoder, &mut bundle)?;
        if bundle.len() >= BUNDLE_BYTES {
            written += std::mem::take(&mut bundle).finish(store)?.1;
        }
    }
    if !bundle.is_empty() {
        written += bundle.finish(store)?.1;
    }
    Ok(written + write_maps(env, store, &plan.new_maps)?)
}

/// Adds the live slots of a pack to a bundle.
fn move_pack(
    store: &Store,
    found: &Found,
    live: &Live,
    one: &Move,
    encoder: &mut FrameEncoder,
    bundle: &mut BundleWriter,
) -> Result<(), OpError> {
    let missing = || crate::store::StoreError::PackMissing { id: one.id, remote: store.remote().name().to_owned() };
    let open = one.holder.open(store, found, &one.id)?.ok_or_else(missing)?;
    let bytes = open.whole()?;
    let pack = &live.packs[&one.id];
    let left = |(database, name): &(Name, Option<SnapshotName>)| {
        let snapshot = name.clone()?;
        let stays = live.kept.contains_key(&(database.clone(), snapshot.line.clone(), snapshot.number));
        (!stays).then(|| FormerHome { database: database.clone(), snapshot })
    };
    let from: Vec<FormerHome> = pack.homes.iter().filter_map(left).collect();
    if !open.table.is_sparse && pack.slots.count() == open.table.slot_count() {
        // What is copied is proven first, as everything that is read.
        prove(&open, &bytes)?;
        bundle.add_whole(one.id, &bytes, from).map_err(|source| damaged(&open, source))?;
        return Ok(());
    }
    let sparse = without_dead(&open, &bytes, &pack.slots, encoder)?;
    bundle.add_sparse(one.id, pack.slots.count(), &sparse, from);
    Ok(())
}

/// Checks the ids of all frames.
fn prove(open: &OpenPack, bytes: &[u8]) -> Result<(), OpError> {
    for frame in &open.table.frames {
        frame_ids(frame, stored_of(frame, bytes)).map_err(|source| damaged(open, source))?;
    }
    Ok(())
}

fn stored_of<'a>(frame: &Frame, bytes: &'a [u8]) -> &'a [u8] {
    &bytes[frame.offset as usize..frame.offset as usize + frame.stored_len as usize]
}

/// A pack without its dead slots: deltas and whole frames as they are, other frames compressed anew.
fn without_dead(open: &OpenPack, bytes: &[u8], live: &SlotSet, encoder: &mut FrameEncoder) -> Result<Vec<u8>, OpError> {
    let table = &open.table;
    let wrong = |source: FormatError| OpError::from(damaged(open, source));
    let (mut builder, mut decoder) = (PackBuilder::sparse(table.id), FrameDecoder::new());
    for frame in &table.frames {
        let runs = runs(frame, live);
        if runs.is_empty() {
            continue;
        }
        let stored = stored_of(frame, bytes);
        let (ids, payload_at) = frame_ids(frame, stored).map_err(wrong)?;
        let lens = table.lens_of(frame);
        if frame.is_delta {
            for (first, count) in runs {
                builder.skip_to(SlotNumber(first));
                builder.add_deltas(&deltas(table, frame, first..first + count, &ids, &stored[payload_at..]));
            }
            continue;
        }
        let content = DecodedFrame::decode(&mut decoder, table, frame, stored, Vec::new()).map_err(wrong)?;
        for (first, count) in runs {
            let at = (first - frame.first_slot) as usize;
            let (_, raw) = content
                .chunks(at..at + count as usize)
                .map_err(|at| wrong_chunk(open, SlotNumber(frame.first_slot + at as u32)))?;
            let chunks = (at..at + count as usize).map(|at| (ids[at], lens[at]));
            builder.skip_to(SlotNumber(first));
            if count == frame.slots {
                builder.add_whole(chunks, &stored[payload_at..]);
            } else {
                builder.add_whole(chunks, &encoder.encode(raw));
            }
        }
    }
    Ok(builder.finish().bytes)
}

/// Runs of live slots in a frame: first and count.
fn runs(frame: &Frame, live: &SlotSet) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for slot in (frame.first_slot..frame.first_slot + frame.slots).filter(|slot| live.has(*slot)) {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == slot => *count += 1,
            _ => runs.push((slot, 1)),
        }
    }
    runs
}

fn deltas(
    table: &PackTable,
    frame: &Frame,
    slots: std::ops::Range<u32>,
    ids: &[crate::base::ChunkId],
    payload: &[u8],
) -> Vec<NewDelta> {
    slots
        .map(|slot| {
            let delta = table.delta(frame, SlotNumber(slot));
            let bases = delta.bases.iter().map(|base| (table.base_packs[base.pack as usize].clone(), base.slot));
            NewDelta {
                id: ids[(slot - frame.first_slot) as usize],
                len: table.len_of(frame, SlotNumber(slot)),
                bytes: payload[delta.offset as usize..(delta.offset + delta.len) as usize].to_vec(),
                bases: bases.collect(),
            }
        })
        .collect()
}

/// Writes maps anew, all under one mark. In each line the first, of rank 0, is whole; others build on an earlier one by the
/// rule of [`base_of`].
fn write_maps(env: &Env<'_>, store: &Store, places: &[SnapshotPlace]) -> Result<u64, OpError> {
    let (writing, mut written) = (Nonce::fresh(), 0);
    let mut lines: BTreeMap<(Name, Name), Vec<&SnapshotPlace>> = BTreeMap::new();
    for place in places {
        lines.entry((place.0.clone(), place.1.clone())).or_default().push(place);
    }
    for places in lines.into_values() {
        let mut states = States::new(store);
        // States that others build on still, each with the rank it has, the oldest first.
        let mut below: Vec<(u32, State)> = Vec::new();
        for (rank, place) in (0u32..).zip(places) {
            env.progress.check()?;
            let record = states.record(place)?;
            let state = states.lay(&record).map_err(|(_, error)| error)?;
            let base = base_of(rank);
            below.retain(|(known, _)| *known <= base);
            let chain: Vec<SnapshotName> = below.iter().rev().map(|(_, state)| state.header.name()).collect();
            let map = new_map(&state, below.last().map(|(_, state)| state), chain);
            written += store.put_new_map(&map, &writing)?;
            below.push((rank, state));
        }
    }
    Ok(written)
}

/// On which rank a map builds: that with one less in its lowest digit to base 4 that is not 0. So each holds about three
/// eighths of log2 r times its own change, and at most one and a half times log2 r are read.
fn base_of(rank: u32) -> u32 {
    rank.saturating_sub(1 << (rank.trailing_zeros() & !1).min(30))
}

fn new_map(state: &State, base: Option<&State>, chain: Vec<SnapshotName>) -> NewMap {
    let header = &state.header;
    let (files, map) = match base {
        None => (Files { changed: state.files.values().cloned().collect(), removed: Vec::new() }, state.map.to_part()),
        Some(base) => {
            let changed = state.files.values().filter(|entry| base.files.get(&entry.number) != Some(*entry));
            let removed = base.files.keys().filter(|number| !state.files.contains_key(*number));
            let files = Files { changed: changed.cloned().collect(), removed: removed.copied().collect() };
            (files, state.map.since(&base.map))
        }
    };
    let header = NewMapHeader {
        format: FORMAT_VERSION.into(),
        database: header.database.clone(),
        lineage: header.lineage.clone(),
        snapshot: header.name(),
        id: state.id,
        chain,
        files,
    };
    NewMap { header, map }
}

/// A map of a snapshot that builds on nothing, for a store that lacks what its record builds on.
pub(in crate::ops) fn whole_map(state: &State) -> NewMap {
    new_map(state, None, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::base_of;

    #[test]
    fn maps_build_on_few_and_near_ones() {
        let bases: Vec<u32> = (0..=17).map(base_of).collect();
        assert_eq!(bases, [0, 0, 1, 2, 0, 4, 5, 6, 4, 8, 9, 10, 8, 12, 13, 14, 0, 16]);
        assert_eq!(base_of(3 << 30), 1 << 31);
        let chain = |rank| std::iter::successors(Some(rank), |rank| (*rank > 0).then(|| base_of(*rank))).count() - 1;
        assert_eq!((1..1024).map(chain).max(), Some(15));
        assert_eq!(chain(u32::MAX), 48, "no more than a chain may have");
    }
}
