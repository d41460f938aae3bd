//! Junk: whatever comes, the server answers in its own words or closes, goes on, and has nothing to be sorry for.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::support::server::Served;
use crate::{Machine, served};

#[test]
fn junk_is_refused_and_the_server_goes_on() {
    let (machine, _path, served) = served();
    machine.ok(&["backup", "create"]);
    let bodies: [&[u8]; 8] =
        [b"{", b"[]", b"null", b"\xff\xfe", b"{\"sql\": 7}", b"{\"nonsense\": 1}", b"\"x\"", &[b'['; 100_000]];
    let posts = [
        "/api/v1/databases/shop/snapshots",
        "/api/v1/databases/shop/restore",
        "/api/v1/databases/shop/query",
        "/api/v1/databases/shop/refs",
        "/api/v1/databases/shop/remotes",
        "/api/v1/databases/shop/schedule",
        "/api/v1/procedures/backup",
        "/api/v1/procedures/sp_backup_status",
        "/api/v1/cluster/backup",
        "/api/v1/cluster/restore",
        "/api/v1/session",
        "/backup/config",
    ];
    for path in posts {
        for body in bodies {
            let reply = served.send("POST", path, &["Content-Type: application/json"], body);
            assert!((400..500).contains(&reply.status), "{path} {:?}: {reply}", &body[..body.len().min(20)]);
            assert_eq!(reply.json()["success"], false, "{path}");
        }
    }
    let paths = [
        "/",
        "//",
        "/..",
        "/api/v1/databases/%2e%2e",
        "/api/v1/databases/..%2f..%2fetc%2fpasswd/snapshots",
        "/api/v1/databases/shop%00/snapshots",
        "/api/v1/databases/%ff/snapshots",
        "/api/v1/databases/shop/snapshots/%2e%2e%2f%2e%2e",
        "/api/v1/databases/shop/snapshots/@@@",
        "/api/v1/databases/shop/snapshots/99999999999999999999",
        "/api/v1/databases/shop/snapshots/latest~99999999999",
        "/api/v1/databases/shop/snapshots/latest~4294967295",
        "/api/v1/databases/shop/snapshots/shop:nothing@1",
        "/api/v1/databases/shop/snapshots/%00",
        "/api/v1/databases/shop/snapshots/1/download?file=../../etc/passwd",
        "/api/v1/databases/shop/snapshots?limit=-1",
        "/api/v1/databases/shop/snapshots?limit=99999999999999999999",
        "/api/v1/databases/shop/snapshots?nonsense=1",
        "/api/v1/databases/shop/diff",
        "/api/v1/databases/shop/diff?a=latest&table=%27",
        "/api/v1/databases/shop/diff?a=9999-12-31T23:59&b=-1",
        "/api/v1/databases?after=%ff&limit=0",
        "/api/v1/jobs/%2e%2e",
        "/api/v1/async-tasks/job-",
        "/api/v1/jobs?database=..%2f",
    ];
    for path in paths {
        for method in ["GET", "DELETE", "PUT", "BREW", "OPTIONS"] {
            let reply = served.send(method, path, &[], b"");
            assert!(reply.status < 500 && reply.status > 0, "{method} {path}: {reply}");
        }
    }
    let huge = vec![b' '; 2 << 20];
    served.send("POST", "/api/v1/databases/shop/query", &[], &huge).refused(413, "too_large", "");
    served.send("POST", "/api/v1/procedures/backup_log", &[], &huge).refused(413, "too_large", "");
    assert!(!served.log().contains("ERROR"), "{}", served.log());
    assert_eq!(served.get("/api/v1/databases/shop").data()["snapshot"], "shop@1");
}

#[test]
fn paths_that_can_be_none_are_the_fault_of_who_names_them() {
    let machine = Machine::new();
    machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    machine.ok(&["backup", "add", "offsite", &machine.text("offsite")]);
    machine.ok(&["backup", "sync", "offsite"]);
    std::fs::create_dir(machine.path("exports")).unwrap();
    std::fs::write(machine.path("exports/file"), "not a folder").unwrap();
    std::fs::write(machine.path("pagekeep.toml"), "folders = ['.']\nroots = ['exports']\n").unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    for name in ["x".repeat(300), "x".repeat(254), "x/".repeat(3000), "x\0y".into(), "file/x".into(), String::new()] {
        let path = machine.path("exports").join(name);
        for (procedure, given) in [
            ("backup", json!({"verb": "restore", "from": "offsite", "destination": path})),
            ("backup", json!({"verb": "restore", "from": "offsite", "destination": path, "force": true})),
            ("backup", json!({"verb": "add", "name": "other", "url": path})),
            ("backup", json!({"verb": "sync-url", "url": path})),
            ("sp_backup_download", json!({"id": "latest", "path": path})),
            ("sp_backup_upload", json!({"path": path})),
        ] {
            let reply = served.post(&format!("/api/v1/procedures/{procedure}"), given.clone());
            assert!(reply.status < 500, "{procedure} {given}: {reply}");
        }
    }
    assert!(!served.log().contains("500 Internal"), "{}", served.log());
}

#[test]
fn floods_of_headers_and_broken_requests_are_closed() {
    let (_machine, _path, served) = served();
    let many: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(200_000));
    for headers in [many, long] {
        let reply = served.raw(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes());
        assert!([0, 400, 431].contains(&reply.status), "{reply}");
    }
    for broken in [
        &b"\0\0\0\0"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(served.address).unwrap();
        stream.write_all(broken).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut all);
        assert!(!all.starts_with(b"HTTP/1.1 5"), "{broken:?}: {}", String::from_utf8_lossy(&all));
    }
    // A body that is announced and does not come holds nobody else up.
    let mut idle = TcpStream::connect(served.address).unwrap();
    idle.write_all(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n").unwrap();
    assert_eq!(served.get("/healthz").data()["databases"], json!(1));
}
