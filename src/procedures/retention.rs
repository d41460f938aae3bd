//! Procedures about snapshots that stay and snapshots that go.

use super::arguments::Arguments;
use super::backup::STATUS;
use super::managed::{DATABASE, ID};
use super::rows::{Row, flag, integer, optional, text};
use super::tables::FROM;
use super::{Argument, Caller, Column, Constant, Effect, Kind, Procedure, Value};
use crate::format::record::SnapshotName;
use crate::ops::retention::{self, ForgetOptions, ForgetReport, RetentionError};
use crate::ops::{self, OpError, ReadFrom, Spec, title};

const SNAPSHOT: Column = Column { name: "snapshot", kind: Kind::Text };
const PLACE: Column = Column { name: "place", kind: Kind::Text };
const CHANGED: Column = Column { name: "changed", kind: Kind::Flag };
const CREATED: Column = Column { name: "created_at", kind: Kind::Text };

const WHICH: Argument = Argument {
    name: "at",
    aliases: &["id", "backup_id"],
    kind: Kind::Text,
    default: None,
    help: "the snapshot, like 3, app@3 or @latest~1",
};

const REASON: Argument =
    Argument { name: "reason", aliases: &["message"], kind: Kind::Text, default: Some(Constant::Null), help: "why" };

pub(super) const FORGET: Procedure = Procedure {
    name: "backup_forget",
    aliases: &[],
    verbs: &[],
    arguments: &[WHICH, FROM, REASON],
    columns: &[SNAPSHOT, PLACE, CHANGED],
    effect: Effect::Changes,
    help: "Forgets a snapshot at one place: it is no longer listed, and `prune` may remove it; until then backup_recall brings \
           it back. The newest of a line, what is tagged or held, and what a line starts from stay",
    run: forget,
};

fn forget(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec = caller.backup(arguments.text("at"))?;
    let from = caller.store_for(arguments.text("from"), &spec)?;
    let reports = forgotten(caller, &from, spec, arguments.optional("reason"))?;
    Ok(reports.iter().flat_map(rows_of).collect())
}

fn forgotten(caller: &Caller, from: &ReadFrom, spec: Spec, reason: Option<&str>) -> Result<Vec<ForgetReport>, OpError> {
    let options = ForgetOptions { dry_run: false, reason: reason.map(str::to_owned) };
    retention::forget(&caller.context, from, &[spec], &options)
}

/// Each snapshot that was named, and whether it was forgotten now.
fn rows_of(report: &ForgetReport) -> impl Iterator<Item = Row> + '_ {
    report.verdicts.iter().map(|one| {
        let changed = report.forgotten.contains(&one.name);
        vec![text(named(report, &one.name)), text(&report.place), flag(changed)]
    })
}

fn named(report: &ForgetReport, name: &SnapshotName) -> String {
    title(&report.database, &name.line, name.number)
}

pub(super) const DROP: Procedure = Procedure {
    name: "sp_backup_drop",
    aliases: &["sp_backup_delete"],
    verbs: &[],
    arguments: &[DATABASE, Argument { name: "backup_id", aliases: &["id"], ..ID }, FROM],
    columns: &[STATUS, SNAPSHOT, PLACE],
    effect: Effect::Changes,
    help: "Forgets a backup, as backup_forget does; its content goes with the next `prune`",
    run: drop_backup,
};

fn drop_backup(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec = caller.backup(arguments.text("backup_id"))?;
    let from = caller.from(arguments.text("from"), arguments.optional("database"))?;
    let reports = forgotten(caller, &from, spec, None)?;
    let row =
        |report: &ForgetReport, name: &SnapshotName| vec![integer(0), text(named(report, name)), text(&report.place)];
    Ok(reports.iter().flat_map(|report| report.verdicts.iter().map(move |one| row(report, &one.name))).collect())
}

pub(super) const RECALL: Procedure = Procedure {
    name: "backup_recall",
    aliases: &[],
    verbs: &[],
    arguments: &[
        Argument { default: Some(Constant::Null), help: "the snapshot; those forgotten last when not said", ..WHICH },
        FROM,
    ],
    columns: &[SNAPSHOT, PLACE],
    effect: Effect::Changes,
    help: "Takes a forgetting back, while nothing was removed",
    run: recall,
};

fn recall(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let specs = arguments.optional("at").map(|at| caller.backup(at)).transpose()?;
    let from = caller.from(arguments.text("from"), None)?;
    let recalled = retention::recall(&caller.context, &from, specs.as_slice())?;
    let place = from.store.remote().name();
    let row = |(database, name): &(crate::base::Name, SnapshotName)| {
        vec![text(title(database, &name.line, name.number)), text(place)]
    };
    Ok(recalled.iter().map(row).collect())
}

pub(super) const APPLY: Procedure = Procedure {
    name: "backup_apply_retention",
    aliases: &[],
    verbs: &[],
    arguments: &[
        Argument {
            default: Some(Constant::Null),
            help: "a remote's name, or . for the local store; every place that has a policy when not said",
            ..FROM
        },
        Argument {
            name: "dry_run",
            aliases: &[],
            kind: Kind::Flag,
            default: Some(Constant::Integer(0)),
            help: "only say what would be done",
        },
    ],
    columns: &[
        Column { name: "keep", kind: Kind::Flag },
        SNAPSHOT,
        PLACE,
        CREATED,
        Column { name: "reasons", kind: Kind::Text },
    ],
    effect: Effect::Changes,
    help: "Forgets what the policy of each place does not keep, and says of every snapshot there why it stays or that it goes",
    run: apply,
};

