//! Clone: a store's whole history beside restored databases, ready to go on.

use std::path::{Path, PathBuf};

use super::restore::{RestoreOptions, restore};
use super::{Context, OpError, OpenRemote, TargetError};
use crate::base::ordered::ordered;
use crate::base::{Name, Progress};
use crate::format::record::SourceKind;
use crate::map::State;
use crate::remote::Listed;
use crate::store::{Store, keys};
use crate::workspace::{
    DatabaseConfig, DatabaseMemory, EncryptionConfig, Expectations, Hooks, Pushed, RemoteConfig, Workspace,
};

/// The name a cloned store's origin gets.
const ORIGIN: &str = "origin";
/// Objects under way at once.
const COPYING: usize = 6;

/// What cloning did.
#[derive(Clone, Debug, Default)]
pub struct CloneReport {
    /// Objects copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The databases that were restored, and where.
    pub databases: Vec<(Name, PathBuf)>,
}

/// Copies a store to a new folder, restores the newest snapshot of each database there, and remembers where it came from.
///
/// # Errors
/// When the folder is not empty, or anything cannot be read. What was copied until then stays, and a clone into the same
/// folder is refused: remove it first.
pub fn clone(context: &Context, remote: &OpenRemote, folder: &Path) -> Result<CloneReport, OpError> {
    let folder = context.current_folder.join(folder);
    let refused = |reason: &str| Err(TargetError::Taken { path: folder.clone(), reason: reason.into() }.into());
    let mut entries = std::fs::read_dir(&folder);
    if entries.as_mut().is_ok_and(|entries| entries.next().is_some()) {
        return refused("it is not empty");
    }
    if entries.is_err() && std::fs::symlink_metadata(&folder).is_ok_and(|there| !there.is_dir()) {
        return refused("it is not a directory");
    }
    let (store, file) = Store::open(context.look_at(remote.store.clone())?.remote().clone())?;
    std::fs::create_dir_all(&folder).map_err(OpError::io("create", &folder))?;
    let folder = folder.canonicalize().map_err(OpError::io("open", &folder))?;
    let mut workspace = Workspace::create(&folder)?;
    let local = workspace.local_store(context.now(), &context.tool)?;
    let mut report = copy(context, &store, &local)?;

    let origin = Name::new(ORIGIN).expect("BUG: a constant name");
    let config = RemoteConfig {
        url: remote.url.clone(),
        store_id: file.store_id,
        encryption: file.encryption.map(|how| EncryptionConfig::of(how.key, context)),
        conditional_put: store.keeps_first_writer(&crate::base::Nonce::fresh()).unwrap_or(false),
    };
    workspace.config.remotes.insert(origin.clone(), config);
    workspace.config.settings.insert("keep".into(), "all".into());
    let mut remembered = workspace.recall_remote(&origin);
    let mut newest: Vec<_> = local.all_snapshots()?;
    newest.dedup_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1));
    for (name, line, number) in newest.iter().cloned() {
        let pushed = Pushed { number, id: local.record(&name, &line, number)?.id };
        remembered.lines.entry(name).or_default().insert(line, pushed);
    }
    for (name, ..) in &newest {
        let refs = local.refs(name)?.into_iter();
        let known = refs.filter_map(|(found, numbers)| Some((keys::ref_folder(name, &found), *numbers.first()?)));
        remembered.refs.insert(name.clone(), known.collect());
        // What came from there is not told there again.
        let marks = local.marks_numbers(name, 1)?.first().copied();
        remembered.marks.extend(marks.map(|newest| (name.clone(), newest)));
    }
    for (name, line, number) in newest.into_iter().filter(|(_, line, _)| *line == Name::main_line()) {
        let record = local.record(&name, &line, number)?;
        let state = State::load(&local, record)?;
        let path = place(&state, &name)?;
        let (lineage, kind) = (state.header.lineage.clone(), state.header.source);
        let own = DatabaseConfig {
            path: path.clone(),
            kind,
            lineage,
            line,
            database: None,
            hooks: Hooks::default(),
            drill: Expectations::default(),
        };
        workspace.config.databases.insert(name.clone(), own);
        workspace.save()?;
        let options = RestoreOptions { ids_path: Some(workspace.ids_path(&name)), ..RestoreOptions::default() };
        restore(context, &local, &state, &folder.join(&path), options)?;
        let memory = DatabaseMemory {
            number,
            id: state.id,
            line: None,
            created_at: state.header.created_at,
            listing: String::new(),
            seen: Default::default(),
            seen_at: context.now(),
            theirs: Vec::new(),
        };
        workspace.remember_database(&name, &memory)?;
        let now = context.now();
        remembered.newest.insert(name.clone(), Pushed { number, id: state.id });
        remembered.checked_at.insert(name.clone(), now);
        remembered.synced_at.insert(name.clone(), now);
        report.databases.push((name, folder.join(path)));
    }
    workspace.save()?;
    workspace.remember_remote(&origin, &remembered)?;
    Ok(report)
}

