//! Which snapshots of a store stay: policies, holds, and what is forgotten.
//!
//! To forget is to mark: the record and its content stay until `prune` takes them, and until then a mark can be taken
//! back. `docs/decisions/0013-retention.md`.

mod error;
mod marks;

pub use error::RetentionError;
pub use marks::{Deed, marks};

use crate::format::marks::Marked;

/// Why a held snapshot stays.
fn held(snapshot: &str, held: &Marked) -> RetentionError {
    let because = held.reason.as_ref().map(|reason| format!(", {reason:?}")).unwrap_or_default();
    RetentionError::Stays {
        snapshot: snapshot.to_owned(),
        reason: format!("it is held since {} by {}{because}", held.since, held.host),
        next: format!("release it first: pagekeep release {snapshot}"),
    }
}
