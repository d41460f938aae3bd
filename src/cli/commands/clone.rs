//! `pagekeep clone`.

use std::path::Path;

use serde_json::json;

use crate::cli::output::{Output, count, size};
use crate::cli::session::Session;
use crate::ops::{self, OpError};

pub(crate) fn run(session: &Session, url: &str, folder: &Path) -> Result<Output, OpError> {
    let url = session.context.parse_url(url)?;
    let remote = session.context.open_url(&url, false)?;
    let report = ops::clone(&session.context, &remote, folder)?;
    let paths: Vec<String> = report.databases.iter().map(|(_, path)| path.display().to_string()).collect();
    let json = json!({
        "objects": report.objects,
        "downloaded_bytes": report.bytes,
        "databases": report.databases.iter().map(|(name, path)| json!({"name": name, "path": path.display().to_string()})).collect::<Vec<_>>(),
    });
    let said = format!("Downloaded {} objects, {}", count(report.objects), size(report.bytes));
    Ok(Output::new(paths.join("\n"), json)
        .say(said)
        .say("the remote's name here is origin: pagekeep backup sync origin"))
}
