//! `pagekeep log`, `pagekeep backup list`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::base::Name;
use crate::cli::output::{Output, count, moment, size};
use crate::cli::session::Session;
use crate::ops::{self, Listed, OpError, Spec, Whereabouts, title};

pub(crate) fn log(session: &Session, spec: Option<&str>, from: Option<&str>, limit: usize) -> Result<Output, OpError> {
    let named = spec.is_some();
    let mut spec = spec.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let history = session.store_for(&spec, from.unwrap_or("."))?.history(&mut spec)?;
    let found = history.list_from(&spec, limit)?;
    if found.is_empty() && named {
        // A name that stands for nothing is told as that.
        history.resolve(&spec)?;
    }
    let rows = found.iter().map(|one| {
        let header = &one.header;
        vec![
            title(&header.database, &header.line, header.number),
            moment(header.created_at),
            count(header.totals.changed_chunks),
            size(one.added_bytes()),
            header.note.clone().unwrap_or_default(),
        ]
    });
    let text = rows_or_nothing(&["SNAPSHOT", "TIME", "CHANGED", "ADDED", "NOTE"], rows.collect());
    let output = Output::new(text, json!({"snapshots": found.iter().map(json_of).collect::<Vec<_>>()}));
    Ok(if found.is_empty() && limit > 0 { output.say("no snapshot yet") } else { output })
}

pub(crate) fn list(session: &Session, from: Option<&str>) -> Result<Output, OpError> {
    let from = session.from(from.unwrap_or("."))?;
    let found = from.history(&mut Spec::latest())?.list(usize::MAX)?;
    let places: Vec<String> = match &from.database {
        Some(database) => ops::whereabouts(&session.context, database, &found)?.iter().map(place).collect(),
        None => vec![from.store.remote().name().to_owned(); found.len()],
    };
    let lines = found.iter().zip(places).map(|(one, place)| {
        let header = &one.header;
        let mut json = json_of(one);
        json["where"] = json!(place);
        Line {
            id: title(&header.database, &header.line, header.number),
            name: header.labels.get("name").cloned().unwrap_or_default(),
            size_bytes: header.totals.size_bytes,
            created_at: header.created_at,
            place,
            json,
        }
    });
    Ok(table(lines.collect()))
}

/// A snapshot in a list.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) created_at: Timestamp,
    /// Where its content is.
    pub(super) place: String,
    /// The same for programs, and more.
    pub(super) json: Value,
}

/// Snapshots side by side.
pub(super) fn table(lines: Vec<Line>) -> Output {
    let rows = lines.iter().map(|one| {
        vec![
            one.id.clone(),
            one.name.clone(),
            if one.place.is_empty() { "unreachable".into() } else { "complete".into() },
            size(one.size_bytes),
            moment(one.created_at),
            if one.place.is_empty() { "-".into() } else { one.place.clone() },
        ]
    });
    let text = rows_or_nothing(&["ID", "NAME", "STATUS", "SIZE", "CREATED", "WHERE"], rows.collect());
    let none = lines.is_empty();
    let output = Output::new(text, json!({"snapshots": lines.into_iter().map(|one| one.json).collect::<Vec<_>>()}));
    if none { output.say("no snapshot yet; make one: pagekeep backup create") } else { output }
}

fn place(found: &Whereabouts) -> String {
    let here = found.here.then(|| "here".to_owned());
    here.into_iter().chain(found.remotes.iter().map(Name::to_string)).collect::<Vec<_>>().join(", ")
}

pub(super) fn json_of(one: &Listed) -> Value {
    let header = &one.header;
    json!({
        "snapshot": title(&header.database, &header.line, header.number),
        "line": header.line,
        "number": header.number,
        "id": one.id,
        "created_at": header.created_at,
        "host": header.host,
        "note": header.note,
        "labels": header.labels,
        "size_bytes": header.totals.size_bytes,
        "chunks": header.totals.chunks,
        "changed_chunks": header.totals.changed_chunks,
        "new_chunks": header.totals.new_chunks,
        "added_bytes": one.added_bytes(),
        "record_bytes": one.record_bytes,
    })
}
