//! Procedures that only look: tables of remotes and snapshots.

use super::arguments::Arguments;
use super::managed::DATABASE;
use super::rows::{Row, flag, integer, optional, text};
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure, Value};
use crate::ops::{self, Listed, OpError, RemoteStatus, Spec};
use crate::workspace::{WorkspaceError, duration};

const NAME: Column = Column { name: "name", kind: Kind::Text };
const AGE: Column = Column { name: "age_s", kind: Kind::Integer };
const NEWEST: Column = Column { name: "newest", kind: Kind::Integer };
const BEHIND: Column = Column { name: "behind", kind: Kind::Integer };
const BEHIND_BYTES: Column = Column { name: "behind_bytes", kind: Kind::Integer };

pub(super) const FROM: Argument = Argument {
    name: "from",
    aliases: &[],
    kind: Kind::Text,
    default: Some(Constant::Text(".")),
    help: "a remote's name, an address, or . for the local store",
};
pub(super) const AT: Argument = Argument {
    name: "at",
    aliases: &[],
    kind: Kind::Text,
    default: Some(Constant::Text("latest")),
    help: "the newest snapshot to show, like app@latest~2",
};

pub(super) const BACKUPS: Procedure = Procedure {
    name: "backups",
    aliases: &["dolt_backups"],
    verbs: &[],
    arguments: &[DATABASE],
    columns: &[
        NAME,
        Column { name: "url", kind: Kind::Text },
        Column { name: "synced_at", kind: Kind::Text },
        AGE,
        NEWEST,
        BEHIND,
        BEHIND_BYTES,
        Column { name: "up_to_date", kind: Kind::Flag },
        Column { name: "failing_since", kind: Kind::Text },
        Column { name: "failing", kind: Kind::Text },
        Column { name: "conditional_put", kind: Kind::Flag },
    ],
    effect: Effect::Reads,
    help: "The remotes, with what is known of each without asking it",
    run: backups,
};

fn backups(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    let all = ops::status(&caller.context, &database, std::time::Duration::MAX)?;
    let row = |one: &RemoteStatus| {
        vec![
            text(&one.name),
            text(&one.url),
            optional(one.synced_at),
            one.age.map_or(Value::Null, |age| integer(age.as_secs())),
            one.newest.map_or(Value::Null, |number| integer(number.0)),
            integer(one.behind),
            integer(one.behind_bytes),
            flag(one.is_up_to_date()),
            optional(one.failing.as_ref().map(|(since, _)| since)),
            optional(one.failing.as_ref().map(|(_, why)| why)),
            flag(one.conditional_put),
        ]
    };
    Ok(all.iter().map(row).collect())
}

pub(super) const BACKUP_STATUS: Procedure = Procedure {
    name: "backup_status",
    aliases: &[],
    verbs: &[],
    arguments: &[
        Argument {
            name: "max_age",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Text("26h")),
            help: "the oldest a remote may be",
        },
        DATABASE,
    ],
    columns: &[
        NAME,
        AGE,
        NEWEST,
        BEHIND,
        BEHIND_BYTES,
        Column { name: "stale", kind: Kind::Flag },
        Column { name: "failing", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "How old and how complete each remote is, and which are too old",
    run: backup_status,
};

fn backup_status(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let max_age = arguments.text("max_age");
    let max_age = duration(max_age).map_err(|reason| WorkspaceError::Setting { reason })?;
    let database = caller.database(arguments, false)?;
    let row = |one: &RemoteStatus| {
        vec![
            text(&one.name),
            one.age.map_or(Value::Null, |age| integer(age.as_secs())),
            one.newest.map_or(Value::Null, |number| integer(number.0)),
            integer(one.behind),
            integer(one.behind_bytes),
            flag(one.stale),
            optional(one.failing.as_ref().map(|(_, why)| why)),
        ]
    };
    Ok(ops::status(&caller.context, &database, max_age)?.iter().map(row).collect())
}

pub(super) const BACKUP_LOG: Procedure = Procedure {
    name: "backup_log",
    aliases: &[],
    verbs: &[],
    arguments: &[
        FROM,
        AT,
        Argument {
            name: "count",
            aliases: &["limit"],
            kind: Kind::Integer,
            default: Some(Constant::Null),
            help: "show at most so many",
        },
    ],
    columns: &[
        Column { name: "snapshot", kind: Kind::Text },
        Column { name: "number", kind: Kind::Integer },
        Column { name: "snapshot_id", kind: Kind::Text },
        Column { name: "created_at", kind: Kind::Text },
        Column { name: "host", kind: Kind::Text },
        NAME,
        Column { name: "note", kind: Kind::Text },
        Column { name: "size_bytes", kind: Kind::Integer },
        Column { name: "chunks", kind: Kind::Integer },
        Column { name: "changed_chunks", kind: Kind::Integer },
        Column { name: "new_chunks", kind: Kind::Integer },
    ],
    effect: Effect::Reads,
    help: "The history, newest first",
    run: backup_log,
};

fn backup_log(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let mut spec: Spec = caller.context.spec(arguments.text("at"))?;
    let count = arguments.integer("count").map_or(usize::MAX, |count| count.try_into().unwrap_or(0));
    let from = caller.store_for(arguments.text("from"), &spec)?;
    let row = |one: &Listed| {
        let (header, totals) = (&one.header, &one.header.totals);
        vec![
            text(ops::title(&header.database, &header.line, header.number)),
            integer(header.number.0),
            text(one.id),
            text(header.created_at),
            text(&header.host),
            optional(header.labels.get("name")),
            optional(header.note.as_ref()),
            integer(totals.size_bytes),
            integer(totals.chunks),
            integer(totals.changed_chunks),
            integer(totals.new_chunks),
        ]
    };
    Ok(from.history(&mut spec)?.list_from(&spec, count)?.iter().map(row).collect())
}
