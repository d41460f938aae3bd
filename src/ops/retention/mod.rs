//! Which snapshots of a store stay: policies, holds, and what is forgotten.
//!
//! To forget is to mark: the record and its content stay until `prune` takes them, and until then a mark can be taken
//! back. `docs/decisions/0013-retention.md`.

mod error;
mod facts;
mod forget;
mod history;
mod hold;
mod marks;
mod place;
pub mod plan;
mod settings;
mod travel;

pub use error::RetentionError;
pub use forget::{ForgetOptions, ForgetReport, apply_policy, forget, recall};
pub(super) use history::{bring_marks, carry_holds, set_aside};
pub(super) use hold::push_holds;
pub use hold::{HoldReport, hold, release};
pub use marks::{Deed, marks};
pub use settings::{clear_policy, policies, set_policy};
pub(super) use travel::{Wanted, wanted};

use crate::format::marks::Marked;

/// The local store, as places are named that have a policy.
pub const LOCAL: &str = ".";

/// Why a held snapshot stays.
fn held(snapshot: &str, held: &Marked) -> RetentionError {
    let because = held.reason.as_ref().map(|reason| format!(", {reason:?}")).unwrap_or_default();
    RetentionError::Stays {
        snapshot: snapshot.to_owned(),
        reason: format!("it is held since {} by {}{because}", held.since, held.host),
        next: format!("release it first: pagekeep release {snapshot}"),
    }
}
