//! `sp_backup_…`: backups by their ids, made in the background, as managed databases have them.

use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::backup::{NOTE, STATUS, about};
use super::jobs::{self, JOB_COLUMNS};
use super::rows::{Row, flag, integer, optional, text};
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure, Value};
use crate::base::Name;
use crate::ops::{self, History, Listed, LiveOptions, Migrations, OpError, Outcome, Spec};
use crate::workspace::{Task, is_job_id};

pub(super) const DATABASE: Argument = Argument {
    name: "database",
    aliases: &["db"],
    kind: Kind::Text,
    default: Some(Constant::Null),
    help: "its path, or its name in this folder; the one at hand when not said",
};

pub(super) const ID: Argument = Argument {
    name: "id",
    aliases: &["backup_id"],
    kind: Kind::Text,
    default: None,
    help: "the id of a job, or a snapshot, like 3, app@3 or @latest~1",
};

const SNAPSHOT: Column = Column { name: "snapshot", kind: Kind::Text };
const PATH: Column = Column { name: "path", kind: Kind::Text };
const SIZE: Column = Column { name: "size_bytes", kind: Kind::Integer };

pub(super) const CREATE: Procedure = Procedure {
    name: "sp_backup_create",
    aliases: &[],
    verbs: &[],
    arguments: &[DATABASE, NOTE],
    columns: &[
        Column { name: "backup_id", kind: Kind::Text },
        Column { name: "database_name", kind: Kind::Text },
        Column { name: "state", kind: Kind::Text },
        Column { name: "file_path", kind: Kind::Text },
    ],
    effect: Effect::Changes,
    help: "Begins to make a snapshot in the local store and returns at once; the work goes on in a process of its own. \
           file_path is the name that sp_backup_download gives it when no path is said",
    run: create,
};

fn create(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, true)?;
    let job = jobs::begin(caller, &database, Task::Create { note: about(arguments).note })?;
    let file = file_name(&job.database, &job.id);
    Ok(vec![vec![text(&job.id), text(&job.database), text(job.state.name()), text(file.display())]])
}

pub(super) const STATE: Procedure = Procedure {
    name: "sp_backup_status",
    aliases: &[],
    verbs: &[],
    arguments: &[ID],
    columns: JOB_COLUMNS,
    effect: Effect::Reads,
    help: "Where a job stands: pending, in_progress, completed, failed, cancelled or interrupted (its process ended before it \
           did); how far it is, its snapshot, and why it failed. A snapshot is always completed",
    run: status,
};

fn status(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let id = arguments.text("id");
    if is_job_id(id) {
        let workspace = caller.workspace()?;
        return Ok(vec![jobs::row(&workspace, &workspace.job(id)?)]);
    }
    let spec = caller.backup(id)?;
    let database = caller.database_of(&spec)?;
    let mut spec = spec;
    let history = History::find_for(database.local_store(&caller.context)?, &mut spec, Some(&database))?;
    Ok(vec![jobs::snapshot_row(&history.resolve(&spec)?.header)])
}

pub(super) const CANCEL: Procedure = Procedure {
    name: "sp_backup_cancel",
    aliases: &[],
    verbs: &[],
    arguments: &[Argument { help: "the id of a job", ..ID }],
    columns: &[
        Column { name: "state", kind: Kind::Text },
        Column { name: "backup_id", kind: Kind::Text },
        Column { name: "cancel_requested", kind: Kind::Flag },
    ],
    effect: Effect::Changes,
    help: "Asks a job to stop, which it does at its next safe point; nothing half done is visible then. One that has ended \
           stays as it is",
    run: cancel,
};

fn cancel(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let (job, asked) = jobs::cancel(&caller.workspace()?, arguments.text("id"))?;
    Ok(vec![vec![text(job.state.name()), text(job.id), flag(asked)]])
}

