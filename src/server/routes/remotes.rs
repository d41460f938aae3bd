//! Named remotes: listed, added, forgotten, synced with.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Shared;
use super::place::{Place, arguments};
use super::work::{Beginning, JobView};
use crate::base::Name;
use crate::ops::{OpError, RemovedRemote};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Cells, Failure, Success, done};
use crate::server::input::{Asked, At, Body};

/// A remote to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewRemote)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    pub(crate) name: String,
    /// file:///path below one of the roots, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    pub(crate) url: String,
    /// A database there whose history this one, a copy of it, goes on with.
    #[serde(default)]
    pub(crate) join: Option<String>,
}

/// How to sync.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct How {
    /// What is said about a snapshot, if one is made.
    pub(crate) note: Option<String>,
    /// When another machine wrote first: go on after its snapshots.
    pub(crate) rebase: bool,
}

/// A remote that was forgotten.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemovedRemote)]
pub(crate) struct Removed {
    pub(crate) remote: String,
    pub(crate) url: String,
    /// What the store here lacks without it.
    pub(crate) warnings: Vec<String>,
}

/// Whose a folder's remotes are: they belong to all databases that are kept there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sharing {
    /// Those that somebody may know of, by their names here.
    pub(crate) databases: Vec<String>,
    /// How many others there are.
    pub(crate) others: usize,
}

impl Server {
    /// Who shares the remotes of a database.
    pub(crate) fn sharing(&self, who: &Who, place: &Place) -> Sharing {
        let (workspace, entries) = (&place.database.workspace, self.catalog.entries());
        let mut found = Sharing { databases: Vec::new(), others: 0 };
        for handle in workspace.config.databases.keys() {
            let mut names = entries.iter().filter(|(_, at)| at.home == workspace.home() && at.handle == *handle);
            match names.find(|(name, _)| who.sees(name)) {
                Some((name, _)) => found.databases.push(name.to_string()),
                // One that is not served is nobody's whose databases are named.
                None if who.databases.is_empty() => found.databases.push(handle.to_string()),
                None => found.others += 1,
            }
        }
        found
    }

    /// Whether somebody may add and remove remotes of a database.
    ///
    /// # Errors
    /// When these are other databases' remotes, too, with which they have nothing to do.
    pub(crate) fn may_share(&self, who: &Who, place: &Place) -> Result<(), Failure> {
        let others = self.sharing(who, place).others;
        if others == 0 {
            return Ok(());
        }
        let of = if others == 1 { "1 other database".into() } else { format!("{others} other databases") };
        let told = "remotes belong to all databases that are kept in one folder";
        Err(Failure::forbidden(format!("{told}, and {} has nothing to do with {of} of this one", who.name))
            .hint("let somebody do it who may do everything with all of them: pagekeep token create --scope admin"))
    }
}

/// The remotes, with what is known of each without asking it: the rows of `backups`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/remotes", tag = "remotes", params(("database" = String, Path)), responses((status = 200, body = Success<Vec<Cells>>)))]
pub(crate) async fn list(State(server): Shared, who: Who, At(name): At<String>) -> Answer<Vec<Cells>> {
    let shared = Arc::clone(&server);
    let rows = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        Ok::<_, Failure>(place.call("backups", arguments([]))?.to_objects().into_iter().map(Cells).collect())
    });
    done(rows.await?)
}

/// Begins to add a remote to all databases of a folder: it is contacted and probed, and a store is made there when there is none.
#[utoipa::path(post, path = "/api/v1/databases/{database}/remotes", tag = "remotes", params(("database" = String, Path), Beginning), request_body = New, responses((status = 202, body = Success<JobView>)))]
pub(crate) async fn add(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(beginning): Asked<Beginning>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let (remote, url) = (new.name.clone(), new.url.clone());
    let (shared, asking) = (Arc::clone(&server), who.clone());
    let makes_sense = move |place: &Place| {
        shared.may_share(&asking, place)?;
        let remote = Name::new(&remote).map_err(|error| Failure::usage(error.to_string()))?;
        place.caller.context.parse_url(&url)?;
        match place.database.remote_names().contains(&remote) {
            true => Err(OpError::BackupExists { name: remote }.into()),
            false => Ok(()),
        }
    };
    let given = [
        ("verb", Some(json!("add"))),
        ("name", Some(json!(new.name))),
        ("url", Some(json!(new.url))),
        ("join", new.join.map(|join| json!(join))),
    ];
    begin(server, who, Scope::Admin, name, arguments(given), beginning, makes_sense).await
}

/// Forgets a remote of all databases of its folder; what lies there stays.
#[utoipa::path(delete, path = "/api/v1/databases/{database}/remotes/{remote}", tag = "remotes", params(("database" = String, Path), ("remote" = String, Path)), responses((status = 200, body = Success<Removed>)))]
pub(crate) async fn remove(
    State(server): Shared,
    who: Who,
    At((name, remote)): At<(String, String)>,
) -> Answer<Removed> {
    let shared = Arc::clone(&server);
    let gone = server.pool.run(move || {
        let mut place = shared.place(&who, Scope::Admin, &name)?;
        shared.may_share(&who, &place)?;
        let RemovedRemote { name, url, warnings } = place.database.remove_remote(&place.caller.context, &remote)?;
        Ok::<_, Failure>(Removed { remote: name.to_string(), url, warnings })
    });
    done(gone.await?)
}

/// Begins to sync with a remote: a snapshot if anything changed, then the remote is up to date.
#[utoipa::path(post, path = "/api/v1/databases/{database}/remotes/{remote}/sync", tag = "remotes", params(("database" = String, Path), ("remote" = String, Path), Beginning), request_body = How, responses((status = 202, body = Success<JobView>)))]
pub(crate) async fn sync(
    State(server): Shared,
    who: Who,
    At((name, remote)): At<(String, String)>,
    Asked(beginning): Asked<Beginning>,
    Body(how): Body<How>,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let wanted = remote.clone();
    let makes_sense = move |place: &Place| place.knows(Some(&wanted));
    let given = [
        ("verb", Some(json!("sync"))),
        ("name", Some(json!(remote))),
        ("note", how.note.map(|note| json!(note))),
        ("rebase", Some(json!(how.rebase))),
    ];
    begin(server, who, Scope::Backup, name, arguments(given), beginning, makes_sense).await
}

async fn begin(
    server: Arc<Server>,
    who: Who,
    scope: Scope,
    name: String,
    given: serde_json::Map<String, Value>,
    beginning: Beginning,
    makes_sense: impl FnOnce(&Place) -> Result<(), Failure> + Send + 'static,
) -> Result<(StatusCode, Answer<JobView>), Failure> {
    let shared = Arc::clone(&server);
    let job = server.pool.run(move || {
        let place = shared.place(&who, scope, &name)?;
        makes_sense(&place)?;
        let job = shared.begin(&place, place.task("backup", given), beginning.if_busy)?;
        Ok::<_, Failure>(JobView::of(&place.database.workspace, &place.name, &job))
    });
    Ok((StatusCode::ACCEPTED, done(job.await?)))
}
