//! Bases for content that has no old version at its place: after a `VACUUM` the rows are the same, on other pages.
//!
//! Pages are alike when they share features: hashes of 32-byte windows, of which each page keeps the smallest few, so that
//! equal runs of bytes choose equal features wherever they lie. An index of the old pages' features has a fixed size; what
//! does not fit is overwritten, which costs bytes, not correctness.

use std::collections::BTreeMap;

use crate::base::ordered::{ordered, thread_count};
use crate::base::{ChunkNumber, FileNumber};
use crate::format::map::Place;
use crate::map::State;
use crate::store::{ChunkReader, StoreError};

/// Features of a page. Six find 9 in 10 of the pages that sixteen find, in a third of the memory.
const FEATURES: usize = 6;
/// Entries of the index: 8 bytes each, 32 MiB together, enough for 2.8 GB of 4 KiB pages without loss.
const ENTRIES: usize = 1 << 22;
/// One window in so many is looked at: about 32 of a 4 KiB page.
const SAMPLED_BITS: u32 = 7;
/// Chunks read by one step of a thread.
const STEP: u32 = 256;

/// Old chunks by the features of their content.
pub(super) struct Similar {
    /// Upper half of a feature, and the number of a chunk plus 1.
    entries: Vec<(u32, u32)>,
    /// First number of each file.
    starts: Vec<(u32, FileNumber)>,
}

impl Similar {
    /// Reads all chunks of a snapshot that are stored whole; those that cannot be read are left out.
    pub(super) fn build(state: &State, reader: &ChunkReader<'_>) -> Similar {
        let mut similar = Similar { entries: vec![(0, 0); ENTRIES], starts: Vec::new() };
        let mut steps = Vec::new();
        let mut number = 0u32;
        for file in state.files.values().filter(|file| file.kind.has_content()) {
            similar.starts.push((number, file.number));
            for extent in state.map.extents(file.number) {
                for from in (0..extent.count).step_by(STEP as usize) {
                    let count = STEP.min(extent.count - from);
                    steps.push((number + extent.first.0 + from, extent.place.advance(from), count));
                }
            }
            number = number.saturating_add(file.chunks());
        }
        let read = |place: Place, count: u32| -> Result<Vec<(u32, [u64; FEATURES])>, StoreError> {
            let Place::Slots { pack, first } = place else { return Ok(Vec::new()) };
            let mut found = Vec::with_capacity(count as usize);
            for by in 0..count {
                let slot = crate::base::SlotNumber(first.0 + by);
                if let Some(chunk) = reader.whole(state.map.pack(pack), slot)? {
                    found.push((by, features(&chunk)));
                }
            }
            Ok(found)
        };
        let indexed: Result<(), std::convert::Infallible> = ordered(
            thread_count(),
            4 * thread_count(),
            |give| {
                steps.into_iter().all(give);
            },
            || (),
            |(), (number, place, count)| (number, read(place, count).unwrap_or_default()),
            |(number, found)| {
                for (by, features) in found {
                    features.iter().for_each(|feature| similar.insert(*feature, number + by));
                }
                Ok(())
            },
        );
        let Ok(()) = indexed;
        similar
    }

    fn insert(&mut self, feature: u64, number: u32) {
        if feature != NONE {
            self.entries[feature as usize % ENTRIES] = ((feature >> 32) as u32, number + 1);
        }
    }

    /// The old chunks that share most features with this content, best first.
    pub(super) fn find(&self, content: &[u8], most: usize) -> Vec<(FileNumber, ChunkNumber)> {
        let mut votes: BTreeMap<u32, u32> = BTreeMap::new();
        for feature in features(content).into_iter().filter(|feature| *feature != NONE) {
            let (tag, number) = self.entries[feature as usize % ENTRIES];
            if number > 0 && tag == (feature >> 32) as u32 {
                *votes.entry(number - 1).or_default() += 1;
            }
        }
        let mut found: Vec<(u32, u32)> = votes.into_iter().collect();
        found.sort_by_key(|(_, votes)| std::cmp::Reverse(*votes));
        let place = |number: u32| {
            let (start, file) = self.starts[self.starts.partition_point(|(start, _)| *start <= number) - 1];
            (file, ChunkNumber(number - start))
        };
        found.into_iter().take(most).map(|(number, _)| place(number)).collect()
    }
}

/// No feature: a page with less variety than features.
const NONE: u64 = u64::MAX;

/// The smallest distinct hashes among the sampled windows of some content.
fn features(content: &[u8]) -> [u64; FEATURES] {
    let mut smallest = [NONE; FEATURES];
    let mut hash = 0u64;
    for byte in content {
        // Shifted by two bits for each byte, a byte is gone after 32.
        hash = (hash << 2).wrapping_add(GEAR[usize::from(*byte)]);
        if hash >> (64 - SAMPLED_BITS) != 0 {
            continue;
        }
        // Mixed, so that the choice among the sampled does not favour windows with small bytes.
        let feature = (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let at = smallest.partition_point(|known| *known < feature);
        if at < FEATURES && smallest[at] != feature {
            smallest[at..].rotate_right(1);
            smallest[at] = feature;
        }
    }
    smallest
}

/// 256 fixed pseudo-random numbers (splitmix64 from 0).
const GEAR: [u64; 256] = {
    let (mut table, mut state, mut n) = ([0u64; 256], 0u64, 0);
    while n < 256 {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        table[n] = mixed ^ (mixed >> 31);
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn shared_runs_give_shared_features() {
        let page = text(1, 4096);
        let mut moved = text(2, 700);
        moved.extend_from_slice(&page[..3396]);
        let shared = features(&page).iter().filter(|feature| features(&moved).contains(feature)).count();
        assert!(shared >= 3, "{shared}");
        let other = features(&text(3, 4096));
        assert!(features(&page).iter().all(|feature| !other.contains(feature)));
    }

    #[test]
    fn little_variety_is_no_trouble() {
        assert_eq!(features(&[0; 4096]).len(), FEATURES);
        assert_eq!(features(&[]), [NONE; FEATURES]);
    }
}
