//! `pagekeep backup restore`.

use std::path::Path;

use serde_json::json;

use crate::cli::output::{Output, count, size, time};
use crate::cli::session::Session;
use crate::map::State;
use crate::ops::{self, Database, History, Known, OpError, RestoreOptions, Spec};
use crate::workspace::ids::IdsFile;

pub(super) fn run(
    session: &Session,
    from: &str,
    destination: &Path,
    at: Option<&str>,
    force: bool,
) -> Result<Output, OpError> {
    let (remote, database) = session.from(from)?;
    let mut spec = at.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let history = History::find_for(remote.store.clone(), &mut spec, database.as_ref())?;
    let record = history.resolve(&spec)?;
    let state = State::load(&history.store, record)?;
    let known = database.filter(|_| force).and_then(|database| known(session, &database, destination));
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

/// What is remembered about the file that is about to be replaced, when it is the database kept here.
fn known(session: &Session, database: &Database, destination: &Path) -> Option<Known> {
    let destination = session.context.current_folder.join(destination).canonicalize().ok()?;
    if database.source().canonicalize().ok()? != destination {
        return None;
    }
    let memory = database.workspace.recall_database(&database.handle)?;
    let local = database.local_store(&session.context).ok()?;
    let record = local.record(&database.name, database.line_of(&memory), memory.number).ok()?;
    let state = State::load(&local, record).ok()?;
    let ids = IdsFile::open(&database.workspace.ids_path(&database.handle))?;
    Some(Known { state, ids })
}
