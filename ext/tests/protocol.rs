//! How the program is called, and what becomes of its answers; with a program that answers as the test wants.

mod support;

use support::hosts::{Run, all, be_newest};
use support::{Folder, library};

#[test]
fn newest_host() {
    be_newest();
}

#[test]
fn a_call_and_its_answer() {
    for host in all() {
        let folder = Folder::new();
        let program = folder.fake(
            r#"echo '{"columns":["note","table_name","change","columns","row_before","row_after"],"rows":[[1,"orders","added","3",null,"{\"id\":3}"],[1,"orders","removed",{"blob":"6162"},0.5,7]]}'"#,
        );
        let run = Run::new(&folder, &host, library()).program(&program);
        let rows = run.sql(&["SELECT table_name, change, CAST(columns AS TEXT), row_before, row_after, a, b FROM backup_diff('app@3', 'app@latest', 'orders')"]);
        assert_eq!(
            rows.unwrap(),
            "orders|added|3||{\"id\":3}|app@3|app@latest\norders|removed|ab|0.5|7|app@3|app@latest"
        );
        let database = folder.database().canonicalize().unwrap().display().to_string();
        assert_eq!(
            folder.asked(),
            ["--json", "--db", &database, "call", "--", "backup_diff", "app@3", "app@latest", "orders"]
        );
        // What is left out makes the rest go by name; an argument may come from another table.
        let given = "SELECT count(*) FROM (SELECT 'app@2' AS x) JOIN backup_diff WHERE b = x AND \"table\" = '-- o'";
        assert_eq!(run.sql(&[given]).unwrap(), "2");
        let by_name = ["--json", "--db", &database, "call", "--arg=b=app@2", "--arg=table=-- o", "--", "backup_diff"];
        assert_eq!(folder.asked(), by_name);
        assert_eq!(run.sql(&["SELECT backup('sync', '--force', 3, 2.5, NULL)"]).unwrap(), "1");
        assert_eq!(folder.asked()[4..], ["--", "backup", "sync", "--force", "3", "2.5"]);
        for (sql, reason) in [
            ("SELECT backup('sync', NULL, 'x')", "NULL can only be given after"),
            ("SELECT backup('sync', x'00')", "a blob is no argument"),
            ("SELECT * FROM backup_log", "gives no column 'snapshot'"),
        ] {
            let refused = run.sql(&[sql]).unwrap_err();
            assert!(refused.contains(reason), "{sql}: {refused}");
        }
    }
}

#[test]
fn failures_are_told() {
    for host in all() {
        let folder = Folder::new();
        for (body, reason) in [
            (
                r#"echo '{"error":{"message":"what","causes":["why"],"hint":"do this"}}' >&2; exit 3"#,
                "what: why; next: do this",
            ),
            ("echo 'error: unrecognized subcommand' >&2; exit 2", "unrecognized subcommand"),
            ("echo '{\"columns\":'", "something that is no result"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let program = folder.fake(body);
            let run = Run::new(&folder, &host, library()).program(&program);
            for sql in ["SELECT backup('sync')", "SELECT * FROM backup_log"] {
                let failed = run.sql(&[sql]).unwrap_err();
                assert!(failed.contains(reason), "{sql}: {failed}");
            }
        }
    }
}

#[test]
fn a_missing_program_is_told_with_the_places() {
    for host in all() {
        let folder = Folder::new();
        let beside = library().parent().unwrap().to_str().unwrap();
        let failed =
            Run::new(&folder, &host, library()).path(&folder.path("bin")).sql(&["SELECT backup('sync')"]).unwrap_err();
        for part in ["PAGEKEEP_BIN", beside, "PATH"] {
            assert!(failed.contains(part), "{part}: {failed}");
        }
        let failed = Run::new(&folder, &host, library())
            .program(&folder.path("no"))
            .sql(&["SELECT * FROM backups"])
            .unwrap_err();
        assert!(failed.contains("PAGEKEEP_BIN says"), "{failed}");
    }
}
