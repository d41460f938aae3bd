//! The real server, started for a test and stopped by it, and a client that sends what it is told, byte for byte.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::cli::Machine;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Served {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    /// What every request brings besides.
    pub headers: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Served {
    /// Starts a server in a machine's folder.
    #[track_caller]
    pub fn start(machine: &Machine, arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
        let mut child = machine.command(&all).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let started = Instant::now();
        let address = loop {
            let text = log.lock().unwrap().clone();
            if let Some(at) = text.find("served at http") {
                let place = text[at..].lines().next().unwrap().rsplit('/').next().unwrap();
                break place.parse().unwrap();
            }
            assert!(started.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "it does not start: {text}");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { child, address, log, headers: Vec::new() }
    }

    pub fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What the server said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub fn stop(mut self) -> String {
        kill_process(self.process(), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may have answered and closed before all was sent.
        let _ = stream.write_all(bytes);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        Reply::read(all)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for header in headers.iter().copied().chain(self.headers.iter().map(String::as_str)) {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.raw(&[head.as_bytes(), body].concat())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// Looks until a job has ended.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let job = self.get(&format!("/api/v1/jobs/{id}")).data();
            if !["pending", "in_progress"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(started.elapsed() < PATIENCE, "{job}: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "it does not come: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reply {
    fn read(all: Vec<u8>) -> Self {
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(all.len());
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut body = all.get(end + 4..).unwrap_or_default().to_vec();
        if head.to_lowercase().contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        Self { status, head, body }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The data of an answer of success.
    #[track_caller]
    pub fn data(&self) -> Value {
        let mut json = self.json();
        assert!(self.status < 300 && json["success"] == true, "{self}");
        json["data"].take()
    }

    /// It was refused with this status and code; the message has this part.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str, part: &str) {
        let json = self.json();
        let error = &json["error"];
        let fits = self.status == status && json["success"] == false && error["code"] == code;
        assert!(fits && error["message"].as_str().unwrap().contains(part), "{status} {code} {part:?}: {self}");
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\n{}", self.head, String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]))
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap_or("0"), 16).unwrap_or(0);
        let Some(piece) = rest.get(end + 2..end + 2 + len) else { break };
        if len == 0 {
            break;
        }
        body.extend_from_slice(piece);
        rest = rest.get(end + 4 + len..).unwrap_or_default();
    }
    body
}
