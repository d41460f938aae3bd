//! States to read rows from: snapshots, and the live database as it is now.

mod borrowing;
mod live;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use borrowing::Borrowing;
pub use live::LiveRows;

use super::Changed;
use crate::base::{FileNumber, Name};
use crate::format::record::FileEntry;
use crate::map::State;
use crate::ops::{Context, Database, History, OpError, QueryError, Spec, database_in};
use crate::pages::{PagePlace, SnapshotPages};
use crate::rows::Pages;
use crate::store::{Packs, Store};
use crate::workspace::SourceKind;
use crate::workspace::ids::IdsFile;

/// Where snapshots are read from.
pub struct Shelf {
    history: History,
    packs: Arc<Packs>,
    /// The database that is kept here, when there is one.
    database: Option<Database>,
}

/// A snapshot whose rows can be read.
pub struct SnapshotRows {
    /// The snapshot.
    pub state: State,
    /// Its file.
    pub file: FileNumber,
    pages: SnapshotPages,
}

impl Shelf {
    /// Snapshots of the history that `spec` speaks of in `store`. Packs that it has not are looked for in the stores of the
    /// database that is kept here, the nearest first.
    ///
    /// # Errors
    /// When it is not clear which database is meant.
    pub fn open(context: &Context, store: Store, spec: &mut Spec, database: Option<Database>) -> Result<Self, OpError> {
        let history = History::find_for(store.clone(), spec, database.as_ref())?;
        let mut stores = match &database {
            Some(database) => database.near_stores(context)?,
            None => Vec::new(),
        };
        stores.push(store);
        stores.extend(database.iter().flat_map(|database| database.remote_stores(context)));
        let mut seen = Vec::new();
        stores.retain(|store| {
            let name = store.remote().name().to_owned();
            !seen.contains(&name) && {
                seen.push(name);
                true
            }
        });
        let packs = Arc::new(Packs::new(stores, history.database.clone()));
        Ok(Self { history, packs, database })
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// A snapshot; `file` says which of a folder's databases.
    ///
    /// # Errors
    /// When it is not there, or has no such database.
    pub fn snapshot(&self, spec: &Spec, file: Option<&Path>) -> Result<SnapshotRows, OpError> {
        let record = self.history.resolve(spec)?;
        self.rows(State::load(&self.history.store, record)?, file, None)
    }

    /// Another snapshot of the same database, of any line.
    ///
    /// # Errors
    /// When it is not there, or of another database.
    pub fn state(&self, mut spec: Spec) -> Result<State, OpError> {
        if self.database.is_none() {
            spec.database.get_or_insert_with(|| self.history.database.clone());
        }
        let history = History::find_for(self.history.store.clone(), &mut spec, self.database.as_ref())?;
        if history.database != self.history.database {
            let reason =
                format!("it is not of {}: only snapshots of one database can be compared", self.history.database);
            return Err(OpError::BadSpec { text: spec.text, reason });
        }
        Ok(State::load(&history.store, history.resolve(&spec)?)?)
    }

    /// The rows of a snapshot that was loaded; `beside` another, what both are made of is in memory once.
    ///
    /// # Errors
    /// When it has no such database.
    pub fn rows(
        &self,
        state: State,
        file: Option<&Path>,
        beside: Option<&SnapshotRows>,
    ) -> Result<SnapshotRows, OpError> {
        let file = database_in(&state, file)?;
        let pages = match beside {
            Some(other) => other.pages.beside(&state, file)?,
            None => SnapshotPages::open(Arc::clone(&self.packs), &state, file)?.without_read_ahead(),
        };
        Ok(SnapshotRows { state, file, pages })
    }

    /// Where the live database lies.
    ///
    /// # Errors
    /// When it is not kept here.
    pub fn live_path(&self, file: Option<&Path>) -> Result<PathBuf, OpError> {
        let Some(database) = &self.database else {
            return Err(not_live(&self.history.database));
        };
        if database.name != self.history.database {
            return Err(not_live(&self.history.database));
        }
        Ok(match (database.config().kind, file) {
            (SourceKind::Sqlite, _) => database.source(),
            (_, Some(file)) => database.source().join(file),
            (_, None) => {
                let snapshot = format!("{} as it is now", database.name);
                return Err(QueryError::WhichFile { snapshot, file: None, known: Vec::new() }.into());
            }
        })
    }

    /// The live database as it is now.
    ///
    /// # Errors
    /// When it cannot be read, or is not kept here.
    pub fn live(&self, context: &Context, file: Option<&Path>) -> Result<LiveRows, OpError> {
        let path = self.live_path(file)?;
        let wait = self.database.as_ref().map(|database| database.settings.lock_wait()).unwrap_or_default();
        LiveRows::open(context, &path, wait)
    }

    /// Which pages may differ between a snapshot and the live database.
    ///
    /// # Errors
    /// When the live database cannot be read.
    pub fn changed_since(&self, a: &SnapshotRows, live: &LiveRows) -> Result<Changed, OpError> {
        let Some((last, ids)) = self.last_known(a)? else { return Ok(Changed::everything()) };
        let path = |entry: &FileEntry| entry.path.clone();
        let wanted = path(&a.state.files[&a.file]);
        let Some(entry) = last.files.values().find(|entry| path(entry) == wanted && entry.sqlite.is_some()) else {
            return Ok(Changed::everything());
        };
        if entry.chunk_size != live.chunk_bytes || entry.chunk_size != a.pages.entry().chunk_size {
            return Ok(Changed::everything());
        }
        let last_pages = a.pages.beside(&last, entry.number)?;
        Ok(between(&a.pages, &last_pages).and(&live.changed_from(&ids, entry)?))
    }

    /// The snapshot whose ids are remembered here, with them.
    fn last_known(&self, a: &SnapshotRows) -> Result<Option<(State, IdsFile)>, OpError> {
        let Some(database) = &self.database else { return Ok(None) };
        let Some(memory) = database.workspace.recall_database(&database.handle) else { return Ok(None) };
        if database.config().lineage != a.state.header.lineage {
            return Ok(None);
        }
        let line = database.line_of(&memory);
        let Ok(record) = self.history.store.record(&database.name, line, memory.number) else { return Ok(None) };
        let state = State::load(&self.history.store, record)?;
        let ids = IdsFile::open(&database.workspace.ids_path(&database.handle));
        Ok(ids.filter(|ids| ids.matches(state.files.values())).map(|ids| (state, ids)))
    }
}

/// A live database that is not at hand: rows of another are never taken for its own.
fn not_live(name: &Name) -> OpError {
    let reason = format!("the live database of '{name}' is not kept in this folder");
    OpError::WhichDatabase { reason, next: "name a second snapshot, or say where it is: --db PATH".into() }
}

/// Which pages may differ between two snapshots: those that lie at different places.
pub fn changed_between(a: &SnapshotRows, b: &SnapshotRows) -> Changed {
    between(&a.pages, &b.pages)
}

fn between(a: &SnapshotPages, b: &SnapshotPages) -> Changed {
    if a.page_size() != b.page_size() || a.entry().chunk_size != b.entry().chunk_size {
        return Changed::everything();
    }
    let last = a.page_count().min(b.page_count());
    let step = a.entry().chunk_size / a.page_size();
    let pages = |chunks: Range<u32>| chunks.start * step + 1..chunks.end.saturating_mul(step).saturating_add(1);
    let moved = a.moved_chunks(b).into_iter().map(pages);
    Changed::of(moved.chain(std::iter::once(last + 1..u32::MAX)))
}

impl SnapshotRows {
    /// Its pages.
    pub fn pages(&self) -> &dyn Pages {
        &self.pages
    }

    /// Where a page lies: at the same place is the same content.
    ///
    /// # Errors
    /// When there is no such page.
    pub fn place(&self, page: u32) -> Result<PagePlace, OpError> {
        Ok(self.pages.place(page)?)
    }

    /// Its name, like `app@3`.
    pub fn name(&self) -> String {
        self.pages.name().to_owned()
    }
}
