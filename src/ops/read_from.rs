//! Where snapshots are read from: the local store, a named remote, or an address.

use std::ffi::OsStr;

use super::{Context, Database, History, OpError, OpenRemote, Spec};
use crate::base::Name;
use crate::store::Store;
use crate::workspace::Settings;

/// A store that snapshots are read from, and the database kept here that is meant with it.
#[derive(Clone, Debug)]
pub struct ReadFrom {
    /// The store.
    pub store: Store,
    /// The database, when there is one here.
    pub database: Option<Database>,
    /// The remote's name, when it was named so; the local store has none.
    pub remote: Option<Name>,
    /// Whether it was named by its address: then nobody has looked at it before.
    is_bare: bool,
}

impl ReadFrom {
    /// A store that is known to be one, and the database kept here.
    pub(super) fn known(store: Store, database: Database) -> Self {
        Self { store, database: Some(database), remote: None, is_bare: false }
    }

    /// Understands a person's FROM: `.`, a remote's name, or an address. A name needs a database here (`wanted`, or the only
    /// one around), an address does not.
    ///
    /// # Errors
    /// When it is none of these, or nothing that can be read lies there.
    pub fn open(context: &Context, from: &str, wanted: Option<&OsStr>, settings: &Settings) -> Result<Self, OpError> {
        let found = Self::reach(context, from, wanted, settings)?;
        match found.is_bare {
            true => found.looked_at(context),
            false => Ok(found),
        }
    }

    /// As [`ReadFrom::open`], without a look at what lies there unless there is a password: the first thing read shows
    /// whether it is a store.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn reach(context: &Context, from: &str, wanted: Option<&OsStr>, settings: &Settings) -> Result<Self, OpError> {
        let database = Database::find(context, wanted, settings, false);
        if from == "." {
            let database = database?;
            let store = database.local_store(context)?;
            return Ok(Self { store, database: Some(database), remote: None, is_bare: false });
        }
        let looks_like_an_address = from.contains("://") || from.contains('/') || from.starts_with('~');
        let is_folder = || context.current_folder.join(from).is_dir();
        match &database {
            Ok(database) if !looks_like_an_address => match database.open_remote(context, from) {
                Err(OpError::NoBackup { .. }) if is_folder() => {}
                other => {
                    let OpenRemote { store, name, .. } = other?;
                    return Ok(Self { store, database: Some(database.clone()), remote: name, is_bare: false });
                }
            },
            Err(_) if !looks_like_an_address && !is_folder() => {
                let here = Database::workspace(context, None, settings).ok();
                let remotes = here.iter().flat_map(|workspace| workspace.config.remotes.keys());
                let known: Vec<String> = remotes.map(ToString::to_string).collect();
                return Err(match database {
                    // The remote is there, and it is not clear for which database.
                    Err(error) if known.iter().any(|name| name == from) => error,
                    _ => OpError::NoBackup { name: from.to_owned(), known },
                });
            }
            _ => {}
        }
        let OpenRemote { store, .. } = context.open_url(&context.parse_url(from)?, false)?;
        let found = Self { store: store.to_be_known(), database: database.ok(), remote: None, is_bare: true };
        // Whoever has a password may mean an encrypted store: whether it is one shows only in its description.
        match context.passwords.can_be_had(&context.environment) {
            true => found.looked_at(context),
            false => Ok(found),
        }
    }

    /// Looks at a store that was named by its address; gets its keys when it is encrypted.
    pub(super) fn looked_at(self, context: &Context) -> Result<Self, OpError> {
        Ok(Self { store: context.look_at(self.store)?, ..self })
    }

    /// Whether it is the local store of the database kept here.
    pub fn is_local(&self) -> bool {
        !self.is_bare && self.remote.is_none()
    }

    /// The history there that a spec speaks of; the database kept here needs no name. A spec that is only a name is put in
    /// full when it is that of a line or a tag.
    ///
    /// # Errors
    /// When it is not clear which database is meant.
    pub fn history(&self, spec: &mut Spec) -> Result<History, OpError> {
        History::find_for(self.store.clone(), spec, self.database.as_ref())
    }
}
