//! `pagekeep log`, `pagekeep show`, `pagekeep backup list`.

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::base::Name;
use crate::cli::output::{Output, count, moment, size};
use crate::cli::session::Session;
use crate::format::record::{FileKind, SnapshotName};
use crate::map::State;
use crate::ops::{Database, ErrorKind, History, Listed, OpError, OpenRemote, Refs, Spec, Version, title};
use crate::workspace::Keep;

/// The history a command looks at: what `--from` says, else the local store's.
pub(super) fn history(
    session: &Session,
    spec: &mut Spec,
    from: Option<&str>,
) -> Result<(History, Option<Database>), OpError> {
    let (remote, database): (OpenRemote, _) = match from {
        Some(from) => session.from(from)?,
        None => session.from(".")?,
    };
    Ok((History::find_for(remote.store, spec, database.as_ref())?, database))
}

pub(crate) fn log(session: &Session, spec: Option<&str>, from: Option<&str>, limit: usize) -> Result<Output, OpError> {
    let mut spec = spec.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let (history, _) = history(session, &mut spec, from)?;
    let mut found = match spec.version {
        Version::Latest(0) => history.list(limit)?,
        _ => {
            let newest = history.resolve(&spec)?.header.number;
            let mut all = history.list(usize::MAX)?;
            all.retain(|one| one.header.number <= newest);
            all
        }
    };
    found.truncate(limit);
    let rows = found.iter().map(|one| {
        let header = &one.header;
        vec![
            title(&header.database, &header.line, header.number),
            moment(header.created_at),
            count(header.totals.changed_chunks),
            size(added(one)),
            header.note.clone().unwrap_or_default(),
        ]
    });
    let text = rows_or_nothing(&["SNAPSHOT", "TIME", "CHANGED", "ADDED", "NOTE"], rows.collect());
    let output = Output::new(text, json!({"snapshots": found.iter().map(json_of).collect::<Vec<_>>()}));
    Ok(if found.is_empty() { output.say("no snapshot yet") } else { output })
}

/// Bytes a snapshot added to its store: packs of its own, and the record.
fn added(one: &Listed) -> u64 {
    if one.rides { one.record_bytes } else { one.header.totals.added_bytes + one.record_bytes }
}

pub(crate) fn list(session: &Session, from: Option<&str>) -> Result<Output, OpError> {
    let (history, database) = history(session, &mut Spec::latest(), from)?;
    let found = history.list(usize::MAX)?;
    let newest = found.first().map(|one| one.header.number);
    let places = |one: &Listed| -> String {
        let Some(database) = &database else { return history.store.remote().name().to_owned() };
        let number = one.header.number;
        let mut places: Vec<String> = database
            .remote_names()
            .into_iter()
            .filter(|name| {
                let memory = database.workspace.recall_remote(name);
                memory.newest.get(&database.handle).is_some_and(|pushed| pushed.number >= number)
            })
            .map(|name| name.to_string())
            .collect();
        let stays = match database.keep(true) {
            Keep::All => true,
            Keep::Latest => Some(number) == newest,
            Keep::None | Keep::Auto => false,
        };
        if stays || places.len() < database.remote_names().len().max(1) {
            places.insert(0, "here".into());
        }
        places.join(", ")
    };
    let rows = found.iter().map(|one| {
        let header = &one.header;
        vec![
            title(&header.database, &header.line, header.number),
            header.labels.get("name").cloned().unwrap_or_default(),
            "complete".into(),
            size(header.totals.size_bytes),
            moment(header.created_at),
            places(one),
        ]
    });
    let text = rows_or_nothing(&["ID", "NAME", "STATUS", "SIZE", "CREATED", "WHERE"], rows.collect());
    let json = found.iter().map(|one| {
        let mut value = json_of(one);
        value["where"] = json!(places(one));
        value
    });
    let json = json!({"snapshots": json.collect::<Vec<_>>()});
    let output = Output::new(text, json);
    Ok(if found.is_empty() { output.say("no snapshot yet; make one: pagekeep backup create") } else { output })
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
        "added_bytes": added(one),
        "record_bytes": one.record_bytes,
    })
}

/// The tags that stand for a snapshot. One that is damaged is no reason not to show the snapshot.
fn tags_of(history: &History, name: &SnapshotName) -> Result<Vec<Name>, OpError> {
    let refs = match Refs::load(&history.store, &history.database) {
        Err(error) if error.kind() == ErrorKind::Corruption => return Ok(Vec::new()),
        refs => refs?,
    };
    Ok(refs.tags().filter(|(.., target)| target.name() == *name).map(|(tag, ..)| tag.clone()).collect())
}

pub(crate) fn show(session: &Session, spec: &str, from: Option<&str>) -> Result<Output, OpError> {
    let mut spec = session.context.spec(spec)?;
    let (history, _) = history(session, &mut spec, from)?;
    let record = history.resolve(&spec)?;
    let one = Listed::of(&record);
    let state = State::load(&history.store, record)?;
    let header = &state.header;
    let mut lines = vec![
        title(&header.database, &header.line, header.number),
        format!("id       {}", state.id),
        format!("line     {}", header.line),
        format!("time     {} ({})", moment(header.created_at), header.created_at),
        format!("made by  {} on {}", header.tool, header.host),
        format!(
            "size     {} in {} chunks, {} files",
            size(header.totals.size_bytes),
            count(header.totals.chunks),
            count(header.totals.files)
        ),
        format!(
            "changed  {} chunks, {} of them stored, {} added",
            count(header.totals.changed_chunks),
            count(header.totals.new_chunks),
            size(added(&one))
        ),
    ];
    if let Some(parent) = &header.parent {
        lines.push(format!("parent   {parent}"));
    }
    let tags = tags_of(&history, &header.name())?;
    lines.extend(tags.iter().map(|tag| format!("tag      {tag}")));
    if let Some(note) = &header.note {
        lines.push(format!("note     {note}"));
    }
    lines.extend(header.labels.iter().map(|(key, value)| format!("label    {key}={value}")));
    lines.push(format!(
        "builds   on {} records, from {} extents",
        header.chain.len(),
        count(state.map.extent_count() as u64)
    ));
    for file in state.files.values() {
        let path = file.path.to_path().unwrap_or_default();
        let about = match (&file.sqlite, file.kind) {
            (Some(facts), _) => format!(
                "SQLite, {} pages of {}, {}, user_version {}",
                count(facts.page_count.into()),
                facts.page_size,
                if facts.read_version == 2 { "WAL" } else { "rollback journal" },
                facts.user_version
            ),
            (None, FileKind::Directory) => "directory".into(),
            (None, FileKind::Symlink) => "link".into(),
            (None, _) => "file".into(),
        };
        lines.push(format!("file     {}  {}  {about}", path.display(), size(file.size)));
    }
    let mut json = json_of(&one);
    json["tags"] = json!(tags);
    json["header"] = json!(header);
    json["files"] = json!(state.files.values().collect::<Vec<_>>());
    Ok(Output::new(lines.join("\n"), json))
}
