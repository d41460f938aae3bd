//! `pagekeep key …`: the keys of encrypted stores.

use serde_json::json;

use super::remotes::rows_or_nothing;
use crate::cli::args::Key;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::ops::{self, KeyChange, OpError};

/// Digits of a key's name that are shown; all of them stand in the JSON.
const SHOWN: usize = 8;

pub(crate) fn run(session: &Session, command: Key) -> Result<Output, OpError> {
    let database = session.database(false);
    let database = || match &database {
        Ok(database) => Ok(database),
        Err(_) => Err(session.database(false).expect_err("BUG: it failed a moment ago")),
    };
    let context = &session.context;
    let address = |from: Option<std::ffi::OsString>| from.map(|from| session.address(&from)).transpose();
    match command {
        Key::List { from } => {
            let keys = ops::keys(context, database(), address(from)?.as_deref())?;
            let rows = keys.iter().map(|key| {
                let label = match (&key.damage, &key.label) {
                    (Some(damage), _) => format!("damaged: {damage}"),
                    (None, Some(label)) => label.clone(),
                    (None, None) => "made for another store".into(),
                };
                let work = format!("argon2id, {} MiB, {} passes", key.work.memory_kib >> 10, key.work.passes);
                let mine = if key.is_mine { "this password" } else { "" };
                vec![key.id.as_str()[..SHOWN].to_owned(), label, work, mine.to_owned()]
            });
            let text = rows_or_nothing(&["key", "made", "work", ""], rows.collect());
            let keys: Vec<_> = keys
                .iter()
                .map(|key| {
                    json!({
                        "id": key.id, "label": key.label, "memory_kib": key.work.memory_kib, "passes": key.work.passes,
                        "is_mine": key.is_mine, "damage": key.damage,
                    })
                })
                .collect();
            Ok(Output::new(text, json!({ "keys": keys })))
        }
        Key::Add { from, new } => {
            Ok(said(&ops::add_key(context, database(), address(from)?.as_deref(), &new.source())?))
        }
        Key::Remove { id, from } => Ok(said(&ops::remove_key(context, database(), address(from)?.as_deref(), &id)?)),
        Key::Rotate { from, new } => {
            Ok(said(&ops::rotate_key(context, database(), address(from)?.as_deref(), &new.source())?))
        }
    }
}

fn said(change: &KeyChange) -> Output {
    let json =
        json!({ "remote": change.remote, "added": change.added, "removed": change.removed, "closed": change.closed });
    let mut output = Output::new(String::new(), json);
    let short = |id: &crate::base::Nonce| id.as_str()[..SHOWN].to_owned();
    if let Some(id) = &change.added {
        output = output.say(format!("key {} was added to the store at {}", short(id), change.remote));
    }
    if let Some(id) = &change.removed {
        output = output.say(format!("key {} was removed from the store at {}", short(id), change.remote));
    }
    for source in &change.closed {
        let told =
            "is kept as the source of this store's password and does not open it any more: put the right one there";
        output = output.say(format!("warning: {source} {told}"));
    }
    output
}
