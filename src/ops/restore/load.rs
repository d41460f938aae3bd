//! The stored bytes of deltas, read before they are applied.

use std::collections::HashMap;

use bytes::Bytes;

use super::OpError;
use super::plan::{Group, Plan};
use crate::base::ChunkId;
use crate::base::ordered::ordered;
use crate::format::pack::frame_ids;
use crate::store::damaged;

/// A delta with its bytes.
pub(super) struct Loaded {
    pub(super) id: ChunkId,
    pub(super) len: u32,
    pub(super) bytes: Bytes,
}

/// Reads the bytes of deltas: frames that lie near each other in one request.
pub(super) fn load(
    plan: &Plan,
    deltas: &[u32],
    threads: usize,
    gap_bytes: u64,
) -> Result<HashMap<u32, Loaded>, OpError> {
    let mut frames: Vec<(u32, u32, u32)> = Vec::with_capacity(deltas.len());
    for number in deltas {
        let delta = &plan.deltas[*number as usize];
        let open = plan.opened(delta.pack);
        let frame = open.table.frame_of(delta.slot).map_err(|error| damaged(open, error))?;
        frames.push((delta.pack, frame as u32, *number));
    }
    frames.sort_unstable();
    // A range is as long as it comes: callers bound how many deltas they ask for.
    let groups = plan.groups(frames.iter().map(|(pack, frame, _)| (*pack, *frame)), u64::MAX, gap_bytes);
    let mut loaded = HashMap::with_capacity(deltas.len());
    ordered(
        threads,
        2 * threads,
        |give| groups.into_iter().all(give),
        || (),
        |(), group| load_group(plan, &group, &frames[group.frames.clone()]),
        |part: Result<Vec<(u32, Loaded)>, OpError>| -> Result<(), OpError> {
            loaded.extend(part?);
            Ok(())
        },
    )?;
    Ok(loaded)
}

fn load_group(plan: &Plan, group: &Group, items: &[(u32, u32, u32)]) -> Result<Vec<(u32, Loaded)>, OpError> {
    let open = plan.opened(group.pack);
    let bytes = open.read(group.range.clone())?;
    let mut out = Vec::with_capacity(items.len());
    for same_frame in items.chunk_by(|a, b| a.1 == b.1) {
        let frame = open.table.frames[same_frame[0].1 as usize];
        let start = (frame.offset - group.range.start) as usize;
        let stored = bytes.slice(start..start + frame.stored_len as usize);
        let (ids, payload_at) = frame_ids(&frame, &stored).map_err(|error| damaged(open, error))?;
        for (.., number) in same_frame {
            let slot = plan.deltas[*number as usize].slot;
            let delta = open.table.delta(&frame, slot);
            let at = payload_at + delta.offset as usize;
            // A copy, so that a few deltas do not keep a whole range in memory.
            let bytes = Bytes::copy_from_slice(&stored[at..at + delta.len as usize]);
            let id = ids[(slot.0 - frame.first_slot) as usize];
            out.push((*number, Loaded { id, len: open.table.len_of(&frame, slot), bytes }));
        }
    }
    Ok(out)
}
