//! Procedures that prove: what a store says, what it holds, that it restores, that everything is in order.

use std::time::Duration;

use super::arguments::Arguments;
use super::managed::DATABASE;
use super::rows::{Row, flag, integer, optional, text};
use super::tables::FROM;
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure};
use crate::ops::{self, DrillOptions, DrillPick, Finding, OpError, ScrubOptions, Spec};
use crate::workspace::{CheckResult, DrillEvidence, byte_size, duration};

const FINDING: &[Column] = &[
    Column { name: "bad", kind: Kind::Flag },
    Column { name: "object", kind: Kind::Text },
    Column { name: "finding", kind: Kind::Text },
    Column { name: "detail", kind: Kind::Text },
    Column { name: "snapshots", kind: Kind::Text },
];

const DRILLED: &[Column] = &[
    Column { name: "verdict", kind: Kind::Text },
    Column { name: "snapshot", kind: Kind::Text },
    Column { name: "place", kind: Kind::Text },
    Column { name: "started_at", kind: Kind::Text },
    Column { name: "host", kind: Kind::Text },
    Column { name: "size_bytes", kind: Kind::Integer },
    Column { name: "restore_ms", kind: Kind::Integer },
    Column { name: "troubles", kind: Kind::Text },
];

fn finding(one: &Finding) -> Row {
    let snapshots = (!one.snapshots.is_empty()).then(|| one.snapshots.join(", "));
    vec![flag(one.is_bad()), text(&one.object), text(one.kind.name()), text(&one.detail), optional(snapshots)]
}

fn drilled(one: &DrillEvidence) -> Row {
    let bad = one.checks.iter().filter(|check| check.result > CheckResult::Unchecked);
    let troubles: Vec<String> = bad.map(|check| format!("{}: {}", check.check, check.detail)).collect();
    vec![
        text(one.verdict.name()),
        text(&one.snapshot),
        text(&one.place),
        text(one.started_at),
        text(&one.host),
        integer(one.size_bytes),
        integer(one.restore_ms),
        optional((!troubles.is_empty()).then(|| troubles.join("; "))),
    ]
}

pub(super) const VERIFY: Procedure = Procedure {
    name: "backup_verify",
    aliases: &[],
    verbs: &[],
    arguments: &[
        FROM,
        Argument {
            name: "at",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "only this snapshot, like app@3; the whole store when not said",
        },
    ],
    columns: FINDING,
    effect: Effect::Changes,
    help: "Checks that everything is there that snapshots need: what is wrong, a row each; none when the store is whole",
    run: verify,
};

fn verify(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec = arguments.optional("at").map(|at| caller.backup(at)).transpose()?;
    let from = caller.from(arguments.text("from"), None)?;
    let report = ops::verify(&caller.context, &from, spec.as_ref())?;
    Ok(report.findings.iter().map(finding).collect())
}

pub(super) const SCRUB: Procedure = Procedure {
    name: "backup_scrub",
    aliases: &[],
    verbs: &[],
    arguments: &[
        FROM,
        Argument {
            name: "max_bytes",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "read about so much, like 2GiB; what was not read for longest comes first",
        },
        Argument {
            name: "max_time",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "begin no pack after so long, like 30m",
        },
    ],
    columns: FINDING,
    effect: Effect::Changes,
    help: "Reads packs and checks every byte: what is wrong, a row each; none when all that was read is whole",
    run: scrub,
};

fn scrub(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let wrong = |reason: String| OpError::BadCall { reason, hint: "see how it is called: pagekeep call --list".into() };
    let max_bytes = arguments.optional("max_bytes").map(byte_size).transpose().map_err(wrong)?;
    let max_time: Option<Duration> = arguments.optional("max_time").map(duration).transpose().map_err(wrong)?;
    let from = caller.from(arguments.text("from"), None)?;
    let report = ops::scrub(&caller.context, &from, ScrubOptions { max_bytes, max_time, max_age: None })?;
    Ok(report.found.findings.iter().map(finding).collect())
}

pub(super) const DRILL: Procedure = Procedure {
    name: "backup_drill",
    aliases: &[],
    verbs: &[],
    arguments: &[
        FROM,
        Argument {
            name: "at",
            aliases: &[],
            kind: Kind::Text,
            default: Some(Constant::Null),
            help: "the snapshot, like app@3; the newest when not said",
        },
        Argument {
            name: "sample",
            aliases: &[],
            kind: Kind::Integer,
            default: Some(Constant::Integer(0)),
            help: "so many of the history by chance, in place of one",
        },
    ],
    columns: DRILLED,
    effect: Effect::Changes,
    help: "Restores snapshots to a scratch folder and lets the database check itself; the evidence is kept",
    run: drill,
};

fn drill(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let pick = match (arguments.integer("sample").and_then(|count| u32::try_from(count).ok()), arguments.optional("at"))
    {
        (Some(count @ 1..), None) => DrillPick::Sample(count),
        (_, Some(at)) => DrillPick::Spec(caller.backup(at)?),
        (_, None) => DrillPick::Spec(Spec::latest()),
    };
    let from = caller.from(arguments.text("from"), None)?;
    let report = ops::drill(&caller.context, &from, &DrillOptions { pick, accept: false, scratch: None })?;
    Ok(report.drills.iter().map(drilled).collect())
}

pub(super) const DRILLS: Procedure = Procedure {
    name: "backup_drills",
    aliases: &[],
    verbs: &[],
    arguments: &[DATABASE],
    columns: DRILLED,
    effect: Effect::Reads,
    help: "The evidence of drills that were done here",
    run: drills,
};

fn drills(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    Ok(database.workspace.drills(&database.handle).iter().map(drilled).collect())
}

pub(super) const DOCTOR: Procedure = Procedure {
    name: "backup_doctor",
    aliases: &[],
    verbs: &[],
    arguments: &[Argument {
        name: "remote",
        aliases: &[],
        kind: Kind::Text,
        default: Some(Constant::Null),
        help: "only this remote; all when not said",
    }],
    columns: &[
        Column { name: "state", kind: Kind::Text },
        Column { name: "remote", kind: Kind::Text },
        Column { name: "looked_at", kind: Kind::Text },
        Column { name: "detail", kind: Kind::Text },
        Column { name: "fix", kind: Kind::Text },
    ],
    effect: Effect::Changes,
    help: "Asks small questions here and at remotes: how each came out, and what to do",
    run: doctor,
};

fn doctor(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.own_database(false)?;
    let report = ops::doctor(&caller.context, &database, arguments.optional("remote"))?;
    let row = |one: &ops::DoctorCheck| {
        vec![
            text(one.state.name()),
            optional(one.remote.as_ref()),
            text(one.check),
            text(&one.detail),
            optional(one.fix.as_ref()),
        ]
    };
    Ok(report.checks.iter().map(row).collect())
}
