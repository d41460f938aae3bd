//! What is on this machine: versions, settings, space, the source, and how long ago everything was done.

use std::time::Duration;

use jiff::Timestamp;

use super::{Chart, DoctorState};
use crate::base::Name;
use crate::format::envelope::FORMAT_VERSION;
use crate::ops::error::shown;
use crate::ops::{Context, Database, OpError, unfinished_restore};
use crate::source::SourceError;
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::{HookEvent, RunVerb, SourceKind};

/// Below this much free space the next snapshot may not find room, in bytes.
const LEAST_FREE_BYTES: u64 = 64 << 20;
/// How long ago a sync may be: as in `backup status`.
const SYNC_AGE: Duration = Duration::from_secs(26 * 3600);
/// How long ago a scrub or a drill may be.
const PROOF_AGE: Duration = Duration::from_secs(35 * 24 * 3600);

pub(super) fn look(context: &Context, database: &Database, chart: &mut Chart) {
    let sqlite = rusqlite::version();
    chart.good("version", format!("{}, stores of format {FORMAT_VERSION}, SQLite {sqlite}", context.tool));
    settings(database, chart);
    space(database, chart);
    source(context, database, chart);
    match database.local_store(context).and_then(|store| Ok(crate::store::Store::open(store.remote().clone())?)) {
        Ok((_, file)) => chart.good("local store", format!("format {}, id {}", file.format, file.store_id)),
        Err(error) => chart.error("local store", &error),
    }
    if database.remote_names().is_empty() {
        chart.warn("remotes", "there is none: what is kept here goes with this disk", "pagekeep backup add NAME URL");
    }
    if let Some(restoring) = unfinished_restore(database) {
        let detail = format!("a restore of {} in service was not finished: {}", restoring.to, restoring.phase);
        chart.fail("restore", detail, restoring.again);
    }
    runs(context, database, None, chart);
}

/// Who may write to the settings, and whether they can be written at all.
fn settings(database: &Database, chart: &mut Chart) {
    let workspace = &database.workspace;
    match tempfile::NamedTempFile::new_in(workspace.path("state")) {
        Ok(_) => chart.good("permissions", format!("{} can be written to", workspace.path("").display())),
        Err(error) => chart.fail(
            "permissions",
            format!("{} cannot be written to: {error}", workspace.path("state").display()),
            "run pagekeep as the user to whom the folder belongs",
        ),
    }
    let hooks = HookEvent::ALL.into_iter().filter(|event| database.config().hooks.get(*event).is_some()).count();
    match workspace.trust_config().map_err(OpError::from) {
        Ok(()) => chart.good("config.toml", format!("nobody else may write to it; {hooks} hooks")),
        Err(error) if hooks > 0 => chart.error("config.toml", &error),
        Err(error) => chart.add("config.toml", DoctorState::Warning, error.to_string(), error.hint()),
    }
}

/// Room for the next snapshot, and for a restore beside the original.
fn space(database: &Database, chart: &mut Chart) {
    let folder = database.workspace.path("");
    let Ok(found) = rustix::fs::statvfs(&folder) else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let needed = size_of(&database.source());
    let shown = |bytes: u64| bytesize::ByteSize::b(bytes).display().si().to_string();
    let detail = format!("{} are free on the disk of {}", shown(free), folder.display());
    if free < LEAST_FREE_BYTES {
        chart.fail("space", detail, "make room: the next snapshot may not find any");
    } else if free < needed {
        let detail = format!("{detail}, the database has {}", shown(needed));
        chart.warn("space", detail, "make room, or drill and restore elsewhere: pagekeep drill --scratch FOLDER");
    } else {
        chart.good("space", detail);
    }
}

/// Bytes of a file, or of all files below a folder but pagekeep's own.
fn size_of(path: &std::path::Path) -> u64 {
    let own = crate::source::tree::OWN_FOLDER;
    let files = walkdir::WalkDir::new(path).into_iter().filter_entry(|entry| entry.file_name() != own).flatten();
    files.filter_map(|entry| entry.metadata().ok()).filter(|found| found.is_file()).map(|found| found.len()).sum()
}

/// Whether the database can be read, and whom that keeps waiting.
fn source(context: &Context, database: &Database, chart: &mut Chart) {
    let path = database.source();
    if database.config().kind == SourceKind::Directory {
        match path.read_dir() {
            Ok(_) => chart.good("source", format!("{} is a folder that can be read", path.display())),
            Err(error) => chart.error("source", &SourceError::io(&path, error).into()),
        }
        return;
    }
    let opened = path.canonicalize().map_err(|error| SourceError::io(&path, error));
    let opened = opened.and_then(|path| PinnedDatabase::open(&path, database.settings.lock_wait(), &context.progress));
    match opened {
        Ok(pinned) if pinned.is_wal() => {
            chart.good("source", format!("{} can be read, in WAL mode: nobody waits for a snapshot", path.display()));
        }
        Ok(_) => chart.warn(
            "source",
            format!("{} can be read, but is not in WAL mode: writers wait while it is read", path.display()),
            format!("if its program allows: sqlite3 {} 'PRAGMA journal_mode=WAL'", shown(&path)),
        ),
        Err(error) => chart.error("source", &error.into()),
    }
}

/// When each kind of run last ended well at a place, and which fail.
pub(super) fn runs(context: &Context, database: &Database, remote: Option<&Name>, chart: &mut Chart) {
    let place = remote.map_or(".", Name::as_str);
    let is_lone = database.remote_names().is_empty();
    let wanted: &[(RunVerb, &'static str, Duration, String)] = &match remote {
        Some(name) => vec![
            (RunVerb::Sync, "last sync", SYNC_AGE, format!("pagekeep backup sync {name}")),
            (RunVerb::Scrub, "last scrub", PROOF_AGE, format!("pagekeep scrub {place}")),
            (RunVerb::Drill, "last drill", PROOF_AGE, format!("pagekeep drill {place}")),
        ],
        None if is_lone => vec![
            (RunVerb::Create, "last snapshot", SYNC_AGE, "pagekeep backup create".into()),
            (RunVerb::Scrub, "last scrub", PROOF_AGE, format!("pagekeep scrub {place}")),
            (RunVerb::Drill, "last drill", PROOF_AGE, format!("pagekeep drill {place}")),
        ],
        None => vec![],
    };
    let now = context.now();
    for (verb, check, limit, command) in wanted {
        let memory = database.workspace.recall_run(&database.handle, *verb, remote);
        if let Some(failing) = memory.failing {
            let detail = format!("it fails since {}, {} times: {}", failing.since, failing.times, failing.why);
            chart.fail(check, detail, format!("see what it says: {command}"));
            continue;
        }
        match memory.good_at.map(|at| (at, age(now, at))) {
            Some((at, age)) if age <= *limit => chart.good(check, format!("at {at}")),
            Some((at, age)) => {
                chart.warn(check, format!("at {at}, {} days ago", age.as_secs() / 86_400), command.clone());
            }
            None => chart.warn(check, "never", command.clone()),
        }
    }
}

fn age(now: Timestamp, at: Timestamp) -> Duration {
    now.duration_since(at).unsigned_abs()
}
