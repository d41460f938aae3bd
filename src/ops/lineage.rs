//! Whose history lies at a remote, and how a copy of a database joins it.

use std::path::Path;

use super::keys::meet;
use super::prune::whole_map;
use super::whole::bring_whole;
use super::{Context, Database, Encrypt, OpError, lines, refs, retention};
use crate::base::{Name, Nonce, SnapshotNumber};
use crate::format::record::Record;
use crate::format::root::RootBuilder;
use crate::map::State;
use crate::remote::RemoteUrl;
use crate::source::sqlite::PinnedDatabase;
use crate::store::{Created, Store, StoreError, keys};
use crate::workspace::{DatabaseMemory, Keep, Pushed, RemoteConfig, RemoteMemory, SourceKind};

/// How many snapshots are compared with a file that may be a copy of one.
const COMPARED: usize = 16;

/// What adding a remote found and did.
#[derive(Clone, Debug)]
pub struct AddReport {
    /// Its address.
    pub url: String,
    /// Whether the store was made just now.
    pub created: bool,
    /// Whether it keeps the first writer of a key.
    pub conditional_put: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Where the credentials came from.
    pub credentials: String,
    /// The newest snapshot of this database that is there.
    pub newest: Option<SnapshotNumber>,
    /// Whether this database joined the history it found there.
    pub joined: bool,
}

/// Adds a remote: contacts it, probes it, creates or opens the store, and looks whose history lies there.
///
/// # Errors
/// When the name or the place is taken, the place cannot be used, or it holds another database of this name.
pub fn add_remote(
    context: &Context,
    database: &mut Database,
    name: &Name,
    url: &str,
    join: Option<&Name>,
) -> Result<AddReport, OpError> {
    add_remote_as(context, database, name, url, join, &Encrypt::AsFound)
}

/// Adds a remote as [`add_remote`] does, and says whether it is to be encrypted.
///
/// # Errors
/// As [`add_remote`]; when it is to be encrypted and is not, or no password is to be had.
pub fn add_remote_as(
    context: &Context,
    database: &mut Database,
    name: &Name,
    url: &str,
    join: Option<&Name>,
    encrypt: &Encrypt,
) -> Result<AddReport, OpError> {
    let url = context.parse_url(url)?;
    if database.workspace.config.remotes.contains_key(name) {
        return Err(OpError::BackupExists { name: name.clone() });
    }
    for (other, config) in &database.workspace.config.remotes {
        if context.parse_url(&config.url).is_ok_and(|known| known.is_same_place(&url)) {
            return Err(OpError::AddressConflict { name: other.clone(), url: config.url.clone() });
        }
    }
    if url.as_folder().is_some_and(|folder| folder.starts_with(database.workspace.path(""))) {
        let reason = "it lies in pagekeep's own folder: a backup belongs elsewhere".into();
        return Err(OpError::BadRemote {
            path: url.as_folder().unwrap_or(std::path::Path::new("")).to_owned(),
            reason,
        });
    }
    if let Some((folder, store)) = url.as_folder().and_then(|folder| Some((folder, store_around(folder)?))) {
        let reason = format!("it lies in the store at {}: a store of its own belongs beside it", store.display());
        return Err(OpError::BadRemote { path: folder.to_owned(), reason });
    }
    let text = url.to_string();
    add_at(context, database, name, &url, join, encrypt).map_err(|error| error.at_remote(Some(name), &text, false))
}

/// The store among whose objects a folder lies.
fn store_around(folder: &Path) -> Option<&Path> {
    folder.ancestors().skip(1).find(|store| {
        let below = folder.strip_prefix(store).ok().and_then(|below| below.iter().next());
        below.is_some_and(|below| keys::FOLDERS.iter().any(|name| below == *name))
            && store.join(keys::STORE_FILE).exists()
    })
}

