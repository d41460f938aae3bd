//! A wire in front of a server that is cut in the middle of what flows through it.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Passes connections on to a port, and cuts each after so many bytes in either direction.
pub struct Cutter {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    behind: u16,
    /// What the next connection may carry, changed for each by a simple generator.
    seed: AtomicU64,
    cuts: AtomicU64,
    most: u64,
    whole: AtomicBool,
}

impl Cutter {
    /// In front of `behind`; connections carry up to `most` bytes, evenly distributed.
    pub fn new(behind: u16, seed: u64, most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seed, cuts, whole) = (AtomicU64::new(seed), AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { behind, seed, cuts, most, whole });
        let for_all = Arc::clone(&shared);
        // It ends with the process of the test.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&for_all);
                thread::spawn(move || shared.carry(&client));
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// From now on nothing is cut, or again.
    pub fn leave_whole(&self, whole: bool) {
        self.shared.whole.store(whole, Ordering::Relaxed);
    }
}

impl Shared {
    fn next_length(&self) -> u64 {
        // The constants of Knuth's MMIX generator.
        let step = |x: u64| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = step(self.seed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(step(x))).unwrap());
        if self.whole.load(Ordering::Relaxed) { u64::MAX } else { (drawn >> 33) % self.most }
    }

    fn carry(&self, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.behind)) else { return };
        let left = AtomicU64::new(self.next_length());
        thread::scope(|scope| {
            scope.spawn(|| self.copy(client, &server, &left));
            self.copy(&server, client, &left);
        });
    }

    /// Until either side ends, or the wire is cut.
    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream, left: &AtomicU64) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let had =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(length as u64)));
            let may = had.unwrap().min(length as u64) as usize;
            if to.write_all(&buffer[..may]).is_err() {
                break;
            }
            if may < length {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
