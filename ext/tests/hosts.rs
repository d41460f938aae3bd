//! What a user of any SQLite sees, in every SQLite there is here.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::hosts::{Host, Run, all, be_newest};
use support::{Folder, library, plain_library, program};

#[test]
fn newest_host() {
    be_newest();
}

/// For each host: a folder with a history, a process to be that has the real program, and that program.
fn each(mut check: impl FnMut(&Folder, &Host, &Path)) {
    let Some(program) = program() else { return };
    for host in all() {
        let folder = Folder::new().with_history(&program);
        eprintln!("in {host:?}");
        check(&folder, &host, &program);
    }
}

#[test]
fn the_examples_do_what_they_say() {
    each(|folder, host, program| {
        let sql = |statements: &[&str]| Run::new(folder, host, plain_library()).program(program).sql(statements);
        folder.sql("INSERT INTO orders VALUES (5, 'milk')");
        assert_eq!(
            sql(&["SELECT backup('sync', 'offsite')", "SELECT snapshot FROM backup_log LIMIT 1"]).unwrap(),
            "0\napp@4"
        );
        assert_eq!(sql(&["SELECT number FROM backup_log"]).unwrap(), "4\n3\n2\n1");
        assert_eq!(sql(&["SELECT number FROM backup_log('offsite', 'app@latest~1') WHERE count = 2"]).unwrap(), "3\n2");
        assert_eq!(
            sql(&["SELECT name, behind FROM backups JOIN backup_status USING (name, behind)"]).unwrap(),
            "offsite|0"
        );
        folder.sql("DELETE FROM orders WHERE id = 2");
        let asked = sql(&[
            "ATTACH 'file:app@latest~2?vfs=pagekeep&from=offsite' AS old",
            "SELECT what FROM old.orders EXCEPT SELECT what FROM main.orders",
            "SELECT count(*) FROM old.orders",
            "ATTACH 'file:app@1?vfs=pagekeep' AS first",
            "SELECT count(*) FROM first.orders",
        ]);
        assert_eq!(asked.unwrap(), "rice\n3\n2");
    });
}

#[test]
fn a_bare_name_and_an_address_need_no_database_file() {
    each(|folder, host, program| {
        let run = Run::new(folder, host, library()).program(program).on(":memory:");
        let attach = format!("ATTACH 'file:app@2?vfs=pagekeep&from={}' AS old", folder.path("remote").display());
        assert_eq!(run.sql(&[&attach, "SELECT count(*) FROM old.orders"]).unwrap(), "3");
        let refused = run.sql(&["SELECT backup('sync')"]).unwrap_err();
        assert!(refused.contains("in memory"), "{refused}");
    });
}

#[test]
fn a_snapshot_cannot_be_written() {
    each(|folder, host, program| {
        let attach = "ATTACH 'file:@latest?vfs=pagekeep' AS old";
        let refused =
            Run::new(folder, host, library()).program(program).sql(&[attach, "DELETE FROM old.orders"]).unwrap_err();
        assert!(refused.contains("readonly"), "{refused}");
    });
}

#[test]
fn what_is_not_committed_is_not_backed_up() {
    each(|folder, host, program| {
        let run = Run::new(folder, host, library()).program(program);
        let insert = "INSERT INTO orders VALUES (9, 'x')";
        let refused = run.sql(&["BEGIN", insert, "SELECT backup('sync', 'offsite')"]).unwrap_err();
        assert!(refused.contains("COMMIT"), "{refused}");
        let refused = run.sql(&["INSERT INTO orders SELECT 9, backup('sync', 'offsite')"]).unwrap_err();
        assert!(refused.contains("COMMIT"), "{refused}");
        assert_eq!(run.sql(&["BEGIN", insert, "SELECT count(*) FROM backup_log"]).unwrap(), "3");
        assert_eq!(run.sql(&["SELECT count(*) FROM orders"]).unwrap(), "4");
    });
}

