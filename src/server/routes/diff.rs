//! What changed between two snapshots, or since one, row by row.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::place::Place;
use crate::base::Progress;
use crate::ops::diff::{
    Counts, DiffOptions, DiffSink, Pair, Patch, RowChange, SchemaChange, Shelf, Table, TableSide, diff as compare,
    row_json,
};
use crate::ops::{ErrorKind, OpError};
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, Success, done};
use crate::server::input::{Asked, At};
use crate::workspace::Task;

/// Rows when it is not said how many, and at most.
const ROWS: [usize; 2] = [1000, 10_000];
/// Bytes of rows at most.
const BYTES: usize = 8 << 20;
/// How long a comparison may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The snapshot before, by any of its names.
    pub(crate) a: String,
    /// The snapshot after; the live database when it is `now`, or not said.
    pub(crate) b: Option<String>,
    /// Only this table.
    pub(crate) table: Option<String>,
    /// Which SQLite file of a directory.
    pub(crate) file: Option<String>,
    /// So many rows at most; 1000 when not said, 10 000 at most. All are counted.
    pub(crate) limit: Option<usize>,
}

/// What changed.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Difference {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Definitions that changed.
    pub(crate) schema: Vec<Definition>,
    pub(crate) tables: Vec<TableChanges>,
    /// Whether there are more rows than are shown.
    pub(crate) truncated: bool,
}

/// A definition that changed; `old` is null for a new one, `new` for one that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Definition {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
}

/// What changed in a table.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct TableChanges {
    pub(crate) table: String,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) changed: u64,
    /// The columns that are shown, those of the key first, then in the table's order.
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<Change>,
}

/// A row that changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RowChange)]
pub(crate) struct Change {
    /// added, removed or changed.
    pub(crate) change: &'static str,
    /// The columns that changed.
    pub(crate) columns: Vec<String>,
    #[schema(value_type = Object)]
    pub(crate) old: Value,
    #[schema(value_type = Object)]
    pub(crate) new: Value,
}

/// What changed between two snapshots of a database, or since one.
#[utoipa::path(get, path = "/api/v1/databases/{database}/diff", tag = "snapshots", params(("database" = String, Path), Wanted), responses((status = 200, body = Success<Difference>)))]
pub(crate) async fn diff(
    State(server): Shared,
    who: Who,
    At(name): At<String>,
    Asked(wanted): Asked<Wanted>,
) -> Answer<Difference> {
    done(in_time(server, who, name, move |place| difference(place, &wanted)).await?)
}

/// Compares, and stops when it takes too long.
pub(crate) async fn in_time<T: Send + 'static>(
    server: Arc<Server>,
    who: Who,
    name: String,
    compare: impl FnOnce(&Place) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let progress = Arc::new(Progress::new());
    let (shared, stop) = (Arc::clone(&server), Arc::clone(&progress));
    let alarm = tokio::spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        stop.cancel();
    });
    let found = server.pool.run(move || {
        let mut place = shared.place(&who, Scope::Read, &name)?;
        place.caller.context.progress = progress;
        compare(&place)
    });
    let found = found.await;
    alarm.abort();
    found
}

/// A comparison that was stopped, as the reason why.
fn told(error: OpError) -> Failure {
    match error.kind() {
        ErrorKind::Interrupted => {
            let told = format!("the comparison was stopped after {} s", PATIENCE.as_secs());
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "too_slow", told).hint("name one table")
        }
        _ => error.into(),
    }
}

/// Whether a text stands for the live database.
pub(crate) fn is_live(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("now")
}

