//! Hooks: a command or an address of the user's, called when something happens to a database.
//!
//! A command runs in the shell, in the folder of the workspace; what happened stands in `PAGEKEEP_HOOK_…` and as JSON on
//! its input. An address gets the same JSON. A run of pagekeep that a hook starts calls no hooks.

mod command;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Context, Database, ErrorKind, OpError};
use crate::remote::{is_web_address, post};
use crate::workspace::{Failing, HookEvent};

/// Set for whoever is called.
const MARK: &str = "PAGEKEEP_HOOK_EVENT";

/// Why a hook did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The one that comes before a snapshot: none is made.
    #[error("no snapshot is made: the hook {event} {reason}")]
    Refused {
        /// Its event.
        event: HookEvent,
        /// What became of it.
        reason: String,
    },
}

impl HookError {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            HookError::Refused { .. } => ErrorKind::Other,
        }
    }

    /// The next thing to do.
    pub fn hint(&self) -> Option<String> {
        let HookError::Refused { event, .. } = self;
        Some(format!(
            "see what is called: pagekeep config hook; call nothing any more: pagekeep config hook {event} --remove"
        ))
    }
}

/// What is told about an event, beside which it is.
pub(super) type Facts = Map<String, Value>;

/// Calls the hook that comes before a snapshot, if there is one.
///
/// # Errors
/// When it fails, does not end in time, or may not be called.
pub(super) fn before_snapshot(context: &Context, database: &Database) -> Result<(), OpError> {
    let event = HookEvent::BeforeSnapshot;
    call(context, database, event, Facts::new()).map_err(|reason| HookError::Refused { event, reason }.into())
}

/// What is told about a failure: what failed, why, since when and how often.
pub(super) fn failure(run: &str, place: Option<&str>, kind: Option<ErrorKind>, failing: &Failing) -> Facts {
    let Failing { since, times, last_at: _, why } = failing;
    let facts = json!({
        "run": run, "place": place, "kind": kind.map(ErrorKind::name), "why": why, "since": since, "times": times,
    });
    let Value::Object(facts) = facts else { unreachable!("BUG: an object is one") };
    facts
}

/// Calls the hook of an event, if there is one.
///
/// # Errors
/// What became of it, as the end of a sentence.
pub(super) fn call(context: &Context, database: &Database, event: HookEvent, facts: Facts) -> Result<(), String> {
    let hooks = &database.config().hooks;
    let Some(wanted) = hooks.get(event) else { return Ok(()) };
    // Else a hook that makes a snapshot would call itself for ever.
    if context.environment.get(MARK).is_some() {
        return Ok(());
    }
    database.workspace.trust_config().map_err(|error| format!("is not called: {error}"))?;
    let mut told = facts;
    told.insert("event".into(), json!(event.name()));
    told.insert("database".into(), json!(database.name));
    told.insert("path".into(), json!(database.source().display().to_string()));
    told.insert("host".into(), json!(context.host));
    told.insert("at".into(), json!(context.now()));
    if is_web_address(wanted) {
        let body = Value::Object(told).to_string();
        return post(wanted, body, hooks.time()).map_err(|reason| format!("failed: {reason}"));
    }
    let home: &Path = database.workspace.home();
    let mut variables: Vec<(String, String)> =
        context.environment.vars().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let facts = told.iter().filter(|(_, value)| !value.is_null());
    variables.extend(facts.map(|(name, value)| (format!("PAGEKEEP_HOOK_{}", name.to_uppercase()), plain(value))));
    command::run(wanted, home, variables, &Value::Object(told).to_string(), hooks.time(), &context.progress)
}
