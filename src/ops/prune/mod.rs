//! Prune: what no kept snapshot needs goes, and nobody loses anything by it.
//!
//! ```text
//! list -> live slots -> plan -> bundles, maps -> tombstone -> sessions | grace | fence -> list again -> husks -> delete
//! ```
//!
//! A run sweeps what an earlier one condemned, when its time of grace is over, then marks anew. Killed at any request, the
//! next goes on, or what is left is garbage that it finds. `docs/decisions/0014-prune.md` argues for each step.

mod choose;
mod error;
mod live;
mod look;
mod plan;
mod rewrite;
mod run;
mod shape;
mod superseded;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::retention;
use super::verify::SnapshotPlace;
use super::{Context, OpError};
use crate::base::{MarksNumber, Name, Nonce, Progress};
use crate::format::envelope::FORMAT_VERSION;
use crate::format::protocol::{Fate, Tombstone, Why};
use crate::store::keys::PruneStep;
use crate::store::{Store, keys};

use choose::Choice;
use live::Live;
use look::Found;
use plan::Plan;

pub use error::PruneError;
pub(super) use rewrite::whole_map;
pub(super) use run::reclaimable_bytes;
pub use run::{PruneReport, prune};

/// How long what is condemned stays: longer than any sync takes, and than a machine sleeps over a weekend.
pub const GRACE: Duration = Duration::from_secs(72 * 3600);

/// How to prune.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Only show what would be done.
    pub dry_run: bool,
    /// Write at most about so many bytes anew only to save space.
    pub max_bytes: Option<u64>,
    /// How long what is condemned stays.
    pub grace: Duration,
    /// Whether the caller knows that nobody else writes there.
    pub alone: bool,
    /// Requests under way at once.
    pub at_once: usize,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { dry_run: false, max_bytes: None, grace: GRACE, alone: false, at_once: 8 }
    }
}

/// What a prune of a store works with.
pub(super) struct Env<'a> {
    pub(super) context: &'a Context,
    pub(super) progress: Arc<Progress>,
    pub(super) at_once: usize,
    /// The mark by which this sweeper is known: the same in all runs that come one after the other.
    pub(super) mark: Nonce,
    /// Whether nobody else writes or sweeps there.
    pub(super) alone: bool,
    /// Whether packs and old records may lie at remotes only.
    pub(super) partial: bool,
    /// Snapshots that are kept although they are forgotten: remotes lack them, or they are held or named here.
    pub(super) spared: BTreeSet<SnapshotPlace>,
    /// Snapshots that are known to have been there.
    pub(super) expected: BTreeSet<SnapshotPlace>,
    /// Keys of objects that are known to be damaged.
    pub(super) damaged: HashSet<String>,
    /// By database, the first record of marks that some remote is not known to have heard of.
    pub(super) unsent_marks: BTreeMap<Name, MarksNumber>,
}

/// What a prune of one store did, or would do.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// What an earlier run condemned and this one removed: by reason and fate, objects and bytes.
    pub removed: BTreeMap<(Why, Fate), (u64, u64)>,
    /// What it condemned and somebody needs after all.
    pub taken_back: u64,
    /// Writers that were not waited for any longer.
    pub fenced: u64,
    /// What is condemned now: by reason and fate, objects and bytes.
    pub condemned: BTreeMap<(Why, Fate), (u64, u64)>,
    /// How long it stays, at least.
    pub waits: Option<Duration>,
    /// Snapshots that are kept, with those spared.
    pub kept: u64,
    /// Snapshots that are forgotten and have a record still, as people write them.
    pub forgotten: Vec<String>,
    /// Packs that were written to bundles, or would be.
    pub moved_packs: u64,
    /// Maps that were written anew, or would be.
    pub new_maps: u64,
    /// Bytes that were written, or about so many would be.
    pub written_bytes: u64,
    /// Bytes that are there before anything is written.
    pub bytes_now: u64,
    /// Bytes that are left when all that is condemned is gone.
    pub bytes_after: u64,
    /// Requests that removing takes, about.
    pub requests: u64,
}

