//! The SQLite that pagekeep brings stays inside, and is not called; the host's is called through its table only.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::{ext, plain_library};

fn sources() -> Vec<(String, String)> {
    let files = fs::read_dir(ext().join("src")).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn only_the_entry_points_leave_the_library() {
    let done = Command::new("nm").args(["-D", "--format=posix"]).arg(plain_library()).output();
    let Ok(done) = done else { return eprintln!("skipped: there is no nm") };
    assert!(done.status.success());
    let text = String::from_utf8(done.stdout).unwrap();
    let symbols = || text.lines().filter_map(|line| line.split_once(' '));
    let mut defined: Vec<&str> =
        symbols().filter(|(_, rest)| !rest.starts_with(['U', 'w'])).map(|(name, _)| name).collect();
    defined.sort_unstable();
    assert_eq!(defined, ["sqlite3_extension_init", "sqlite3_pagekeep_init"]);
    let wanted: Vec<&str> = symbols().map(|(name, _)| name).filter(|name| name.starts_with("sqlite3")).collect();
    assert_eq!(wanted.len(), 2, "taken from the host: {wanted:?}");
}

#[test]
fn no_function_of_our_own_sqlite_is_called() {
    let sources = sources();
    assert!(sources.len() > 10);
    for (path, text) in sources {
        for (number, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            let is_called = |(at, _): (usize, &str)| {
                let name = line[at..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                line[at + name.len()..].starts_with('(') && !line[..at].contains("extern \"C\" fn ")
            };
            assert!(!line.match_indices("sqlite3_").any(is_called), "{path}:{}: {line}", number + 1);
            let opens = ["Connection::open", "open_in_memory", "QuerySession", "PinnedDatabase"];
            assert!(!opens.iter().any(|word| line.contains(word)), "{path}:{}: {line}", number + 1);
        }
    }
}

/// The places of the routines in the table, by SQLite's own header.
fn places() -> BTreeMap<String, usize> {
    let version = String::from_utf8(Command::new("rustc").arg("-vV").output().unwrap().stdout).unwrap();
    let platform = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--offline",
            "--locked",
            "--filter-platform",
            platform,
            "--manifest-path",
        ])
        .arg(ext().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "libsqlite3-sys").unwrap();
    let manifest = std::path::Path::new(package["manifest_path"].as_str().unwrap());
    let header = fs::read_to_string(manifest.with_file_name("sqlite3").join("sqlite3ext.h")).unwrap();
    let begin = header.find("struct sqlite3_api_routines {").unwrap();
    let body = &header[begin..begin + header[begin..].find("\n};").unwrap()];
    let mut body = body.split_once('{').unwrap().1.to_owned();
    while let Some(at) = body.find("/*") {
        let end = at + body[at..].find("*/").unwrap() + 2;
        body.replace_range(at..end, "");
    }
    let entries = body.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    let name = |entry: &str| {
        // `int (*name)(…)`, with a calling convention in front of the star for some.
        let inner = entry.split_once('(').unwrap().1.split_once('*').unwrap().1;
        inner.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
    };
    entries.enumerate().map(|(place, entry)| (name(entry), place)).collect()
}

#[test]
fn routines_are_in_their_places() {
    let places = places();
    assert!(places.len() > 270 && places["aggregate_context"] == 0 && places["malloc"] == 68, "{places:?}");
    let text = fs::read_to_string(ext().join("src/host.rs")).unwrap();
    let mut held = 0;
    for line in text.lines().map(str::trim) {
        let Some((name, rest)) = line.split_once(" @ ") else { continue };
        let Ok(place) = rest.split(' ').next().unwrap().parse::<usize>() else { continue };
        assert_eq!(places.get(name), Some(&place), "{name}");
        held += 1;
    }
    // Those that have a wrapper of their own.
    for (name, place) in [("uri_parameter", 189), ("log", 167), ("vtab_config", 177)] {
        assert_eq!(places[name], place, "{name}");
        assert!(text.contains(&format!("self.routine({place})")), "{name}");
        held += 1;
    }
    assert_eq!(held, text.matches(" @ ").count() - 1 + text.matches("self.routine(").count() - 1);
}