fn apply(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.own_database(false)?;
    let wanted = arguments.optional("from");
    let options = ForgetOptions { dry_run: arguments.flag("dry_run"), reason: None };
    let policies = retention::policies(&database).iter();
    let chosen: Vec<_> = policies.filter(|(place, _)| wanted.is_none_or(|wanted| wanted == *place)).collect();
    if chosen.is_empty() {
        return Err(RetentionError::NoPolicy { place: wanted.map(str::to_owned) }.into());
    }
    let mut rows = Vec::new();
    for (place, policy) in chosen {
        let report = retention::apply_policy(&caller.context, &caller.from(place, None)?, policy, &options)?;
        rows.extend(report.verdicts.iter().map(|one| {
            let reasons: Vec<String> = one.reasons.iter().map(ToString::to_string).collect();
            vec![
                flag(one.is_kept()),
                text(named(&report, &one.name)),
                text(&report.place),
                text(one.created_at),
                text(reasons.join(", ")),
            ]
        }));
    }
    Ok(rows)
}

pub(super) const HOLD: Procedure = Procedure {
    name: "backup_hold",
    aliases: &[],
    verbs: &[],
    arguments: &[WHICH, REASON, FROM],
    columns: &[SNAPSHOT, PLACE, CHANGED],
    effect: Effect::Changes,
    help: "Holds a snapshot: nothing forgets it until it is released. A hold in the local store goes to remotes with the next \
           sync",
    run: hold,
};

fn hold(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec = caller.backup(arguments.text("at"))?;
    let from = caller.store_for(arguments.text("from"), &spec)?;
    Ok(held(&retention::hold(&caller.context, &from, &spec, arguments.optional("reason"))?))
}

fn held(report: &retention::HoldReport) -> Vec<Row> {
    let snapshot = title(&report.database, &report.snapshot.line, report.snapshot.number);
    vec![vec![text(snapshot), text(&report.place), flag(report.changed)]]
}

pub(super) const RELEASE: Procedure = Procedure {
    name: "backup_release",
    aliases: &[],
    verbs: &[],
    arguments: &[WHICH, FROM],
    columns: &[SNAPSHOT, PLACE, CHANGED],
    effect: Effect::Changes,
    help: "Takes the hold of a snapshot away",
    run: release,
};

fn release(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let spec = caller.backup(arguments.text("at"))?;
    let from = caller.store_for(arguments.text("from"), &spec)?;
    Ok(held(&retention::release(&caller.context, &from, &spec)?))
}

pub(super) const POLICIES: Procedure = Procedure {
    name: "backup_retention",
    aliases: &[],
    verbs: &[],
    arguments: &[DATABASE],
    columns: &[PLACE, Column { name: "policy", kind: Kind::Text }],
    effect: Effect::Reads,
    help: "What is kept at each place that has a policy; . is the local store",
    run: policies,
};

fn policies(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let database = caller.database(arguments, false)?;
    Ok(retention::policies(&database).iter().map(|(place, policy)| vec![text(place), text(policy)]).collect())
}

pub(super) const MARKS: Procedure = Procedure {
    name: "backup_marks",
    aliases: &[],
    verbs: &[],
    arguments: &[FROM],
    columns: &[
        SNAPSHOT,
        Column { name: "mark", kind: Kind::Text },
        Column { name: "since", kind: Kind::Text },
        Column { name: "host", kind: Kind::Text },
        Column { name: "reason", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "The snapshots that are held, or forgotten and not removed yet",
    run: marks,
};

fn marks(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let history = caller.from(arguments.text("from"), None)?.history(&mut Spec::latest())?;
    let row = |one: &crate::format::marks::Marked| {
        vec![
            text(title(&history.database, &one.line, one.number)),
            text(one.mark),
            text(one.since),
            text(&one.host),
            optional(one.reason.as_ref()),
        ]
    };
    Ok(history.marks()?.all().map(|(_, one)| row(one)).collect())
}

pub(super) const STATS: Procedure = Procedure {
    name: "backup_stats",
    aliases: &[],
    verbs: &[],
    arguments: &[FROM],
    columns: &[
        SNAPSHOT,
        CREATED,
        Column { name: "size_bytes", kind: Kind::Integer },
        Column { name: "added_bytes", kind: Kind::Integer },
        Column { name: "unique_bytes", kind: Kind::Integer },
        Column { name: "store_bytes", kind: Kind::Integer },
    ],
    effect: Effect::Reads,
    help: "For each snapshot the bytes of its files, those it added, and those that no other needs; and the bytes of the whole \
           store, the same in each row",
    run: stats,
};

fn stats(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let report = ops::stats(&caller.context, &caller.from(arguments.text("from"), None)?)?;
    let stored: Value = integer(report.stored_bytes());
    let row = |one: &ops::SnapshotShare| {
        vec![
            text(title(&report.database, &one.name.line, one.name.number)),
            text(one.created_at),
            integer(one.size_bytes),
            integer(one.added_bytes),
            integer(one.unique_bytes),
            stored.clone(),
        ]
    };
    Ok(report.snapshots.iter().map(row).collect())
}
