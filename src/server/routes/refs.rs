//! Tags and lines.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::place::arguments;
use crate::format::refs::{RefKind, RefTarget};
use crate::ops::{self, RefReport, TagOptions, title};
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Cells, Failure, Success, done};
use crate::server::input::{At, Body};

/// Tag or line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    /// A name for a snapshot.
    #[default]
    Tag,
    /// A line of history that starts at a snapshot.
    Line,
}

/// A tag or line to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewRef)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    #[serde(default)]
    pub(crate) kind: Which,
    pub(crate) name: String,
    /// The snapshot, by any of its names; the newest when not said.
    #[serde(default)]
    pub(crate) snapshot: Option<String>,
    /// What is said about a tag.
    #[serde(default)]
    pub(crate) note: Option<String>,
    /// Whether a tag is moved when it stands for another snapshot.
    #[serde(default)]
    pub(crate) force: bool,
}

/// What became of a tag or line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Moved {
    pub(crate) kind: Which,
    pub(crate) name: String,
    /// The snapshot before.
    pub(crate) from: Option<String>,
    /// The snapshot now.
    pub(crate) to: Option<String>,
    /// Whether anything had to be done.
    pub(crate) changed: bool,
}

impl Moved {
    fn of(database: &crate::base::Name, report: &RefReport) -> Self {
        let shown = |target: &RefTarget| title(database, &target.line, target.number);
        Self {
            kind: if report.name.kind == RefKind::Line { Which::Line } else { Which::Tag },
            name: report.name.name.to_string(),
            from: report.before.as_ref().map(shown),
            to: report.after.as_ref().map(shown),
            changed: report.changed,
        }
    }
}

/// The tags, each with its snapshot, and the lines, each with its newest: the rows of `backup_refs`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/refs", tag = "refs", params(("database" = String, Path)), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(crate) async fn list(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Vec<Cells>> {
    let shared = Arc::clone(&server);
    let rows = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        Ok::<_, Failure>(place.call("backup_refs", arguments([]))?.to_objects().into_iter().map(Cells).collect())
    });
    done(rows.await?)
}

/// Names a snapshot, or starts a line at one.
#[utoipa::path(post, path = "/api/v1/databases/{database}/refs", tag = "refs", params(("database" = String, Path)), request_body = New, responses((status = 200, body = Success<Moved>)))]
pub(crate) async fn set(State(server): Shared, who: Who, At(name): At<String>, Body(new): Body<New>) -> Answer<Moved> {
    let shared = Arc::clone(&server);
    let moved = server.pool.run(move || {
        let place = shared.place(&who, Scope::Backup, &name)?;
        let spec = place.spec(new.snapshot.as_deref().unwrap_or("latest"))?;
        let mut history = place.history()?;
        history.line = spec.line.clone().unwrap_or(history.line);
        let (context, database) = (&place.caller.context, &place.database);
        let report = match new.kind {
            Which::Tag => {
                let options = TagOptions { note: new.note, force: new.force };
                ops::set_tag(context, database, &history, &new.name, &spec, options)?
            }
            Which::Line => ops::create_line(context, database, &history, &new.name, &spec)?,
        };
        Ok::<_, Failure>(Moved::of(&database.name, &report))
    });
    done(moved.await?)
}

/// Takes a tag or a line away; the snapshots stay, and `undo` brings it back.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/refs/{kind}/{name}", tag = "refs", params(("database" = String, Path), ("kind" = Which, Path), ("name" = String, Path)), responses((status = 200, body = Success<Moved>)))]
pub(crate) async fn delete(
    State(server): Shared,
    who: Who,
    At((name, kind, called)): At<(String, Which, String)>,
) -> Answer<Moved> {
    let shared = Arc::clone(&server);
    let moved = server.pool.run(move || {
        let place = shared.place(&who, Scope::Restore, &name)?;
        let (context, database) = (&place.caller.context, &place.database);
        let report = match kind {
            Which::Tag => ops::delete_tag(context, database, &called)?,
            Which::Line => ops::delete_line(context, database, &called, false)?,
        };
        Ok::<_, Failure>(Moved::of(&database.name, &report))
    });
    done(moved.await?)
}
