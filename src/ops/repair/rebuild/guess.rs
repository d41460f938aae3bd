//! A pack of which no copy has even the table. Snapshots say which chunk of which file stood in which slot; if the live
//! database still has all of them, and all were stored whole, their ids give the pack's id: then that is what it was.

use super::chunks::Chunks;
use super::{Built, LEVEL, built};
use crate::base::{ChunkId, PackId};
use crate::format::codec::FrameEncoder;
use crate::format::pack::PackBuilder;
use crate::ops::OpError;

/// Content of a frame.
const FRAME_BYTES: usize = 64 << 10;

/// Builds it from the live database alone.
pub(super) fn whole_pack(id: &PackId, chunks: &mut Chunks<'_, '_>) -> Result<Option<Built>, OpError> {
    let live = chunks.live()?;
    // Slots are numbered without gaps; one that no snapshot needs any more is lost.
    let is_dense = live.slots.keys().copied().eq(0..live.slots.len() as u32);
    if live.slots.is_empty() || !is_dense {
        return Ok(None);
    }
    let (mut pack, mut encoder) = (PackBuilder::new(), FrameEncoder::new(LEVEL));
    let (mut frame, mut raw): (Vec<(ChunkId, u32)>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut close = |frame: &mut Vec<(ChunkId, u32)>, raw: &mut Vec<u8>| {
        if !frame.is_empty() {
            let payload = encoder.encode(raw);
            pack.add_whole(std::mem::take(frame).into_iter(), &payload);
            raw.clear();
        }
    };
    for chunk in live.slots.values() {
        let Some(content) = live.content(chunk) else { return Ok(None) };
        if raw.len() + content.len() > FRAME_BYTES {
            close(&mut frame, &mut raw);
        }
        frame.push((*chunk, content.len() as u32));
        raw.extend_from_slice(content);
    }
    close(&mut frame, &mut raw);
    Ok(built(pack.finish(), id, &["the live database".to_owned()]))
}
