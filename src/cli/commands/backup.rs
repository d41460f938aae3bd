//! `pagekeep backup …`: to each verb its file.

use serde_json::json;

use super::{live, remotes, restore, status, sync};
use crate::cli::args::Backup;
use crate::cli::output::{Output, count, size, time};
use crate::cli::session::Session;
use crate::ops::{self, Encrypt, OpError, Outcome};

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
        Some(Backup::Restore { from, destination, at, live, .. }) if live.live || live.is_idle() => {
            live::restore(session, &session.address(&from)?, &destination, at.as_deref(), &live)
        }
        Some(Backup::Reset(reset)) => live::reset(session, &reset),
        Some(Backup::Restore { from, destination, at, force, .. }) => {
            restore::run(session, &session.address(&from)?, &destination, at.as_deref(), force)
        }
        Some(Backup::Delete(wanted)) => super::forget::delete(session, &wanted),
        Some(Backup::Configure(wanted)) => super::schedule::configure(session, wanted),
        Some(Backup::Status { max_age }) => status::run(session, &max_age),
    }
}

fn create(session: &Session, options: ops::SnapshotOptions) -> Result<Output, OpError> {
    let started = std::time::Instant::now();
    let database = session.database(true)?;
    let outcome = ops::create(&session.context, &database, &options)?;
    let name = database.title(outcome.number());
    let mut output = Output::new(name.clone(), sync::outcome_json(&database.name, &outcome));
    if let Outcome::Created(report) = &outcome {
        output.talk.push(format!(
            "Stored {} ({} of {} chunks new) in {}",
            size(report.stored_bytes),
            count(report.new_chunks),
            count(report.chunks),
            time(started.elapsed()),
        ));
        output.talk.extend(sync::remarks(report, session.globals.verbose));
    }
    output.json["snapshot"] = json!(name);
    Ok(output)
}
