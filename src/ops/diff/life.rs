//! Rows through a whole history: the life of one, and the last snapshot that has some.

use std::path::Path;

use jiff::Timestamp;

use super::DiffError;
use super::key::row_of;
use super::lookup::{Traced, find_table, find_where, table_names};
use super::merge::Row;
use super::states::{Shelf, SnapshotRows};
use super::tables::TableSide;
use crate::format::record::SnapshotName;
use crate::map::State;
use crate::ops::{Context, OpError, QueryError};
use crate::pages::PagePlace;

/// What happened to a row.
#[derive(Clone, Debug)]
pub enum Event {
    /// It is there, and was not before.
    Appeared,
    /// It has other values.
    Changed,
    /// It is no longer there.
    Vanished,
}

/// A snapshot in which something happened to a row.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The snapshot, on its line.
    pub name: SnapshotName,
    /// When it was made.
    pub created_at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The row as it is now, or was last, and the table it is in.
    pub row: (TableSide, Row),
}

/// A snapshot with a row that was looked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The snapshot, on its line.
    pub name: SnapshotName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Such a row, and the table it is in.
    pub row: (TableSide, Row),
    /// The next snapshot, which has none; `None` when this is the newest.
    pub next: Option<SnapshotName>,
    /// How many snapshots were looked into.
    pub looked_into: u32,
}

/// What was seen of a row in one snapshot, and which pages say so.
struct Look {
    row: Option<(TableSide, Row)>,
    pages: Vec<(u32, PagePlace)>,
}

/// The life of a row, oldest first. A snapshot in which the pages that lead to the row lie where they lay is not read.
///
/// # Errors
/// When a snapshot cannot be read, or no snapshot has the table.
pub fn life(
    context: &Context,
    shelf: &Shelf,
    table: &str,
    key: &str,
    file: Option<&Path>,
) -> Result<Vec<Moment>, OpError> {
    let mut names = shelf.history().names(usize::MAX)?;
    names.reverse();
    let (mut moments, mut last): (Vec<Moment>, Option<(SnapshotRows, Look)>) = (Vec::new(), None);
    let mut known = false;
    for name in names {
        context.progress.check()?;
        let rows = load(shelf, &name, file, last.as_ref().map(|(rows, _)| rows))?;
        let Some(rows) = rows else { continue };
        let look = match last {
            Some((_, look)) if is_same(&rows, &look)? => look,
            ref last => {
                let before = last.as_ref().and_then(|(_, look)| look.row.as_ref());
                let (look, has_table) = look(context, &rows, table, key)?;
                known |= has_table;
                let event = match (before, &look.row) {
                    (None, Some(_)) => Some(Event::Appeared),
                    (Some(_), None) => Some(Event::Vanished),
                    (Some(before), Some(now)) if !alike(before, now) => Some(Event::Changed),
                    _ => None,
                };
                let row = look.row.clone().or_else(|| before.cloned());
                if let (Some(event), Some(row)) = (event, row) {
                    let created_at = rows.state.header.created_at;
                    moments.push(Moment { name: name.clone(), created_at, event, row });
                }
                look
            }
        };
        last = Some((rows, look));
    }
    match last {
        Some((newest, _)) if !known => Err(no_table(&newest, table)?),
        None => is_somewhere(shelf, file).map(|()| moments),
        _ => Ok(moments),
    }
}

/// No snapshot that was looked into has this table; the newest says which there are.
fn no_table(newest: &SnapshotRows, name: &str) -> Result<OpError, OpError> {
    let known = table_names(newest.pages())?;
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        let begin = format!("{}_", name.to_lowercase());
        let keeps = known.into_iter().filter(|known| known.to_lowercase().starts_with(&begin)).collect();
        return Ok(DiffError::IsVirtual { name: name.to_owned(), keeps }.into());
    }
    Ok(DiffError::NoTable { name: name.to_owned(), known }.into())
}

/// When no snapshot has the file that was asked for, the newest says which there are.
fn is_somewhere(shelf: &Shelf, file: Option<&Path>) -> Result<(), OpError> {
    let Some(newest) = shelf.history().tip()? else { return Ok(()) };
    let history = shelf.history();
    let record = history.store.record(&history.database, &newest.line, newest.number)?;
    shelf.rows(State::load(&history.store, record)?, file, None).map(drop)
}

