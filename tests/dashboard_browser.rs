//! The dashboard in a real browser: `dashboard_browser/drive.py` is its hand. Without chromium and chromedriver it is skipped
//! and says so; where `PAGEKEEP_BROWSER` is set, as in CI, that is a failure.

#[path = "support"]
mod support {
    pub(crate) mod cli;
    pub(crate) mod server;
}

use std::io::Write;
use std::process::{Command, Stdio};

use support::cli::Machine;
use support::server::Served;

#[test]
fn people_do_their_work_in_a_real_browser() {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    let odd = machine.database("odd.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["init", odd.to_str().unwrap(), "--name", "<script>alert(1)<!--"]);
    let mut child = machine.command(&["user", "add", "ann", "--scope", "admin"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    assert!(child.wait().unwrap().success());
    let served = Served::start(&machine, &[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dashboard_browser/drive.py");
    let url = format!("http://{}", served.address);
    let shots = std::env::var("PAGEKEEP_SHOTS").unwrap_or_else(|_| "-".into());
    let mut drive = Command::new("python3");
    drive.arg(script).args([&url, "ann", "correct horse"]).arg(&path).arg(&shots);
    let Ok(ran) = drive.output() else {
        eprintln!("skipped: there is no python3 here");
        return;
    };
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if ran.status.code() == Some(77) && std::env::var_os("PAGEKEEP_BROWSER").is_none() {
        eprintln!("{said}");
        return;
    }
    assert!(ran.status.success(), "{said}\n{}", served.log());
    assert!(said.contains("two tabs"), "{said}");
    assert!(!served.log().contains("ERROR"), "{}", served.log());
}
