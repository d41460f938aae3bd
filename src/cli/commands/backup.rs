//! `pagekeep backup …`: to each verb its file.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{live, remotes, restore, status, sync};
use crate::cli::args::Backup;
use crate::cli::output::{Output, count, size, time};
use crate::cli::session::Session;
use crate::ops::{self, Database, Encrypt, OpError, Outcome};

pub(crate) fn run(session: &Session, command: Option<Backup>) -> Result<Output, OpError> {
    match command {
        None => remotes::list(session),
        Some(Backup::Add { name, url, join, encrypt, key_of }) => {
            let encrypt = match (encrypt, key_of) {
                (false, _) => Encrypt::AsFound,
                (true, None) => Encrypt::New,
                (true, Some(other)) => Encrypt::KeyOf(session.name(&other)?),
            };
            remotes::add(session, &name, &session.address(&url)?, join.as_deref(), &encrypt)
        }
        Some(Backup::Remove { name }) => remotes::remove(session, &name),
        Some(Backup::List { from }) => {
            let from = from.map(|from| session.address(&from)).transpose()?;
            super::log::list(session, from.as_deref())
        }
        Some(Backup::Create { name, about }) => create(session, about.options(name, true)),
        Some(Backup::Sync { name, all, rebase, about }) => {
            let name = name.filter(|_| !all);
            sync::run(session, name.as_deref(), rebase, about.options(None, false))
        }
        Some(Backup::SyncUrl { url, about }) => {
            sync::to_url(session, &session.address(&url)?, about.options(None, false))
        }
        Some(Backup::Restore { from, destination, at, force, live }) => {
            let from = session.address(&from.unwrap_or_default())?;
            let (destination, at) = (destination.unwrap_or_default(), at.as_deref());
            match live.live || live.is_idle() {
                true => live::restore(session, &from, &destination, at, &live),
                false => restore::run(session, &from, &destination, at, force),
            }
        }
        Some(Backup::Reset(reset)) => live::reset(session, &reset),
        Some(Backup::Download { snapshot, path, force, .. }) => {
            restore::download(session, &snapshot, path.as_deref(), force)
        }
        Some(Backup::Upload { path, note }) => upload(session, &path, note),
        Some(Backup::Cancel { id }) => super::jobs::cancel(session, &id),
        Some(Backup::History) => super::jobs::history(session),
        Some(Backup::Delete(wanted)) => super::forget::delete(session, &wanted),
        Some(Backup::Configure(wanted)) => super::schedule::configure(session, wanted),
        Some(Backup::Status { id: Some(id), .. }) => super::jobs::one(session, Some(id), false, None),
        Some(Backup::Status { id: None, max_age }) => status::run(session, &max_age),
    }
}

fn create(session: &Session, options: ops::SnapshotOptions) -> Result<Output, OpError> {
    let started = Instant::now();
    let database = session.database(true)?;
    let outcome = ops::create(&session.context, &database, &options)?;
    Ok(made(session, &database, &outcome, started))
}

fn upload(session: &Session, path: &Path, note: Option<String>) -> Result<Output, OpError> {
    let started = Instant::now();
    let database = session.database(true)?;
    let options = ops::SnapshotOptions { note, ..ops::SnapshotOptions::default() };
    let outcome = ops::upload(&session.context, &database, &session.context.current_folder.join(path), &options)?;
    Ok(made(session, &database, &outcome, started))
}

fn made(session: &Session, database: &Database, outcome: &Outcome, started: Instant) -> Output {
    let name = database.title(outcome.number());
    let mut output = Output::new(name.clone(), sync::outcome_json(&database.name, outcome));
    match outcome {
        Outcome::Created(report) => {
            output.talk.push(stored(report.stored_bytes, report.new_chunks, report.chunks, started.elapsed()));
            output.talk.extend(sync::remarks(report, session.globals.verbose));
        }
        Outcome::Unchanged { .. } => output.talk.push(nothing_new(&name)),
    }
    output.json["snapshot"] = json!(name);
    output
}

/// What a new snapshot took.
pub(super) fn stored(bytes: u64, new_chunks: u64, chunks: u64, elapsed: Duration) -> String {
    format!("Stored {} ({} of {} chunks new) in {}", size(bytes), count(new_chunks), count(chunks), time(elapsed))
}

/// That there is no new one.
pub(super) fn nothing_new(name: &str) -> String {
    format!("Nothing changed since {name}")
}
