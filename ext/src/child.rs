//! A call of a procedure, done by the `pagekeep` program: `pagekeep call NAME ARGUMENTS --json`.
//!
//! The program's SQLite opens the live database, so it must not be in this process: two copies of SQLite in one process undo
//! each other's locks (<https://sqlite.org/howtocorrupt.html>, section 2.2.1).

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::program;
use crate::value::Value;

/// What is called, and with what.
#[derive(Debug, Default)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    /// The file of the database that is meant.
    pub(crate) database: Option<&'a Path>,
    /// Arguments by their places.
    pub(crate) by_place: Vec<String>,
    /// Arguments by their names.
    pub(crate) by_name: Vec<(&'a str, String)>,
}

/// What it gave.
#[derive(Debug, PartialEq)]
pub(crate) struct Rows {
    columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    program: PathBuf,
}

impl Call<'_> {
    /// Runs the program and waits for it.
    ///
    /// # Errors
    /// When it is not there, or with what it says: what, why, and what to do next.
    pub(crate) fn run(&self) -> Result<Rows, String> {
        let program = program::find()?;
        let mut command = Command::new(&program);
        command.arg("--json").stdin(Stdio::null()).env_remove(program::VARIABLE);
        if let Some(database) = self.database {
            command.arg("--db").arg(database);
        }
        command.arg("call");
        for (name, value) in &self.by_name {
            command.arg(format!("--arg={name}={value}"));
        }
        command.arg("--").arg(self.name).args(&self.by_place);
        let done = command.output().map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        if !done.status.success() {
            return Err(failure(&program, &done));
        }
        read(&program, &done.stdout)
            .ok_or_else(|| format!("{} answered something that is no result; {}", program.display(), OTHER_VERSION))
    }
}

const OTHER_VERSION: &str = "next: is it of this version? see pagekeep --version";

/// What the program says about its failure, in one line.
fn failure(program: &Path, done: &Output) -> String {
    let said = String::from_utf8_lossy(&done.stderr);
    let told = said.lines().rev().find_map(|line| {
        let error = serde_json::from_str::<Json>(line).ok()?.get("error")?.clone();
        let text = |name: &str| error.get(name).and_then(Json::as_str).map(str::to_owned);
        let mut told = text("message")?;
        for cause in error.get("causes").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if !told.contains(cause) {
                told.push_str(": ");
                told.push_str(cause);
            }
        }
        if let Some(hint) = text("hint") {
            told.push_str("; next: ");
            told.push_str(&hint);
        }
        Some(told)
    });
    told.unwrap_or_else(|| {
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        format!("{} failed ({}): {}; {OTHER_VERSION}", program.display(), done.status, said.join(" "))
    })
}

/// The rows in the program's answer.
fn read(program: &Path, answer: &[u8]) -> Option<Rows> {
    let answer: Json = serde_json::from_slice(answer).ok()?;
    let columns: Vec<String> = answer
        .get("columns")?
        .as_array()?
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    let row = |row: &Json| {
        let values = row.as_array().filter(|values| values.len() == columns.len())?;
        values.iter().map(Value::from_json).collect::<Option<Vec<_>>>()
    };
    let rows = answer.get("rows")?.as_array()?.iter().map(row).collect::<Option<_>>()?;
    Some(Rows { columns, rows, program: program.to_owned() })
}

impl Rows {
    /// The rows with these columns only, in this order.
    ///
    /// # Errors
    /// When a column is not there: the program is of another version.
    pub(crate) fn with_columns<'a>(self, wanted: impl IntoIterator<Item = &'a str>) -> Result<Vec<Vec<Value>>, String> {
        let place = |name: &str| {
            self.columns
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| format!("{} gives no column '{name}'; {OTHER_VERSION}", self.program.display()))
        };
        let places = wanted.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
        Ok(self.rows.iter().map(|row| places.iter().map(|at| row[*at].clone()).collect()).collect())
    }

    /// The first value of the first row, or null.
    pub(crate) fn first(self) -> Value {
        self.rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn failed(stderr: &str) -> String {
        let done = Output { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: stderr.into() };
        failure(Path::new("/bin/pagekeep"), &done)
    }

    #[test]
    fn a_failure_is_told_as_the_program_tells_it() {
        let json = r#"{"error": {"message": "no", "causes": ["no", "why"], "hint": "try again"}}"#;
        assert_eq!(failed(&format!("warning: x\n{json}\n")), "no: why; next: try again");
        let plain = failed("error: unrecognized subcommand\n\n  'call'\n");
        assert!(plain.contains("error: unrecognized subcommand 'call'"), "{plain}");
        assert!(plain.contains("/bin/pagekeep failed (exit status: 1)"), "{plain}");
    }

    #[test]
    fn only_a_result_is_one() {
        let read = |text: &str| read(Path::new("p"), text.as_bytes());
        let rows = read(r#"{"columns":["a","b"],"rows":[[1,null],["x",{"blob":"00"}]]}"#).unwrap();
        assert_eq!(rows.with_columns(["b", "a"]).unwrap()[1], [Value::Blob(vec![0]), Value::Text("x".into())]);
        for wrong in [
            "",
            "{}",
            r#"{"columns":["a"],"rows":[[1,2]]}"#,
            r#"{"columns":[1],"rows":[]}"#,
            r#"{"columns":["a"],"rows":[1]}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let other = read(r#"{"columns":["a"],"rows":[]}"#).unwrap().with_columns(["c"]).unwrap_err();
        assert!(other.contains("p gives no column 'c'"), "{other}");
    }
}
