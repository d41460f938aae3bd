//! `pagekeep config`.

use serde_json::{Map, Value, json};

use crate::cli::args::Config;
use crate::cli::output::{Output, table};
use crate::cli::session::Session;
use crate::ops::OpError;
use crate::workspace::{KEYS, Keep, Origin};

pub(crate) fn run(session: &Session, command: Config) -> Result<Output, OpError> {
    match command {
        Config::Show { origin } => show(session, origin),
        Config::Set { key, value } => set(session, &key, &value),
        Config::Hook(hook) => super::care::hook(session, hook),
        Config::Assert(assert) => super::care::assert(session, assert),
    }
}

fn show(session: &Session, origin: bool) -> Result<Output, OpError> {
    // Outside of any kept folder there are still the user's settings.
    let settings = match session.database(false) {
        Ok(database) => database.settings,
        Err(OpError::WhichDatabase { .. }) => session.settings.clone(),
        Err(error) => return Err(error),
    };
    let mut object = Map::new();
    let mut rows = Vec::new();
    for (name, value, from) in settings.all() {
        object.insert(name.to_owned(), json!({"value": value, "origin": from.to_string()}));
        let help = KEYS.iter().find(|key| key.name == name).map_or("", |key| key.help);
        let shown = if value.is_empty() { "(empty)" } else { value };
        rows.push(match origin {
            true => vec![name.to_owned(), shown.to_owned(), from.to_string()],
            false => vec![name.to_owned(), shown.to_owned(), help.to_owned()],
        });
    }
    let head = if origin { ["KEY", "VALUE", "FROM"] } else { ["KEY", "VALUE", "MEANING"] };
    Ok(Output::new(table(&head, rows), Value::Object(object)))
}

fn set(session: &Session, key: &str, value: &str) -> Result<Output, OpError> {
    let mut database = session.database(false)?;
    let before = database.settings.keep();
    database.settings.set(key, value, Origin::Flag)?;
    let is_trimmed =
        before != Keep::All && database.settings.keep() == Keep::All && !database.remote_names().is_empty();
    database.workspace.change(|config| -> Result<(), OpError> {
        config.settings.insert(key.to_owned(), value.to_owned());
        Ok(())
    })?;
    let path = database.workspace.path("config.toml");
    let output = Output::new(String::new(), json!({"key": key, "value": value}))
        .say(format!("{key} = {value} in {}", path.display()));
    Ok(match is_trimmed {
        true => output.say("what only remotes have of older snapshots comes here with: pagekeep repair ."),
        false => output,
    })
}