fn add_at(
    context: &Context,
    database: &mut Database,
    name: &Name,
    url: &RemoteUrl,
    join: Option<&Name>,
    encrypt: &Encrypt,
) -> Result<AddReport, OpError> {
    let remote = context.open_url(url, true)?;
    let now = context.now();
    let met = meet(context, database, &remote, encrypt)?;
    let (store, file) = Store::create(met.border.clone(), now, &context.tool).inspect_err(|_| met.take_back())?;
    let (existed, encryption) = (met.existed, met.encryption);
    let conditional_put = store.keeps_first_writer(&Nonce::fresh())?;
    let mut joined = false;
    if let Some(name) = join {
        join_history(context, database, &store, Some(name))?;
        joined = true;
    }
    let newest = match newest_of(&store, database) {
        Err(OpError::OtherLineage { .. }) if join.is_none() && is_fresh(context, database)? => {
            // Nothing was kept here yet: if the file is a copy of a snapshot there, it is that database.
            let theirs = join_history(context, database, &store, None)?;
            joined = true;
            Some(theirs)
        }
        other => other?,
    };
    let config = RemoteConfig { url: url.to_string(), store_id: file.store_id, conditional_put, encryption };
    database.workspace.change(|now| {
        if now.remotes.contains_key(name) {
            return Err(OpError::BackupExists { name: name.clone() });
        }
        now.remotes.insert(name.clone(), config);
        Ok(())
    })?;
    // Another may have had this name before.
    let mut memory = RemoteMemory::default();
    if let Some(record) = &newest {
        let pushed = Pushed { number: record.header.number, id: record.id };
        let line = database.config().line.clone();
        lines::note(database, &mut memory, &line, pushed);
        if joined && let Some(known) = database.local_store(context)?.marks_numbers(&database.name, 1)?.first() {
            // What came from there is not told there again.
            memory.marks.insert(database.name.clone(), *known);
        }
        refs::pull(database, &database.local_store(context)?, &store, &mut memory)?;
    }
    memory.checked_at.insert(database.handle.clone(), now);
    database.workspace.remember_remote(name, &memory)?;
    Ok(AddReport {
        url: url.to_string(),
        created: !existed,
        encrypted: store.remote().is_sealed(),
        conditional_put,
        credentials: remote.credentials,
        newest: newest.map(|record| record.header.number),
        joined,
    })
}

/// Whether this database has no snapshot anywhere yet.
fn is_fresh(context: &Context, database: &Database) -> Result<bool, OpError> {
    let local = database.local_store(context)?;
    let known = database.workspace.recall_database(&database.handle).is_some();
    Ok(!known && local.newest(&database.name, &database.config().line)?.is_none())
}

/// The newest record of this database's line at a store.
///
/// # Errors
/// [`OpError::OtherLineage`] when the history there is another database's.
pub(super) fn newest_of(store: &Store, database: &Database) -> Result<Option<Record>, OpError> {
    let line = &database.config().line;
    let Some(number) = store.newest(&database.name, line)? else { return Ok(None) };
    let record = store.record(&database.name, line, number)?;
    if record.header.lineage != database.config().lineage {
        return Err(super::conflict(&record.header, &database.config().lineage, store));
    }
    Ok(Some(record))
}

/// Makes this database go on with the history at a store. With `named`, because a person says so; without, because its
/// content is that of a snapshot there.
fn join_history(
    context: &Context,
    database: &mut Database,
    store: &Store,
    named: Option<&Name>,
) -> Result<Record, OpError> {
    let theirs = named.unwrap_or(&database.name).clone();
    let line = database.config().line.clone();
    let missing = || OpError::NoSnapshot {
        spec: theirs.to_string(),
        remote: store.remote().name().to_owned(),
        has: "no snapshot of it".into(),
    };
    let numbers = store.numbers(&theirs, &line, COMPARED)?;
    let newest = store.record(&theirs, &line, *numbers.first().ok_or_else(missing)?)?;
    if named.is_none() && !is_copy_of_any(context, database, store, &numbers)? {
        return Err(super::conflict(&newest.header, &database.config().lineage, store));
    }
    adopt(context, database, store, &theirs, &newest)?;
    Ok(newest)
}

