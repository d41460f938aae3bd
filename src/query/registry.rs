//! The snapshots that the connections of this process may open, by the handles that stand for file names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::names::{Names, OpenName, Served};
use crate::pages::SnapshotPages;

/// What a handle's name begins with.
const PREFIX: &str = "snapshot-";

static SERVED: LazyLock<Mutex<HashMap<String, Arc<Served>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The handles of this process.
#[derive(Debug)]
pub(super) struct Handles;

impl Names for Handles {
    fn find(&self, name: &OpenName<'_>) -> Option<Arc<Served>> {
        all().get(name.path).cloned()
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
        let served = Arc::new(Served::new(pages));
        all().insert(name.clone(), Arc::clone(&served));
        Self { name, served }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        all().remove(&self.name);
    }
}

fn all() -> MutexGuard<'static, HashMap<String, Arc<Served>>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}
