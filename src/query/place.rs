//! Where snapshots that are asked lie, and what is kept near for them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ops::{Context, Database, OpError, ReadFrom, Spec};
use crate::remote::Environment;
use crate::store::{ObjectCache, Store};
use crate::workspace::Settings;

/// Where snapshots are looked for.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where the records lie.
    pub store: Store,
    /// Where packs are looked for that the first does not have, in this order.
    pub more: Vec<Store>,
    /// The database that is meant when none is named.
    pub default: Option<Database>,
}

impl Place {
    /// Understands a person's FROM. Without one these are the local store of the database `wanted` (or of the one
    /// that the spec names, or of the only one around) and, for packs that it no longer has, every remote that can be opened. The
    /// cache is the one in which fetched content is kept.
    ///
    /// # Errors
    /// When nothing that can be read is meant.
    pub fn find(
        context: &Context,
        from: Option<&str>,
        spec: &Spec,
        wanted: Option<&OsStr>,
        settings: &Settings,
    ) -> Result<(Self, Option<Arc<ObjectCache>>), OpError> {
        let wanted = context.wanted(wanted, spec)?;
        let (store, more, database) = match from {
            Some(from) => {
                let ReadFrom { store, database, .. } = ReadFrom::reach(context, from, wanted.as_deref(), settings)?;
                (store, Vec::new(), database)
            }
            None => {
                let database = Database::find(context, wanted.as_deref(), settings, false)?;
                (database.local_store(context)?, database.remote_stores(context), Some(database))
            }
        };
        let settings = database.as_ref().map_or(settings, |database| &database.settings);
        let cache = cache(&context.environment, settings.cache_bytes());
        let kept = |store: Store| match &cache {
            Some(cache) => store.with_cache(Arc::clone(cache)),
            None => store,
        };
        let place = Self { store: kept(store), more: more.into_iter().map(kept).collect(), default: database };
        Ok((place, cache))
    }
}

/// The user's cache of what was fetched; none when it cannot be made, since all works without.
fn cache(environment: &Environment, limit_bytes: u64) -> Option<Arc<ObjectCache>> {
    let folder = match environment.get("XDG_CACHE_HOME") {
        Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
        _ => environment.home()?.join(".cache"),
    };
    let opened = (limit_bytes > 0).then(|| ObjectCache::open(&folder.join("pagekeep/frames"), limit_bytes))?;
    opened.ok().map(Arc::new)
}
