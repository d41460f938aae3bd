//! The database that a request is about, and the caller who stands for whoever asks: they reach that database and what lies
//! below the roots, and nothing else, whatever names they give.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::base::{Name, SnapshotNumber};
use crate::format::record::Header;
use crate::ops::retention::LOCAL;
use crate::ops::{Database, History, OpError, Reach, Spec, Version, title, unfinished_restore};
use crate::procedures::{Call, Caller, Rows};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::Failure;
use crate::server::names::FileName;
use crate::workspace::{Root, Task, is_job_id};

/// Somebody who asks about a database.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The database's name here.
    pub(crate) name: Name,
    pub(crate) database: Database,
    pub(crate) caller: Caller,
}

impl Server {
    /// The database of this name, for somebody with this scope. Who wants more than to look is told where, when another
    /// server leads. Blocks, on files of its folder only.
    pub(crate) fn place(&self, who: &Who, scope: Scope, name: &str) -> Result<Place, Failure> {
        let place = self.own_place(who, scope, name)?;
        if let Some(lead) = self.lead.as_ref().filter(|_| scope != Scope::Read) {
            lead.lease().map_err(OpError::from)?;
        }
        Ok(place)
    }

    /// The same for what concerns this server alone, whoever leads.
    pub(crate) fn own_place(&self, who: &Who, scope: Scope, name: &str) -> Result<Place, Failure> {
        let known = Name::new(name).ok().filter(|known| self.catalog.entries().contains_key(known) && who.sees(known));
        // Whoever may not see a database does not learn that it is there.
        let Some(name) = known else {
            return Err(Failure::not_found(format!("there is no database {:?} here", short(name)))
                .hint("list what there is: GET /api/v1/databases"));
        };
        who.may_with(scope, &name)?;
        let mut caller = self.catalog.caller(&name, &self.base, &self.config.roots, who.scope == Scope::Admin)?;
        caller.queue = Some(Arc::clone(&self.runner) as _);
        let database = self.catalog.database(&name, &self.base.settings)?;
        Ok(Place { name, database, caller })
    }

    /// The database that is meant when a request names one or none: the only one that there is.
    pub(crate) fn place_or_only(&self, who: &Who, scope: Scope, name: Option<&str>) -> Result<Place, Failure> {
        if let Some(name) = name {
            return self.place(who, scope, name);
        }
        let entries = self.catalog.entries();
        let mut seen = entries.keys().filter(|name| who.sees(name));
        match (seen.next(), seen.next()) {
            (Some(only), None) => self.place(who, scope, only.as_str()),
            _ => Err(Failure::usage(
                "several databases are served: say which, as \"database\" in the body or ?database=NAME",
            )
            .hint("list what there is: GET /api/v1/databases")),
        }
    }

    /// The database of a snapshot: the one that is said, or else that of which the snapshot's name tells, or the only one.
    pub(crate) fn place_of(
        &self,
        who: &Who,
        scope: Scope,
        name: Option<&str>,
        snapshot: &str,
    ) -> Result<Place, Failure> {
        let told = || {
            if is_job_id(snapshot) {
                return self.find_job(who, snapshot).ok().map(|found| found.name.to_string());
            }
            let in_file = FileName::parse(snapshot).map(|file| file.database.to_string());
            let in_spec = snapshot.split_once('@').map(|(at, _)| at.split(':').next().unwrap_or_default().to_owned());
            in_file.or(in_spec).filter(|name| !name.is_empty())
        };
        let told = name.map(str::to_owned).or_else(told);
        self.place_or_only(who, scope, told.as_deref())
    }
}

impl Place {
    /// A snapshot of this database, by any of its names: 3, latest~1, an id, a tag, a time, `shop@3`, a file's name, or the id
    /// of the job that made it.
    ///
    /// # Errors
    /// When it names another database's, or none.
    pub(crate) fn spec_text(&self, text: &str) -> Result<String, Failure> {
        let text = text.trim();
        if text.len() > 200 {
            return Err(Failure::usage("a snapshot's name has 200 bytes at most"));
        }
        if is_job_id(text) {
            let job = self.database.workspace.job(text)?;
            if job.database != self.database.handle {
                return Err(self.not_ours(text));
            }
            return Ok(text.to_owned());
        }
        if let Some(file) = FileName::parse(text) {
            return self.of_file(&file, text);
        }
        let (place, version) = text.split_once('@').unwrap_or_else(|| match self.is_own(text) {
            true => (text, "latest"),
            false => ("", text),
        });
        let (database, line) = place.split_once(':').map_or((place, None), |(database, line)| (database, Some(line)));
        if !database.is_empty() && !self.is_own(database) {
            return Err(self.not_ours(text));
        }
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Ok(format!("{}{line}@{version}", self.database.name))
    }

