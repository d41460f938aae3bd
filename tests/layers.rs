//! The order of the layers: each folder of `src` uses only those before it in [`LAYERS`]; `docs/ARCHITECTURE.md` says why.

use std::fs;
use std::path::{Path, PathBuf};

const LAYERS: [&str; 15] = [
    "base",
    "format",
    "rows",
    "remote",
    "store",
    "map",
    "pages",
    "source",
    "workspace",
    "ops",
    "query",
    "procedures",
    "server",
    "client",
    "cli",
];
/// Where `unsafe` may be: calls to SQLite that its safe wrapper lacks.
const UNSAFE: [&str; 3] = ["source/sqlite/handle.rs", "query/", "procedures/sql/table.rs"];
/// Where people are talked to, and the process's surroundings are read.
const EDGE: [&str; 2] = ["cli/", "main.rs"];

/// A source file, and its lines without comments and the content of tests' strings.
struct Source {
    /// Its path below `src`, with `/`.
    path: String,
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|ending| ending == "rs") {
                found.push(entry);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    assert!(paths.len() > 50, "the sources are not where they are looked for");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
        let lines = text.lines().map(code).collect();
        Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), lines }
    };
    paths.into_iter().map(read).collect()
}

impl Source {
    /// How many modules its code lies in, below the crate.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    /// The modules below the crate that a line names: after `crate::`, and after as many `super::` as lead to the crate.
    fn names<'a>(&self, line: &'a str, depth: usize) -> Vec<&'a str> {
        let word = |text: &'a str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let listed = |text: &'a str| match text.strip_prefix('{') {
            Some(list) => list.split(',').map(|part| word(part.trim())).collect(),
            None => vec![word(text)],
        };
        let mut found: Vec<&str> =
            line.match_indices("crate::").flat_map(|(at, this)| listed(&line[at + this.len()..])).collect();
        let mut rest = line;
        while let Some(at) = rest.find("super::") {
            rest = &rest[at..];
            let mut levels = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                (rest, levels) = (after, levels + 1);
            }
            if levels >= depth {
                found.extend(listed(rest));
            }
        }
        found
    }
}

/// Each line that the check finds fault with, as `path:line: text`.
fn faults(sources: &[Source], fault: impl Fn(&Source, &str, usize) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let mut depth = source.depth();
        for (number, line) in source.lines.iter().enumerate() {
            // The tests in a file are one module further down.
            depth += usize::from(line.starts_with("mod tests {") || line.starts_with("pub(crate) mod tests {"));
            if fault(source, line, depth) {
                found.push(format!("src/{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

fn is_at(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| source.path.starts_with(place))
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

/// Whether a line has this word, alone.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[test]
fn a_layer_uses_only_those_above_it() {
    let looks_down = |source: &Source, line: &str, depth: usize| {
        let Some(own) = rank(source.path.split('/').next().unwrap()) else { return false };
        source.names(line, depth).into_iter().any(|name| rank(name).is_some_and(|used| used > own))
    };
    assert_eq!(faults(&sources(), looks_down), Vec::<String>::new());
}

#[test]
fn every_folder_is_a_layer() {
    for source in sources() {
        let known = match source.path.split_once('/') {
            Some((layer, _)) => rank(layer).is_some(),
            None => ["lib.rs", "main.rs"].contains(&source.path.as_str()),
        };
        assert!(known, "src/{} belongs to no layer", source.path);
    }
}

#[test]
fn only_few_places_are_unsafe() {
    let is_unsafe = |source: &Source, line: &str, _| has_word(line, "unsafe") && !is_at(source, &UNSAFE);
    assert_eq!(faults(&sources(), is_unsafe), Vec::<String>::new());
}

#[test]
fn the_library_prints_nothing() {
    let prints = |source: &Source, line: &str, _| {
        let macros = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout(", "io::stderr("];
        macros.iter().any(|name| line.contains(name)) && !is_at(source, &EDGE)
    };
    assert_eq!(faults(&sources(), prints), Vec::<String>::new());
}

#[test]
fn the_library_reads_no_environment() {
    let reads = |source: &Source, line: &str, _| {
        (line.contains("std::env") || line.contains("env::var")) && !is_at(source, &EDGE)
    };
    assert_eq!(faults(&sources(), reads), Vec::<String>::new());
}

#[test]
fn only_the_caller_knows_the_time_and_the_zone() {
    let asks = |source: &Source, line: &str, _| {
        let zone = line.contains("TimeZone::system") && !is_at(source, &EDGE);
        zone || line.contains("::now") && !line.contains("Instant::now") && is_at(source, &["ops/", "procedures/"])
    };
    assert_eq!(faults(&sources(), asks), Vec::<String>::new());
}

#[test]
fn the_checks_see_what_they_look_for() {
    let source = Source { path: "store/packs.rs".into(), lines: Vec::new() };
    assert_eq!(source.depth(), 2);
    assert_eq!(source.names("use crate::ops::sync;", 2), ["ops"]);
    assert_eq!(source.names("use crate::{base, cli::run};", 2), ["base", "cli"]);
    assert_eq!(source.names("let x = super::super::ops::sync();", 2), ["ops"]);
    assert!(source.names("use super::ops;", 2).is_empty());
    assert!(has_word("    unsafe { call() }", "unsafe") && !has_word("unsafe_code", "unsafe"));
}