/// Lays two states side by side.
fn between<T>(
    place: &Place,
    wanted: &Wanted,
    look: impl FnOnce(&Pair<'_>, [String; 2]) -> Result<T, OpError>,
) -> Result<Result<T, OpError>, Failure> {
    let context = &place.caller.context;
    if is_live(&wanted.a) {
        return Err(Failure::usage(
            "a comparison begins with a snapshot: only its end can be the live database, as b=now",
        )
        .hint("exchange the two: a=SNAPSHOT&b=now"));
    }
    let mut old = place.spec(&wanted.a)?;
    let new = wanted.b.as_deref().filter(|text| !is_live(text)).map(|text| place.spec(text)).transpose()?;
    if new.is_none() {
        // The live state of a database that is being restored is nobody's.
        place.is_whole(&Task::Create { note: None })?;
    }
    let store = place.database.local_store(context)?;
    let shelf = Shelf::open(context, store, &mut old, Some(place.database.clone()))?;
    let file = wanted.file.as_deref().map(std::path::Path::new);
    Ok(shelf.compare(context, &old, new, file, look))
}

fn difference(place: &Place, wanted: &Wanted) -> Result<Difference, Failure> {
    let progress = &place.caller.context.progress;
    let tables = wanted.table.iter().cloned().collect();
    let options = DiffOptions { tables, ..DiffOptions::default() };
    let limit = wanted.limit.unwrap_or(ROWS[0]).min(ROWS[1]);
    let found = between(place, wanted, |pair, [from, to]| {
        let mut shown = Shown { left: limit, bytes: BYTES, ..Shown::default() };
        compare(pair, &options, progress, &mut shown)?;
        Ok(Difference { from, to, ..shown.found })
    });
    found?.map_err(told)
}

#[derive(Default)]
struct Shown {
    found: Difference,
    rows: Vec<Change>,
    left: usize,
    bytes: usize,
}

impl DiffSink for Shown {
    fn schema(&mut self, changes: &[SchemaChange], _virtual_tables: &[String]) -> Result<(), OpError> {
        let definition = |change: &SchemaChange| Definition {
            kind: change.kind.to_string(),
            name: change.name.to_string(),
            table: change.table.to_string(),
            old: change.old.clone(),
            new: change.new.clone(),
        };
        self.found.schema = changes.iter().map(definition).collect();
        Ok(())
    }

    fn row(&mut self, table: &Table, change: RowChange) -> Result<(), OpError> {
        if self.left == 0 {
            self.found.truncated = true;
            return Ok(());
        }
        let json = |side: &Option<TableSide>, row| side.as_ref().map_or(Value::Null, |side| json!(row_json(side, row)));
        let change = match &change {
            RowChange::Added(row) => {
                Change { change: "added", columns: Vec::new(), old: Value::Null, new: json(&table.b, row) }
            }
            RowChange::Removed(row) => {
                Change { change: "removed", columns: Vec::new(), old: json(&table.a, row), new: Value::Null }
            }
            RowChange::Changed { old, new, columns } => {
                let columns = columns.iter().map(|at| table.newest().shape.columns[*at].name.clone()).collect();
                Change { change: "changed", columns, old: json(&table.a, old), new: json(&table.b, new) }
            }
        };
        let size = change.old.to_string().len() + change.new.to_string().len();
        if size > self.bytes {
            (self.left, self.found.truncated) = (0, true);
            return Ok(());
        }
        (self.left, self.bytes) = (self.left - 1, self.bytes - size);
        self.rows.push(change);
        Ok(())
    }

    fn table(&mut self, table: &Table, counts: &Counts) -> Result<(), OpError> {
        let rows = std::mem::take(&mut self.rows);
        let Counts { added, removed, changed } = *counts;
        if !counts.is_empty() {
            let (name, names) = (table.name.clone(), table.newest().shape.names_by_key());
            self.found.tables.push(TableChanges { table: name, added, removed, changed, names, rows });
        }
        Ok(())
    }
}

/// Bytes of statements that are answered.
const SQL_BYTES: usize = 32 << 20;

/// The statements that make the second state of the first.
pub(crate) fn as_sql(place: &Place, wanted: &Wanted) -> Result<String, Failure> {
    let tables: Vec<String> = wanted.table.iter().cloned().collect();
    let whole = tables.is_empty();
    let options = DiffOptions { tables, for_patch: true, ..DiffOptions::default() };
    let progress = &place.caller.context.progress;
    let scratch = place.database.workspace.scratch()?;
    let mut text = Bounded(Vec::new());
    let made = between(place, wanted, |pair, [from, to]| {
        let mut patch = Patch::new(pair, &scratch, whole)?;
        compare(pair, &options, progress, &mut patch)?;
        // What is too long is told below, whatever the error is that ended it.
        let _ = writeln!(text, "-- pagekeep: {from} to {to}");
        patch.finish(&mut text)
    })?;
    if text.0.len() > SQL_BYTES {
        let told = format!("the statements are longer than {} MiB", SQL_BYTES >> 20);
        let command = format!("pagekeep diff {} {} --sql", wanted.a, wanted.b.as_deref().unwrap_or_default());
        let failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "too_large", told);
        return Err(failure.hint(format!("choose one table, or run where the database is: {}", command.trim_end())));
    }
    made.map_err(told)?;
    String::from_utf8(text.0).map_err(|_| Failure::ours("the statements are no text"))
}

/// As many bytes as are answered, and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        match self.0.len() > SQL_BYTES {
            true => Err(std::io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
