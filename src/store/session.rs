//! A writer that puts packs outside its record says so before the first, and then looks what is condemned.
//!
//! Order, which a prune relies on: the session is created, then tombstones are listed. A prune puts its tombstone, then lists
//! sessions: so of the two at least one sees the other. `docs/decisions/0014-prune.md` argues for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Store, StoreError, keys};
use crate::base::{Name, Nonce};
use crate::format::protocol::{SessionText, Who};
use crate::format::record::SnapshotName;

/// A session at one store. It begins with the first pack, so that a small snapshot, which has none, costs nothing.
#[derive(Debug)]
pub struct Session {
    mark: Nonce,
    who: Who,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The snapshot that is to be created.
    aim: Option<(Name, SnapshotName)>,
    /// What prunes that began before are going to remove; known once the session has begun.
    condemned: Option<Arc<HashSet<String>>>,
}

impl Session {
    /// A session that has not begun.
    pub fn new(mark: Nonce, who: Who) -> Self {
        Self { mark, who, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which snapshot is to be created: before the first pack is put.
    pub fn aim_at(&self, database: &Name, snapshot: &SnapshotName) {
        self.state().aim = Some((database.clone(), snapshot.clone()));
    }

    /// The snapshot that is to be created.
    pub fn aim(&self) -> Option<SnapshotName> {
        self.state().aim.as_ref().map(|(_, snapshot)| snapshot.clone())
    }

    pub(super) fn is_condemned(&self, store: &Store, key: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        if let Some(condemned) = &state.condemned {
            return Ok(condemned.contains(key));
        }
        let (database, snapshot) = state.aim.clone().expect("BUG: a session is aimed before packs are put");
        let text = SessionText::new(database, snapshot, self.who.clone());
        store.create_object(&keys::session(&self.mark), text.encode().into())?;
        let condemned = store.tombstones()?.condemned(store)?;
        let found = condemned.contains(key);
        state.condemned = Some(Arc::new(condemned));
        Ok(found)
    }

    /// Ends it, when it is certain what became of the record. One that cannot be removed is found by a prune.
    pub fn end(&self, store: &Store) {
        if self.state().condemned.take().is_some() {
            let _ = store.remote().delete(&keys::session(&self.mark));
        }
    }
}

impl Store {
    /// The sessions that are there.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn sessions(&self) -> Result<Vec<Nonce>, StoreError> {
        let listed = self.remote().list(keys::SESSIONS)?;
        Ok(listed.iter().filter_map(|object| keys::parse_session(&object.key)).collect())
    }

    /// What a session says; `None` when it has ended.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn session_text(&self, mark: &Nonce) -> Result<Option<SessionText>, StoreError> {
        let key = keys::session(mark);
        match self.remote().get(&key, crate::format::protocol::MAX_SESSION_BYTES) {
            Ok(bytes) => SessionText::decode(&bytes).map(Some).map_err(|source| self.damaged(&key, source)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