fn alike((a, old): &(TableSide, Row), (b, new): &(TableSide, Row)) -> bool {
    let names = |side: &TableSide| side.shape.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    names(a) == names(b) && old.values == new.values
}

fn is_same(rows: &SnapshotRows, look: &Look) -> Result<bool, OpError> {
    for (page, place) in &look.pages {
        if *page > rows.pages().page_count() || rows.place(*page)? != *place {
            return Ok(false);
        }
    }
    Ok(!look.pages.is_empty())
}

fn look(context: &Context, rows: &SnapshotRows, table: &str, key: &str) -> Result<(Look, bool), OpError> {
    let traced = Traced::new(rows.pages());
    let side = find_table(&traced, table)?;
    let has_table = side.is_some();
    let row = match side {
        Some(side) => row_of(context, &traced, &side, key)?.map(|row| (side, row)),
        None => None,
    };
    let asked = traced.asked();
    let mut pages = Vec::new();
    for page in asked.iter() {
        pages.push((page, rows.place(page)?));
    }
    Ok((Look { row, pages }, has_table))
}

/// The newest snapshot in which a table has a row that meets a condition, as if such rows were there up to some snapshot
/// and in none after it.
///
/// # Errors
/// When a snapshot cannot be read, or the condition cannot be evaluated.
pub fn find(
    context: &Context,
    shelf: &Shelf,
    table: &str,
    condition: &str,
    file: Option<&Path>,
) -> Result<Option<Found>, OpError> {
    let names = shelf.history().names(usize::MAX)?;
    let (mut looked_into, mut known) = (0, false);
    let mut has = |at: usize| -> Result<Option<Found>, OpError> {
        looked_into += 1;
        let Some(rows) = load(shelf, &names[at], file, None)? else { return Ok(None) };
        let Some(side) = find_table(rows.pages(), table)? else { return Ok(None) };
        known = true;
        let row = find_where(rows.pages(), &side, condition, &context.progress)?;
        let next = at.checked_sub(1).map(|next| names[next].clone());
        let (name, created_at) = (names[at].clone(), rows.state.header.created_at);
        Ok(row.map(|row| Found { name, created_at, row: (side, row), next, looked_into }))
    };
    // Further and further back, until there is one: then it lies between the last two.
    let (mut newer, mut step, mut older) = (None, 1, None);
    let mut at = 0;
    while at < names.len() {
        if let Some(found) = has(at)? {
            older = Some((at, found));
            break;
        }
        newer = Some(at);
        if at + 1 == names.len() {
            break;
        }
        at = (at + step).min(names.len() - 1);
        step *= 2;
    }
    let Some((mut at, mut found)) = older else {
        let newest = if known { None } else { names.first() };
        let newest = newest.map(|name| load(shelf, name, file, None)).transpose()?.flatten();
        if newest.is_none() && !known {
            is_somewhere(shelf, file)?;
        }
        return newest.map_or(Ok(None), |newest| Err(no_table(&newest, table)?));
    };
    while let Some(without) = newer.filter(|without| without + 1 < at) {
        let middle = without + (at - without) / 2;
        match has(middle)? {
            Some(newer_found) => (at, found) = (middle, newer_found),
            None => newer = Some(middle),
        }
    }
    found.looked_into = looked_into;
    Ok(Some(found))
}

/// A snapshot; `None` when it does not have the file.
fn load(
    shelf: &Shelf,
    name: &SnapshotName,
    file: Option<&Path>,
    beside: Option<&SnapshotRows>,
) -> Result<Option<SnapshotRows>, OpError> {
    let history = shelf.history();
    let record = history.store.record(&history.database, &name.line, name.number)?;
    let state = State::load(&history.store, record)?;
    match shelf.rows(state, file, beside) {
        // A folder's database may be younger than its first snapshots.
        Err(OpError::Query(QueryError::WhichFile { known, .. })) if known.is_empty() || file.is_some() => Ok(None),
        other => other.map(Some),
    }
}
