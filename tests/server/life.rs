//! The server's life beside its requests: what the service manager hears, a certificate that is replaced, jobs that are
//! stopped by name, storage that the environment names.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::support::s3_double::S3Double;
use crate::support::server::Served;
use crate::{Machine, served};

#[test]
fn the_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let machine = Machine::new().with("NOTIFY_SOCKET", path.to_str().unwrap()).with("WATCHDOG_USEC", "900000");
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    let served = Served::start(&machine, &[]);
    let hear = || {
        let mut bytes = [0; 200];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..len]).trim().to_owned()
    };
    assert_eq!(hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    served.stop();
    let last = std::iter::repeat_with(hear).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

/// Makes a certificate for this name, and puts it and its key in the place of others.
fn certificate(folder: &Path, name: &str) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-keyout", "key.new", "-out", "cert.new"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    for part in ["key", "cert"] {
        std::fs::rename(folder.join(format!("{part}.new")), folder.join(format!("{part}.pem"))).unwrap();
    }
}

/// The name in the certificate that a server shows.
fn shown(served: &Served) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &served.address.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default().replace(' ', "")
}

#[test]
fn a_certificate_that_was_replaced_is_used_and_a_wrong_one_is_not() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("left out: no openssl to make certificates with");
        return;
    }
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    certificate(&machine.path(""), "first");
    let text = "folders = [\".\"]\n[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    std::fs::write(machine.path("pagekeep.toml"), text).unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    assert_eq!(shown(&served), "CN=first", "{}", served.log());
    certificate(&machine.path(""), "second");
    served.until(|| served.log().contains("the certificate was read anew").then_some(()));
    served.until(|| (shown(&served) == "CN=second").then_some(()));
    std::fs::write(machine.path("cert.pem"), "no certificate").unwrap();
    served.until(|| served.log().contains("the new certificate is not used").then_some(()));
    assert_eq!(shown(&served), "CN=second");
    served.stop();
    machine.run(&["serve", "--config", "pagekeep.toml"]).fails(2, &["certificate"]);
}

#[test]
fn a_job_at_work_is_stopped_by_its_procedure() {
    let (_machine, path, served) = served();
    let before = served.get("/api/v1/databases/shop/snapshots").data();
    let held = Connection::open(&path).unwrap();
    held.pragma_update(None, "journal_mode", "delete").unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = served.post("/api/v1/procedures/sp_backup_create", json!({"Database": "shop"})).data();
    let id = begun["rows"][0]["BackupId"].as_str().unwrap().to_owned();
    served.until(|| (served.get(&format!("/api/v1/jobs/{id}")).data()["state"] == "in_progress").then_some(()));
    let asked = served.post("/api/v1/procedures/sp_backup_cancel", json!({"Database": "shop", "Id": id})).data();
    assert_eq!(asked["rows"][0]["CancelRequested"], 1, "{asked}");
    assert_eq!(served.ended(&id)["state"], "cancelled");
    drop(held);
    assert_eq!(served.get("/api/v1/databases/shop/snapshots").data(), before);
}

#[test]
fn the_environment_names_storage() {
    let double = S3Double::start();
    let machine = Machine::new()
        .with("BACKUP_ENABLED", "true")
        .with("BACKUP_S3_ENABLED", "true")
        .with("BACKUP_S3_PATH", "shops")
        .with("BACKUP_RETENTION_COUNT", "3")
        .with("S3_BUCKET", "bkt")
        .with("S3_ENDPOINT", &double.endpoint)
        .with("S3_REGION", "us-east-1")
        .with("S3_ACCESS_KEY_ID", "key")
        .with("S3_SECRET_ACCESS_KEY", "secret");
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    // A run that was missed begins at once.
    std::fs::create_dir_all(machine.path(".pagekeep/server")).unwrap();
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    std::fs::write(machine.path(".pagekeep/server/runs.json"), json!({"shop": then}).to_string()).unwrap();
    let served = Served::start(&machine, &[]);
    served.until(|| {
        let remotes = served.get("/api/v1/databases/shop/remotes").data();
        (remotes[0]["name"] == "s3" && remotes[0]["up_to_date"] == 1).then_some(())
    });
    let keys: Vec<String> = double.objects().into_keys().collect();
    assert!(keys.iter().any(|key| key.starts_with("shops/snapshots/shop/main/")), "{keys:?}");
}
