//! `pagekeep call`: any procedure.

use serde_json::{Value as Json, json};

use super::remotes::rows_or_nothing;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::ops::OpError;
use crate::procedures::{Call, Effect, Given, Procedure, Rows, Value, all, named, shown, text};

pub(crate) fn run(
    session: &Session,
    name: &str,
    arguments: Vec<String>,
    by_name: Vec<(String, String)>,
) -> Result<Output, OpError> {
    let by_place = arguments.into_iter().map(Given::at_its_place);
    let by_name = by_name.into_iter().map(|(name, value)| Given::named(&name, value));
    let call = Call { name: name.to_owned(), arguments: by_place.chain(by_name).collect() };
    let rows = call.run(&session.caller())?;
    let shown =
        if named(name).iter().all(|one| one.effect == Effect::Reads) { as_table(&rows) } else { as_lines(&rows) };
    Ok(Output::new(shown, rows.to_json()))
}

fn as_table(rows: &Rows) -> String {
    let head: Vec<String> = rows.columns.iter().map(|column| column.name.to_uppercase()).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    rows_or_nothing(&head, rows.rows.iter().map(|row| row.iter().map(shown).collect()).collect())
}

/// Each value on a line with its name; what is null is left out.
fn as_lines(rows: &Rows) -> String {
    let row = |row: &Vec<Value>| {
        let known = rows.columns.iter().zip(row).filter(|(_, value)| **value != Value::Null);
        known.map(|(column, value)| format!("{:<16} {}", column.name, shown(value))).collect::<Vec<_>>().join("\n")
    };
    rows.rows.iter().map(row).collect::<Vec<_>>().join("\n\n")
}

/// All procedures, or those of a name with everything about them.
pub(crate) fn list(name: Option<&str>) -> Result<Output, OpError> {
    let found = match name {
        Some(name) => named(name),
        None => all().to_vec(),
    };
    if let (Some(name), true) = (name, found.is_empty()) {
        return Err(crate::procedures::no_procedure(name));
    }
    let json = json!({"procedures": found.iter().map(|procedure| json_of(procedure)).collect::<Vec<_>>()});
    let text = if name.is_some() {
        found.iter().map(|procedure| text(procedure)).collect::<Vec<_>>().join("\n\n")
    } else {
        found.iter().map(|procedure| procedure.signature()).collect::<Vec<_>>().join("\n")
    };
    let output = Output::new(text, json);
    Ok(if name.is_none() { output.say("more about one: pagekeep call --list NAME") } else { output })
}

fn json_of(procedure: &Procedure) -> Json {
    let arguments = procedure.arguments.iter().map(|one| {
        json!({"name": one.name, "aliases": one.aliases, "kind": one.kind.name(), "required": one.default.is_none(),
            "help": one.help})
    });
    let columns = procedure.columns.iter().map(|column| json!({"name": column.name, "kind": column.kind.name()}));
    json!({
        "name": procedure.name,
        "aliases": procedure.aliases,
        "verbs": procedure.verbs,
        "signature": procedure.signature(),
        "changes": procedure.effect == Effect::Changes,
        "arguments": arguments.collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
        "help": procedure.help,
    })
}