pub(super) const LIST: Procedure = Procedure {
    name: "sp_backup_list",
    aliases: &[],
    verbs: &[],
    arguments: &[DATABASE],
    columns: &[
        Column { name: "backup_id", kind: Kind::Text },
        Column { name: "name", kind: Kind::Text },
        Column { name: "state", kind: Kind::Text },
        SIZE,
        Column { name: "created_at", kind: Kind::Text },
        Column { name: "note", kind: Kind::Text },
        Column { name: "places", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "The snapshots of a database, newest first, and where their content is: here, and remotes' names",
    run: list,
};

fn list(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    let from = caller.from(".", arguments.optional("database"))?;
    let found = from.history(&mut Spec::latest())?.list(usize::MAX)?;
    let places = ops::whereabouts(&caller.context, &database, &found)?;
    let row = |(one, place): (&Listed, &ops::Whereabouts)| {
        let header = &one.header;
        let here = place.here.then(|| "here".to_owned());
        let places: Vec<String> = here.into_iter().chain(place.remotes.iter().map(Name::to_string)).collect();
        vec![
            text(ops::title(&header.database, &header.line, header.number)),
            optional(header.labels.get("name")),
            text("completed"),
            integer(header.totals.size_bytes),
            text(header.created_at),
            optional(header.note.as_ref()),
            text(places.join(", ")),
        ]
    };
    Ok(found.iter().zip(&places).map(row).collect())
}

pub(super) const HISTORY: Procedure = Procedure {
    name: "sp_backup_history",
    aliases: &[],
    verbs: &[],
    arguments: &[DATABASE],
    columns: JOB_COLUMNS,
    effect: Effect::Reads,
    help: "The jobs of a database that are under way or were in the last 30 days, newest first",
    run: history,
};

fn history(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    let jobs = database.workspace.jobs()?.into_iter().filter(|job| job.database == database.handle);
    Ok(jobs.map(|job| jobs::row(&database.workspace, &job)).collect())
}

pub(super) const RESTORE: Procedure = Procedure {
    name: "sp_backup_restore",
    aliases: &[],
    verbs: &[],
    arguments: &[
        DATABASE,
        Argument { name: "backup_id", aliases: &["id"], ..ID },
        Argument {
            name: "live",
            aliases: &[],
            kind: Kind::Flag,
            default: Some(Constant::Integer(0)),
            help: "put it in through SQLite, in one transaction, while other programs have the database open",
        },
        Argument {
            name: "migrations",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "with live: a folder of numbered SQL files, executed before anybody sees the new state",
        },
    ],
    columns: &[
        STATUS,
        SNAPSHOT,
        PATH,
        Column { name: "safety", kind: Kind::Text },
        SIZE,
        Column { name: "reused_bytes", kind: Kind::Integer },
        Column { name: "duration_ms", kind: Kind::Integer },
    ],
    effect: Effect::Changes,
    help: "Puts a database back to a snapshot, in one step. Its present state is kept first, as the snapshot `safety` (noted \
           pre-restore when one had to be made). Refused while another program has the database open, unless live is 1",
    run: restore,
};

fn restore(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    let spec = caller.backup(arguments.text("backup_id"))?;
    if !arguments.flag("live") {
        caller.may_replace(&database.source())?;
    }
    let migrations = arguments.optional("migrations").map(|folder| Migrations { folder: folder.into(), table: None });
    if !arguments.flag("live") && migrations.is_some() {
        let reason = "migrations go with live".to_owned();
        return Err(OpError::BadCall { reason, hint: "say live => 1, or leave migrations out".into() });
    }
    let (snapshot, path, safety, size, reused, elapsed) = if arguments.flag("live") {
        let options = LiveOptions { migrations, ..LiveOptions::default() };
        let done = ops::restore_live_kept(&caller.context, &database, &spec, &options)?;
        let safety = done.safety.map(|kept| kept.snapshot);
        (done.to, done.path, safety, done.size_bytes, done.reused_bytes, done.elapsed)
    } else {
        let report = ops::revert(&caller.context, &database, &spec)?;
        let done = report.restored;
        (report.snapshot, done.path, report.safety, done.size_bytes, done.reused_bytes, done.elapsed)
    };
    Ok(vec![vec![
        integer(0),
        text(snapshot),
        text(path.display()),
        optional(safety),
        integer(size),
        integer(reused),
        integer(elapsed.as_millis()),
    ]])
}

pub(super) const DOWNLOAD: Procedure = Procedure {
    name: "sp_backup_download",
    aliases: &[],
    verbs: &[],
    arguments: &[
        ID,
        Argument {
            name: "path",
            aliases: &["file_path"],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "the file to make, which must not be there; one in this folder when not said",
        },
    ],
    columns: &[STATUS, SNAPSHOT, PATH, SIZE, Column { name: "duration_ms", kind: Kind::Integer }],
    effect: Effect::Changes,
    help: "Writes a snapshot as a plain SQLite file (or directory), from wherever its content is",
    run: download,
};

fn download(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let id = arguments.text("id");
    let spec = caller.backup(id)?;
    let database = caller.database_of(&spec)?;
    let path = match arguments.optional("path") {
        Some(path) => PathBuf::from(path),
        None => file_name(&database.handle, if is_job_id(id) { id } else { spec.text.as_str() }),
    };
    let (snapshot, report) = ops::restore_kept(&caller.context, &database, &spec, &path, false)?;
    Ok(vec![vec![
        integer(0),
        text(snapshot),
        text(report.path.display()),
        integer(report.size_bytes),
        integer(report.elapsed.as_millis()),
    ]])
}

pub(super) const UPLOAD: Procedure = Procedure {
    name: "sp_backup_upload",
    aliases: &[],
    verbs: &[],
    arguments: &[
        DATABASE,
        Argument {
            name: "path",
            aliases: &["file_path"],
            kind: Kind::Text,
            default: None,
            help: "a SQLite file without faults",
        },
        NOTE,
    ],
    columns: &[STATUS, SNAPSHOT, Column { name: "changed", kind: Kind::Flag }, SIZE],
    effect: Effect::Changes,
    help: "Makes a file the next snapshot of a database, after SQLite found no fault in it. The database itself is not touched",
    run: upload,
};

fn upload(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, true)?;
    let outcome = ops::upload(&caller.context, &database, Path::new(arguments.text("path")), &about(arguments))?;
    let size = match &outcome {
        Outcome::Created(report) => integer(report.size_bytes),
        Outcome::Unchanged { .. } => Value::Null,
    };
    let changed = matches!(outcome, Outcome::Created(_));
    Ok(vec![vec![integer(0), text(database.title(outcome.number())), flag(changed), size]])
}

/// The name of a downloaded backup: the database's, and what tells the backup from others.
pub fn file_name(database: &Name, backup: &str) -> PathBuf {
    let mark: String = backup.rsplit('@').next().unwrap_or_default().replace(|c: char| !c.is_alphanumeric(), "-");
    PathBuf::from(format!("{}-{}.db", database.to_key(), mark.trim_start_matches("job-")))
}
