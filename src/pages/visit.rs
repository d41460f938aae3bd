//! Many pages, each once, in the order in which their frames lie: each frame is fetched once and decoded once, whatever is
//! made of it. Where they are more than memory has room for they are kept for nobody.
//!
//! While pages of a frame are handed over it is at hand for whoever is given them: another snapshot's page of the same number
//! is mostly the same chunk, or a delta to it.

use std::sync::Arc;

use bytes::Bytes;

use super::frames::{self, FETCHING, Loaded, MEMORY_BYTES, Need, are_apart, kept, range, split};
use super::{SnapshotPages, frame_of};
use crate::base::SlotNumber;
use crate::base::ordered::{ordered, thread_count};
use crate::format::pack::{Frame, PackRef};
use crate::store::{StoreError, damaged};

/// How much is fetched at once: few requests from afar; what stays in the nearest memory from a disk.
fn reach(is_far: bool) -> (u64, u64) {
    if is_far { (1 << 20, 16 << 10) } else { (256 << 10, 4 << 10) }
}

/// Why a visit ends early.
enum End {
    /// Nobody wants more.
    Enough,
    /// Something cannot be had: it fails again when it is asked for.
    Failed,
}

impl From<StoreError> for End {
    fn from(_: StoreError) -> Self {
        End::Failed
    }
}

/// Most bytes of frames that are brought beside those that are visited.
const MOST_BESIDE_BYTES: u64 = 16 << 20;

/// Content of a frame that writers make, in bytes.
const FRAME_BYTES: u64 = 64 << 10;

/// Pages made of one frame.
struct Task {
    need: Need,
    pages: Vec<u32>,
}

type Give<'a> = &'a (dyn Fn(u32, &[u8]) -> bool + Sync);

impl SnapshotPages {
    /// Hands over pages in the order of their frames, several at a time. What cannot be had is left out.
    pub(super) fn visit_frames(&self, numbers: &[u32], give: Give<'_>) {
        let mut page = vec![0; self.page_size() as usize];
        let Ok((zeros, tasks)) = self.tasks(numbers) else { return };
        if zeros.into_iter().any(|number| self.give(number, &mut page, give).is_err()) {
            return;
        }
        self.bring_own(numbers, |frame| frame.is_delta);
        let is_far = tasks.iter().any(|task| task.need.open.is_far());
        let threads = if is_far { 2 * FETCHING } else { thread_count() };
        let keeps = tasks.len() as u64 * FRAME_BYTES <= MEMORY_BYTES;
        let parts = together(tasks.iter().collect(), reach(is_far));
        // Whoever was given a page knows why no more came.
        let _ = ordered(
            threads.min(parts.len()).max(1),
            2 * threads,
            |give| parts.into_iter().all(give),
            || (Vec::new(), page.clone()),
            |(buffer, page), part| self.visit_part(&part, keeps, buffer, page, give),
            |done: Result<(), End>| done,
        );
    }

    /// Brings those of the frames that pages lie in themselves, not those of their bases, into memory: from afar, several at a
    /// time. What fails here fails again when it is needed.
    pub(super) fn bring_own(&self, numbers: &[u32], wanted: impl Fn(&Frame) -> bool) {
        let known = numbers.iter().filter(|number| (1..=self.page_count()).contains(*number));
        let slots: Vec<_> = known.filter_map(|number| self.slot(self.chunk_of(*number)).ok().flatten()).collect();
        let Ok(opened) = frames::open_all(&self.packs, slots.iter().map(|(pack, _)| *pack)) else { return };
        let mut needs: Vec<Need> = Vec::new();
        let mut bytes = 0;
        for (pack, slot) in slots {
            let Ok(open) = self.holding(&opened[&pack.id], pack, slot) else { return };
            let Ok(frame) = frame_of(&open, slot) else { return };
            if !wanted(&frame) || !open.is_far() || needs.last().is_some_and(|last| last.is(&open, &frame)) {
                continue;
            }
            bytes += 2 * u64::from(frame.stored_len);
            if bytes > MOST_BESIDE_BYTES {
                break;
            }
            needs.push(Need { open, frame });
        }
        let _ = self.frames.load_all(needs, false);
    }

