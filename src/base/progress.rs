//! What a running operation has done so far, and whether it has been asked to stop.
//!
//! Operations count here; whoever shows progress looks here from another thread. Nothing is printed
//! by the library.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// What an operation is doing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not started, or between two steps.
    Idle = 0,
    /// Reading the source and comparing it with the last snapshot.
    Reading = 1,
    /// Looking for bases, compressing, and storing.
    Storing = 2,
    /// Bringing a remote up to date.
    Uploading = 3,
    /// Fetching and decoding, into a file.
    Restoring = 4,
    /// Waiting until everything written has reached the disk.
    Flushing = 5,
    /// Reading and comparing what lies in a store.
    Checking = 6,
    /// Waiting until another pagekeep is done here.
    Queued = 7,
    /// Stopping those who write to a database, or waiting for the lock that keeps them out.
    Quiescing = 8,
    /// Keeping the present state, which is about to be replaced.
    Keeping = 9,
    /// Writing pages into a database in service.
    Applying = 10,
    /// Bringing a database to the schema that programs expect.
    Migrating = 11,
    /// Letting those write again who were stopped.
    Releasing = 12,
}

impl Phase {
    const ALL: [Phase; 13] = [
        Phase::Idle,
        Phase::Reading,
        Phase::Storing,
        Phase::Uploading,
        Phase::Restoring,
        Phase::Flushing,
        Phase::Checking,
        Phase::Queued,
        Phase::Quiescing,
        Phase::Keeping,
        Phase::Applying,
        Phase::Migrating,
        Phase::Releasing,
    ];

    /// The phase of this name; idle for any other.
    pub fn named(name: &str) -> Phase {
        Self::ALL.into_iter().find(|phase| phase.name() == name).unwrap_or(Phase::Idle)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "",
            Phase::Reading => "reading",
            Phase::Storing => "storing",
            Phase::Uploading => "uploading",
            Phase::Restoring => "restoring",
            Phase::Flushing => "flushing to disk",
            Phase::Checking => "checking",
            Phase::Queued => "queued",
            Phase::Quiescing => "quiescing",
            Phase::Keeping => "keeping the present state",
            Phase::Applying => "applying",
            Phase::Migrating => "migrating",
            Phase::Releasing => "releasing",
        }
    }
}

/// Counters of one operation. All byte counts are bytes of content, before compression, unless said.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    cancelled: AtomicBool,
    /// Bytes the whole operation has to look at; 0 while unknown.
    pub total_bytes: AtomicU64,
    /// Bytes looked at so far.
    pub done_bytes: AtomicU64,
    /// Bytes that needed no storing, because they were stored already.
    pub reused_bytes: AtomicU64,
    /// Stored (compressed) bytes handed to a store or fetched from one.
    pub moved_bytes: AtomicU64,
}

/// The operation was asked to stop and did; nothing half done is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped on request")]
pub struct Cancelled;

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// The phase entered last.
    pub fn phase(&self) -> Phase {
        let entered = self.phase.load(Relaxed);
        Phase::ALL.into_iter().find(|phase| *phase as u8 == entered).unwrap_or(Phase::Idle)
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, bytes: u64) {
        counter.fetch_add(bytes, Relaxed);
    }

    /// Asks the operation to stop at its next safe point. Safe to call from a signal's thread.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Takes back that the operation was asked to stop: another one follows.
    pub fn go_on(&self) {
        self.cancelled.store(false, Relaxed);
    }

    /// # Errors
    /// [`Cancelled`] once [`Progress::cancel`] was called.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.cancelled.load(Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}
