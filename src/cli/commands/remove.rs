//! `pagekeep remove`.

use std::ffi::OsString;

use serde_json::json;

use crate::cli::output::{Output, counted};
use crate::cli::session::Session;
use crate::ops::{self, Database, OpError, RemoveReport};

pub(crate) fn run(session: &Session, wanted: &[OsString]) -> Result<Output, OpError> {
    let find = |text: &OsString| Database::find(&session.context, Some(text.as_os_str()), &session.settings, false);
    // All are found before the first goes.
    let databases = wanted.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let remove = |database| ops::remove(&session.context, database);
    let reports = databases.into_iter().map(remove).collect::<Result<Vec<_>, _>>()?;
    let text: Vec<&str> = reports.iter().map(|report| report.database.handle.as_str()).collect();
    let json = reports.iter().map(|report| {
        json!({"name": report.database.handle, "database": report.database.name,
            "path": report.database.source().display().to_string(), "snapshots": report.snapshots})
    });
    let output = Output::new(text.join("\n"), json!({"removed": json.collect::<Vec<_>>()}));
    Ok(reports.iter().map(said).fold(output, Output::say))
}

fn said(report: &RemoveReport) -> String {
    let RemoveReport { database, snapshots } = report;
    let (file, store) = (database.source(), database.workspace.path("store"));
    let (file, store) = (file.display(), store.display());
    let again = match database.config().database {
        Some(_) => String::new(),
        None => format!("; begin again: pagekeep init {file} --name {}", database.name),
    };
    format!(
        "{} is kept no longer; {file} is as it was, and {} of '{}' stay in {store}{again}",
        database.handle,
        counted(*snapshots as u64, "snapshot"),
        database.name,
    )
}
