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
    for table in [
        "backups",
        "backup_log",
        "backup_status",
        "backup_refs",
        "backup_diff",
        "backup_history",
        "backup_retention",
        "backup_marks",
        "backup_stats",
    ] {
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

/// What a program with several connections sees, and the reason of a page that cannot be had.
const SEVERAL: &str = r#"
import os, sqlite3, sys
def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(os.environ["EXT"])
    return db
def failed(db, sql):
    try:
        list(db.execute(sql))
    except sqlite3.Error as error:
        return f"{error}: {db.execute('SELECT backup_error()').fetchone()[0]}"
    sys.exit(sql + " did not fail")
one, other = connect(sys.argv[1]), connect(sys.argv[2])
print(failed(one, "ATTACH 'file:app@1?vfs=pagekeep' AS old"))
one.execute(f"ATTACH 'file:app@1?vfs=pagekeep&db={sys.argv[1]}' AS old")
print(one.execute("SELECT count(*) FROM old.orders").fetchone()[0], one.execute("SELECT backup_error()").fetchone()[0])
other.close()
one.execute("ATTACH 'file:@2?vfs=pagekeep' AS second")
print(one.execute("SELECT count(*) FROM second.orders").fetchone()[0])
for top in sys.argv[3], os.path.join(os.path.dirname(sys.argv[1]), ".pagekeep", "store"):
    for folder, _, names in os.walk(top):
        for name in names:
            os.truncate(os.path.join(folder, name), 0)
print(failed(one, "SELECT sum(length(b)) FROM second.noise"))
"#;

#[test]
fn several_connections_and_a_page_that_is_gone() {
    let (Some(program), Some(python)) = (program(), support::hosts::python()) else { return };
    let folder = Folder::new();
    folder.sql(
        "CREATE TABLE noise AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
                SELECT i, randomblob(4000) AS b FROM n",
    );
    let (folder, other) = (folder.with_history(&program), Folder::new());
    let mut command = Command::new(python);
    command
        .args(["-c", SEVERAL])
        .arg(folder.database())
        .arg(other.database())
        .arg(folder.path("remote"))
        .env("EXT", library());
    let done = command.env("HOME", folder.path("")).env_remove("XDG_CACHE_HOME").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let both = [folder.database(), other.database()].map(|path| path.canonicalize().unwrap().display().to_string());
    assert!(lines[0].contains("&db=PATH") && both.iter().all(|path| lines[0].contains(path)), "{text}");
    assert_eq!(lines[1..3], ["2 None", "3"]);
    assert!(lines[3].contains("app@2: "), "{text}");
}

/// The same from object storage, with the environment's credentials, when there is a server.
#[test]
fn a_snapshot_in_a_bucket() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(program), Some(endpoint)) = (program(), variable("PAGEKEEP_TEST_S3_ENDPOINT")) else {
        return eprintln!("skipped: there is no S3 server");
    };
    let bucket = variable("PAGEKEEP_TEST_S3_BUCKET").unwrap();
    for host in all() {
        let folder = Folder::new();
        let name = folder.path("").file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let url = format!("s3://{bucket}/ext-{name}");
        let of_s3 = |key: &str| variable(&format!("PAGEKEEP_TEST_S3_{key}")).unwrap();
        let credentials = [
            ("AWS_ENDPOINT_URL", endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", of_s3("KEY")),
            ("AWS_SECRET_ACCESS_KEY", of_s3("SECRET")),
            ("AWS_REGION", "us-east-1".into()),
        ];
        let run = credentials
            .into_iter()
            .fold(Run::new(&folder, &host, library()), |run, (name, value)| run.set(name, &value));
        let run = run.program(&program);
        let attach = "ATTACH 'file:app@1?vfs=pagekeep&from=bucket' AS old";
        let add = format!("SELECT backup('add', 'bucket', '{url}')");
        let rows = run.sql(&[&add, "SELECT backup('sync', 'bucket')", attach, "SELECT what FROM old.orders"]);
        assert_eq!(rows.unwrap(), "0\n0\ntea\nrice");
    }
}
