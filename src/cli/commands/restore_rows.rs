//! `pagekeep restore-rows`.

use std::io::{Read, Seek};

use serde_json::json;

use crate::cli::args::{OnConflict, RestoreRows};
use crate::cli::output::{Output, count};
use crate::cli::session::Session;
use crate::ops::diff::{self, RestoreRowsOptions, Shelf};
use crate::ops::{OpError, ReadFrom};

pub(crate) fn run(session: &Session, wanted: &RestoreRows) -> Result<Output, OpError> {
    let context = &session.context;
    let mut spec = context.spec(&wanted.spec)?;
    let ReadFrom { store, database, .. } = session.from(wanted.from.as_deref().unwrap_or(".".as_ref()))?;
    let shelf = Shelf::open(context, store, &mut spec, database)?;
    let snapshot = shelf.snapshot(&spec, wanted.file.as_deref())?;
    let options = RestoreRowsOptions {
        tables: wanted.tables.clone(),
        condition: wanted.condition.clone(),
        on_conflict: match wanted.on_conflict {
            OnConflict::Abort => diff::OnConflict::Abort,
            OnConflict::Skip => diff::OnConflict::Skip,
            OnConflict::Replace => diff::OnConflict::Replace,
        },
        dry_run: wanted.dry_run,
        into: wanted.into.as_ref().map(|path| context.current_folder.join(path)),
        lock_wait: session.settings.lock_wait(),
    };
    let scratch = std::env::temp_dir();
    let mut report = diff::restore_rows(context, &shelf, &snapshot, &options, &scratch)?;
    let path = report.into.clone();
    let name = snapshot.name();
    let json = json!({
        "snapshot": name,
        "into": path.display().to_string(),
        "dry_run": wanted.dry_run,
        "missing": report.missing,
        "conflicts": report.conflicts,
        "some_conflicts": report.told,
        "tables_made": report.tables_made,
        "written": report.written,
        "broken_references": report.broken_references,
    });
    let mut text = String::new();
    if wanted.dry_run {
        let mut read = || report.sql.rewind().and_then(|()| report.sql.read_to_string(&mut text));
        read().map_err(|source| OpError::Io { verb: "read", path: scratch.clone(), source })?;
        let statements: String = text.split_terminator('\0').map(|statement| format!("{statement};\n")).collect();
        text = if statements.is_empty() { statements } else { format!("BEGIN IMMEDIATE;\n{statements}COMMIT;\n") };
    }
    let mut output = Output::new(text, json).say(format!(
        "{name}: {} rows are missing in {}, {} are there with other values",
        count(report.missing),
        path.display(),
        count(report.conflicts)
    ));
    if !report.told.is_empty() {
        output = output.say(format!("with other values: {}", report.told.join(", ")));
    }
    if wanted.dry_run {
        return Ok(output.say("nothing was written"));
    }
    output = output.say(format!("{} rows written", count(report.written)));
    if report.broken_references > 0 {
        output = output.say(format!(
            "{} rows now refer to rows that are not there: see PRAGMA foreign_key_check",
            count(report.broken_references)
        ));
    }
    Ok(output)
}
