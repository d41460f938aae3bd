//! Snapshots brought back from wherever they are; a database put back to one, after its present state was kept.

use std::path::Path;

use super::restore::{Known, RestoreOptions, RestoreReport, refuse_if_open, restore};
use super::retention::RetentionError;
use super::sync::create;
use super::{Context, Database, ErrorKind, History, Listed, OpError, ReadFrom, SnapshotOptions, Spec};
use super::{Version, Whereabouts, is_near, title, whereabouts};
use crate::base::Name;
use crate::format::record::Header;
use crate::map::State;
use crate::store::{Store, StoreError};
use crate::workspace::SourceKind;

/// The note of a snapshot that keeps what is about to be replaced.
pub const SAFETY_NOTE: &str = "pre-restore";

/// What putting a database back did.
#[derive(Clone, Debug)]
pub struct RevertReport {
    /// The snapshot, as people write it.
    pub snapshot: String,
    /// The one that holds the state that was replaced; none when there was nothing to replace.
    pub safety: Option<String>,
    /// What was restored.
    pub restored: RestoreReport,
}

impl ReadFrom {
    /// Restores a snapshot from here; with `force` over what is at the destination. With the snapshot as people write it. Packs
    /// that the local store no longer has come from the remotes; another place, which was named, stands for itself alone.
    ///
    /// # Errors
    /// When there is no such snapshot, and as [`restore()`].
    pub fn restore(
        &self,
        context: &Context,
        spec: &Spec,
        destination: &Path,
        force: bool,
    ) -> Result<(String, RestoreReport), OpError> {
        let of = self.database.as_ref().filter(|_| self.is_local());
        self.restore_with(context, spec, destination, force, of.map_or(Vec::new(), |it| it.remote_stores(context)))
    }

    /// As [`ReadFrom::restore`], with other stores in which packs are looked for.
    fn restore_with(
        &self,
        context: &Context,
        spec: &Spec,
        destination: &Path,
        force: bool,
        more: Vec<Store>,
    ) -> Result<(String, RestoreReport), OpError> {
        let mut spec = spec.clone();
        let history = self.history(&mut spec)?;
        let state = State::load(&history.store, history.resolve(&spec)?)?;
        let kept = self.database.as_ref().filter(|_| force);
        let known = kept.and_then(|database| Known::at(context, database, destination));
        let options = RestoreOptions { force, known, ids_path: None, more };
        let report = restore_anew(context, &history, &state, destination, options)?;
        // A restore in service that was not finished is none any more once the file was replaced.
        let real = |path: &Path| path.canonicalize().ok();
        if let Some(database) = kept.filter(|database| real(&database.source()) == real(&report.path)) {
            database.workspace.forget_restoring(&database.handle)?;
        }
        Ok((title_of(&state.header), report))
    }
}

/// Restores a snapshot; a second time when packs were moved meanwhile. What is not there then is gone, and why is told.
fn restore_anew(
    context: &Context,
    history: &History,
    state: &State,
    destination: &Path,
    options: RestoreOptions,
) -> Result<RestoreReport, OpError> {
    let (force, ids_path, more) = (options.force, options.ids_path.clone(), options.more.clone());
    let again = RestoreOptions { force, ids_path, more, known: None };
    let mut done = restore(context, &history.store, state, destination, options);
    if matches!(&done, Err(OpError::Store(error)) if error.is_moved()) {
        done = restore(context, &history.store, state, destination, again);
    }
    let (pack, remote) = match done {
        Err(OpError::Store(StoreError::PackMissing { id, remote })) => (id, remote),
        Err(OpError::Store(StoreError::Moved { pack, remote })) => (pack, remote),
        done => return done,
    };
    if history.marks()?.is_forgotten(&state.header.name()) {
        let remote = history.store.remote().name().to_owned();
        return Err(RetentionError::Gone { snapshot: title_of(&state.header), remote }.into());
    }
    Err(StoreError::PackMissing { id: pack, remote }.into())
}