    /// The same, understood. The id of a job stands for its snapshot.
    pub(crate) fn spec(&self, text: &str) -> Result<Spec, Failure> {
        let text = self.spec_text(text)?;
        if is_job_id(&text) {
            let job = self.database.workspace.job(&text)?;
            let none = || Failure::conflict(format!("{text} is {} and has no snapshot", job.state.name()));
            return Ok(self.caller.context.spec(&job.snapshot.clone().ok_or_else(none)?)?);
        }
        Ok(self.caller.context.spec(&text)?)
    }

    /// Whether a place is known here: the local store, a remote by its name, or an address.
    ///
    /// # Errors
    /// When there is no remote of this name.
    pub(crate) fn knows(&self, from: Option<&str>) -> Result<(), Failure> {
        let is_known = |text: &str| {
            let is_name = !text.contains(['/', ':']);
            text == LOCAL || !is_name || self.database.remote_names().iter().any(|name| name.as_str() == text)
        };
        match from.filter(|text| !is_known(text)) {
            None => Ok(()),
            Some(name) => Err(Failure::not_found(format!("backup '{}' not found", short(name)))
                .hint(format!("list what there is: GET /api/v1/databases/{}/remotes", self.name))),
        }
    }

    /// A snapshot of this database at a place, as [`Place::spec_text`] has it, once it is sure that the local store has it when
    /// that is asked; what a remote has is for the job to find out.
    ///
    /// # Errors
    /// When there is no such place, or no such snapshot.
    pub(crate) fn known(&self, snapshot: &str, from: Option<&str>) -> Result<String, Failure> {
        self.knows(from)?;
        let spec = self.spec(snapshot)?;
        if from.is_none_or(|from| from == LOCAL) {
            let mut history = self.history()?;
            history.line = spec.line.clone().unwrap_or(history.line);
            history.resolve(&spec)?;
        }
        self.spec_text(snapshot)
    }

    fn is_own(&self, text: &str) -> bool {
        [&self.name, &self.database.name, &self.database.handle].iter().any(|own| own.as_str() == text)
    }

    /// The snapshot made in the second that a file's name tells; of several none is meant.
    fn of_file(&self, file: &FileName, text: &str) -> Result<String, Failure> {
        if !self.is_own(file.database.as_str()) {
            return Err(self.not_ours(text));
        }
        let history = self.history()?;
        let at = |version| history.resolve(&Spec { version, ..Spec::latest() }).ok().map(|record| record.header);
        let made_then = |header: &Header| file.fits(header.created_at);
        let Some(header) = at(Version::Time(file.end())).filter(made_then) else { return Err(self.not_ours(text)) };
        let title = |header: &Header| title(&header.database, &header.line, header.number);
        let before = header.number.0.checked_sub(1).map(|number| Version::Number(SnapshotNumber(number)));
        match before.and_then(at).filter(made_then) {
            None => Ok(title(&header)),
            Some(other) => {
                let told = format!("{} and {} were made in the same second", title(&other), title(&header));
                Err(Failure::conflict(told).hint("name one of them by its number"))
            }
        }
    }

    /// The database's own line in the local store.
    pub(crate) fn history(&self) -> Result<History, OpError> {
        let store = self.database.local_store(&self.caller.context)?;
        History::find_for(store, &mut Spec::latest(), Some(&self.database))
    }

    fn not_ours(&self, text: &str) -> Failure {
        Failure::not_found(format!("{:?} is no snapshot of the database '{}'", short(text), self.name))
            .hint(format!("list what there is: GET /api/v1/databases/{}/snapshots", self.name))
    }

    /// Whether the database is as somebody left it, and not as a restore that goes on, or broke off, has it. Only another
    /// restore puts that right.
    ///
    /// # Errors
    /// When it is not, and the task is none.
    pub(crate) fn is_whole(&self, task: &Task) -> Result<(), Failure> {
        let Some(restoring) = unfinished_restore(&self.database).filter(|_| !task.restores()) else { return Ok(()) };
        let told = format!("'{}' is being restored to {} ({})", self.name, restoring.to, restoring.phase);
        Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "restoring", told)
            .hint("wait for it; if it broke off, restore again: POST …/restore")
            .retry_after(5))
    }

    /// Calls a procedure that only looks.
    pub(crate) fn call(&self, name: &str, arguments: Map<String, Value>) -> Result<Rows, Failure> {
        Ok(Call::from_json(name, &arguments)?.run(&self.caller)?)
    }

    /// A procedure's call as a job, which reaches no more than whoever asks.
    pub(crate) fn task(&self, name: &str, arguments: Map<String, Value>) -> Task {
        let (roots, addresses) = match &self.caller.context.reach {
            Reach::Everywhere => (None, true),
            Reach::Within { roots, addresses } => (Some(roots.iter().cloned().map(Root).collect()), *addresses),
        };
        Task::Call { name: name.to_owned(), arguments: arguments.into_iter().collect(), roots, addresses }
    }
}

/// As much of a text as an answer repeats.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Arguments by name, without those that are not given.
pub(crate) fn arguments<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let given = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}
