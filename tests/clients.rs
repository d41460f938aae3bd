//! The clients in other languages, each by its own tests, against a real server; and what a server that misbehaves does to them.

#[path = "support"]
mod support {
    pub(crate) mod cli;
    pub(crate) mod cutter;
    pub(crate) mod server;
}

use std::path::Path;
use std::process::Command;

use support::cli::Machine;
use support::cutter::Cutter;
use support::server::Served;

/// A served database, and a token with which everything may be done.
fn served() -> (Machine, Served, String) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.insert(&path, 20_000);
    machine.ok(&["init", "shop.db"]);
    let token = machine.ok(&["token", "create", "client", "--scope", "admin"]).stdout.trim().to_owned();
    let mut served = Served::start(&machine, &[]);
    served.headers = vec![format!("Authorization: Bearer {token}")];
    (machine, served, token)
}

/// Runs a client's own tests.
#[track_caller]
fn runs(folder: &str, program: &str, arguments: &[&str]) {
    let (machine, served, token) = served();
    let mut command = client(folder, program, arguments, &machine);
    command.env("PAGEKEEP_URL", format!("http://{}", served.address)).env("PAGEKEEP_TOKEN", token);
    let output = command.env("PAGEKEEP_PATH", machine.path("shop.db")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{program}: {said}\n{}", served.log());
    assert!(!said.to_lowercase().contains("skip"), "{said}");
}

fn client(folder: &str, program: &str, arguments: &[&str], machine: &Machine) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(folder);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("TMPDIR", machine.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("GOCACHE", std::env::temp_dir().join("pagekeep-go-cache")).env("GOFLAGS", "-count=1");
    command
}

#[test]
fn python() {
    runs("python", "python3", &["-m", "unittest", "-q", "test_pagekeep"]);
}

#[test]
fn node() {
    runs("node", "node", &["--test", "--test-reporter=dot", "pagekeep.test.mjs"]);
}

#[test]
fn go() {
    if Command::new("go").arg("version").output().is_err() {
        println!("left out: there is no Go here");
        return;
    }
    runs("go", "go", &["test", "./..."]);
}

#[test]
fn a_download_goes_on_where_a_wire_was_cut() {
    let (machine, served, token) = served();
    let job = served.post("/api/v1/databases/shop/snapshots", serde_json::json!({})).data();
    served.ended(job["id"].as_str().unwrap());
    let cutter = Cutter::new(served.address.port(), 11, 2 << 20);
    let url = format!("http://127.0.0.1:{}", cutter.port());
    let python = "import pagekeep, sys\n\
                  pagekeep.Client(sys.argv[1], token=sys.argv[2]).download('shop', '1', sys.argv[3])";
    let node = "const { Client } = await import('./pagekeep.mjs');\n\
                const [url, token, path] = process.argv.slice(1);\n\
                await new Client(url, { token }).download('shop', '1', path);";
    let wanted = machine.restored(".", "shop@1");
    for (folder, program, flags) in
        [("python", "python3", vec!["-c", python]), ("node", "node", vec!["--input-type=module", "-e", node])]
    {
        for round in 0..3 {
            let path = machine.text(&format!("{folder}-{round}.db"));
            let arguments = [&flags[..], &[&url, &token, &path]].concat();
            let output = client(folder, program, &arguments, &machine).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(std::fs::read(&path).unwrap() == wanted, "{program} wrote another file");
        }
    }
    assert!(cutter.cuts() > 0);
}
