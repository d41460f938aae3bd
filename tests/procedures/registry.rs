//! What holds of every procedure, and of the document made from them.

use std::collections::BTreeSet;
use std::path::Path;

use pagekeep::procedures::{Constant, Kind, all, markdown, named};

#[test]
fn every_call_means_one_procedure() {
    let mut seen = BTreeSet::new();
    for procedure in all() {
        for name in [procedure.name].iter().chain(procedure.aliases) {
            let found = named(name);
            assert!(found.iter().all(|one| one.name == procedure.name), "{name}");
            assert!(found.len() == 1 || found.iter().all(|one| !one.verbs.is_empty()), "{name}");
            let verbs = if procedure.verbs.is_empty() { &[""] } else { procedure.verbs };
            for verb in verbs {
                assert!(seen.insert((*name, *verb)), "{name} {verb}");
            }
        }
    }
    assert_eq!(named("SpBackupCreate")[0].name, "sp_backup_create");
    assert_eq!(named("DOLT_BACKUP").len(), 5);
    assert!(named("sp_backup").is_empty());
}

#[test]
fn every_procedure_explains_itself() {
    for procedure in all() {
        let signature = procedure.signature();
        assert!(procedure.help.len() > 20 && !procedure.help.ends_with('.'), "{signature}");
        assert!(!procedure.columns.is_empty(), "{signature}");
        // One name space: as a table, arguments are hidden columns beside those of the result.
        let columns = procedure.columns.iter().map(|column| column.name);
        let arguments =
            procedure.arguments.iter().flat_map(|one| [one.name].into_iter().chain(one.aliases.iter().copied()));
        let mut names = BTreeSet::new();
        for name in arguments {
            assert!(names.insert(name), "{signature}: {name} twice");
        }
        for name in columns {
            assert!(
                !procedure.arguments.iter().any(|one| one.name == name) || !procedure.verbs.is_empty() || {
                    procedure.effect == pagekeep::procedures::Effect::Changes
                },
                "{signature}: {name} is an argument too"
            );
        }
        for argument in procedure.arguments {
            assert!(!argument.help.is_empty(), "{signature}: {}", argument.name);
            assert!(argument.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{signature}");
            let fits = match argument.default {
                None | Some(Constant::Null) => true,
                Some(Constant::Integer(_)) => argument.kind != Kind::Text,
                Some(Constant::Text(_)) => argument.kind == Kind::Text,
            };
            assert!(fits, "{signature}: {}", argument.name);
        }
    }
}

#[test]
fn signatures_show_what_may_be_left_out() {
    let signatures: Vec<String> = all().iter().map(|procedure| procedure.signature()).collect();
    for expected in [
        "backup('add', name, url [, join])",
        "backup('remove', name)",
        "backup('sync' [, name [, note [, rebase]]])",
        "sp_backup_create([database [, note]])",
        "sp_backup_restore(database, backup_id [, live [, migrations]])",
        "backup_log([from [, at [, count]]])",
    ] {
        assert!(signatures.iter().any(|found| found == expected), "{expected}: {signatures:#?}");
    }
}

/// With `PAGEKEEP_TEST_WRITE=1` the document is made anew.
#[test]
fn the_document_is_made_from_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROCEDURES.md");
    if std::env::var_os("PAGEKEEP_TEST_WRITE").is_some() {
        std::fs::write(&path, markdown()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == markdown(), "docs/PROCEDURES.md differs from the registry: run this with PAGEKEEP_TEST_WRITE=1");
}