/// Restores a snapshot of a database kept here from wherever its content is: the local store, then remotes on this
/// machine's file systems, then others. A place that fails is passed over for the next.
///
/// # Errors
/// When there is no such snapshot; the first place's failure when all fail; and as [`restore()`].
pub fn restore_kept(
    context: &Context,
    database: &Database,
    spec: &Spec,
    destination: &Path,
    force: bool,
) -> Result<(String, RestoreReport), OpError> {
    let (spec, one) = find(context, database, spec)?;
    let mut failure = None;
    let places = places(context, database, &one)?;
    for store in &places {
        let from = ReadFrom::known(store.clone(), database.clone());
        match from.restore_with(context, &spec, destination, force, places.clone()) {
            Ok(done) => return Ok(done),
            Err(error) if is_about_the_place(&error) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(failure.expect("BUG: the local store is one of the places"))
}

/// The snapshot that is meant, and the spec that means it wherever and whenever it is read: other places may have newer
/// ones, and the present state may become one.
pub(super) fn find(context: &Context, database: &Database, spec: &Spec) -> Result<(Spec, Listed), OpError> {
    let mut spec = spec.clone();
    let history = History::find_for(database.local_store(context)?, &mut spec, Some(database))?;
    if history.database != database.name {
        let reason = format!("it belongs to another database than '{}'", database.name);
        return Err(OpError::BadSpec { text: spec.text.clone(), reason });
    }
    let one = Listed::of(&history.resolve(&spec)?);
    let (name, line) = (Some(one.header.database.clone()), Some(one.header.line.clone()));
    let text = title_of(&one.header);
    Ok((Spec { database: name, line, version: Version::Number(one.header.number), text }, one))
}

/// Where a snapshot may be read, the likeliest and nearest first.
pub(super) fn places(context: &Context, database: &Database, one: &Listed) -> Result<Vec<Store>, OpError> {
    let local = database.local_store(context)?;
    let line = database.config().line.clone();
    let found = if one.header.line == line {
        let history = History { store: local.clone(), database: database.name.clone(), line };
        let list: Vec<Listed> = history.list(1)?.into_iter().chain([one.clone()]).collect();
        whereabouts(context, database, &list)?.pop().expect("BUG: as many as were asked for")
    } else {
        // Of other lines it is not known who has what.
        Whereabouts { here: true, remotes: database.remote_names() }
    };
    let open = |name: &Name| Some(database.open_remote(context, name.as_str()).ok()?.store);
    let (near, far): (Vec<Store>, Vec<Store>) = found.remotes.iter().filter_map(open).partition(is_near);
    // One that is not known to have it may have it, as when it was added anew.
    let others = database.remote_names().into_iter().filter(|name| !found.remotes.contains(name));
    let mut places: Vec<Store> = near.into_iter().chain(far).chain(others.filter_map(|name| open(&name))).collect();
    places.insert(if found.here { 0 } else { places.len() }, local);
    Ok(places)
}

/// Whether another place may have what this one has not.
pub(super) fn is_about_the_place(error: &OpError) -> bool {
    matches!(error, OpError::Store(_) | OpError::Open { .. } | OpError::Retention(RetentionError::Gone { .. }))
        && !matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TooNew)
}

/// Puts a database back to one of its snapshots. Its present state is kept first, unless its file is gone.
///
/// # Errors
/// [`OpError::NotSafe`] when the present state cannot be kept; as [`restore_kept`]. The database is unchanged then.
pub fn revert(context: &Context, database: &Database, spec: &Spec) -> Result<RevertReport, OpError> {
    let path = database.source();
    // Asked before anything is made: that the snapshot is there, and that nobody uses the file.
    let (spec, _) = find(context, database, spec)?;
    if database.config().kind == SourceKind::Sqlite {
        refuse_if_open(&path)?;
    }
    let safety = if path.exists() { Some(keep(context, database, &spec, &path)?) } else { None };
    let (snapshot, restored) = restore_kept(context, database, &spec, &path, true)?;
    Ok(RevertReport { snapshot, safety, restored })
}

fn title_of(header: &Header) -> String {
    title(&header.database, &header.line, header.number)
}

fn keep(context: &Context, database: &Database, spec: &Spec, path: &Path) -> Result<String, OpError> {
    let options = SnapshotOptions { note: Some(SAFETY_NOTE.into()), ..SnapshotOptions::default() };
    match create(context, database, &options) {
        Ok(outcome) => Ok(database.title(outcome.number())),
        Err(error) if error.kind() == ErrorKind::Source => {
            Err(OpError::NotSafe { path: path.to_owned(), at: spec.text.clone(), source: Box::new(error) })
        }
        Err(error) => Err(error),
    }
}
