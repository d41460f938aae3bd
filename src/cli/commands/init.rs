//! `pagekeep init`.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::ops::{Database, OpError};
use crate::workspace::{SourceKind, WorkspaceError};

pub(crate) fn run(session: &Session, paths: &[PathBuf], name: Option<String>) -> Result<Output, OpError> {
    if name.is_some() && paths.len() != 1 {
        return Err(WorkspaceError::Setting { reason: "--name goes with one path".into() }.into());
    }
    let name = name.map(|name| session.name(&name)).transpose()?;
    let mut lines = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        let database = Database::at_path(&session.context, path, name.clone(), &session.settings, true)?;
        database.local_store(&session.context)?;
        let kind = match database.config().kind {
            SourceKind::Sqlite => "database",
            SourceKind::Directory => "directory",
        };
        let home = database.workspace.path("");
        lines.push(format!("{} ({kind} {}) in {}", database.name, database.source().display(), home.display()));
        found.push(json!({"name": database.name, "path": database.source().display().to_string(), "kind": kind,
            "home": home.display().to_string()}));
    }
    let next = "next: pagekeep backup add NAME URL, then pagekeep backup sync NAME";
    Ok(Output::new(lines.join("\n"), json!({"databases": found})).say(next))
}
