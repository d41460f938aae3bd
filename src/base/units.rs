//! Numbers that could be confused with one another, each with its own type.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type!(
    /// The place of a chunk in its file, counted from 0: its first byte is at `number * chunk size`.
    ChunkNumber
);
number_type!(
    /// The place of a chunk in its pack, counted from 0.
    SlotNumber
);
number_type!(
    /// A file of a database, numbered from 1 when it first appears; it keeps its number while it
    /// exists, and numbers are not used again.
    FileNumber
);
number_type!(
    /// The place of a snapshot in its line's history, counted from 1.
    SnapshotNumber
);

number_type!(
    /// The place of a ref's record among all of that ref, counted from 1.
    RefNumber
);
number_type!(
    /// The place of a record of marks among all of a database, counted from 1.
    MarksNumber
);
macro_rules! consecutive {
    ($name:ident) => {
        impl $name {
            /// The number so many places further on.
            pub fn plus(self, count: u32) -> Self {
                Self(self.0 + count)
            }

            /// How many places further on than `first`, which is not behind it.
            pub fn since(self, first: Self) -> u32 {
                self.0 - first.0
            }
        }
    };
}

consecutive!(ChunkNumber);
consecutive!(SlotNumber);

impl SnapshotNumber {
    /// The first snapshot of a line.
    pub const FIRST: SnapshotNumber = SnapshotNumber(1);

    /// The number after this one; `None` when the line is full (2^32 - 1 snapshots).
    pub fn next(self) -> Option<SnapshotNumber> {
        self.0.checked_add(1).map(SnapshotNumber)
    }
}
