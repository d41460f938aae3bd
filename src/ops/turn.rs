//! Taking turns at a remote that overwrites although it is asked not to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Context, Database, OpError, OpenRemote};
use crate::base::{Name, Nonce};
use crate::store::{LockHolder, Look, WriterLock};

/// Time between two looks at first; it doubles up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(100);
/// See [`FASTEST`].
const SLOWEST: Duration = Duration::from_secs(5);

/// The right to write to a remote, until it is given back.
pub(super) struct Turn {
    /// The remote, in which nothing can be created once the right is lost.
    pub(super) remote: OpenRemote,
    /// What a person should know.
    pub(super) remarks: Vec<String>,
    lock: Option<Arc<WriterLock>>,
}

impl Turn {
    /// Waits for it as long as for any lock. Where the first writer of a key is kept, nobody has to wait.
    ///
    /// # Errors
    /// [`StoreError::Locked`](crate::store::StoreError::Locked) when somebody else's takes longer.
    pub(super) fn take(context: &Context, database: &Database, remote: &OpenRemote) -> Result<Self, OpError> {
        let mut turn = Self { remote: remote.clone(), remarks: Vec::new(), lock: None };
        if !remote.store.overwrites() {
            return Ok(turn);
        }
        let workspace = &database.workspace;
        let nonce = Nonce::fresh();
        if let Some(name) = &remote.name {
            // Runs in one folder come one after the other: a lock that one of them left is nobody's.
            if let Some(left) = workspace.noted_turn(name, &context.host) {
                WriterLock::remove_left(&remote.store, &left)?;
            }
            workspace.note_turn(name, &context.host, &nonce)?;
        }
        let holder = LockHolder { host: context.host.clone(), pid: std::process::id(), since: context.now() };
        let lock = Arc::new(WriterLock::new(&remote.store, &holder, &nonce, context.clock));
        let waited = wait(context, database, &lock);
        let removed = waited.inspect_err(|_| turn.let_go(database, &lock))?;
        turn.remarks = removed.iter().map(|holder| describe(holder, remote)).collect();
        lock.keep();
        turn.remote.store = remote.store.clone().under(Arc::clone(&lock));
        turn.lock = Some(lock);
        Ok(turn)
    }

    /// Gives it back.
    pub(super) fn give_back(&mut self, database: &Database) {
        if let Some(lock) = self.lock.take() {
            self.let_go(database, &lock);
        }
    }

    /// A lock that cannot be removed is remembered for the next run, and stale after a while.
    fn let_go(&self, database: &Database, lock: &WriterLock) {
        if lock.release().is_ok()
            && let Some(name) = &self.remote.name
        {
            let _ = database.workspace.forget_turn(name);
        }
    }
}

fn wait(context: &Context, database: &Database, lock: &WriterLock) -> Result<Vec<LockHolder>, OpError> {
    let deadline = Instant::now() + database.settings.lock_wait();
    let mut removed = Vec::new();
    let mut pause = FASTEST;
    loop {
        context.progress.check()?;
        match lock.look(&mut removed)? {
            Look::Alone => return Ok(removed),
            Look::Held(holder) if Instant::now() >= deadline => return Err(lock.refused_by(holder).into()),
            Look::TooEarly if Instant::now() >= deadline => return Err(lock.unseen().into()),
            Look::Held(_) | Look::TooEarly => {}
        }
        std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())).max(FASTEST));
        pause = (pause * 2).min(SLOWEST);
    }
}

fn describe(holder: &LockHolder, remote: &OpenRemote) -> String {
    let LockHolder { host, pid, since } = holder;
    let name = remote.name.as_ref().map_or(remote.url.as_str(), Name::as_str);
    format!(
        "the lock of {host} (process {pid}, since {since}) at {name} was taken over: nothing was heard of it for 30 minutes"
    )
}