/// Prunes one store: the part that knows nothing of folders and configuration.
///
/// # Errors
/// When anything cannot be listed or read, or is not as it should be: then nothing is removed.
pub fn prune_store(context: &Context, store: &Store, options: PruneOptions) -> Result<Pruned, OpError> {
    let env = Env {
        context,
        progress: Arc::clone(&context.progress),
        at_once: options.at_once.max(1),
        mark: Nonce::fresh(),
        alone: options.alone || store.is_private(),
        partial: false,
        spared: BTreeSet::new(),
        expected: BTreeSet::new(),
        damaged: HashSet::new(),
        unsent_marks: BTreeMap::new(),
    };
    prune_in(&env, store, options)
}

fn prune_in(env: &Env<'_>, store: &Store, options: PruneOptions) -> Result<Pruned, OpError> {
    // In the local store nobody else writes while its lock is held.
    let grace = if store.is_private() { Duration::ZERO } else { options.grace };
    let remote = || store.remote().name().to_owned();
    if grace.is_zero() && !store.is_private() && !options.alone && !options.dry_run {
        return Err(PruneError::NeedsGrace { remote: remote() }.into());
    }
    let mut pruned = Pruned::default();
    let tombstones = store.tombstones()?;
    if let Some(number) = tombstones.pending() {
        let left = match tombstones.step(PruneStep::Waiting) {
            Some(waiting) if !grace.is_zero() => {
                // Only the store's own clock may decide; a plan writes nothing, to ask it neither.
                let now = if options.dry_run { env.context.now() } else { store.now(&Nonce::fresh())? };
                let age = now.duration_since(waiting.modified);
                grace.saturating_sub(age.max(SignedDuration::ZERO).unsigned_abs())
            }
            Some(_) => Duration::ZERO,
            // It was stopped before it knew whom it waits for: its time begins now.
            None if !options.dry_run && number_is_readable(store, number)? => {
                sweep::await_sessions(env, store, number)?;
                grace
            }
            None => grace,
        };
        let tombstone = store.tombstone(number)?;
        if !left.is_zero() || options.dry_run {
            pruned.condemned = Plan::reasons(&tombstone.condemned);
            pruned.waits = Some(left);
            return Ok(pruned);
        }
        let swept = sweep::sweep(env, store, &tombstone)?;
        pruned.removed = Plan::reasons(&swept.removed);
        pruned.taken_back = swept.taken_back.len() as u64;
        pruned.fenced = swept.fenced;
    }
    if !options.dry_run {
        store.clean_tombstones(env.alone)?;
        store.remove_old_probes(&Nonce::fresh())?;
    }
    mark(env, store, options, &mut pruned)?;
    if grace.is_zero() && pruned.waits.is_some() {
        let number = store.tombstones()?.pending().ok_or_else(|| PruneError::Raced { remote: remote() })?;
        let swept = sweep::sweep(env, store, &store.tombstone(number)?)?;
        for (reason, (count, bytes)) in Plan::reasons(&swept.removed) {
            let sums = pruned.removed.entry(reason).or_default();
            *sums = (sums.0 + count, sums.1 + bytes);
        }
        pruned.taken_back += swept.taken_back.len() as u64;
        pruned.fenced += swept.fenced;
        pruned.condemned.clear();
        pruned.waits = None;
    }
    Ok(pruned)
}

fn number_is_readable(store: &Store, number: u32) -> Result<bool, OpError> {
    store.tombstone(number)?;
    Ok(true)
}

