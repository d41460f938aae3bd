//! `pagekeep backup`, `backup add`, `backup remove`.

use serde_json::json;

use super::status;
use crate::cli::output::{Output, table};
use crate::cli::session::Session;
use crate::ops::{self, Encrypt, OpError, RemovedRemote};

pub(super) fn list(session: &Session) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let names = database.remote_names();
    if session.globals.verbose || session.globals.json {
        return status::remotes(session, &database);
    }
    let rows = names.iter().map(|name| vec![name.to_string()]);
    let text =
        if names.is_empty() { String::new() } else { rows.map(|row| row.concat()).collect::<Vec<_>>().join("\n") };
    let output = Output::new(text, json!({"remotes": names}));
    Ok(if names.is_empty() { output.say("no remote yet; add one: pagekeep backup add NAME URL") } else { output })
}

pub(super) fn add(
    session: &Session,
    name: &str,
    url: &str,
    join: Option<&str>,
    encrypt: &Encrypt,
) -> Result<Output, OpError> {
    let mut database = session.database(true)?;
    let name = session.name(name)?;
    let join = join.map(|name| session.name(name)).transpose()?;
    let report = ops::add_remote_as(&session.context, &mut database, &name, url, join.as_ref(), encrypt)?;
    let json = json!({
        "name": name,
        "url": report.url,
        "created": report.created,
        "encrypted": report.encrypted,
        "conditional_put": report.conditional_put,
        "newest": report.newest,
        "joined": report.joined,
        "database": database.name,
    });
    let verb = match (report.created, report.encrypted) {
        (true, false) => "created a store at",
        (true, true) => "created an encrypted store at",
        (false, false) => "opened the store at",
        (false, true) => "opened the encrypted store at",
    };
    let mut output = Output::new(String::new(), json).say(format!("{name}: {verb} {}", report.url));
    if session.globals.verbose {
        output = output.say(format!("credentials: {}", report.credentials));
    }
    if report.created && report.encrypted {
        output =
            output.say("without its password nobody can read it, you neither: keep the password somewhere else, too");
    }
    if report.joined {
        output = output.say(format!("this database goes on with the history of {} that lies there", database.name));
    }
    if let Some(newest) = report.newest {
        output = output.say(format!("newest snapshot there: {}@{newest}", database.name));
    }
    if !report.conditional_put {
        output = output.say(
            "warning: this remote overwrites objects although it is asked not to: whoever syncs with it takes turns, by \
             a lock below locks/ and a few more requests",
        );
    }
    Ok(output)
}

pub(super) fn remove(session: &Session, name: &str) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let RemovedRemote { name, url, warnings } = database.remove_remote(&session.context, name)?;
    let said = format!("{name} is forgotten; what lies at {url} stays");
    let output = Output::new(String::new(), json!({"removed": name, "url": url, "warnings": warnings})).say(said);
    Ok(warnings.into_iter().fold(output, Output::say))
}

/// Shared by lists: a table or, when empty, nothing.
pub(super) fn rows_or_nothing(head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() { String::new() } else { table(head, rows) }
}
