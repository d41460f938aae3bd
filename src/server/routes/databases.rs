//! The databases that are served.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use crate::base::Name;
use crate::ops::{OpError, Trouble, title, troubles};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At, bounded};
use crate::workspace::{Failing, Restoring, SourceKind};

/// Databases on a page when it is not said how many.
const PAGE: usize = 100;
/// Databases on a page at most.
const MOST: usize = 1000;

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only those after this name.
    pub(crate) after: Option<String>,
    /// So many at most; 100 when not said, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
}

/// A page of databases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Databases {
    pub(crate) databases: Vec<Summary>,
    /// What `after` is for the next page; null on the last.
    pub(crate) next: Option<String>,
    /// How many there are in all.
    pub(crate) total: usize,
}

/// What is known of a database without a look at its store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// Its name here.
    pub(crate) name: String,
    /// Its name in stores.
    pub(crate) stored_as: String,
    /// `sqlite` or `directory`.
    pub(crate) kind: &'static str,
    /// Its path.
    pub(crate) path: String,
    /// The newest snapshot, like `shop@3`.
    pub(crate) snapshot: Option<String>,
    /// When it was made.
    pub(crate) snapshot_at: Option<String>,
    /// Its age.
    pub(crate) snapshot_age_s: Option<i64>,
    /// When it is backed up by itself, in words.
    pub(crate) schedule: Option<String>,
    /// The next run.
    pub(crate) next_run: Option<String>,
    /// Whether there is no such file or folder any more.
    pub(crate) missing: bool,
    /// Whether a job waits or is at work.
    pub(crate) busy: bool,
    /// What a restore that is not finished puts it back to; it takes no other job meanwhile.
    pub(crate) restoring: Option<String>,
    /// What is to be known of that restore when nobody is at work on it any more.
    pub(crate) broken_off: Option<BrokenOff>,
    /// What runs complain of.
    pub(crate) troubles: Vec<Troubled>,
    pub(crate) remotes: Vec<Remote>,
}

/// Runs of one kind at one place that fail, or whose hook did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Troubled {
    /// create, sync, verify, scrub, repair or drill.
    pub(crate) run: &'static str,
    /// The remote; null for the local store.
    pub(crate) remote: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub(crate) failing: Option<Failing>,
    /// What became of the hook after the last one, when it failed.
    pub(crate) hook: Option<String>,
}

impl Troubled {
    fn of(trouble: Trouble) -> Self {
        let Trouble { verb, remote, failing, hook } = trouble;
        Self { run: verb.name(), remote: remote.map(|remote| remote.to_string()), failing, hook }
    }
}

/// A restore whose process ended before it did. The database holds the state before or the state after it, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenOff {
    /// The snapshot that the database was to become.
    pub(crate) to: String,
    /// The snapshot of the state before; none until that was kept.
    pub(crate) before: Option<String>,
    /// The command that does it again.
    pub(crate) again: String,
    /// The command that goes back to the state before.
    pub(crate) back: Option<String>,
    /// Why it broke off, or while what.
    pub(crate) why: String,
}

impl BrokenOff {
    fn of(restoring: Restoring) -> Self {
        let Restoring { to, again, back, phase, failure, .. } = restoring;
        let last = back.as_ref().and_then(|command| command.rsplit(' ').next());
        let before = last.filter(|word| word.contains('@')).map(|word| word.trim_matches('\'').to_owned());
        let why = failure.unwrap_or_else(|| format!("its process ended while {phase}"));
        Self { to, before, again, back, why }
    }
}

/// What is known of a remote without asking it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Remote {
    pub(crate) name: String,
    /// The newest snapshot it is known to have.
    pub(crate) newest: Option<u32>,
    /// The last sync that ended well.
    pub(crate) synced_at: Option<String>,
    /// Why the last sync failed.
    pub(crate) failing: Option<String>,
    /// Whether it has the newest snapshot.
    pub(crate) up_to_date: bool,
}

/// The databases, a page at a time.
#[utoipa::path(get, path = "/api/v1/databases", tag = "databases", params(Page), responses((status = 200, body = Success<Databases>)))]
pub(crate) async fn list(State(server): Shared, who: Who, Asked(page): Asked<Page>) -> Answer<Databases> {
    who.may(Scope::Read)?;
    let limit = bounded(page.limit, PAGE, MOST)?;
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || Ok::<_, Failure>(shared.databases(&who, &page, limit)));
    done(found.await?)
}

/// One database.
#[utoipa::path(get, path = "/api/v1/databases/{database}", tag = "databases", params(("database" = String, Path)), responses((status = 200, body = Success<Summary>)))]
pub(crate) async fn one(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Summary> {
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        Ok::<_, Failure>(shared.summary(&place.name)?)
    });
    done(found.await?)
}

/// What a database's snapshots take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Snapshots of its line that are known here.
    pub(crate) snapshots: u64,
    /// Bytes of the newest state.
    pub(crate) size_bytes: u64,
    /// Bytes of all states together, as if each were a file.
    pub(crate) raw_bytes: u64,
    /// Bytes that all snapshots together added to stores.
    pub(crate) stored_bytes: u64,
    /// `raw_bytes` for each byte stored.
    pub(crate) ratio: f64,
    /// The newest snapshots, newest first: what each added.
    pub(crate) newest: Vec<Added>,
}