/// Finds what nothing needs, writes what must be written before it goes, and condemns it.
fn mark(env: &Env<'_>, store: &Store, options: PruneOptions, pruned: &mut Pruned) -> Result<(), OpError> {
    // Before anything else: a prune that comes and goes from here on takes the number.
    let number = store.tombstones()?.newest().map_or(1, |newest| newest + 1);
    let found = Found::look(env, store)?;
    refuse(env, store, &found)?;
    let mut live = Live::of(env, store, &found)?;
    let choice = Choice::make(env, store, &found, &mut live, &HashSet::new())?;
    refuse_damage(env, store, &live, &choice)?;
    let has_pack = with_packs(store, &live, &choice)?;
    let plan = Plan::make(&found, &live, &choice, &has_pack, options.max_bytes.unwrap_or(u64::MAX));

    let forgotten = found.records.keys().filter(|place| !live.kept.contains_key(*place));
    pruned.forgotten = forgotten.map(|(database, line, number)| super::title(database, line, *number)).collect();
    pruned.kept = live.kept.len() as u64;
    pruned.condemned = Plan::reasons(&plan.condemned);
    pruned.moved_packs = plan.moves.len() as u64;
    pruned.new_maps = plan.new_maps.len() as u64;
    pruned.bytes_now = plan.bytes_now;
    pruned.written_bytes = plan.written_bytes();
    pruned.bytes_after = plan.bytes_now + pruned.written_bytes - plan.freed_bytes();
    pruned.requests = plan.condemned.len() as u64;
    // What writers left that did not come to their end goes in the same way.
    let is_idle = || Ok::<bool, OpError>(store.is_private() || store.sessions()?.is_empty());
    if options.dry_run || (plan.condemned.is_empty() && is_idle()?) {
        return Ok(());
    }
    pruned.written_bytes = rewrite::write(env, store, &found, &live, &plan)?;
    pruned.bytes_after = plan.bytes_now + pruned.written_bytes - plan.freed_bytes();
    let (format, nonce) = (FORMAT_VERSION.into(), Nonce::fresh());
    let tombstone = Tombstone { format, number, nonce, who: env.context.who(), condemned: plan.condemned };
    if !store.create_tombstone(&tombstone)? {
        return Err(PruneError::Raced { remote: store.remote().name().to_owned() }.into());
    }
    sweep::await_sessions(env, store, number)?;
    pruned.waits = Some(options.grace);
    Ok(())
}

/// Refuses a listing that cannot be all there is: a snapshot that is not listed would lose what it needs.
fn refuse(env: &Env<'_>, store: &Store, found: &Found) -> Result<(), OpError> {
    let remote = || store.remote().name().to_owned();
    if found.records.is_empty() && !found.packs.is_empty() {
        return Err(PruneError::NoSnapshots { packs: found.packs.len(), remote: remote() }.into());
    }
    if env.partial {
        return Ok(());
    }
    let title = |(database, line, number): &SnapshotPlace| super::title(database, line, *number);
    let mut gaps = found.gaps();
    gaps.extend(found.lost_beginnings(store)?);
    if let Some((missing, after)) = gaps.first() {
        return Err(PruneError::Gap { missing: title(missing), after: title(after), remote: remote() }.into());
    }
    for place in env.expected.iter().filter(|place| !found.has(place)) {
        if !retention::marks(store, &place.0)?.is_pruned(&Found::name(place)) {
            return Err(PruneError::Lost { missing: title(place), remote: remote() }.into());
        }
    }
    Ok(())
}

/// Refuses while an object that is needed is known to be damaged: repair may need what would go.
fn refuse_damage(env: &Env<'_>, store: &Store, live: &Live, choice: &Choice) -> Result<(), OpError> {
    let records = live.kept.keys().map(|(database, line, number)| keys::snapshot(database, line, *number));
    let packs = choice.packs.iter().map(|(id, one)| one.holder.key(id));
    match records.chain(packs).find(|key| env.damaged.contains(key)) {
        None => Ok(()),
        Some(object) => Err(PruneError::Damaged { object, remote: store.remote().name().to_owned() }.into()),
    }
}

/// The forgotten records that stay, and in which a pack rides.
fn with_packs(store: &Store, live: &Live, choice: &Choice) -> Result<BTreeSet<SnapshotPlace>, OpError> {
    let mut found = BTreeSet::new();
    for place in choice.records.iter().filter(|place| !live.kept.contains_key(*place)) {
        if store.open_riding(&place.0, &place.1, place.2)?.is_some() {
            found.insert(place.clone());
        }
    }
    Ok(found)
}
