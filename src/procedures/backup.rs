//! `backup(…)`: remotes and syncs, as Dolt's procedure of this name has them.

use std::path::Path;

use super::arguments::Arguments;
use super::rows::{Row, flag, integer, optional, text};
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure, Value};
use crate::base::Name;
use crate::ops::{self, Database, OpError, Outcome, RemovedRemote, SnapshotOptions, Spec, SyncOptions, SyncReport};

const NAME: &str = "backup";
const ALIASES: &[&str] = &["dolt_backup"];

pub(super) const STATUS: Column = Column { name: "status", kind: Kind::Integer };
const REMOTE: Column = Column { name: "remote", kind: Kind::Text };
const URL: Column = Column { name: "url", kind: Kind::Text };

pub(super) const NOTE: Argument = Argument {
    name: "note",
    aliases: &[],
    kind: Kind::Text,
    default: Some(Constant::Null),
    help: "a note on the snapshot",
};

const SYNC_COLUMNS: &[Column] = &[
    STATUS,
    REMOTE,
    URL,
    Column { name: "snapshot", kind: Kind::Text },
    Column { name: "changed", kind: Kind::Flag },
    Column { name: "pushed", kind: Kind::Integer },
    Column { name: "uploaded_bytes", kind: Kind::Integer },
    Column { name: "size_bytes", kind: Kind::Integer },
    Column { name: "new_chunks", kind: Kind::Integer },
    Column { name: "duration_ms", kind: Kind::Integer },
    Column { name: "error", kind: Kind::Text },
];

pub(super) const ADD: Procedure = Procedure {
    name: NAME,
    aliases: ALIASES,
    verbs: &["add"],
    arguments: &[
        Argument { name: "name", aliases: &[], kind: Kind::Text, default: None, help: "its name" },
        Argument {
            name: "url",
            aliases: &[],
            kind: Kind::Text,
            default: None,
            help: "file:///path, a path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        },
        Argument {
            name: "join",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "a database there whose history this one, a copy of it, goes on with",
        },
    ],
    columns: &[
        STATUS,
        REMOTE,
        URL,
        Column { name: "database", kind: Kind::Text },
        Column { name: "created", kind: Kind::Flag },
        Column { name: "conditional_put", kind: Kind::Flag },
        Column { name: "newest", kind: Kind::Integer },
        Column { name: "joined", kind: Kind::Flag },
    ],
    effect: Effect::Changes,
    help: "Adds a remote: contacts it, probes it, creates or opens the store there",
    run: add,
};

fn add(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let mut database = caller.own_database(true)?;
    let name = caller.name(arguments.text("name"))?;
    let join = arguments.optional("join").map(|name| caller.name(name)).transpose()?;
    let report = ops::add_remote(&caller.context, &mut database, &name, arguments.text("url"), join.as_ref())?;
    Ok(vec![vec![
        integer(0),
        text(name),
        text(report.url),
        text(database.name),
        flag(report.created),
        flag(report.conditional_put),
        report.newest.map_or(Value::Null, |number| integer(number.0)),
        flag(report.joined),
    ]])
}

pub(super) const REMOVE: Procedure = Procedure {
    name: NAME,
    aliases: ALIASES,
    verbs: &["remove", "rm"],
    arguments: &[Argument { name: "name", aliases: &[], kind: Kind::Text, default: None, help: "its name" }],
    columns: &[STATUS, REMOTE, URL, Column { name: "warnings", kind: Kind::Text }],
    effect: Effect::Changes,
    help: "Forgets a remote; what lies there stays. Tells what cannot be restored from here then",
    run: remove,
};

fn remove(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let RemovedRemote { name, url, warnings } =
        caller.own_database(false)?.remove_remote(&caller.context, arguments.text("name"))?;
    let warnings = (!warnings.is_empty()).then(|| warnings.join("\n"));
    Ok(vec![vec![integer(0), text(name), text(url), optional(warnings.as_ref())]])
}

pub(super) const SYNC: Procedure = Procedure {
    name: NAME,
    aliases: ALIASES,
    verbs: &["sync"],
    arguments: &[
        Argument {
            name: "name",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "the remote's name; all remotes when not said",
        },
        NOTE,
        Argument {
            name: "rebase",
            aliases: &[],
            kind: Kind::Flag,
            default: Some(Constant::Integer(0)),
            help: "when another machine wrote first: go on after its snapshots",
        },
    ],
    columns: SYNC_COLUMNS,
    effect: Effect::Changes,
    help: "Makes a snapshot if anything changed, and brings a remote up to date. With all remotes there is a row for each, \
           those that failed first, with status 1 and the error",
    run: sync,
};

fn sync(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let mut database = caller.own_database(false)?;
    let options = SyncOptions { snapshot: about(arguments), rebase: arguments.flag("rebase"), run: None };
    if let Some(name) = arguments.optional("name") {
        let report = ops::sync_to(&caller.context, &mut database, name, &options)?;
        return Ok(vec![synced(&database, Name::new(name).ok(), &report)]);
    }
    let mut all = ops::sync_all(&caller.context, &mut database, &options)?;
    all.sort_by_key(|(_, done)| done.is_ok());
    let row = |(name, done): (crate::base::Name, Result<SyncReport, OpError>)| match done {
        Ok(report) => synced(&database, Some(name), &report),
        Err(error) => {
            let mut row = vec![Value::Null; SYNC_COLUMNS.len()];
            (row[0], row[1], row[SYNC_COLUMNS.len() - 1]) = (integer(1), text(name), text(error));
            row
        }
    };
    Ok(all.into_iter().map(row).collect())
}

pub(super) const SYNC_URL: Procedure = Procedure {
    name: NAME,
    aliases: ALIASES,
    verbs: &["sync_url", "sync-url"],
    arguments: &[Argument { name: "url", aliases: &[], kind: Kind::Text, default: None, help: "the address" }, NOTE],
    columns: SYNC_COLUMNS,
    effect: Effect::Changes,
    help: "Syncs with an address that has no name; a store is made there when there is none",
    run: sync_url,
};

fn sync_url(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let mut database = caller.own_database(true)?;
    let report = ops::sync_url(&caller.context, &mut database, arguments.text("url"), about(arguments))?;
    Ok(vec![synced(&database, None, &report)])
}

pub(super) const RESTORE: Procedure = Procedure {
    name: NAME,
    aliases: ALIASES,
    verbs: &["restore"],
    arguments: &[
        Argument {
            name: "from",
            aliases: &["url"],
            kind: Kind::Text,
            default: None,
            help: "a remote's name, an address, or . for the local store",
        },
        Argument { name: "destination", aliases: &["path"], kind: Kind::Text, default: None, help: "the path to make" },
        Argument {
            name: "at",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Text("latest")),
            help: "the snapshot, like app@3, @latest~1 or @2026-11-01T10:00",
        },
        Argument {
            name: "force",
            aliases: &[],
            kind: Kind::Flag,
            default: Some(Constant::Integer(0)),
            help: "replace what is there; only what differs is fetched",
        },
    ],
    columns: &[
        STATUS,
        Column { name: "snapshot", kind: Kind::Text },
        Column { name: "path", kind: Kind::Text },
        Column { name: "size_bytes", kind: Kind::Integer },
        Column { name: "reused_bytes", kind: Kind::Integer },
        Column { name: "downloaded_bytes", kind: Kind::Integer },
        Column { name: "duration_ms", kind: Kind::Integer },
    ],
    effect: Effect::Changes,
    help: "Rebuilds a snapshot as a file (or directory), byte for byte",
    run: restore,
};

