//! Runs that are watched: how each ended is remembered, told to hooks, and written where monitoring looks for it.

use std::time::Instant;

use super::hooks::{self, Facts};
use super::{Context, Database, ErrorKind, OpError, ReadFrom, metrics};
use crate::base::Name;
use crate::remote::RequestCounts;
use crate::workspace::{Failing, HookEvent, RunMemory, RunVerb};

/// A run, before it begins.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    database: Database,
    verb: RunVerb,
    remote: Option<Name>,
    /// Whether its place has a name here, so that something can be remembered of it.
    is_known: bool,
}

/// How a run ended that did not fail.
pub(super) struct Ended {
    /// What it found wrong.
    pub(super) trouble: Option<String>,
    /// Requests made.
    pub(super) requests: RequestCounts,
}

impl Watched {
    /// A run on a database, with a remote or the local store.
    pub(super) fn on(database: &Database, verb: RunVerb, remote: Option<&Name>) -> Self {
        Self { database: database.clone(), verb, remote: remote.cloned(), is_known: true }
    }

    /// A run at a place without a name, of which nothing is remembered.
    pub(super) fn nameless(database: &Database, verb: RunVerb) -> Self {
        Self { database: database.clone(), verb, remote: None, is_known: false }
    }

    /// A run that reads from a place; `None` when no database here is meant with it.
    pub(super) fn reading(from: &ReadFrom, verb: RunVerb) -> Option<Self> {
        let is_known = from.is_local() || from.remote.is_some();
        let database = from.database.as_ref().filter(|_| is_known)?;
        Some(Self::on(database, verb, from.remote.as_ref()))
    }

    /// Notes how the run ended that began then, and calls the hooks that are for it. Returns what a person should know of
    /// hooks.
    pub(super) fn note(&self, context: &Context, began: Instant, ended: Result<Ended, &OpError>) -> Option<String> {
        // What somebody stopped did not fail, and a wrong question says nothing about what was asked.
        if matches!(&ended, Err(error) if error.kind() == ErrorKind::Interrupted || self.was_asked_wrongly(error)) {
            return None;
        }
        let Self { database, verb, remote, is_known } = self;
        let (workspace, handle, now) = (&database.workspace, &database.handle, context.now());
        let mut memory = match is_known {
            true => workspace.recall_run(handle, *verb, remote.as_ref()),
            false => RunMemory::default(),
        };
        let trouble = match &ended {
            Ok(ended) => ended.trouble.clone(),
            Err(error) => Some(error.to_string()),
        };
        memory.note(now, trouble.as_deref());
        memory.last_ms = began.elapsed().as_millis() as u64;
        if let Ok(ended) = &ended {
            memory.requests.add(&ended.requests);
        }
        let (event, facts) = match &memory.failing {
            Some(failing) => (Some(HookEvent::OnFailure), self.failure(ended.err(), failing)),
            None if *verb == RunVerb::Sync => (Some(HookEvent::AfterSync), self.success()),
            None => (None, Facts::new()),
        };
        let called = event.map_or(Ok(()), |event| hooks::call(context, database, event, facts));
        memory.hook_trouble = called.err().zip(event).map(|(reason, event)| format!("the hook {event} {reason}"));
        if *is_known {
            // A note that cannot be written must not turn what was done into a failure.
            let _ = workspace.remember_run(handle, *verb, remote.as_ref(), &memory);
            if trouble.is_none() {
                self.settle_others();
            }
        }
        let written = metrics::write(context, database);
        let unwritten = written.err().map(|error| format!("the metrics were not written: {error}"));
        let told: Vec<String> = memory.hook_trouble.into_iter().chain(unwritten).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Whether a look at a place failed by what was asked of it.
    fn was_asked_wrongly(&self, error: &OpError) -> bool {
        let looks = matches!(self.verb, RunVerb::Verify | RunVerb::Scrub | RunVerb::Repair | RunVerb::Drill);
        looks && error.kind() == ErrorKind::Usage
    }

    /// A run that ended well also ends what lesser runs complained of.
    fn settle_others(&self) {
        let lesser: &[RunVerb] = match self.verb {
            RunVerb::Sync => &[RunVerb::Create],
            RunVerb::Repair => &[RunVerb::Verify, RunVerb::Scrub],
            RunVerb::Scrub => &[RunVerb::Verify],
            RunVerb::Create | RunVerb::Verify | RunVerb::Drill => &[],
        };
        for verb in lesser {
            let place = self.remote.as_ref().filter(|_| *verb != RunVerb::Create);
            let (workspace, handle) = (&self.database.workspace, &self.database.handle);
            let mut memory = workspace.recall_run(handle, *verb, place);
            if memory.failing.take().is_some() {
                let _ = workspace.remember_run(handle, *verb, place, &memory);
            }
        }
    }

    fn failure(&self, error: Option<&OpError>, failing: &Failing) -> Facts {
        let place = self.remote.as_ref().map(Name::as_str);
        let mut facts = hooks::failure(self.verb.name(), place, error.map(OpError::kind), failing);
        facts.insert("hint".into(), error.and_then(OpError::hint).into());
        facts
    }

    fn success(&self) -> Facts {
        let (workspace, handle) = (&self.database.workspace, &self.database.handle);
        let newest = workspace.recall_database(handle).map(|memory| self.database.title(memory.number));
        let mut facts = Facts::new();
        facts.insert("run".into(), self.verb.name().into());
        facts.insert("place".into(), self.remote.as_ref().map(Name::as_str).into());
        facts.insert("snapshot".into(), newest.into());
        facts
    }
}

/// Remembers how a sync ended, and tells whoever is to know. Returns what a person should know of that.
pub(super) fn note_sync(
    context: &Context,
    database: &Database,
    name: Option<&Name>,
    began: Instant,
    requests: RequestCounts,
    outcome: Result<(), &OpError>,
) -> Option<String> {
    if let (Some(name), Err(error)) = (name, outcome)
        && error.kind() != ErrorKind::Interrupted
    {
        let mut memory = database.workspace.recall_remote(name);
        // Since when stays; why is what is so now.
        let why = error.to_string();
        let failure = memory.failure.entry(database.handle.clone());
        failure.and_modify(|(_, told)| told.clone_from(&why)).or_insert_with(|| (context.now(), why));
        // Should that fail too, why the sync failed matters more.
        let _ = database.workspace.remember_remote(name, &memory);
    }
    let run = match name {
        Some(_) => Watched::on(database, RunVerb::Sync, name),
        None => Watched::nameless(database, RunVerb::Sync),
    };
    run.note(context, began, outcome.map(|()| Ended { trouble: None, requests }))
}
