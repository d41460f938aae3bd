//! `pagekeep connect`, `pagekeep login`, `pagekeep backup … --server`, against a real server on another machine: another home,
//! another folder, and no way between them but HTTP.

#[path = "support"]
mod support {
    pub(crate) mod canned;
    pub(crate) mod cli;
    pub(crate) mod cutter;
    pub(crate) mod server;
}

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::canned::Canned;
use support::cli::{Machine, Ran};
use support::cutter::Cutter;
use support::server::Served;

/// A machine with a served database, and one that works on it from afar and has said so.
fn two_machines() -> (Machine, PathBuf, Served, Machine) {
    let there = Machine::new();
    let path = there.database("shop.db", "wal");
    there.ok(&["init", "shop.db"]);
    let served = Served::start(&there, &[]);
    let here = Machine::new();
    here.ok(&["connect", &url(&served)]);
    (there, path, served, here)
}

fn url(served: &Served) -> String {
    format!("http://{}", served.address)
}

fn rows(path: &Path) -> u32 {
    Connection::open(path).unwrap().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
}

/// Runs a command that reads this.
fn with_input(machine: &Machine, arguments: &[&str], input: &str) -> Ran {
    let mut command = machine.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        command: arguments.join(" "),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// What is about times and sizes is left out: they differ from run to run.
fn shape(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "(),".contains(c));
        let is_number = bare.starts_with(|c: char| c.is_ascii_digit());
        if is_number || ["ms", "s", "min", "B", "kB", "MB"].contains(&bare) { "#".to_owned() } else { word.to_owned() }
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_life_of_a_backup_is_told_as_if_it_were_done_here() {
    let (there, path, served, here) = two_machines();
    let far = here.ok(&["backup", "create", "--server", "--note", "from afar"]);
    assert_eq!(far.stdout, "shop@1\n");
    there.insert(&path, 5);
    let near = there.ok(&["backup", "create", "--note", "from near"]);
    assert_eq!(near.stdout, "shop@2\n");
    assert_eq!(shape(&far.stderr), shape(&near.stderr));

    // The address may be said each time, as a word of its own too.
    let far = here.ok(&["backup", "list", "--server", &url(&served)]);
    assert_eq!(far.stdout, there.ok(&["backup", "list"]).stdout);
    // Also before the verb.
    assert_eq!(here.ok(&["backup", "--server", "list"]).stdout, far.stdout);
    assert_eq!(here.ok(&["backup", "--server", &url(&served), "list"]).stdout, far.stdout);
    let (far, near) = (here.ok(&["--json", "backup", "list", "--server"]), there.ok(&["--json", "backup", "list"]));
    for (far, near) in
        far.json()["snapshots"].as_array().unwrap().iter().zip(near.json()["snapshots"].as_array().unwrap())
    {
        for field in
            ["snapshot", "line", "number", "id", "created_at", "note", "labels", "size_bytes", "chunks", "where"]
        {
            assert_eq!(far[field], near[field], "{field}");
        }
    }
    there.ok(&["backup", "add", "usb", "usb"]);
    for _ in 0..2 {
        let (far, near) = (here.run(&["backup", "status", "--server"]), there.run(&["backup", "status"]));
        assert_eq!((&far.stdout, far.code, shape(&far.stderr)), (&near.stdout, near.code, shape(&near.stderr)));
        let far = here.ok(&["backup", "sync", "usb", "--server"]);
        assert_eq!(far.stdout, "shop@2\n");
    }
    let far = here.ok(&["backup", "sync", "usb", "--server"]);
    assert_eq!(shape(&far.stderr), shape(&there.ok(&["backup", "sync", "usb"]).stderr));
    assert!(here.ok(&["backup", "sync", "--all", "--server"]).stderr.contains("shop@2 is kept, and at every remote"));

    let before = rows(&path);
    let open = Connection::open(&path).unwrap();
    let back = here.ok(&["backup", "--server", "restore", "@1"]);
    assert_eq!((back.stdout.as_str(), rows(&path)), ("shop@1\n", before - 5));
    let undo = back.stderr.rsplit("go back: pagekeep ").next().unwrap().trim().to_owned();
    here.ok(&undo.split(' ').collect::<Vec<_>>());
    assert_eq!(rows(&path), before);
    drop(open);

    let file = here.ok(&["backup", "download", "shop@1", "--server"]);
    assert_eq!(file.stdout, "shop@1\n");
    assert_eq!(std::fs::read(here.path("shop-1.sqlite")).unwrap(), there.restored(".", "shop@1"));
    here.run(&["backup", "download", "1", "shop-1.sqlite", "--server"]).fails(16, &["already exists", "--force"]);
    here.ok(&["backup", "download", "2", "shop-1.sqlite", "--server", "--force"]);
    assert_eq!(rows(&here.path("shop-1.sqlite")), before);

    let other = here.database("other.db", "delete");
    let up = here.ok(&["backup", "upload", "other.db", "--server", "--note", "up"]);
    let name = up.stdout.trim().to_owned();
    here.ok(&["backup", "download", &name, "again.sqlite", "--server"]);
    assert_eq!(std::fs::read(here.path("again.sqlite")).unwrap(), std::fs::read(&other).unwrap());
    std::fs::write(here.path("other.db-wal"), "x").unwrap();
    here.run(&["backup", "upload", "other.db", "--server"]).fails(14, &["is in use", "other.db-wal", ".backup"]);

    let history = here.ok(&["backup", "history", "--server"]);
    let near = there.ok(&["backup", "history"]).stdout;
    assert_eq!((history.stdout.lines().count(), &history.stdout), (near.lines().count(), &near));
    let id = history.stdout.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(here.ok(&["backup", "status", &id, "--server"]).stdout, there.ok(&["backup", "status", &id]).stdout);
    let (far, near) = (here.ok(&["backup", "cancel", &id, "--server"]), there.ok(&["backup", "cancel", &id]));
    assert_eq!(far.stderr, near.stderr);

    here.run(&["backup", "drop", "shop@1", "--server"]).fails(2, &["--yes"]);
    let gone = here.ok(&["backup", "drop", "shop@1", "--server", "--yes", "-m", "too old"]);
    assert_eq!(gone.stdout, "shop@1\n");
    assert!(!here.ok(&["backup", "list", "--server"]).stdout.contains("shop@1 "));
    let begun = here.ok(&["backup", "create", "--server", "--no-wait"]);
    assert!(begun.stdout.starts_with("job-"), "{begun:?}");
    served.ended(begun.stdout.trim());
}

#[test]
fn a_new_verb_does_the_same_work_here() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "delete");
    machine.ok(&["backup", "create", "--db", "shop.db"]);
    let before = std::fs::read(&path).unwrap();
    machine.ok(&["backup", "download", "@1", "copy.db"]);
    assert_eq!(std::fs::read(machine.path("copy.db")).unwrap(), before);
    machine.run(&["backup", "download", "@1", "copy.db"]).fails(16, &["already exists"]);
    machine.insert(&machine.path("copy.db"), 3);
    assert_eq!(machine.ok(&["backup", "upload", "copy.db", "--note", "three"]).stdout, "shop@2\n");
    assert!(machine.ok(&["backup", "upload", "copy.db"]).stderr.contains("Nothing changed since shop@2"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let ran = machine.ok(&["backup", "download", "shop@2"]);
    assert!(machine.path("shop-2.db").exists(), "{ran:?}");
    assert!(machine.ok(&["backup", "history"]).stderr.contains("no job yet"));
    machine.ok(&["backup", "drop", "shop@1", "--yes"]);
}

#[test]
fn a_run_that_fails_there_is_told_and_has_the_same_exit_code() {
    let (there, _path, _served, here) = two_machines();
    there.ok(&["backup", "create"]);
    there.ok(&["backup", "add", "far", &there.text("far")]);
    there.ok(&["backup", "sync", "far"]);
    here.ok(&["backup", "status", "--server"]);
    // As a scrub leaves it that found something.
    let runs = there.path(".pagekeep/state/runs/shop");
    std::fs::create_dir_all(&runs).unwrap();
    let failing = r#"{"since": "2026-11-21T10:00:00Z", "times": 1, "last_at": "2026-11-21T10:00:00Z", "why": "a pack is damaged"}"#;
    let memory = format!(
        r#"{{"good_at": null, "runs": 1, "failed": 1, "failing": {failing}, "requests": {}, "last_ms": 1}}"#,
        serde_json::json!({"get": 0, "put": 0, "list": 0, "head": 0, "delete": 0, "sent_bytes": 0, "received_bytes": 0})
    );
    std::fs::write(runs.join("scrub.json"), memory).unwrap();
    let (far, near) = (here.run(&["backup", "status", "--server"]), there.run(&["backup", "status"]));
    assert_eq!((far.code, near.code), (6, 6), "{far:?} {near:?}");
    for ran in [&far, &near] {
        assert!(
            ran.stderr.contains("scrub of the local store fails since") && ran.stderr.contains("(1 time, last"),
            "{ran:?}"
        );
    }
}

#[test]
fn failures_have_the_exit_codes_of_the_same_failures_here() {
    let (there, _path, served, here) = two_machines();
    let none = Machine::new();
    none.run(&["backup", "list", "--server"]).fails(2, &["which server", "pagekeep connect"]);
    none.run(&["connect", "http://ann:hush@127.0.0.1"]).fails(2, &["do not belong"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    none.run(&["connect", &format!("http://{closed}")]).fails(75, &["does not answer", "/healthz"]);
    assert_eq!(none.ok(&["connect"]).stdout, "");
    here.run(&["backup", "restore", "@7", "--server"]).fails(15, &["no snapshot"]);
    here.run(&["backup", "download", "@7", "--server"]).fails(15, &["no snapshot"]);
    here.run(&["backup", "list", "--server", "--db", "till"]).fails(2, &["no database"]);
    here.run(&["backup", "status", "job-1-2", "--server"]).fails(2, &["no job"]);
    here.run(&["backup", "restore", "--server"]).fails(2, &["backup download"]);
    here.run(&["backup", "restore", ".", "x.db", "--server"]).fails(2, &["backup download"]);
    here.run(&["backup", "add", "usb", "usb", "--server"]).fails(2, &["backup add", "machine"]);
    here.run(&["backup", "create", "--server", "--name", "x"]).fails(2, &["--note"]);
    here.run(&["backup", "sync", "usb", "--server"]).fails(2, &["not found"]);
    std::fs::write(here.path("junk"), "no database").unwrap();
    here.run(&["backup", "upload", "junk", "--server"]).fails(14, &["not a"]);
    here.run(&["backup", "list", "--server=https://"]).fails(2, &["not the address"]);
    // Of several databases one must be said.
    there.database("till.db", "wal");
    there.ok(&["init", "till.db"]);
    let address = url(&served);
    served.stop();
    here.run(&["backup", "list", "--server"]).fails(75, &["does not answer"]);
    let served = Served::start(&there, &[]);
    assert_ne!(url(&served), address);
    here.run(&["backup", "create", "--server", &url(&served)]).fails(2, &["shop, till", "--db shop"]);
    here.ok(&["backup", "create", "--server", &url(&served), "--db", "till"]);
    assert_eq!(here.ok(&["backup", "download", "till@1", "--server", &url(&served)]).stdout, "till@1\n");
}

#[test]
fn who_logs_in_is_tried_first_and_what_proves_it_is_kept_for_nobody_else() {
    let (there, _path, served, here) = two_machines();
    let said = here.ok(&["login"]);
    assert!(said.stderr.contains("no login is needed"), "{said:?}");
    assert!(with_input(&there, &["user", "add", "ann", "--scope", "restore"], "correct horse\n").code == 0);
    let token = there.ok(&["token", "create", "nightly", "--scope", "backup"]).stdout.trim().to_owned();
    let short = there.ok(&["token", "create", "short", "--scope", "admin", "--expires", "1s"]).stdout.trim().to_owned();

    here.run(&["backup", "list", "--server"]).fails(4, &["needs a user's name", "next: log in: pagekeep login"]);
    let asked = here.ok(&["connect", &url(&served)]);
    assert!(asked.stderr.contains("next: pagekeep login"), "{asked:?}");
    let file = here.path(".config/pagekeep/servers.toml");
    with_input(&here, &["login", "--user", "ann"], "wrong horse\n").fails(4, &["no such user and password"]);
    with_input(&here, &["login"], "\n").fails(2, &["no password or token"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("horse"));

    let said = with_input(&here, &["login", "--user", "ann"], "correct horse\n");
    assert!(said.code == 0 && said.stderr.contains("as ann with the scope restore for all databases"), "{said:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(here.path("password"), "correct horse\n").unwrap();
    let said = here.ok(&["login", "--user", "ann", "--password-file", "password", "--json"]);
    assert_eq!(said.json()["me"]["scope"], "restore");
    // The password of an encrypted store is nobody's to send to a server.
    let store = here.command(&["login", "--user", "ann"]).env("PAGEKEEP_PASSWORD", "correct horse").output().unwrap();
    assert_eq!(store.status.code(), Some(2), "{store:?}");
    here.run(&["login", "--user", "ann", "--password-command", "cat password"]).fails(2, &["--password-command"]);
    let variables = [("PAGEKEEP_SERVER_USER", "ann"), ("PAGEKEEP_SERVER_PASSWORD", "wrong horse")];
    let wrong = here.command(&["backup", "list", "--server"]).envs(variables).output().unwrap();
    assert_eq!(wrong.status.code(), Some(4), "{wrong:?}");
    here.ok(&["backup", "create", "--server"]);
    let known = here.ok(&["connect"]);
    assert!(known.stdout.contains("ann") && !format!("{known:?}").contains("horse"), "{known:?}");
    // The login is for that address alone.
    here.run(&["backup", "list", "--server", &format!("http://localhost:{}", served.address.port())])
        .fails(4, &["needs a user's name"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    here.run(&["backup", "list", "--server"]).fails(2, &["others on this machine can read", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

    // A token, from a file; it may do less. It fails once its time is over.
    std::fs::write(here.path("token"), format!("{token}\n")).unwrap();
    here.ok(&["login", "--token-file", "token"]);
    here.run(&["backup", "restore", "@1", "--server"]).fails(4, &["needs restore"]);
    let all = std::fs::read_to_string(&file).unwrap();
    assert!(all.contains(&token) && !all.contains("horse"), "{all}");
    std::thread::sleep(Duration::from_millis(1100));
    with_input(&here, &["login"], &short).fails(4, &["no such"]);
    let expired = here.command(&["backup", "list", "--server"]).env("PAGEKEEP_TOKEN", &short).output().unwrap();
    assert_eq!(expired.status.code(), Some(4), "{expired:?}");
    assert!(here.ok(&["login", "--logout"]).stderr.contains("forgotten here"));
    here.run(&["backup", "list", "--server"]).fails(4, &["pagekeep login"]);
    let other = Machine::new().with("PAGEKEEP_TOKEN", &token).with("PAGEKEEP_SERVER", &url(&served));
    other.ok(&["backup", "list", "--server"]);
    here.ok(&["connect", &url(&served), "--forget"]);
    here.run(&["backup", "list", "--server"]).fails(2, &["which server"]);
    // Nothing of it is in what the server says.
    assert!(!served.log().contains(&token) && !served.log().contains("horse"));
}

#[test]
fn a_job_goes_on_without_the_server_and_is_found_again() {
    let (there, path, served, here) = two_machines();
    let held = Connection::open(&path).unwrap();
    held.pragma_update(None, "journal_mode", "delete").unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begin = |patience: &str| {
        let setting = format!("remote_timeout={patience}");
        let mut command = here.command(&["backup", "create", "--server", "--set", &setting]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let working = || {
        let jobs = served.get("/api/v1/jobs?database=shop").data();
        jobs.as_array().unwrap().iter().find(|job| job["state"] == "in_progress").map(|job| job["id"].clone())
    };
    let (impatient, patient) = (begin("1s"), begin("60s"));
    let id = served.until(working).as_str().unwrap().to_owned();
    std::thread::sleep(Duration::from_millis(500));
    let address = served.address.to_string();
    served.kill();
    let lost = impatient.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&lost.stderr);
    assert_eq!(lost.status.code(), Some(75), "{told}");
    assert!(told.contains("does not answer any more") && told.contains("goes on there"), "{told}");
    // The job that is at work ends without it, and whoever still waits hears of it from the next server; the one that
    // had not begun is said to be interrupted.
    held.execute_batch("COMMIT").unwrap();
    there.ok(&["job", &id, "--follow"]);
    let again = there.command(&["serve", "--listen", &address]).stderr(Stdio::null()).spawn().unwrap();
    let again = Stopped(again);
    let ended = patient.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!([Some(0), Some(130)].contains(&ended.status.code()), "{told}");
    assert!(here.ok(&["backup", "status", &id, "--server"]).stdout.contains("completed"));
    assert!(here.ok(&["backup", "list", "--server"]).stdout.contains("shop@1"));
    drop(again);
}

struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_stops_the_command_stops_the_job() {
    let (_there, path, served, here) = two_machines();
    let held = Connection::open(&path).unwrap();
    held.pragma_update(None, "journal_mode", "delete").unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut command = here.command(&["backup", "create", "--server"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = served.until(|| {
        let jobs = served.get("/api/v1/jobs?database=shop&state=in_progress").data();
        jobs[0]["id"].as_str().map(str::to_owned)
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(130), "{stopped:?}");
    assert_eq!(served.ended(&id)["state"], "cancelled");
}

#[test]
fn a_download_goes_on_where_a_wire_was_cut_and_appears_whole() {
    let (there, path, served, here) = two_machines();
    there.insert(&path, 40_000);
    here.ok(&["backup", "create", "--server"]);
    let cutter = Cutter::new(served.address.port(), 7, 2 << 20);
    let through = format!("http://127.0.0.1:{}", cutter.port());
    // Each connection carries part of it; what has come is not fetched again.
    for round in 0..3 {
        let name = format!("copy-{round}.sqlite");
        here.ok(&["backup", "download", "1", &name, "--server", &through]);
        assert_eq!(rows(&here.path(&name)), 40_200);
    }
    assert!(cutter.cuts() > 0);
    // The server goes away for good while it comes: no file, and none beside it.
    let cutter = Cutter::new(served.address.port(), 7, 3000);
    let through = format!("http://127.0.0.1:{}", cutter.port());
    let mut command = here.command(&["backup", "download", "1", "none.sqlite", "--server", &through]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let comes = || {
        let files = std::fs::read_dir(here.path("")).unwrap().flatten();
        let mut begun = files.filter(|file| file.file_name().to_str().unwrap().contains("download"));
        begun.any(|file| file.metadata().is_ok_and(|file| file.len() > 0)).then_some(())
    };
    served.until(comes);
    served.kill();
    let broken = child.wait_with_output().unwrap();
    assert_eq!(broken.status.code(), Some(75), "{broken:?}");
    let left =
        std::fs::read_dir(here.path("")).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.contains("none") || name.contains("download")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn what_is_no_pagekeep_is_told_and_no_redirect_is_followed() {
    let machine = Machine::new().with("PAGEKEEP_TOKEN", "hush");
    let aim = Canned::status("200 OK");
    let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", aim.endpoint);
    let moved = Canned::start(head);
    machine
        .run(&["backup", "create", "--server", &moved.endpoint, "--db", "x"])
        .fails(2, &["redirects to", "not followed"]);
    machine.run(&["connect", &moved.endpoint]).fails(2, &["redirects to"]);
    assert_eq!(aim.requests(), 0);
    machine.run(&["connect", &aim.endpoint]).fails(1, &["not as `pagekeep serve` does"]);
    let broken = Canned::status("503 Service Unavailable");
    machine.run(&["connect", &broken.endpoint]).fails(75, &["proxy before it"]);
    // What changes something is sent once, whatever becomes of it.
    let once = Canned::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
    let before = Instant::now();
    machine.run(&["backup", "create", "--server", &once.endpoint, "--db", "x"]).fails(75, &["does not answer"]);
    assert_eq!(once.requests(), 1);
    assert!(before.elapsed() < Duration::from_secs(20));
    // Without TLS, and elsewhere: said before anything is sent.
    let open = machine.run(&["backup", "list", "--server", "http://pagekeep.invalid:7070"]);
    assert!(open.stderr.contains("warning: http://pagekeep.invalid:7070 has no TLS"), "{open:?}");
    assert_eq!(open.code, 75);
}

#[test]
fn tls_is_trusted_by_an_authority_of_ones_own() {
    let there = Machine::new();
    there.database("shop.db", "wal");
    there.ok(&["init", "shop.db"]);
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(there.path("")).stderr(Stdio::null()).stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let made = openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours"))
        && openssl(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=localhost"))
        && std::fs::write(there.path("names"), "subjectAltName=DNS:localhost").is_ok()
        && openssl(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
        );
    if !made {
        println!("left out: no openssl makes certificates here");
        return;
    }
    let config = "listen = \"127.0.0.1:0\"\nfolders = [\".\"]\n[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    std::fs::write(there.path("serve.toml"), config).unwrap();
    let served = Served::start(&there, &["--config", "serve.toml"]);
    let here = Machine::new();
    let address = format!("https://localhost:{}", served.address.port());
    here.run(&["connect", &address]).fails(4, &["cannot be trusted", "--ca FILE.pem"]);
    std::fs::copy(there.path("ca.pem"), here.path("ca.pem")).unwrap();
    here.run(&["connect", &address, "--ca", "nothing.pem"]).fails(1, &["nothing.pem"]);
    let known = here.ok(&["connect", &address, "--ca", "ca.pem"]);
    assert!(!known.stderr.contains("warning"), "{known:?}");
    // Nobody has to prove anything yet, as over HTTP/1.1.
    assert_eq!(here.ok(&["backup", "create", "--server"]).stdout, "shop@1\n");
    // One that says of itself that it is an authority's is told from one that nobody knows.
    assert!(openssl(&format!(
        "req -x509 {key} -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )));
    served.stop();
    let served = Served::start(&there, &["--config", "serve.toml"]);
    let own = format!("https://localhost:{}", served.address.port());
    std::fs::copy(there.path("cert.pem"), here.path("cert.pem")).unwrap();
    let refused = here.run(&["connect", &own, "--ca", "cert.pem"]);
    refused.fails(4, &["marked as that of an authority", "basicConstraints=critical,CA:FALSE"]);
    let leaf = "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    assert!(openssl(&format!("req -x509 {key} -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost {leaf}")));
    served.stop();
    let served = Served::start(&there, &["--config", "serve.toml"]);
    let own = format!("https://localhost:{}", served.address.port());
    std::fs::copy(there.path("cert.pem"), here.path("cert.pem")).unwrap();
    here.ok(&["connect", &own, "--ca", "cert.pem"]);
    // Of this name only: the certificate says no other.
    let other = format!("https://127.0.0.1:{}", served.address.port());
    here.run(&["connect", &other, "--ca", "cert.pem"]).fails(4, &["cannot be trusted"]);
}

#[test]
fn what_is_no_address_is_said_as_it_was_typed() {
    let machine = Machine::new();
    machine.run(&["connect", "foo"]).fails(2, &["\"foo\" is not the address of a server", "https://"]);
    let secret = machine.run(&["connect", "https://ann:hush@"]);
    secret.fails(2, &["is not the address of a server"]);
    assert!(!secret.stderr.contains("hush"), "{}", secret.stderr);
}
