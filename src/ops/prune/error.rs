//! Why a prune removes nothing.

use crate::base::{PackId, SnapshotNumber};
use crate::ops::ErrorKind;

/// A refusal, or a race that was lost.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A kept snapshot cannot be read as it is.
    #[error("{snapshot} is kept, and records at {remote} that it builds on are missing: nothing was removed")]
    Unreadable {
        /// The snapshot.
        snapshot: String,
        /// Where.
        remote: String,
    },
    /// A kept snapshot needs what is not there.
    #[error("kept snapshots need pack {pack}, which is missing at {remote}: nothing was removed")]
    Lacking {
        /// The pack.
        pack: PackId,
        /// Where.
        remote: String,
    },
    /// An object that kept snapshots need is known to be damaged.
    #[error("{object} at {remote} is known to be damaged, and kept snapshots need it: nothing was removed")]
    Damaged {
        /// Its key.
        object: String,
        /// Where.
        remote: String,
    },
    /// A snapshot should be there that the listing does not show.
    #[error("{remote} lists {after} and not {missing} before it: nothing was removed")]
    Gap {
        /// The snapshot that is not listed.
        missing: String,
        /// The one after it.
        after: String,
        /// Where.
        remote: String,
    },
    /// A snapshot was there that the listing does not show.
    #[error("{missing} was at {remote}, and is not listed there any more: nothing was removed")]
    Lost {
        /// The snapshot.
        missing: String,
        /// Where.
        remote: String,
    },
    /// There are packs and no snapshots.
    #[error("{remote} lists {packs} packs and no snapshot: nothing was removed")]
    NoSnapshots {
        /// How many.
        packs: usize,
        /// Where.
        remote: String,
    },
    /// Another prune was first.
    #[error("another prune began at {remote} at the same time")]
    Raced {
        /// Where.
        remote: String,
    },
    /// Everything would go at once, although others may be writing.
    #[error("without a time of grace a writer that is at work at {remote} would lose what it stores")]
    NeedsGrace {
        /// Where.
        remote: String,
    },
    /// A prune took the number that a snapshot was to have.
    #[error("a prune at {remote} did not wait for this snapshot any longer")]
    Expired {
        /// The number it was to have.
        number: SnapshotNumber,
        /// Where.
        remote: String,
    },
}

impl PruneError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            PruneError::Unreadable { .. } | PruneError::Lacking { .. } | PruneError::Damaged { .. } => {
                ErrorKind::Corruption
            }
            PruneError::Gap { .. } | PruneError::Lost { .. } | PruneError::NoSnapshots { .. } => ErrorKind::Corruption,
            PruneError::Raced { .. } => ErrorKind::Busy,
            PruneError::NeedsGrace { .. } => ErrorKind::Usage,
            PruneError::Expired { .. } => ErrorKind::Temporary,
        }
    }

    /// The next thing to do.
    pub fn hint(&self) -> String {
        match self {
            PruneError::Unreadable { remote, .. }
            | PruneError::Lacking { remote, .. }
            | PruneError::Damaged { remote, .. }
            | PruneError::Lost { remote, .. }
            | PruneError::Gap { remote, .. } => {
                format!("put it right first: pagekeep verify {remote}, then pagekeep repair {remote}")
            }
            PruneError::NoSnapshots { .. } => {
                "if all snapshots there are lost, the store is of no use: remove it by hand".into()
            }
            PruneError::Raced { .. } => "nothing is lost: run this again when it is done".into(),
            PruneError::NeedsGrace { .. } => {
                "leave --grace out, and run this again after 72 hours; or add --alone when nobody else writes there"
                    .into()
            }
            PruneError::Expired { .. } => "nothing is lost: run this again".into(),
        }
    }
}
