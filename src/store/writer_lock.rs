//! One writer at a time, at a place that overwrites although it is asked not to.
//!
//! Every writer has a lock of its own: it puts that first and then lists all locks, so that of two at least one sees the
//! other. Who is alone may write; of those who meet, the one whose lock sorts first stays and waits, the others withdraw.
//! No step takes time into account but one: a lock that was not refreshed for [`STALE`], by the remote's own clock, is
//! taken to be left by the dead. A writer that was only asleep finds its lock gone, or so old that somebody may be about to
//! take it over, before it creates anything.
//! docs/decisions/0007-writer-locks.md argues for it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Border, Store, StoreError, keys};
use crate::base::Nonce;
use crate::remote::{Listed, RemoteError, RemoteErrorKind};

/// A lock that was not refreshed for so long is nobody's any more.
pub const STALE: SignedDuration = SignedDuration::from_mins(30);
/// How often a lock is refreshed: five may fail before it is stale.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// A lock that was not refreshed for so long is looked at before anything is created under it.
const OVERDUE: SignedDuration = SignedDuration::from_mins(10);
/// Largest lock that is read.
const MAX_LOCK_BYTES: u64 = 4 << 10;

/// Who holds a lock. FORMAT.md, "Keys".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// Since when, by that machine's clock.
    pub since: Timestamp,
}

/// What a look at the locks shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Only this lock: its holder may write.
    Alone,
    /// Somebody else's, too.
    Held(LockHolder),
    /// This lock is not in the listing, which is older than it.
    TooEarly,
}

/// A writer's lock, held until it is released.
#[derive(Debug)]
pub struct WriterLock {
    lock: Arc<Lock>,
    keeper: Mutex<Option<Keeper>>,
}

/// What a lock and the thread that keeps it have in common.
#[derive(Debug)]
struct Lock {
    remote: Border,
    key: String,
    text: String,
    clock: fn() -> Timestamp,
    /// When it was put last, by this machine's clock, which goes on while the machine sleeps.
    put_at: Mutex<Timestamp>,
    lost: AtomicBool,
}

