//! `pagekeep config hook`, `config assert`.

use serde_json::json;

use crate::cli::args::{Assert, Hook};
use crate::cli::output::{Output, table};
use crate::cli::session::Session;
use crate::ops::{Database, OpError};
use crate::workspace::{Assertion, DatabaseConfig, HookEvent, Hooks, WorkspaceError};

/// Changes what is configured of a database.
fn change(database: &mut Database, change: impl FnOnce(&mut DatabaseConfig)) -> Result<(), OpError> {
    let handle = database.handle.clone();
    database.workspace.change(|config| {
        let own = config.databases.get_mut(&handle);
        own.map(change).ok_or_else(|| OpError::WhichDatabase {
            reason: format!("'{handle}' is not kept here any more"),
            next: "`pagekeep init PATH` begins again".into(),
        })
    })
}

pub(super) fn hook(session: &Session, hook: Hook) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let mut wanted = Hooks { time_limit: hook.time_limit.clone(), ..Hooks::default() };
    hook.event.iter().for_each(|event| wanted.set((*event).into(), hook.call.clone()));
    wanted.check().map_err(|reason| WorkspaceError::Setting { reason })?;
    if hook.call.is_some() || hook.remove || hook.time_limit.is_some() {
        change(&mut database, |config| {
            if let Some(event) = hook.event.filter(|_| hook.call.is_some() || hook.remove) {
                config.hooks.set(event.into(), hook.call.clone());
            }
            if let Some(time) = &hook.time_limit {
                config.hooks.time_limit = Some(time.clone());
            }
        })?;
    }
    let hooks = &database.config().hooks;
    let wanted = hook.event.map(HookEvent::from);
    let shown = HookEvent::ALL.into_iter().filter(|event| wanted.is_none_or(|wanted| wanted == *event));
    let set: Vec<(HookEvent, &str)> = shown.filter_map(|event| Some((event, hooks.get(event)?))).collect();
    let rows = set.iter().map(|(event, call)| vec![event.to_string(), (*call).to_owned()]);
    let text = if set.is_empty() { String::new() } else { table(&["EVENT", "CALLS"], rows) };
    let json = json!({"database": database.handle, "hooks": hooks, "time_limit_s": hooks.time().as_secs()});
    let output = Output::new(text, json);
    Ok(if set.is_empty() { output.say("nothing is called") } else { output })
}

pub(super) fn assert(session: &Session, assert: Assert) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let Assert { name, sql, expect, file, remove, max_drop } = assert;
    match (name, sql, expect) {
        (Some(name), Some(sql), Some(expect)) => change(&mut database, |config| {
            config.drill.asserts.insert(name, Assertion { sql, expect, file });
        })?,
        (Some(name), ..) if remove => change(&mut database, |config| drop(config.drill.asserts.remove(&name)))?,
        (Some(_), ..) => {
            let reason = "an assertion is a name, a statement and what it must give".into();
            return Err(WorkspaceError::Setting { reason }.into());
        }
        (None, ..) if max_drop.is_some() => change(&mut database, |config| config.drill.max_drop_percent = max_drop)?,
        (None, ..) => {}
    }
    let drill = &database.config().drill;
    let rows = drill.asserts.iter().map(|(name, one)| vec![name.clone(), one.expect.clone(), one.sql.clone()]);
    let text = if drill.asserts.is_empty() { String::new() } else { table(&["NAME", "EXPECTED", "STATEMENT"], rows) };
    let json = json!({"database": database.handle, "asserts": drill.asserts, "max_drop_percent": drill.drop_percent()});
    let said = format!("a table may lose {} % of its rows between two drills", drill.drop_percent());
    Ok(Output::new(text, json).say(said))
}
