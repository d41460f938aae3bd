//! A snapshot attached straight from S3: by the remote's name, and by its address alone. `scripts/test.sh` starts a server.

mod support;

use std::time::SystemTime;

use support::hosts::{Run, all, be_newest};
use support::{Folder, library, program};

#[test]
fn newest_host() {
    be_newest();
}

#[test]
fn a_snapshot_is_attached_from_s3() {
    let variable = |name: &str| std::env::var(format!("PAGEKEEP_TEST_S3_{name}")).ok();
    let (Some(endpoint), Some(bucket), Some(key), Some(secret)) =
        (variable("ENDPOINT"), variable("BUCKET"), variable("KEY"), variable("SECRET"))
    else {
        println!("left out: no S3 server; scripts/test.sh starts one");
        return;
    };
    let Some(program) = program() else { return };
    let folder = Folder::new();
    let run_of = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let address = format!("s3://{bucket}/ext-{run_of:x}?endpoint={endpoint}");
    let credentials = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", secret.as_str())];
    folder.pagekeep_with(&program, &["backup", "add", "cloud", &address], &credentials);
    folder.pagekeep_with(&program, &["backup", "sync", "cloud"], &credentials);
    folder.sql("DELETE FROM orders WHERE id = 1");
    folder.pagekeep_with(&program, &["backup", "sync", "cloud"], &credentials);
    let encoded = address.replace('%', "%25").replace('?', "%3f").replace('&', "%26");
    for host in all() {
        let run = |database: std::path::PathBuf| {
            let run = Run::new(&folder, &host, library()).program(&program).on(database);
            credentials.iter().fold(run, |run, (name, value)| run.set(name, value))
        };
        let named = "ATTACH 'file:app@1?vfs=pagekeep&from=cloud' AS old";
        let rows = run(folder.database()).sql(&[named, "SELECT what FROM old.orders EXCEPT SELECT what FROM orders"]);
        assert_eq!(rows.unwrap(), "tea", "{host:?}");
        let bare = format!("ATTACH 'file:app@latest?vfs=pagekeep&from={encoded}' AS old");
        assert_eq!(run(":memory:".into()).sql(&[&bare, "SELECT what FROM old.orders"]).unwrap(), "rice", "{host:?}");
        let refused = Run::new(&folder, &host, library()).on(":memory:").set("AWS_ACCESS_KEY_ID", "nobody");
        let refused = refused.set("AWS_SECRET_ACCESS_KEY", "guessed").sql(&[&bare]).unwrap_err();
        assert!(refused.contains("unable to open"), "{host:?}: {refused}");
    }
}
