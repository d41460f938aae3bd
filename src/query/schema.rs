//! What there is to ask: tables and the statements that made them.

use rusqlite::params_from_iter;

use super::QuerySession;
use crate::ops::OpError;
use crate::ops::diff::DiffError;

impl QuerySession {
    /// Tables and views, in order; those of attached snapshots behind their names.
    ///
    /// # Errors
    /// When the schema cannot be read.
    pub fn tables(&self) -> Result<Vec<String>, OpError> {
        let mut found = Vec::new();
        for (database, _) in self.databases() {
            let sql = format!(
                "SELECT name FROM {}.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' \
                 ESCAPE '~' ORDER BY name",
                quoted(database)
            );
            let names = self.texts(&sql, None)?;
            found.extend(names.into_iter().map(|name| match database {
                "main" => name,
                attached => format!("{attached}.{name}"),
            }));
        }
        Ok(found)
    }

    /// The statements that made everything in `main`, or what belongs to one table or view.
    ///
    /// # Errors
    /// When the schema cannot be read, or there is no such table or view.
    pub fn schema(&self, table: Option<&str>) -> Result<Vec<String>, OpError> {
        let sql = "SELECT sql || ';' FROM main.sqlite_schema WHERE sql IS NOT NULL AND \
                   (?1 IS NULL OR tbl_name = ?1 COLLATE NOCASE) ORDER BY rowid";
        let found = self.texts(sql, Some(table))?;
        match table {
            Some(name) if found.is_empty() => {
                Err(DiffError::NoTable { name: name.to_owned(), known: self.tables()? }.into())
            }
            _ => Ok(found),
        }
    }

    fn texts(&self, sql: &str, parameter: Option<Option<&str>>) -> Result<Vec<String>, OpError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map(params_from_iter(parameter), |row| row.get(0))?.collect()
        };
        self.told(read())
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