    /// Pages of zeros, and the frames of whole chunks that the others are made of, in the order of their places.
    fn tasks(&self, numbers: &[u32]) -> Result<(Vec<u32>, Vec<Task>), StoreError> {
        let (mut zeros, mut wanted) = (Vec::new(), Vec::with_capacity(numbers.len()));
        for number in numbers.iter().filter(|number| (1..=self.page_count()).contains(*number)) {
            match self.slot(self.chunk_of(*number))? {
                Some((pack, slot)) => wanted.push((*number, pack, slot)),
                None => zeros.push(*number),
            }
        }
        let opened = frames::open_all(&self.packs, wanted.iter().map(|(_, pack, _)| *pack))?;
        let (mut found, mut deltas): (_, Vec<(u32, PackRef, SlotNumber)>) =
            (Vec::with_capacity(wanted.len()), Vec::new());
        for (number, pack, slot) in wanted {
            let open = self.holding(&opened[&pack.id], pack, slot)?;
            let frame = frame_of(&open, slot)?;
            if frame.is_delta {
                let base = open.table.delta(&frame, slot).bases[0];
                deltas.push((number, open.table.base_packs[base.pack as usize].clone(), base.slot));
            } else {
                found.push((Need { open, frame }, number));
            }
        }
        let opened = frames::open_all(&self.packs, deltas.iter().map(|(_, pack, _)| pack))?;
        for (number, pack, slot) in deltas {
            let open = self.holding(&opened[&pack.id], &pack, slot)?;
            let frame = frame_of(&open, slot)?;
            found.push((Need { open, frame }, number));
        }
        found.sort_unstable_by_key(|(need, number)| (need.open.table.id, need.frame.offset, *number));
        let same = |a: &(Need, u32), b: &(Need, u32)| a.0.is(&b.0.open, &b.0.frame);
        let task =
            |of: &[(Need, u32)]| Task { need: of[0].0.clone(), pages: of.iter().map(|(_, number)| *number).collect() };
        Ok((zeros, found.chunk_by(same).map(task).collect()))
    }

    fn visit_part(
        &self,
        part: &[&Task],
        keeps: bool,
        buffer: &mut Vec<u8>,
        page: &mut [u8],
        give: Give<'_>,
    ) -> Result<(), End> {
        let mut absent = Vec::with_capacity(part.len());
        for &task in part {
            let Need { open, frame } = &task.need;
            match self.frames.in_memory(open, frame).or_else(|| kept(open, frame)) {
                Some(loaded) => self.serve(task, &loaded, page, give)?,
                None => absent.push(task),
            }
        }
        for part in together(absent, reach(part[0].need.open.is_far())) {
            let (first, last) = (&part[0].need, &part[part.len() - 1].need);
            let bytes = first.open.read(first.frame.offset..range(&last.frame).end)?;
            for task in part {
                let loaded = Arc::new(decode(&task.need, &bytes, first.frame.offset, std::mem::take(buffer))?);
                if keeps {
                    self.frames.keep(&task.need.open, &task.need.frame, &loaded);
                }
                self.serve(task, &loaded, page, give)?;
                *buffer = Arc::into_inner(loaded).map(Loaded::into_buffer).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn serve(&self, task: &Task, loaded: &Arc<Loaded>, page: &mut [u8], give: Give<'_>) -> Result<(), End> {
        let Need { open, frame } = &task.need;
        let all = || task.pages.iter().try_for_each(|number| self.give(*number, page, give));
        self.frames.with_at_hand(open, frame, loaded, all)
    }

    fn give(&self, number: u32, page: &mut [u8], give: Give<'_>) -> Result<(), End> {
        page.fill(0);
        let offset = u64::from(number - 1) * page.len() as u64;
        match self.read_at(page, offset) {
            Ok(_) if !give(number, page) => Err(End::Enough),
            // A page that is wrong is told when it is asked for; its neighbours may be right.
            _ => Ok(()),
        }
    }
}

/// Splits tasks in the order of their frames into those whose frames are fetched together.
fn together(tasks: Vec<&Task>, reach: (u64, u64)) -> Vec<Vec<&Task>> {
    split(tasks, |part, next| are_apart(&part[0].need, &part[part.len() - 1].need, &next.need, reach))
}

fn decode(need: &Need, bytes: &Bytes, first: u64, buffer: Vec<u8>) -> Result<Loaded, StoreError> {
    let at = (need.frame.offset - first) as usize;
    let stored = bytes.slice(at..at + need.frame.stored_len as usize);
    Loaded::of(&need.open, &need.frame, stored, false, buffer).map_err(|source| damaged(&need.open, source))
}
