//! `pagekeep show`.

use serde_json::json;

use super::log::json_of;
use super::retention::mark_json;
use crate::base::Name;
use crate::cli::output::{Output, count, counted, moment, size};
use crate::cli::session::Session;
use crate::format::marks::{Mark, Marked};
use crate::format::record::{FileEntry, FileKind, Header, SnapshotName};
use crate::map::State;
use crate::ops::{ErrorKind, History, Listed, OpError, Refs, title};

pub(crate) fn show(session: &Session, spec: &str, from: Option<&str>) -> Result<Output, OpError> {
    let mut spec = session.context.spec(spec)?;
    let history = session.store_for(&spec, from.unwrap_or("."))?.history(&mut spec)?;
    let record = history.resolve(&spec)?;
    let one = Listed::of(&record);
    let state = State::load(&history.store, record)?;
    let mut lines = facts(&one);
    let tags = tags_of(&history, &one.header.name())?;
    lines.extend(tags.iter().map(|tag| format!("tag      {tag}")));
    let mark = mark_of(&history, &one.header.name())?;
    lines.extend(mark.iter().map(|mark| marked(&history.database, mark)));
    lines.extend(said(&one.header));
    let extents = counted(state.map.extent_count() as u64, "extent");
    let records = counted(one.header.chain.len() as u64, "record");
    lines.push(format!("builds   on {records}, from {extents}"));
    lines.extend(state.files.values().map(file));
    let mut json = json_of(&one);
    json["tags"] = json!(tags);
    json["mark"] = json!(mark.as_ref().map(|mark| mark_json(&history.database, mark)));
    json["header"] = json!(state.header);
    json["files"] = json!(state.files.values().collect::<Vec<_>>());
    Ok(Output::new(lines.join("\n"), json))
}

/// The tags that stand for a snapshot. One that is damaged is no reason not to show the snapshot.
fn tags_of(history: &History, name: &SnapshotName) -> Result<Vec<Name>, OpError> {
    let refs = match Refs::load(&history.store, &history.database) {
        Err(error) if error.kind() == ErrorKind::Corruption => return Ok(Vec::new()),
        refs => refs?,
    };
    Ok(refs.tags().filter(|(.., target)| target.name() == *name).map(|(tag, ..)| tag.clone()).collect())
}

/// Whether it is held or forgotten. Marks that are damaged are no reason not to show the snapshot.
fn mark_of(history: &History, name: &SnapshotName) -> Result<Option<Marked>, OpError> {
    match history.marks() {
        Err(error) if error.kind() == ErrorKind::Corruption => Ok(None),
        marks => Ok(marks?.get(name).cloned()),
    }
}

fn marked(database: &Name, mark: &Marked) -> String {
    let reason = mark.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let back = match mark.mark {
        Mark::Forgotten => {
            let snapshot = title(database, &mark.line, mark.number);
            format!("; until prune removes it: pagekeep forget {snapshot} --undo")
        }
        Mark::Held => String::new(),
    };
    format!("mark     {} since {} by {}{reason}{back}", mark.mark, moment(mark.since), mark.host)
}

/// Which snapshot it is, and how big.
fn facts(one: &Listed) -> Vec<String> {
    let (header, totals) = (&one.header, &one.header.totals);
    vec![
        title(&header.database, &header.line, header.number),
        format!("id       {}", one.id),
        format!("line     {}", header.line),
        format!("time     {} ({})", moment(header.created_at), header.created_at),
        format!("made by  {} on {}", header.tool, header.host),
        format!(
            "size     {} in {}, {}",
            size(totals.size_bytes),
            counted(totals.chunks, "chunk"),
            counted(totals.files, "file")
        ),
        format!(
            "changed  {}, {} of them stored, {} added",
            counted(totals.changed_chunks, "chunk"),
            count(totals.new_chunks),
            size(one.added_bytes())
        ),
    ]
}

/// What it follows, and what was said about it.
fn said(header: &Header) -> impl Iterator<Item = String> {
    let parent = header.parent.iter().map(|parent| format!("parent   {parent}"));
    let note = header.note.iter().map(|note| format!("note     {note}"));
    let labels = header.labels.iter().map(|(key, value)| format!("label    {key}={value}"));
    parent.chain(note).chain(labels)
}

fn file(file: &FileEntry) -> String {
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
    format!("file     {}  {}  {about}", path.display(), size(file.size))
}
