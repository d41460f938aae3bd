//! From kinds of failure to exit codes: the table of `docs/EXIT-CODES.md`.

use crate::ops::ErrorKind;

/// Done.
pub(crate) const OK: u8 = 0;
/// The command line makes no sense.
pub(crate) const USAGE: u8 = 2;
/// Some of several remotes failed.
pub(crate) const PARTIAL: u8 = 3;
/// A remote is older than allowed.
pub(crate) const STALE: u8 = 6;
/// A drill restored what was stored, and that is not what was expected.
pub(crate) const UNEXPECTED: u8 = 7;
/// A check of the doctor failed.
pub(crate) const UNWELL: u8 = 8;

/// The exit code of a kind of failure.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Other => 1,
        ErrorKind::Usage => USAGE,
        ErrorKind::Credentials => 4,
        ErrorKind::Conflict => 5,
        ErrorKind::NoStore => 10,
        ErrorKind::Busy => 11,
        ErrorKind::WrongKey => 12,
        ErrorKind::Corruption => 13,
        ErrorKind::Source => 14,
        ErrorKind::NoSnapshot => 15,
        ErrorKind::TargetExists => 16,
        ErrorKind::TooNew => 17,
        ErrorKind::Temporary => 75,
        ErrorKind::Interrupted => 130,
    }
}
