//! One beat of a lease: an object of JSON. FORMAT.md, "Keys".

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::Nonce;
use crate::format::FormatError;

const WHAT: &str = "the beat of a lease";
/// Largest beat that is read.
pub(super) const MAX_BEAT_BYTES: u64 = 4 << 10;
/// Longest time that a beat may last.
const MAX_LASTS_MS: u64 = 24 * 60 * 60 * 1000;

/// The place of a beat: its epoch, and its number in it. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeatPlace {
    /// From 1; one holder each.
    pub epoch: u32,
    /// From 1.
    pub beat: u32,
}

impl BeatPlace {
    pub(super) const FIRST: Self = Self { epoch: 1, beat: 1 };

    pub(super) fn next_beat(self) -> Self {
        Self { beat: self.beat + 1, ..self }
    }

    pub(super) fn next_epoch(self) -> Self {
        Self { epoch: self.epoch + 1, beat: 1 }
    }
}

/// What a beat says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// Its place, as in its key.
    pub place: BeatPlace,
    /// The mark of who holds the lease.
    pub holder: Nonce,
    /// Their machine.
    pub host: String,
    /// Where they answer.
    pub address: Option<String>,
    /// When it was made, by their clock.
    pub at: Timestamp,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: u64,
    /// Whether they let go with it.
    pub ended: bool,
}

impl Beat {
    /// How long it lasts.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: a beat is expressible in JSON")
    }

    pub(super) fn decode(text: &[u8], place: BeatPlace) -> Result<Self, FormatError> {
        let beat: Self = serde_json::from_slice(text).map_err(|source| FormatError::Json { what: WHAT, source })?;
        let wrong = |detail: String| Err(FormatError::Inconsistent { what: WHAT, detail });
        if beat.place != place {
            return wrong(format!("it is beat {} of epoch {}", beat.place.beat, beat.place.epoch));
        }
        if beat.lasts_ms > MAX_LASTS_MS {
            return wrong(format!("it lasts {} ms", beat.lasts_ms));
        }
        Ok(beat)
    }
}
