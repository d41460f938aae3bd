//! `pagekeep init`.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::ops::{Database, OpError};
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::{SourceKind, WorkspaceError};

pub(crate) fn run(session: &Session, paths: &[PathBuf], name: Option<String>) -> Result<Output, OpError> {
    if name.is_some() && paths.len() != 1 {
        return Err(WorkspaceError::Setting { reason: "--name goes with one path".into() }.into());
    }
    let name = name.map(|name| session.name(&name)).transpose()?;
    let mut lines = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        // A file that cannot be kept must not get a .pagekeep beside it.
        let full = session.context.current_folder.join(path);
        if full.is_file() {
            let canonical = full.canonicalize().map_err(OpError::io("open", &full))?;
            PinnedDatabase::open(&canonical, session.settings.lock_wait(), &session.context.progress)?;
        }
        let database = Database::at_path(&session.context, path, name.clone(), &session.settings, true)?;
        database.local_store(&session.context)?;
        let kind = match database.config().kind {
            SourceKind::Sqlite => "database",
            SourceKind::Directory => "directory",
        };
        let home = database.workspace.path("");
        lines.push(format!("{} ({kind} {}) in {}", database.name, database.source().display(), home.display()));
        found.push(json!({"name": database.name, "path": database.source(), "kind": kind, "home": home}));
    }
    let next = "next: pagekeep backup add NAME URL, then pagekeep backup sync NAME";
    Ok(Output::new(lines.join("\n"), json!({"databases": found})).say(next))
}
