//! `pagekeep restore-rows`.

use std::io::{Read, Seek};

use serde_json::json;

use crate::cli::args::{OnConflict, RestoreRows};
use crate::cli::output::{Output, counted};
use crate::cli::session::Session;
use crate::ops::diff::{self, RestoreRowsOptions, Shelf};
use crate::ops::{OpError, ReadFrom};

pub(crate) fn run(session: &Session, wanted: &RestoreRows) -> Result<Output, OpError> {
    let context = &session.context;
    let mut spec = context.spec(&wanted.spec)?;
    let ReadFrom { store, database, .. } = session.store_for(&spec, wanted.from.as_deref().unwrap_or(".".as_ref()))?;
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
        "clashes": report.clashes,
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
        "{name}: {} missing in {}, {} there with other values",
        are(report.missing),
        path.display(),
        are(report.conflicts)
    ));
    if report.clashes > 0 {
        let (rows, clash) =
            (counted(report.clashes, "missing row"), if report.clashes == 1 { "clashes" } else { "clash" });
        output = output.say(format!("{rows} {clash} with others: what must be unique is taken"));
    }
    if !report.told.is_empty() {
        output = output.say(format!("in conflict: {}", report.told.join(", ")));
    }
    if wanted.dry_run {
        return Ok(output.say("nothing was written"));
    }
    output = output.say(format!("{} written", counted(report.written, "row")));
    if report.broken_references > 0 {
        output = output.say(format!(
            "{} now without the row referred to: see PRAGMA foreign_key_check",
            are(report.broken_references)
        ));
    }
    Ok(output)
}

fn are(rows: u64) -> String {
    format!("{} {}", counted(rows, "row"), if rows == 1 { "is" } else { "are" })
}
