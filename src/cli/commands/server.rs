//! `pagekeep backup … --server`: the same work, done by a server; shown as if it were done here.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::backup::{nothing_new, stored};
use super::{connect, jobs, log, status, sync};
use crate::base::{Name, SnapshotNumber};
use crate::cli::args::{About, Backup, Delete};
use crate::cli::output::{Output, size, time};
use crate::cli::session::Session;
use crate::client::{Kept, Remote, Server};
use crate::ops::{OpError, RemoteStatus};
use crate::workspace::{Job, WorkspaceError, duration};

/// A server, and how it is worked with.
struct There<'a> {
    session: &'a Session,
    server: Server,
    /// Whether a job is waited for.
    waits: bool,
}

pub(crate) fn run(session: &Session, server: &str, no_wait: bool, command: Option<Backup>) -> Result<Output, OpError> {
    let not_there = |what: &str| {
        let reason = format!("`pagekeep backup{what}` does nothing on a server");
        Err(OpError::BadCall { reason, hint: "run it on the server's machine, in the database's folder".into() })
    };
    let server = match &command {
        None => return not_there(""),
        Some(Backup::Add { .. }) => return not_there(" add"),
        Some(Backup::Remove { .. }) => return not_there(" remove"),
        Some(Backup::SyncUrl { .. }) => return not_there(" sync-url"),
        Some(Backup::Reset(_)) => return not_there(" reset"),
        Some(Backup::Configure(_)) => return not_there(" configure"),
        Some(_) => connect::server(session, server)?,
    };
    let there = There { session, server, waits: !no_wait };
    match command.expect("BUG: looked at above") {
        Backup::Create { name, about } => there.create(name.is_some(), &about),
        Backup::List { from } => there.list(from.is_some()),
        Backup::Status { id: Some(id), .. } => there.job(&id),
        Backup::Status { id: None, max_age } => there.status(&max_age),
        Backup::Sync { name, rebase, about, .. } => there.sync(name.as_deref(), rebase, &about),
        Backup::Restore { from, destination, at, force, live } => {
            let from = from.as_deref().map(|from| session.address(from)).transpose()?;
            let here = destination.is_some() || force || live.is_more();
            there.restore(from.as_deref().or(at.as_deref()), here || from.is_some() && at.is_some())
        }
        Backup::Download { snapshot, path, force, file } => {
            there.download(&snapshot, path.as_deref(), file.as_deref(), force)
        }
        Backup::Upload { path, note } => there.upload(&path, note.as_deref()),
        Backup::Cancel { id } => there.cancel(&id),
        Backup::History => there.history(),
        Backup::Delete(wanted) => there.delete(&wanted),
        _ => unreachable!("BUG: refused above"),
    }
}

