//! `pagekeep history`, `pagekeep find`, and how values are shown.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::output::{Output, counted, moment, table as table_of};
use crate::cli::session::Session;
use crate::format::record::SnapshotName;
use crate::ops::diff::{ColumnKind, Event, Row, Shelf, TableSide, find as find_last, life, value_json};
use crate::ops::{OpError, ReadFrom, Spec, title};
use crate::rows::{Encoding, Value};

/// Longest value that is shown whole.
const SHOWN_CHARS: usize = 80;

fn shelf(session: &Session, from: Option<&OsStr>) -> Result<Shelf, OpError> {
    let ReadFrom { store, database, .. } = session.from(from.unwrap_or(".".as_ref()))?;
    Shelf::open(&session.context, store, &mut Spec::latest(), database)
}

pub(crate) fn history(
    session: &Session,
    table: &str,
    key: &str,
    from: Option<&OsStr>,
    file: Option<&Path>,
) -> Result<Output, OpError> {
    let shelf = shelf(session, from)?;
    let database = shelf.history().database.clone();
    let called = |name: &SnapshotName| title(&database, &name.line, name.number);
    let moments = life(&session.context, &shelf, table, key, file)?;
    let word = |event: &Event| match event {
        Event::Appeared => "appeared",
        Event::Changed => "changed",
        Event::Vanished => "vanished",
    };
    let rows = moments.iter().map(|found| {
        let (side, row) = &found.row;
        let values = if matches!(found.event, Event::Vanished) { String::new() } else { values(side, row) };
        vec![called(&found.name), moment(found.created_at), word(&found.event).into(), values]
    });
    let text = if moments.is_empty() { String::new() } else { table_of(&["SNAPSHOT", "TIME", "EVENT", "ROW"], rows) };
    let json = moments.iter().map(|found| {
        let (side, row) = &found.row;
        json!({
            "snapshot": called(&found.name),
            "created_at": found.created_at,
            "event": word(&found.event),
            "row": object(side, row),
        })
    });
    let output = Output::new(text, json!({"table": table, "key": key, "events": json.collect::<Vec<_>>()}));
    Ok(if moments.is_empty() { output.say("no snapshot has this row") } else { output })
}

pub(crate) fn find(
    session: &Session,
    table: &str,
    condition: &str,
    from: Option<&OsStr>,
    file: Option<&Path>,
) -> Result<Output, OpError> {
    let shelf = shelf(session, from)?;
    let database = shelf.history().database.clone();
    let called = |name: &SnapshotName| title(&database, &name.line, name.number);
    let Some(found) = find_last(&session.context, &shelf, table, condition, file)? else {
        return Ok(Output::new("", json!({"snapshot": null})).say("no snapshot that was looked into has such a row"));
    };
    let (side, row) = &found.row;
    let name = called(&found.name);
    let said = match &found.next {
        Some(next) => {
            format!("{} has none; looked into {}", called(next), counted(found.looked_into.into(), "snapshot"))
        }
        None => "it is the newest".to_owned(),
    };
    let json = json!({
        "snapshot": name,
        "created_at": found.created_at,
        "row": object(side, row),
        "next": found.next.as_ref().map(called),
        "looked_into": found.looked_into,
    });
    let text = format!("{name}  {}\n  {}", moment(found.created_at), values(side, row));
    Ok(Output::new(text, json).say(said))
}

fn values(side: &TableSide, row: &Row) -> String {
    let columns = side.shape.columns.iter().zip(&row.values).filter(|(column, _)| column.kind != ColumnKind::Virtual);
    columns
        .map(|(column, value)| format!("{}={}", column.name, shown(side.encoding, value)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn object(side: &TableSide, row: &Row) -> Json {
    let columns = side.shape.columns.iter().zip(&row.values).filter(|(column, _)| column.kind != ColumnKind::Virtual);
    Json::Object(columns.map(|(column, value)| (column.name.clone(), value_json(side.encoding, value))).collect())
}

/// A value on one line.
pub(super) fn shown(encoding: Encoding, value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(stored) => {
            let text = encoding.decode_lossy(stored);
            let mut out: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
            if text.chars().nth(SHOWN_CHARS).is_some() {
                out.push('…');
            }
            format!("'{}'", out.replace("\\'", "''").replace("\\\"", "\""))
        }
        Value::Blob(bytes) => {
            let digits: String = bytes.iter().take(SHOWN_CHARS / 4).map(|byte| format!("{byte:02x}")).collect();
            let more =
                if bytes.len() > SHOWN_CHARS / 4 { format!("… ({} bytes)", bytes.len()) } else { String::new() };
            format!("x'{digits}'{more}")
        }
    }
}