/// Takes a history over: its lineage, and its newest snapshot as the one that the next follows. Where everything is to stay
/// here, everything comes; else what the next snapshot builds on.
pub(super) fn adopt(
    context: &Context,
    database: &mut Database,
    store: &Store,
    theirs: &Name,
    newest: &Record,
) -> Result<(), OpError> {
    let renamed = *theirs != database.name;
    let taken = || crate::workspace::WorkspaceError::NameTaken { name: theirs.clone() };
    if renamed && database.workspace.config.databases.contains_key(theirs) {
        return Err(taken().into());
    }
    let mut config = database.config().clone();
    let is_known = !renamed && config.lineage == newest.header.lineage;
    config.lineage = newest.header.lineage.clone();
    let before = database.handle.clone();
    if renamed {
        config.database = None;
        database.workspace.config.databases.remove(&before);
        database.handle = theirs.clone();
    }
    database.workspace.config.databases.insert(database.handle.clone(), config.clone());
    database.name = theirs.clone();
    let local = database.local_store(context)?;
    if database.settings.keep() == Keep::All {
        bring_whole(context, &local, store, theirs, &newest.header.lineage)?;
    }
    mirror(&local, store, newest)?;
    // Of the records that came some may be there for their maps only.
    retention::bring_marks(context, &local, store, theirs, &newest.header.lineage)?;
    refs::pull(database, &local, store, &mut RemoteMemory::default())?;
    let handle = database.handle.clone();
    if !is_known {
        database.workspace.change(|now| {
            if renamed && now.databases.contains_key(&handle) {
                return Err(OpError::from(taken()));
            }
            now.databases.remove(&before);
            now.databases.insert(handle, config);
            Ok(())
        })?;
    }
    let memory = DatabaseMemory {
        number: newest.header.number,
        id: newest.id,
        line: None,
        created_at: newest.header.created_at,
        listing: String::new(),
        seen: Default::default(),
        seen_at: context.now(),
        theirs: Vec::new(),
    };
    Ok(database.workspace.remember_database(&database.handle, &memory)?)
}

/// Copies a record and those it builds on to the local store, so that the next snapshot finds its parent there.
///
/// # Errors
/// When a store fails, or the local one has another snapshot of the same number: both cannot be there.
pub(super) fn mirror(local: &Store, store: &Store, record: &Record) -> Result<(), OpError> {
    let header = &record.header;
    let names = header.chain.iter().cloned().chain([header.name()]);
    let fetched = names.map(|name| {
        let bytes = store.record_bytes(&header.database, &name.line, name.number)?;
        let there = store.decode_record(&header.database, &name.line, name.number, &bytes)?.header;
        Ok((name, bytes, there))
    });
    // A remote that fails on the way leaves nothing here that lacks what it builds on.
    for (name, bytes, there) in fetched.collect::<Result<Vec<_>, StoreError>>()? {
        let created = local.create_record(&header.database, &name.line, name.number, &there.nonce, bytes)?;
        if let Created::Theirs(here) = created {
            return Err(super::conflict(&there, &here.header.lineage, store));
        }
    }
    Ok(())
}

/// Copies a record as [`mirror`] does; where a prune took one that it builds on, the record alone, and its map anew.
///
/// # Errors
/// As [`mirror`].
pub(super) fn mirror_what_is_left(local: &Store, store: &Store, record: &Record) -> Result<(), OpError> {
    match mirror(local, store, record) {
        Err(OpError::Store(StoreError::NoSnapshot { .. })) => {}
        done => return done,
    }
    let (header, state) = (&record.header, State::load(store, record.clone())?);
    let bytes = store.record_bytes(&header.database, &header.line, header.number)?;
    local.put_new_map(&whole_map(&state), &Nonce::fresh())?;
    match local.create_record(&header.database, &header.line, header.number, &header.nonce, bytes)? {
        Created::Theirs(here) => Err(super::conflict(header, &here.header.lineage, store)),
        _ => Ok(()),
    }
}

/// Whether the source's content is that of one of these snapshots.
fn is_copy_of_any(
    context: &Context,
    database: &Database,
    store: &Store,
    numbers: &[SnapshotNumber],
) -> Result<bool, OpError> {
    if database.config().kind != SourceKind::Sqlite {
        return Ok(false);
    }
    let source = database.source();
    let source = source.canonicalize().map_err(OpError::io("open", &source))?;
    let pinned = PinnedDatabase::open(&source, database.settings.lock_wait(), &context.progress)?;
    let mut root = RootBuilder::new();
    let chunk_bytes = pinned.chunk_bytes() as usize;
    pinned.read(&mut |piece| {
        piece.chunks(chunk_bytes).for_each(|chunk| root.push(&crate::base::ChunkId::of(chunk)));
        true
    })?;
    let root = root.finish(pinned.size(), pinned.chunk_bytes());
    for number in numbers {
        let record = store.record(&database.name, &database.config().line, *number)?;
        let state = State::load(store, record)?;
        if state.files.values().any(|file| file.root == Some(root)) {
            return Ok(true);
        }
    }
    Ok(false)
}