/// What a snapshot added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Added {
    pub(crate) snapshot: String,
    pub(crate) at: String,
    pub(crate) size_bytes: u64,
    pub(crate) added_bytes: u64,
    pub(crate) changed_chunks: u64,
    pub(crate) chunks: u64,
}

/// What a database's snapshots take.
#[utoipa::path(get, path = "/api/v1/databases/{database}/stats", tag = "databases", params(("database" = String, Path)), responses((status = 200, body = Success<Stats>)))]
pub(crate) async fn stats(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Stats> {
    let shared = Arc::clone(&server);
    let found = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        let all = place.history()?.list(usize::MAX)?;
        let added = |one: &crate::ops::Listed| {
            let (header, totals) = (&one.header, &one.header.totals);
            Added {
                snapshot: title(&header.database, &header.line, header.number),
                at: header.created_at.to_string(),
                size_bytes: totals.size_bytes,
                added_bytes: totals.added_bytes,
                changed_chunks: totals.changed_chunks,
                chunks: totals.chunks,
            }
        };
        let raw_bytes = all.iter().map(|one| one.header.totals.size_bytes).sum();
        let stored_bytes: u64 = all.iter().map(|one| one.header.totals.added_bytes).sum();
        Ok::<_, Failure>(Stats {
            snapshots: all.len() as u64,
            size_bytes: all.first().map_or(0, |one| one.header.totals.size_bytes),
            raw_bytes,
            stored_bytes,
            ratio: if stored_bytes == 0 { 1.0 } else { raw_bytes as f64 / stored_bytes as f64 },
            newest: all.iter().take(100).map(added).collect(),
        })
    });
    done(found.await?)
}

impl Server {
    fn databases(&self, who: &Who, page: &Page, limit: usize) -> Databases {
        let entries = self.catalog.entries();
        let seen = || entries.keys().filter(|name| who.sees(name));
        let after = page.after.as_deref().unwrap_or_default();
        let mut names = seen().filter(|name| name.as_str() > after);
        let wanted: Vec<&Name> = names.by_ref().take(limit).collect();
        let next = names.next().and(wanted.last()).map(|name| name.to_string());
        // What cannot be read is left out here, and told where it is asked for by its name.
        let databases = wanted.into_iter().filter_map(|name| self.summary(name).ok()).collect();
        Databases { databases, next, total: seen().count() }
    }

    /// What is known of a database, from a few small files.
    fn summary(&self, name: &Name) -> Result<Summary, OpError> {
        let (entry, workspace) = self.catalog.workspace(name)?;
        let handle = &entry.handle;
        let config = &workspace.config.databases[handle];
        let database = self.catalog.database(name, &self.base.settings)?;
        let stored_as = config.database.as_ref().unwrap_or(handle);
        let memory = self.memories.database(&workspace, handle);
        let now = self.base.context.now();
        let remotes = workspace.config.remotes.keys().map(|remote| {
            let known = self.memories.remote(&workspace, remote);
            let newest = known.newest.get(handle).map(|pushed| pushed.number);
            let failing = known.failure.get(handle).map(|(_, why)| why.clone());
            Remote {
                name: remote.to_string(),
                newest: newest.map(|number| number.0),
                synced_at: known.synced_at.get(handle).map(ToString::to_string),
                up_to_date: failing.is_none() && memory.as_ref().is_some_and(|memory| newest >= Some(memory.number)),
                failing,
            }
        });
        let schedule = self.schedule_of(&workspace, handle).filter(|(schedule, _)| schedule.enabled);
        let words = schedule.map(|(schedule, from_environment)| match from_environment {
            true => format!("{}, by the environment", schedule.in_words()),
            false => schedule.in_words(),
        });
        let next = schedule.and_then(|(schedule, _)| schedule.timetable(name.as_str(), &self.base.context.zone).ok());
        let busy = self.runner.has(&entry.home, handle);
        let restoring = workspace.restoring(handle);
        // Who restores holds the folder's lock, a command of somebody else among them.
        let is_left = |_: &Restoring| !busy && workspace.lock(Duration::ZERO).is_ok();
        let broken_off = restoring.clone().filter(is_left).map(BrokenOff::of);
        let line = memory.as_ref().and_then(|memory| memory.line.as_ref()).unwrap_or(&config.line);
        Ok(Summary {
            name: name.to_string(),
            stored_as: stored_as.to_string(),
            kind: match config.kind {
                SourceKind::Sqlite => "sqlite",
                SourceKind::Directory => "directory",
            },
            path: entry.home.join(&config.path).display().to_string(),
            snapshot: memory.as_ref().map(|memory| title(stored_as, line, memory.number)),
            snapshot_at: memory.as_ref().map(|memory| memory.created_at.to_string()),
            snapshot_age_s: memory.as_ref().map(|memory| now.duration_since(memory.created_at).as_secs().max(0)),
            schedule: words,
            next_run: next.and_then(|table| table.next_after(now)).map(|next| next.to_string()),
            busy,
            restoring: restoring.map(|restoring| restoring.to),
            broken_off,
            missing: !entry.home.join(&config.path).exists(),
            troubles: troubles(&database).into_iter().map(Troubled::of).collect(),
            remotes: remotes.collect(),
        })
    }
}
