//! A server that gives every request the same answer, byte for byte.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A running one. Its thread ends with the process: it waits for connections and holds nothing.
pub struct Canned {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Canned {
    /// Answers with these bytes and closes the connection; with none, it keeps silent and the connection open.
    pub fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, seen) = (answer.into(), Arc::clone(&requests));
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { break };
                if read_request(&mut stream).is_err() {
                    continue;
                }
                seen.fetch_add(1, Relaxed);
                if answer.is_empty() {
                    silent.push(stream);
                } else {
                    // A client that has gone away is no concern of the server.
                    let _ = stream.write_all(&answer);
                }
            }
        });
        Self { endpoint, requests }
    }

    /// An answer with this status, and the body that S3 gives with it.
    pub fn status(status: &str) -> Self {
        let body = "<Error><Code>Canned</Code><Message>as told</Message></Error>";
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::start(head + body)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

/// Reads head and body, so that the connection is not reset while the client still writes.
fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    std::io::copy(&mut stream.take(length), &mut std::io::sink())?;
    Ok(())
}
