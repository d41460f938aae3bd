//! What holds the place of a snapshot's record: of one that was pruned, or of one that must not come any more.
//! FORMAT.md, "Husk".
//!
//! ```text
//! header 16 | reason 1 | zeros 3 | number 4
//! ```
//!
//! A number is never used twice: a writer that slept while its number was given away, forgotten and pruned must find
//! something under its key. A husk has a length that no record has, so that a listing tells which is which.
//!
//! There is one for each snapshot that was pruned, so it has no digest: every byte is known but the reason, whose two values
//! differ in two bits.

use super::FormatError;
use super::bytes::Cursor;
use super::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use crate::base::SnapshotNumber;

const WHAT: &str = "the husk";

/// Length of a husk in bytes. The least record, of fields that cannot be compressed, has 300.
pub const HUSK_BYTES: u64 = 24;
/// Length of a husk in bytes as an encrypted store lists it.
pub const SEALED_HUSK_BYTES: u64 = 80;

/// Whether an object of this length under a record's key is a husk. Anything else is a record, however damaged.
pub fn is_husk_len(len: u64) -> bool {
    len == HUSK_BYTES || len == SEALED_HUSK_BYTES
}

/// Why there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HuskReason {
    /// The snapshot was forgotten and pruned.
    Pruned = 1,
    /// A prune did not wait for the writer any longer that was to put its record here.
    Expired = 2,
}

/// A decoded husk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Husk {
    /// Why it is there.
    pub reason: HuskReason,
    /// The snapshot's number.
    pub number: SnapshotNumber,
}

impl Husk {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(ObjectKind::Husk).to_vec();
        out.extend_from_slice(&[self.reason as u8, 0, 0, 0]);
        out.extend_from_slice(&self.number.0.to_le_bytes());
        debug_assert_eq!(out.len() as u64, HUSK_BYTES);
        out
    }

    /// Decodes a husk's bytes.
    ///
    /// # Errors
    /// For damage, a newer format, or anything this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        check_header(bytes, ObjectKind::Husk)?;
        let mut body = Cursor::new(&bytes[HEADER_LEN..], WHAT);
        let reason = match body.u8()? {
            1 => HuskReason::Pruned,
            2 => HuskReason::Expired,
            other => return Err(FormatError::Unknown { what: WHAT, found: format!("reason {other}") }),
        };
        if body.take(3)? != [0; 3] {
            return Err(FormatError::Unknown { what: WHAT, found: "flags".into() });
        }
        let number = SnapshotNumber(body.u32()?);
        body.finish()?;
        if number.0 == 0 {
            return Err(FormatError::Inconsistent { what: WHAT, detail: "snapshot numbers begin at 1".into() });
        }
        Ok(Self { reason, number })
    }
}