fn restore(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec: Spec = caller.context.spec(arguments.text("at"))?;
    let destination = Path::new(arguments.text("destination"));
    caller.may_replace(destination)?;
    let from = caller.store_for(arguments.text("from"), &spec)?;
    let (snapshot, report) = from.restore(&caller.context, &spec, destination, arguments.flag("force"))?;
    Ok(vec![vec![
        integer(0),
        text(snapshot),
        text(report.path.display()),
        integer(report.size_bytes),
        integer(report.reused_bytes),
        integer(report.requests.received_bytes),
        integer(report.elapsed.as_millis()),
    ]])
}

/// What is said about a snapshot, if one is made.
pub(super) fn about(arguments: &Arguments) -> SnapshotOptions {
    SnapshotOptions { note: arguments.optional("note").map(str::to_owned), ..SnapshotOptions::default() }
}

fn synced(database: &Database, name: Option<crate::base::Name>, report: &SyncReport) -> Vec<Value> {
    let made = match &report.outcome {
        Outcome::Created(made) => Some(made),
        Outcome::Unchanged { .. } => None,
    };
    vec![
        integer(0),
        optional(name),
        text(&report.remote),
        text(database.title(report.outcome.number())),
        flag(made.is_some()),
        integer(report.pushed.len()),
        integer(report.requests.sent_bytes),
        made.map_or(Value::Null, |made| integer(made.size_bytes)),
        integer(made.map_or(0, |made| made.new_chunks)),
        integer(report.elapsed.as_millis()),
        Value::Null,
    ]
}
