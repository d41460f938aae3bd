//! The server as a client sees it: the real program, real sockets, real databases, real kills.

#[path = "server"]
mod parts {
    pub(crate) mod access;
    pub(crate) mod jobs;
    pub(crate) mod junk;
    pub(crate) mod keeping;
    pub(crate) mod life;
    pub(crate) mod procedures;
    pub(crate) mod schedules;
    pub(crate) mod snapshots;
}
#[path = "support"]
mod support {
    pub(crate) mod cli;
    pub(crate) mod s3_double;
    pub(crate) mod server;
}

use std::path::PathBuf;

use support::cli::Machine;
use support::server::Served;

/// A machine with a database that is kept, and a server for it.
fn served() -> (Machine, PathBuf, Served) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    let served = Served::start(&machine, &[]);
    (machine, path, served)
}

#[test]
fn it_lives_is_ready_and_stops_when_asked() {
    let (_machine, _path, served) = served();
    let health = served.get("/healthz").data();
    assert_eq!((&health["databases"], &health["working"]), (&1.into(), &0.into()));
    assert_eq!(served.get("/readyz").status, 200);
    let metrics = served.get("/metrics");
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(
        text.contains("pagekeep_databases 1") && text.contains("pagekeep_remotes_failing{database=\"shop\"} 0"),
        "{text}"
    );
    let log = served.stop();
    assert!(log.contains("1 database is served at http://127.0.0.1:") && log.contains("stopped"), "{log}");
}

#[test]
fn one_server_has_a_folder() {
    let (machine, _path, _served) = served();
    machine.run(&["serve", "--listen", "127.0.0.1:0"]).fails(11, &["another server uses"]);
}

#[test]
fn the_description_of_the_routes_is_current() {
    let wanted = pagekeep::server::openapi();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "make it anew: pagekeep serve --openapi > docs/openapi.json");
    let document: serde_json::Value = serde_json::from_str(&found).unwrap();
    // Routes that take different bodies name different schemas.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["NewSnapshot", "NewRef", "NewRemote", "NewHold", "ScheduleChange", "RowChange"] {
        assert!(schemas.contains_key(name), "{name}");
    }
    assert!(!schemas.contains_key("New") && !schemas.contains_key("Change"));
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
}