impl There<'_> {
    /// The name of the database that is meant.
    fn database(&self, snapshot: Option<&str>) -> Result<String, OpError> {
        let given = self.session.globals.db.as_deref().map(|name| self.session.address(name)).transpose()?;
        self.server.database(given.as_deref(), snapshot)
    }

    /// Waits for a job and shows how far it is. Nothing when it is not to be waited for.
    fn end_of(&self, job: &Job) -> Result<Option<Job>, OpError> {
        let show = |job: &Job| self.session.show_progress(&job.progress);
        if !self.waits {
            return Ok(None);
        }
        self.server.follow(&job.id, &show).map(Some)
    }

    fn begun(&self, job: &Job) -> Output {
        let look = format!("see how far it is: pagekeep backup status {} --server", job.id);
        Output::new(job.id.clone(), json!({"job": job})).say(look)
    }

    fn create(&self, named: bool, about: &About) -> Result<Output, OpError> {
        if named || !about.labels.is_empty() {
            let reason = "a snapshot made by a server takes no name and no labels".to_owned();
            return Err(OpError::BadCall { reason, hint: "say it in --note".into() });
        }
        let started = Instant::now();
        let database = self.database(None)?;
        let job = self.server.begin_create(&database, about.note.as_deref())?;
        match self.end_of(&job)? {
            Some(job) => self.made(&database, &job, true, started),
            None => Ok(self.begun(&job)),
        }
    }

    fn upload(&self, path: &Path, note: Option<&str>) -> Result<Output, OpError> {
        let started = Instant::now();
        let database = self.database(None)?;
        let job = self.server.begin_upload(&database, &self.session.context.current_folder.join(path), note)?;
        match self.end_of(&job)? {
            Some(job) => self.made(&database, &job, is_true(&cell(&job, "changed")), started),
            None => Ok(self.begun(&job)),
        }
    }

    fn made(&self, database: &str, job: &Job, changed: bool, started: Instant) -> Result<Output, OpError> {
        let kept = self.server.snapshot(database, job.snapshot.as_deref().unwrap_or("latest"))?;
        let mut json = kept_json(&kept);
        json["database"] = json!(database);
        json["changed"] = json!(changed);
        json["stored_bytes"] = json!(if changed { kept.added_bytes } else { 0 });
        json["job"] = json!(job.id);
        let said = match changed {
            true => stored(kept.added_bytes, kept.new_chunks, kept.chunks, started.elapsed()),
            false => nothing_new(&kept.snapshot),
        };
        Ok(Output::new(kept.snapshot, json).say(said))
    }

    fn list(&self, from: bool) -> Result<Output, OpError> {
        if from {
            let reason = "--from and --server name two places".to_owned();
            return Err(OpError::BadCall { reason, hint: "leave one of them out".into() });
        }
        let database = self.database(None)?;
        let mut places = self.server.places(&database)?;
        let lines = self.server.snapshots(&database)?.into_iter().map(|one| {
            let place = places.remove(&one.snapshot).unwrap_or_default();
            let mut json = kept_json(&one);
            json["where"] = json!(place);
            log::Line {
                id: one.snapshot,
                name: one.labels.get("name").cloned().unwrap_or_default(),
                size_bytes: one.size_bytes,
                created_at: one.created_at,
                place,
                json,
            }
        });
        Ok(log::table(lines.collect()))
    }

    fn status(&self, max_age: &str) -> Result<Output, OpError> {
        let max_age = duration(max_age).map_err(|reason| WorkspaceError::Setting { reason })?;
        let database = self.database(None)?;
        let summary = self.server.summary(&database)?;
        let remotes = self.server.remotes(&database)?;
        let all: Vec<RemoteStatus> = remotes.into_iter().map(|one| standing(one, max_age)).collect();
        let place =
            summary.snapshot.as_deref().and_then(|name| name.rsplit_once('@')).map(|(place, _)| place.to_owned());
        let place = place.unwrap_or_else(|| summary.name.clone());
        let mut output = status::table(&all, |number| format!("{place}@{number}"));
        output.json["database"] = json!(summary.name);
        output.json["snapshot"] = json!(summary.snapshot);
        output = status::with_troubles(&summary.troubles(), output);
        if let Some(to) = &summary.restoring {
            output.json["restoring"] = json!(to);
            output.exit = crate::cli::exit::STALE;
            let once_more = format!("once more: pagekeep backup restore {to} --server");
            output = output.say(format!("restoring: {database} was to become {to}")).say(once_more);
        }
        Ok(output)
    }

    fn sync(&self, remote: Option<&str>, rebase: bool, about: &About) -> Result<Output, OpError> {
        if !about.labels.is_empty() || rebase && remote.is_none() {
            let reason = "on a server, a sync takes no labels, and --rebase goes with one remote".to_owned();
            return Err(OpError::BadCall { reason, hint: "say what is to be known in --note".into() });
        }
        let started = Instant::now();
        let database = self.database(None)?;
        let job = self.server.begin_sync(&database, remote, about.note.as_deref(), rebase)?;
        let Some(job) = self.end_of(&job)? else { return Ok(self.begun(&job)) };
        let name = job.snapshot.clone().unwrap_or_default();
        let json = json!({"database": database, "snapshot": name, "job": job.id, "result": job.result});
        let said = if remote.is_some() {
            let number = |column: &str| cell(&job, column).as_u64().unwrap_or(0);
            let made = match is_true(&cell(&job, "changed")) {
                true => Some((number("new_chunks"), self.server.snapshot(&database, &name)?.chunks)),
                false => None,
            };
            let url = cell(&job, "url").as_str().or(remote).unwrap_or_default().to_owned();
            let elapsed = Duration::from_millis(number("duration_ms"));
            sync::closing(&name, &url, number("uploaded_bytes"), made, number("pushed") as usize, elapsed)
        } else {
            format!("{name} is kept, and at every remote ({})", time(started.elapsed()))
        };
        Ok(Output::new(name, json).say(said))
    }

    fn restore(&self, snapshot: Option<&str>, is_other: bool) -> Result<Output, OpError> {
        let Some(snapshot) = snapshot.filter(|_| !is_other) else {
            let reason = "with --server, restore puts the database there back to a snapshot, and takes nothing else";
            let hint =
                "pagekeep backup restore app@3 --server; for a file here: pagekeep backup download app@3 --server";
            return Err(OpError::BadCall { reason: reason.into(), hint: hint.into() });
        };
        let started = Instant::now();
        let database = self.database(Some(snapshot))?;
        let job = self.server.begin_restore(&database, snapshot)?;
        let Some(job) = self.end_of(&job)? else { return Ok(self.begun(&job)) };
        let name = job.snapshot.clone().unwrap_or_default();
        let safety = cell(&job, "safety");
        let json = json!({
            "snapshot": name,
            "path": cell(&job, "path"),
            "safety": safety,
            "size_bytes": cell(&job, "size_bytes"),
            "reused_bytes": cell(&job, "reused_bytes"),
            "duration_ms": cell(&job, "duration_ms"),
            "job": job.id,
        });
        let elapsed = time(started.elapsed());
        let mut output = Output::new(name.clone(), json)
            .say(format!("{database} at {} is {name} now, in {elapsed}", self.server.address));
        if let Some(safety) = safety.as_str() {
            let back = format!("pagekeep backup restore {safety} --server");
            output = output.say(format!("the state before is {safety}; go back: {back}"));
        }
        Ok(output)
    }

    fn download(
        &self,
        snapshot: &str,
        path: Option<&Path>,
        file: Option<&str>,
        force: bool,
    ) -> Result<Output, OpError> {
        let started = Instant::now();
        let database = self.database(Some(snapshot))?;
        let folder = &self.session.context.current_folder;
        let done = self.server.download(&database, snapshot, file, path, folder, force)?;
        let elapsed = started.elapsed();
        let (fetched, name) = (size(done.size_bytes), done.kept.snapshot.clone());
        let said = format!(
            "Downloaded {fetched} of {fetched}, restored {name} ({fetched}, 1 file) to {} in {}",
            done.path.display(),
            time(elapsed)
        );
        let json = json!({
            "snapshot": name,
            "id": done.kept.id,
            "path": done.path.display().to_string(),
            "size_bytes": done.size_bytes,
            "downloaded_bytes": done.size_bytes,
            "duration_ms": elapsed.as_millis() as u64,
        });
        Ok(Output::new(name, json).say(said))
    }

    fn job(&self, id: &str) -> Result<Output, OpError> {
        let job = self.server.job(id)?;
        Ok(Output::new(jobs::lines(&job).join("\n"), json!(job)))
    }

    fn cancel(&self, id: &str) -> Result<Output, OpError> {
        let job = self.server.cancel(id)?;
        let look = format!("pagekeep backup status {id} --server");
        let said = jobs::asked_to_stop(&job, !job.state.is_finished(), &look);
        Ok(Output::new(String::new(), json!(job)).say(said))
    }

    fn history(&self) -> Result<Output, OpError> {
        let found = self.server.jobs(&self.database(None)?)?;
        Ok(jobs::table(&found, |job| json!(job)))
    }

    fn delete(&self, wanted: &Delete) -> Result<Output, OpError> {
        let from = wanted.from.as_deref().map(|from| self.session.address(from)).transpose()?;
        let database = self.database(wanted.specs.first().map(String::as_str))?;
        let kept = wanted.specs.iter().map(|name| self.server.snapshot(&database, name));
        let names: Vec<String> = kept.map(|kept| Ok(kept?.snapshot)).collect::<Result<_, OpError>>()?;
        if !wanted.yes && !self.agreed(&names)? {
            return Ok(Output::new("", json!({"snapshots": []})).say("nothing was deleted"));
        }
        let (mut jobs, mut rows) = (Vec::new(), Vec::new());
        for name in &names {
            let from = from.as_deref().unwrap_or(".");
            let job = self.server.begin_forget(&database, name, from, wanted.reason.as_deref())?;
            if let Some(job) = self.end_of(&job)? {
                rows.push(json!({"snapshot": name, "forgotten": is_true(&cell(&job, "changed")), "job": job.id}));
            }
            jobs.push(job);
        }
        if !self.waits {
            let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
            return Ok(Output::new(ids.join("\n"), json!({"jobs": jobs})));
        }
        let said = "nothing is removed yet: pagekeep forget --undo takes it back there, pagekeep prune makes room";
        Ok(Output::new(names.join("\n"), json!({"snapshots": rows})).say(said))
    }

    /// Asks whoever sits at the terminal.
    fn agreed(&self, names: &[String]) -> Result<bool, OpError> {
        let stdin = std::io::stdin();
        if !self.session.terminal || !stdin.is_terminal() {
            let reason = "nobody can be asked here whether to delete: say --yes";
            return Err(WorkspaceError::Setting { reason: reason.into() }.into());
        }
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "delete {} at {}? [y/N] ", names.join(", "), self.server.address);
        let _ = stderr.flush();
        let mut answer = String::new();
        let read = stdin.lock().read_line(&mut answer);
        Ok(read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// A remote there, as one here is told.
fn standing(one: Remote, max_age: Duration) -> RemoteStatus {
    let age = one.age_s.map(Duration::from_secs);
    let behind_only_refs = !one.up_to_date && one.behind == 0 && one.newest.is_some() && one.failing.is_none();
    RemoteStatus {
        name: one.name,
        url: one.url,
        synced_at: one.synced_at,
        age,
        newest: one.newest.map(SnapshotNumber),
        behind: one.behind,
        behind_bytes: one.behind_bytes,
        refs_behind: u32::from(behind_only_refs),
        failing: one.failing_since.zip(one.failing),
        failures: 1,
        stale: age.is_none_or(|age| age > max_age),
        conditional_put: one.conditional_put,
    }
}

fn kept_json(kept: &Kept) -> Value {
    let mut value = json!(kept);
    let line = kept.snapshot.split_once(':').and_then(|(_, rest)| rest.split('@').next());
    value["line"] = json!(line.map_or_else(Name::main_line, Name::from_lossy));
    value
}

/// A value of the first row of what a job's procedure gave.
fn cell(job: &Job, column: &str) -> Value {
    let Some(result) = &job.result else { return Value::Null };
    let at = result["columns"].as_array().and_then(|all| all.iter().position(|name| name == column));
    at.map_or(Value::Null, |at| result["rows"][0][at].clone())
}

/// As SQL has it, or as JSON has it.
fn is_true(value: &Value) -> bool {
    *value == true || *value == 1
}
