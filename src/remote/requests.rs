//! How many requests were made. What is retried below counts once: it is what was asked for that counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// Running counters of a remote.
#[derive(Debug, Default)]
pub struct Requests {
    pub(super) get: AtomicU64,
    pub(super) put: AtomicU64,
    pub(super) list: AtomicU64,
    pub(super) head: AtomicU64,
    pub(super) delete: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
}

/// Requests made up to some moment, by verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Reads, of objects or parts of them.
    pub get: u64,
    /// Writes.
    pub put: u64,
    /// Listings; one that spans several pages counts once.
    pub list: u64,
    /// Questions whether an object is there.
    pub head: u64,
    /// Removals.
    pub delete: u64,
    /// Bytes of created objects.
    pub sent_bytes: u64,
    /// Bytes of objects read.
    pub received_bytes: u64,
}

impl Requests {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn counts(&self) -> RequestCounts {
        RequestCounts {
            get: self.get.load(Relaxed),
            put: self.put.load(Relaxed),
            list: self.list.load(Relaxed),
            head: self.head.load(Relaxed),
            delete: self.delete.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
        }
    }
}

impl RequestCounts {
    /// What was added since an earlier count.
    pub fn since(&self, before: &RequestCounts) -> RequestCounts {
        RequestCounts {
            get: self.get - before.get,
            put: self.put - before.put,
            list: self.list - before.list,
            head: self.head - before.head,
            delete: self.delete - before.delete,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            received_bytes: self.received_bytes - before.received_bytes,
        }
    }

    /// Adds those of another remote.
    pub fn add(&mut self, other: &RequestCounts) {
        self.get += other.get;
        self.put += other.put;
        self.list += other.list;
        self.head += other.head;
        self.delete += other.delete;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
    }

    /// Requests of all verbs.
    pub fn total(&self) -> u64 {
        self.get + self.put + self.list + self.head + self.delete
    }
}
