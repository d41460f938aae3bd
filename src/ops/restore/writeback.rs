//! Starts finished stretches of a file on their way to the disk while the rest is being filled.
//!
//! Only what is complete: flushing everything from time to time wrote around the holes that deltas and chunks of later
//! packs fill, and then the fillings one by one (4 900 writes instead of 400 for 1 GB after four increments).

use std::collections::HashMap;
use std::fs::File;

/// Length of a stretch. Longer ones leave the disk idle at the beginning, shorter ones make more writes.
const STRETCH_BYTES: u64 = 8 << 20;

/// How far the stretches of one file are filled.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    /// Bytes written, of stretches that are begun.
    filled: HashMap<u64, u64>,
}

impl Writeback {
    /// Notes that bytes of a file of `size` bytes were written, each once; hands over what became complete.
    pub(super) fn wrote(&mut self, file: &File, size: u64, offset: u64, len: u64) {
        for number in offset / STRETCH_BYTES..(offset + len).div_ceil(STRETCH_BYTES) {
            let (start, end) = (number * STRETCH_BYTES, ((number + 1) * STRETCH_BYTES).min(size));
            let filled = self.filled.entry(number).or_default();
            *filled += (offset + len).min(end) - offset.max(start);
            if *filled >= end - start {
                self.filled.remove(&number);
                start_writing(file, start, end - start);
            }
        }
    }
}

/// Asks the kernel to begin writing; the flush that counts comes at the end, and tells when it fails.
#[cfg(target_os = "linux")]
fn start_writing(file: &File, offset: u64, len: u64) {
    // On Linux this begins to write what is dirty, without waiting (mm/fadvise.c), and lets go of what is clean.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn start_writing(_: &File, _: u64, _: u64) {}
