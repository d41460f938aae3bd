//! The table of tags and lines.

use super::arguments::Arguments;
use super::rows::{Row, optional, text};
use super::tables::FROM;
use super::{Caller, Column, Effect, Kind, Procedure, Value};
use crate::format::refs::RefTarget;
use crate::ops::{self, History, OpError, Refs, Spec, title};

pub(super) const BACKUP_REFS: Procedure = Procedure {
    name: "backup_refs",
    aliases: &[],
    verbs: &[],
    arguments: &[FROM],
    columns: &[
        Column { name: "kind", kind: Kind::Text },
        Column { name: "name", kind: Kind::Text },
        Column { name: "snapshot", kind: Kind::Text },
        Column { name: "starts_at", kind: Kind::Text },
        Column { name: "set_at", kind: Kind::Text },
        Column { name: "host", kind: Kind::Text },
        Column { name: "note", kind: Kind::Text },
    ],
    effect: Effect::Reads,
    help: "The tags, each with the snapshot it stands for, and the lines, each with its newest snapshot and where it starts",
    run: backup_refs,
};

fn backup_refs(caller: &Caller, arguments: &Arguments) -> Result<Vec<Row>, OpError> {
    let history = caller.from(arguments.text("from"), None)?.history(&mut Spec::latest())?;
    let place = |target: &RefTarget| title(&history.database, &target.line, target.number);
    let refs = Refs::load(&history.store, &history.database)?;
    let tags = refs.tags().map(|(name, record, target)| {
        let header = &record.header;
        vec![
            text("tag"),
            text(name),
            text(place(target)),
            Value::Null,
            text(header.created_at),
            text(&header.host),
            optional(header.note.as_ref()),
        ]
    });
    let mut rows: Vec<Row> = tags.collect();
    for line in ops::lines(&history.store, &history.database)?.into_iter().filter(|line| !line.deleted) {
        let newest = History { line: line.name.clone(), ..history.clone() }.list(1)?.into_iter().next();
        let header = line.record.as_ref().map(|record| &record.header);
        rows.push(vec![
            text("line"),
            text(&line.name),
            optional(newest.map(|one| title(&one.header.database, &one.header.line, one.header.number))),
            optional(line.start.as_ref().map(place)),
            optional(header.map(|header| header.created_at)),
            optional(header.map(|header| &header.host)),
            optional(header.and_then(|header| header.note.as_ref())),
        ]);
    }
    Ok(rows)
}
