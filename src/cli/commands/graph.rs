//! `pagekeep log --graph`, `pagekeep log --all`: several lines, and which snapshot follows which.

use serde_json::json;

use super::log::json_of;
use super::remotes::rows_or_nothing;
use crate::base::SnapshotId;
use crate::cli::output::{Output, moment};
use crate::cli::session::Session;
use crate::ops::{self, OpError, Row, Spec, title};

pub(crate) fn run(
    session: &Session,
    spec: Option<&str>,
    from: Option<&str>,
    limit: usize,
    all: bool,
    draw: bool,
) -> Result<Output, OpError> {
    let mut spec = spec.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest);
    let history = session.store_for(&spec, from.unwrap_or("."))?.history(&mut spec)?;
    let mut rows = ops::graph(&history, all, if all { limit } else { usize::MAX })?.rows;
    if !all {
        let newest = history.resolve(&spec)?.header.number;
        rows.retain(|row| row.listed.header.number <= newest);
        rows.truncate(limit);
    }
    let text = if draw { drawn(&rows) } else { listed(&rows) };
    let json = rows.iter().map(|row| {
        let mut value = json_of(&row.listed);
        value["parent"] = json!(row.listed.header.parent);
        value["lines"] = json!(row.lines);
        value["tags"] = json!(row.tags);
        value
    });
    let output = Output::new(text, json!({"snapshots": json.collect::<Vec<_>>()}));
    Ok(if rows.is_empty() { output.say("no snapshot yet") } else { output })
}

fn name(row: &Row) -> String {
    let header = &row.listed.header;
    title(&header.database, &header.line, header.number)
}

/// The names that lead to a snapshot.
fn decoration(row: &Row) -> String {
    let tags = row.tags.iter().map(|tag| format!("tag: {tag}"));
    row.lines.iter().map(ToString::to_string).chain(tags).collect::<Vec<_>>().join(", ")
}

fn listed(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let header = &row.listed.header;
        vec![name(row), moment(header.created_at), decoration(row), header.note.clone().unwrap_or_default()]
    };
    rows_or_nothing(&["SNAPSHOT", "TIME", "REFS", "NOTE"], rows.iter().map(row).collect())
}

/// One column for each line of descent; `*` is a snapshot, and a slash leads to the one that several follow.
fn drawn(rows: &[Row]) -> String {
    let mut text = Vec::new();
    // The snapshot that each column leads down to.
    let mut columns: Vec<SnapshotId> = Vec::new();
    for row in rows {
        let id = row.listed.id;
        let at = columns.iter().position(|next| *next == id).unwrap_or_else(|| {
            columns.push(id);
            columns.len() - 1
        });
        while let Some(from) = columns.iter().rposition(|next| *next == id).filter(|from| *from > at) {
            text.push(joined(columns.len(), at, from));
            columns.remove(from);
        }
        let marks: Vec<&str> = (0..columns.len()).map(|column| if column == at { "*" } else { "|" }).collect();
        let header = &row.listed.header;
        let refs = match decoration(row) {
            refs if refs.is_empty() => String::new(),
            refs => format!(" ({refs})"),
        };
        let note = header.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
        text.push(format!("{} {}{refs}  {}{note}", marks.join(" "), name(row), moment(header.created_at)));
        match header.parent {
            Some(parent) => columns[at] = parent,
            None => {
                columns.remove(at);
            }
        }
    }
    text.join("\n")
}

/// The line between two rows in which column `from` joins column `at`; those right of it move up.
fn joined(columns: usize, at: usize, from: usize) -> String {
    let mut cells = vec![b' '; 2 * columns];
    for column in 0..from {
        cells[2 * column] = b'|';
        if column > at {
            cells[2 * column - 1] = b'_';
        }
    }
    for column in from..columns {
        cells[2 * column - 1] = b'/';
    }
    String::from_utf8_lossy(&cells).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn columns_join_their_neighbours_and_those_further_left() {
        assert_eq!(joined(2, 0, 1), "|/");
        assert_eq!(joined(3, 0, 2), "|_|/");
        assert_eq!(joined(3, 0, 1), "|/ /");
        assert_eq!(joined(4, 1, 3), "| |_|/");
    }
}