/// The thread that refreshes a lock.
#[derive(Debug)]
struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl WriterLock {
    /// A lock that is not there yet. `clock` only says when it is time to look after it.
    pub fn new(store: &Store, holder: &LockHolder, nonce: &Nonce, clock: fn() -> Timestamp) -> Self {
        let text = serde_json::to_string(holder).expect("BUG: a holder is expressible in JSON");
        let (remote, key, put_at) = (store.remote().clone(), Self::key(nonce), Mutex::new(clock()));
        let lock = Lock { remote, key, text, clock, put_at, lost: AtomicBool::new(false) };
        Self { lock: Arc::new(lock), keeper: Mutex::default() }
    }

    fn key(nonce: &Nonce) -> String {
        format!("{}/{nonce}", keys::LOCKS)
    }

    /// Removes a lock of which the caller knows that nobody holds it.
    ///
    /// # Errors
    /// When the remote does not let it.
    pub fn remove_left(store: &Store, nonce: &Nonce) -> Result<(), StoreError> {
        store.remote().delete(&Self::key(nonce))
    }

    /// Puts the lock, or refreshes it, and looks who else has one. Stale ones are removed, and their holders added to
    /// `removed`. Withdraws before somebody whose lock sorts first.
    ///
    /// # Errors
    /// When the remote fails.
    pub fn look(&self, removed: &mut Vec<LockHolder>) -> Result<Look, StoreError> {
        let Lock { remote, key, .. } = &*self.lock;
        self.lock.put()?;
        let listed = remote.list(keys::LOCKS)?;
        let Some(own) = listed.iter().find(|lock| lock.key == *key) else { return Ok(Look::TooEarly) };
        let mut rivals: Vec<&Listed> = Vec::new();
        for lock in listed.iter().filter(|lock| lock.key != *key) {
            if own.modified.duration_since(lock.modified) >= STALE {
                removed.extend(self.holder(lock)?);
                remote.delete(&lock.key)?;
            } else {
                rivals.push(lock);
            }
        }
        let Some(first) = rivals.first() else { return Ok(Look::Alone) };
        if first.key < *key {
            remote.delete(key)?;
        }
        // One that went since then was somebody's all the same: the next look shows who is left.
        let gone = || LockHolder { host: "somebody".into(), pid: 0, since: first.modified };
        Ok(Look::Held(self.holder(first)?.unwrap_or_else(gone)))
    }

    fn holder(&self, lock: &Listed) -> Result<Option<LockHolder>, StoreError> {
        match self.lock.remote.get(&lock.key, MAX_LOCK_BYTES) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            // Gone, or no lock that says anything.
            Err(error) if error.is_absence() || matches!(error, StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the lock fresh until it is released.
    pub fn keep(&self) {
        let (stop, stopped) = channel();
        let lock = Arc::clone(&self.lock);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                // A failure is made good by the next turn, or by the check.
                let _ = lock.refresh();
            }
        });
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(Keeper { stop, thread });
    }

    /// Whether the lock is still held.
    ///
    /// # Errors
    /// [`StoreError::LockLost`] when it is not.
    pub fn check(&self) -> Result<(), StoreError> {
        let lock = &*self.lock;
        let put_at = *lock.put_at.lock().unwrap_or_else(PoisonError::into_inner);
        let age = (lock.clock)().duration_since(put_at);
        // The thread that keeps it would have been here by now: this machine slept, or its clock was set.
        if age.is_negative() || age > OVERDUE {
            return lock.refresh();
        }
        if !lock.lost.load(Relaxed) && lock.remote.exists(&lock.key)? {
            return Ok(());
        }
        Err(lock.lost())
    }

    /// Why nothing can be written while `holder` does.
    pub fn refused_by(&self, holder: LockHolder) -> StoreError {
        let LockHolder { host, pid, since } = holder;
        StoreError::Locked { remote: self.lock.remote.name().to_owned(), host, pid, since }
    }

    /// Why nothing can be written where listings do not show the lock.
    pub fn unseen(&self) -> StoreError {
        StoreError::Remote(RemoteError {
            kind: RemoteErrorKind::Unavailable,
            verb: "list",
            key: keys::LOCKS.to_owned(),
            remote: self.lock.remote.name().to_owned(),
            reason: format!("{:?}, which was put there, is not in the listing", self.lock.key),
            source: None,
        })
    }

    /// Lets go of the lock.
    ///
    /// # Errors
    /// When the remote does not let it be removed: it becomes stale.
    pub fn release(&self) -> Result<(), StoreError> {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Keeper { stop, thread }) = keeper {
            drop(stop);
            thread.join().expect("BUG: the thread that refreshes a lock panicked");
        }
        self.lock.remote.delete(&self.lock.key)
    }
}

impl Lock {
    fn put(&self) -> Result<(), StoreError> {
        self.remote.replace(&self.key, self.text.clone())?;
        *self.put_at.lock().unwrap_or_else(PoisonError::into_inner) = (self.clock)();
        Ok(())
    }

    fn modified(&self) -> Result<Option<Timestamp>, StoreError> {
        let listed = self.remote.list(keys::LOCKS)?;
        Ok(listed.iter().find(|lock| lock.key == self.key).map(|lock| lock.modified))
    }

    /// Puts the lock again, and looks how old it had become, by the remote's clock. One that was stale before is not held any
    /// more, whoever may be about to take it over: all who took it for stale did so before it was put again.
    fn refresh(&self) -> Result<(), StoreError> {
        let before = self.modified()?;
        let (Some(before), false) = (before, self.lost.load(Relaxed)) else { return Err(self.lost()) };
        self.put()?;
        match self.modified()? {
            Some(now) if now.duration_since(before) >= STALE => {
                self.lost.store(true, Relaxed);
                self.remote.delete(&self.key)?;
                Err(self.lost())
            }
            _ => Ok(()),
        }
    }

    fn lost(&self) -> StoreError {
        self.lost.store(true, Relaxed);
        StoreError::LockLost { key: self.key.clone(), remote: self.remote.name().to_owned() }
    }
}
