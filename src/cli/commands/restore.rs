//! `pagekeep backup restore`.

use std::path::Path;

use serde_json::json;

use crate::cli::output::{Output, count, size, time};
use crate::cli::session::Session;
use crate::map::State;
use crate::ops::{self, Known, OpError, RestoreOptions, Spec};

pub(super) fn run(
    session: &Session,
    from: &str,
    destination: &Path,
    at: Option<&str>,
    force: bool,
) -> Result<Output, OpError> {
    let from = session.from(from)?;
    let mut spec = at.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let history = from.history(&mut spec)?;
    let record = history.resolve(&spec)?;
    let state = State::load(&history.store, record)?;
    let kept = from.database.filter(|_| force);
    let known = kept.and_then(|database| Known::at(&session.context, &database, destination));
    let options = RestoreOptions { force, known, ids_path: None };
    let report = ops::restore(&session.context, &history.store, &state, destination, options)?;

    let name = ops::title(&history.database, &state.header.line, report.number);
    let fetched = size(report.requests.received_bytes);
    let said = format!(
        "Downloaded {fetched} of {fetched}, restored {name} ({}, {} files) to {} in {}",
        size(report.size_bytes),
        count(report.files),
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
    Ok(output)
}
