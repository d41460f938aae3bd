//! `pagekeep backup restore`.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::json;

use crate::cli::output::{Output, counted, size, time};
use crate::cli::session::Session;
use crate::ops::{self, Database, OpError, RestoreReport, Spec};
use crate::procedures::file_name;

pub(super) fn run(
    session: &Session,
    from: &str,
    destination: &Path,
    at: Option<&str>,
    force: bool,
) -> Result<Output, OpError> {
    let spec = at.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let from = session.store_for(&spec, from)?;
    let (name, report) = from.restore(&session.context, &spec, destination, force)?;

    Ok(told(name, report))
}

/// A snapshot from wherever its content is; without a path in this folder, named after it.
pub(super) fn download(session: &Session, snapshot: &str, path: Option<&Path>, force: bool) -> Result<Output, OpError> {
    let spec = session.caller().backup(snapshot)?;
    let named = spec.database.as_ref().map(|name| OsStr::new(name.as_str()));
    let wanted = session.globals.db.as_deref().or(named);
    let database = Database::find(&session.context, wanted, &session.settings, false)?;
    let path = path.map_or_else(|| file_name(&database.name, &spec.text), Path::to_owned);
    let (name, report) = ops::restore_kept(&session.context, &database, &spec, &path, force)?;
    Ok(told(name, report))
}

fn told(name: String, report: RestoreReport) -> Output {
    let fetched = size(report.requests.received_bytes);
    let said = format!(
        "Downloaded {fetched} of {fetched}, restored {name} ({}, {}) to {} in {}",
        size(report.size_bytes),
        counted(report.files, "file"),
        report.path.display(),
        time(report.elapsed)
    );
    let json = json!({
        "snapshot": name,
        "id": report.id,
        "path": report.path.display().to_string(),
        "size_bytes": report.size_bytes,
        "reused_bytes": report.reused_bytes,
        "downloaded_bytes": report.requests.received_bytes,
        "requests": report.requests,
        "set_aside": report.set_aside.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "duration_ms": report.elapsed.as_millis() as u64,
    });
    let mut output = Output::new(name, json).say(said);
    if report.reused_bytes > 0 {
        output = output.say(format!("{} were there already", size(report.reused_bytes)));
    }
    for path in &report.set_aside {
        output = output.say(format!("what was there before is in {}", path.display()));
    }
    output
}