/// Where a database goes in the new folder: under its file's name, or, for a directory, its own name.
fn place(state: &State, name: &Name) -> Result<PathBuf, OpError> {
    match state.header.source {
        SourceKind::Directory => Ok(PathBuf::from(name.as_str())),
        SourceKind::Sqlite => {
            let entry = super::restore::single_entry(state)?;
            entry.path.to_relative().map_err(OpError::BadRecord)
        }
    }
}

/// Copies every ref and record that is there now, and before them every pack. Records are listed first: a pack that comes later
/// belongs to a snapshot that comes later. What is damaged is not copied.
fn copy(context: &Context, from: &Store, to: &Store) -> Result<CloneReport, OpError> {
    let mut report = CloneReport::default();
    let refs = from.remote().list(keys::REFS)?;
    let records = from.remote().list(keys::SNAPSHOTS)?;
    let mut packs = from.remote().list(keys::PACKS)?;
    for folder in [keys::BUNDLES, keys::MAPS] {
        packs.extend(from.remote().list(folder)?);
    }
    for objects in [packs, records, refs] {
        copy_objects(context, from, to, objects, &mut report)?;
    }
    // Those that later ones supersede may go meanwhile, and the newest of now may be one of them.
    while copy_objects(context, from, to, from.remote().list(keys::MARKS)?, &mut report)? {}
    Ok(report)
}

/// Copies what was listed and is not there yet. Whether records of marks were listed that are gone.
fn copy_objects(
    context: &Context,
    from: &Store,
    to: &Store,
    objects: Vec<Listed>,
    report: &mut CloneReport,
) -> Result<bool, OpError> {
    let mut is_gone = false;
    let total: u64 = objects.iter().map(|object| object.size).sum();
    Progress::add(&context.progress.total_bytes, total);
    ordered(
        COPYING,
        COPYING,
        |give| objects.into_iter().all(give),
        || (),
        |(), object| -> Result<Option<u64>, OpError> {
            context.progress.check()?;
            Ok(Some(match keys::parse_bundle(&object.key) {
                Some((mark, true)) => from.copy_bundle(&mark, to)?,
                // It comes with its index.
                Some((_, false)) => 0,
                None => {
                    let bytes = match from.checked(&object) {
                        Err(error) if error.is_absence() && keys::parse_marks(&object.key).is_some() => {
                            return Ok(None);
                        }
                        bytes => bytes?,
                    };
                    let len = bytes.len() as u64;
                    to.remote().put_new(&object.key, bytes)?;
                    len
                }
            }))
        },
        |copied: Result<Option<u64>, OpError>| -> Result<(), OpError> {
            let Some(len) = copied? else {
                is_gone = true;
                return Ok(());
            };
            report.objects += 1;
            report.bytes += len;
            Progress::add(&context.progress.done_bytes, len);
            Progress::add(&context.progress.moved_bytes, len);
            Ok(())
        },
    )?;
    Ok(is_gone)
}