#[test]
fn why_it_cannot_be_opened_is_told() {
    each(|folder, host, _| {
        for (name, reason) in [
            ("app@99", "app@99"),
            ("other@1", "other"),
            ("app@latest?vfs=pagekeep&from=elsewhere", "backup 'elsewhere' not found"),
            ("app@latest?vfs=pagekeep&from=/nowhere", "/nowhere"),
            ("app@@", "app@@"),
        ] {
            let name = if name.contains('?') { name.to_owned() } else { format!("{name}?vfs=pagekeep") };
            let attach = format!("ATTACH 'file:{name}' AS old");
            let run = Run::new(folder, host, library());
            let refused = run.sql(&[&attach]).unwrap_err();
            assert!(refused.contains("unable to open"), "{refused}");
            let Host::Shell = host else { continue };
            // The shell goes on after an error when its statements come from a file.
            let script = folder.path("script.sql");
            let text = format!(".load {}\n{attach};\nSELECT backup_error();\n", library().display());
            fs::write(&script, text).unwrap();
            let mut shell = Command::new("sqlite3");
            shell.arg(folder.database()).stdin(fs::File::open(&script).unwrap()).env("HOME", folder.path(""));
            let said = String::from_utf8(shell.output().unwrap().stdout).unwrap();
            assert!(said.contains(reason), "{name}: {said}");
        }
    });
}

#[test]
fn panics_are_errors() {
    each(|folder, host, _| {
        let run = Run::new(folder, host, library());
        let failed = run.sql(&["SELECT backup_panic()"]).unwrap_err();
        assert!(failed.contains("as the test wants it"), "{failed}");
        let failed = run.sql(&["ATTACH 'file:panic@latest?vfs=pagekeep' AS old"]).unwrap_err();
        assert!(failed.contains("unable to open"), "{failed}");
        let absent = Run::new(folder, host, plain_library()).sql(&["SELECT backup_panic()"]).unwrap_err();
        assert!(absent.contains("no such function"), "{absent}");
    });
}

#[test]
fn neither_views_nor_triggers_reach_the_program() {
    let folder = Folder::new();
    let program = folder.fake("exit 1");
    folder.sql("CREATE VIEW bait AS SELECT backup('sync')");
    folder.sql("CREATE VIEW other AS SELECT * FROM backup_log");
    for host in all() {
        let run = Run::new(&folder, &host, library()).program(&program);
        for view in ["bait", "other"] {
            let refused = run.sql(&[&format!("SELECT * FROM {view}")]).unwrap_err();
            assert!(refused.contains("unsafe use of"), "{refused}");
        }
    }
    assert!(!folder.path("asked").exists());
}

/// Columns and arguments are written down here a second time: they must be those of the program.
#[test]
fn tables_are_those_of_the_program() {
    let Some(program) = program() else { return };
    let folder = Folder::new();
    for table in ["backups", "backup_log", "backup_status", "backup_refs", "backup_diff", "backup_history"] {
        let done = Command::new(&program).args(["--json", "call", "--list", table]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        let Some(known) = listed["procedures"].get(0) else {
            eprintln!("skipped: {} has no {table} yet", program.display());
            continue;
        };
        let names =
            |what: &str| known[what].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        let sql = format!("SELECT name FROM pragma_table_xinfo('{table}') ORDER BY cid");
        let found = Run::new(&folder, &Host::Newest, library()).sql(&[&sql]).unwrap();
        let wanted: Vec<String> = names("columns").chain(names("arguments")).collect();
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "{table}");
    }
}

/// Two copies of SQLite that open a file in one process undo each other's locks, and so does anything that opens and closes it.
#[test]
fn locks_of_the_connection_stay() {
    each(|folder, host, _| {
        let insert = format!("sqlite3 '{}' 'INSERT INTO orders VALUES (77, 1)' 2>&1", folder.database().display());
        let columns = r#""kind","name","snapshot","starts_at","set_at","host","note""#;
        let fake = folder.fake(&format!(
            r#"printf '{{"columns":[{columns}],"rows":[["%s",1,1,1,1,1,1]]}}' "$({insert} | head -1)""#
        ));
        let attach = ["ATTACH 'file:app@1?vfs=pagekeep' AS old", "SELECT count(*) FROM old.orders"];
        let look = "SELECT kind FROM backup_refs";
        let run = Run::new(folder, host, library()).program(&fake);
        let said = run.sql(&["BEGIN EXCLUSIVE", attach[0], attach[1], look]).unwrap();
        assert!(said.contains("database is locked"), "{said}");
        // Without a transaction nobody is kept out.
        assert_eq!(run.sql(&[attach[0], attach[1], "SELECT backup('look')"]).unwrap(), "2");
    });
}
