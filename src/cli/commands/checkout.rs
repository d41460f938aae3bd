//! `pagekeep checkout`.

use std::path::Path;

use serde_json::json;

use crate::cli::output::{Output, size, time};
use crate::cli::session::Session;
use crate::ops::{self, CheckoutOptions, OpError, title};

pub(crate) fn run(
    session: &Session,
    spec: &str,
    destination: &Path,
    line: Option<&str>,
    from: Option<&str>,
) -> Result<Output, OpError> {
    let mut spec = session.context.spec(spec)?;
    let database = session.database_of(&spec)?;
    let history = session.store_for(&spec, from.unwrap_or("."))?.history(&mut spec)?;
    let options = CheckoutOptions { new_line: line.map(|line| session.name(line)).transpose()? };
    let report = ops::checkout(&session.context, &database, &history, &spec, destination, &options)?;
    let restored = &report.restored;
    let name = title(&database.name, &report.snapshot.line, report.snapshot.number);
    let path = restored.path.display();
    let json = json!({
        "snapshot": name, "id": restored.id, "path": path.to_string(), "database": report.copy.name,
        "name": report.copy.handle, "line": report.line, "created": report.created,
        "home": report.copy.workspace.path("").display().to_string(),
        "size_bytes": restored.size_bytes, "duration_ms": restored.elapsed.as_millis() as u64,
    });
    let made = if report.created { ", which starts here" } else { "" };
    Ok(Output::new(path.to_string(), json)
        .say(format!("Restored {name} ({}) to {path} in {}", size(restored.size_bytes), time(restored.elapsed)))
        .say(format!("snapshots of it continue the line {}{made}: pagekeep --db {path} backup create", report.line)))
}
