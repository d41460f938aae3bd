//! This machine's history of a database, set aside for the one that others wrote at a remote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lineage::{adopt, newest_of};
use super::{Context, Database, OpError, OpenRemote, lines, refs, retention};
use crate::base::Name;
use crate::store::{Store, StoreError, keys};
use crate::workspace::{DatabaseConfig, Pushed};

/// Sets the local history aside and goes on after the remote's newest snapshot.
///
/// Snapshots that only this machine has stay in the folder that is returned, a store of its own. Other databases that are
/// kept here are not touched.
pub(super) fn rebase(
    context: &Context,
    database: &mut Database,
    remote: &OpenRemote,
) -> Result<Option<PathBuf>, OpError> {
    let Some(newest) = newest_of(&remote.store, database)? else { return Ok(None) };
    let all = &database.workspace.config.databases;
    let is_alone = all.len() == 1;
    let same = |(handle, it): &(&Name, &DatabaseConfig)| {
        **handle != database.handle && it.database.as_ref().unwrap_or(handle) == &database.name
    };
    if let Some((other, _)) = all.iter().find(same) {
        let reason = format!("{other} in this folder goes on from the same history of '{}'", database.name);
        let next = format!(
            "push its line first, then keep it in a folder of its own; or stop keeping it: pagekeep remove {other}"
        );
        return Err(OpError::WhichDatabase { reason, next });
    }
    let store = database.workspace.path("store");
    let aside = free_path(context, database);
    if !is_alone {
        beside(&store, &aside).map_err(OpError::io("set aside to", &aside))?;
    }
    // What is remembered goes first: it belongs to the history that is set aside. A crash after that leaves a database
    // that the next run takes for one that has only begun, and that finds its history at the remote.
    database.workspace.forget_database(&database.handle)?;
    if is_alone {
        fs::rename(&store, &aside).map_err(OpError::io("set aside", &store))?;
    } else {
        let name = &database.name;
        for part in [keys::database_folder(name), keys::refs_folder(name), keys::marks_folder(name)] {
            let from = store.join(part.as_str());
            if from.exists() {
                move_to(&from, &aside.join(part)).map_err(OpError::io("set aside", &from))?;
            }
        }
    }
    let name = database.name.clone();
    adopt(context, database, &remote.store, &name, &newest)?;
    // What other remotes have may not be this history: they are asked before they get anything.
    for other in database.remote_names() {
        let mut memory = database.workspace.recall_remote(&other);
        lines::forget(database, &mut memory);
        database.workspace.remember_remote(&other, &memory)?;
    }
    if let Some(remote) = &remote.name {
        let mut memory = database.workspace.recall_remote(remote);
        let line = database.config().line.clone();
        lines::note(database, &mut memory, &line, Pushed { number: newest.header.number, id: newest.id });
        database.workspace.remember_remote(remote, &memory)?;
    }
    let before = Store::assume(crate::remote::Remote::folder(&aside).map_err(StoreError::from)?);
    let local = database.local_store(context)?;
    refs::carry(database, &before, &local, &remote.store)?;
    retention::carry_holds(context, database, &before, &local, &remote.store)?;
    Ok(Some(aside))
}

/// Where nothing is yet.
fn free_path(context: &Context, database: &Database) -> PathBuf {
    let stamp = context.now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut names = (0..).map(|n| match n {
        0 => database.workspace.path(&format!("store-before-rebase-{stamp}")),
        n => database.workspace.path(&format!("store-before-rebase-{stamp}-{n}")),
    });
    names.find(|name| fs::symlink_metadata(name).is_err()).expect("BUG: numbers do not end")
}

/// Makes a store that has the packs of another: what is set aside needs some of them, what stays needs others.
fn beside(store: &Path, aside: &Path) -> io::Result<()> {
    fs::create_dir_all(aside)?;
    fs::copy(store.join(keys::STORE_FILE), aside.join(keys::STORE_FILE))?;
    for entry in walkdir::WalkDir::new(store.join(keys::PACKS)) {
        let entry = match entry {
            Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => continue,
            other => other?,
        };
        let to = aside.join(entry.path().strip_prefix(store).map_err(io::Error::other)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(to)?;
        } else if fs::hard_link(entry.path(), &to).is_err() {
            // Not every file system has two names for one file.
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::rename(from, to)
}
