//! The verbs: what pagekeep does with databases, stores and remotes.
//!
//! Options go in, reports come out. Nothing here prints, asks, or reads the environment; the caller says who and where it
//! is in a [`Context`].

mod bring;
mod checkout;
mod clone;
mod complete;
mod context;
mod database;
pub mod diff;
mod doctor;
mod drill;
mod error;
mod follow;
mod graph;
mod history;
mod hooks;
mod keys;
mod lineage;
mod lines;
mod live;
mod metrics;
mod page_map;
mod proof;
mod prune;
mod push;
mod push_whole;
mod reach;
mod read_from;
mod rebase;
mod recover;
mod refs;
mod remotes;
mod remove;
mod repair;
mod restore;
pub mod retention;
mod revert;
mod schedule;
mod scrub;
mod settle;
mod slots;
mod snapshot;
mod spec;
mod stats;
mod status;
mod sync;
mod sync_with;
mod trim;
mod turn;
mod upload;
mod verify;
mod wanted;
mod watch;
mod whereabouts;
mod which_file;
mod whole;

pub use checkout::{CheckoutOptions, CheckoutReport, checkout};
pub use clone::{CloneReport, clone};
pub use context::Context;
pub use database::Database;
pub use doctor::{DoctorCheck, DoctorReport, DoctorState, doctor};
pub use drill::{DrillOptions, DrillPick, DrillReport, drill, drill_places};
pub use error::{ErrorKind, OpError, QueryError};
pub use follow::catch_up;
pub use graph::{Graph, Row, graph};
pub use history::{History, Listed};
pub use hooks::HookError;
pub use keys::{
    Encrypt, KeyChange, KeyInfo, KeysError, NewPassword, PasswordSource, Passwords, Prompt, add_key, keys, remove_key,
    rotate_key,
};
pub use lineage::{AddReport, add_remote, add_remote_as};
pub use lines::{Line, lines};
pub use live::{
    Kept, LiveError, LiveOptions, LiveReport, Migrations, ResetOptions, ResetPlan, plan_reset, reset, restore_live,
    restore_live_kept, unfinished_restore,
};
pub use metrics::check_file as check_metrics_file;
pub use page_map::{PageMap, page_map};
pub use prune::{GRACE, PruneError, PruneOptions, PruneReport, Pruned, prune, prune_store};
pub use reach::{Reach, ReachError};
pub use read_from::ReadFrom;
pub use refs::{Move, RefReport, Refs, TagOptions, create_line, delete_line, delete_tag, reflog, set_tag, undo};
pub use remotes::{OpenRemote, RemovedRemote, is_near};
pub use remove::{RemoveReport, remove};
pub use repair::{Healed, RepairReport, repair};
pub use restore::{Known, RestoreOptions, RestoreReport, TargetError, restore};
pub use revert::{RevertReport, SAFETY_NOTE, restore_kept, revert};
pub use schedule::{Planned, ScheduleOptions, configure_schedule, is_idle, planned, remove_schedule};
pub use scrub::{ScrubOptions, ScrubReport, scrub};
pub use snapshot::{Outcome, SnapshotOptions, SnapshotReport, Targets, snapshot};
pub use spec::{Spec, Version, title};
pub use stats::{Objects, Prices, SnapshotShare, StatsReport, stats};
pub use status::{RemoteStatus, Trouble, status, troubles};
pub use sync::{SyncOptions, SyncReport, create, sync};
pub use sync_with::{SyncAllReport, sync_all, sync_to, sync_url};
pub use upload::upload;
pub use verify::{Finding, FindingKind, Looked, VerifyReport, verify};
pub use whereabouts::{Whereabouts, whereabouts};
pub use which_file::database_in;
pub use whole::borrowed;

use crate::base::Nonce;
use crate::format::husk::{Husk, HuskReason};
use crate::format::record::{Header, Record};
use crate::store::Store;

/// Why somebody else's record stands where ours was to be.
fn conflict(theirs: &Header, lineage: &Nonce, store: &Store) -> OpError {
    let (database, remote) = (theirs.database.clone(), store.remote().name().to_owned());
    let (host, time) = (theirs.host.clone(), theirs.created_at);
    if theirs.lineage == *lineage {
        OpError::Overtaken { database, number: theirs.number, name: None, remote, host, time }
    } else {
        OpError::OtherLineage { database, remote, host, time, address: None, added: false }
    }
}

/// The newest snapshot of the same line at a store.
fn newest(ours: &Header, store: &Store) -> Option<Record> {
    let number = store.newest(&ours.database, &ours.line).ok().flatten()?;
    store.record(&ours.database, &ours.line, number).ok()
}

/// Why the record of a snapshot cannot be created where a husk is.
fn gone(context: &Context, ours: &Header, husk: Husk, store: &Store) -> OpError {
    let remote = store.remote().name().to_owned();
    match husk.reason {
        HuskReason::Expired => PruneError::Expired { number: husk.number, remote }.into(),
        // A number that was left out, and the snapshot after it did not come: nobody ever had it there.
        HuskReason::Pruned
            if store.newest(&ours.database, &ours.line).is_ok_and(|newest| newest.is_none_or(|n| n < husk.number)) =>
        {
            PruneError::Expired { number: husk.number, remote }.into()
        }
        // Somebody made it, forgot it, and it was pruned: who made the newest says more than when it went.
        HuskReason::Pruned => match newest(ours, store) {
            Some(theirs) => conflict(&theirs.header, &ours.lineage, store),
            None => {
                let (database, host) = (ours.database.clone(), "another machine".into());
                OpError::Overtaken { database, number: husk.number, name: None, remote, host, time: context.now() }
            }
        },
    }
}
