//! The snapshots that SQLite may open, by the handles that stand for file names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::pages::SnapshotPages;
use crate::store::StoreError;

/// What a handle's name begins with.
const PREFIX: &str = "snapshot-";

static SERVED: LazyLock<Mutex<HashMap<String, Arc<Served>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Pages that are served, and what went wrong with them.
pub(super) struct Served {
    pub(super) pages: Arc<SnapshotPages>,
    failure: Mutex<Option<StoreError>>,
}

impl Served {
    /// Remembers why a page could not be had: SQLite passes on no more than a number. The first reason is the one.
    pub(super) fn fail(&self, error: StoreError) {
        self.failure().get_or_insert(error);
    }

    /// Why a page could not be had, if so; forgotten with this.
    pub(super) fn take_failure(&self) -> Option<StoreError> {
        self.failure().take()
    }

    fn failure(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A snapshot that can be opened by its name until this is dropped.
pub(super) struct Handle {
    pub(super) name: String,
    pub(super) served: Arc<Served>,
}

impl Handle {
    pub(super) fn new(pages: Arc<SnapshotPages>) -> Self {
        let name = format!("{PREFIX}{}", NEXT.fetch_add(1, Relaxed));
        let served = Arc::new(Served { pages, failure: Mutex::default() });
        all().insert(name.clone(), Arc::clone(&served));
        Self { name, served }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        all().remove(&self.name);
    }
}

/// What a name stands for.
pub(super) fn find(name: &str) -> Option<Arc<Served>> {
    all().get(name).cloned()
}

fn all() -> MutexGuard<'static, HashMap<String, Arc<Served>>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}
